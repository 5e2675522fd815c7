"""Money from outside into a market's house or insurance, and out of it again."""

from __future__ import annotations

from typing import Any

import pytest

from perps.commands import FundMarket, HouseAccount, Side
from perps.events import HouseFunded, TransferKind
from perps.params import Mode
from perps.refusals import RejectCode
from perps.rules.users import DEPOSITS_MAX
from perps.units import MICRO, PPB, Micros, Millis, Ppb
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    STORY,
    STORY_PRICE,
    Books,
    done,
    index_market,
    opened,
    quote_market,
    refused,
)

HOUSE, INSURANCE = HouseAccount.HOUSE, HouseAccount.INSURANCE


def fund(account: HouseAccount, amount: int, ticker: str = BTC) -> FundMarket:
    return FundMarket(ticker=ticker, account=account, amount=Micros(amount))


def books(**changes: Any) -> Books:
    made = Books((index_market(**changes), BTC_PRICE))
    made.add_user("ann")
    return made


@pytest.mark.parametrize("account", HouseAccount)
def test_money_comes_from_the_world_and_goes_back_there(account: HouseAccount) -> None:
    venue = books()
    (paid,) = done(venue.send(fund(account, 7)))
    (taken,) = done(venue.send(fund(account, -3)))

    assert isinstance(paid, HouseFunded)
    assert isinstance(taken, HouseFunded)
    assert (paid.balance, taken.balance) == (7, 4)
    (into,), (back,) = paid.transfers, taken.transfers
    assert (into.source, into.target, into.amount) == ("world", f"{account}:{BTC}", 7)
    assert (back.source, back.target, back.amount) == (f"{account}:{BTC}", "world", 3)
    assert into.kind is back.kind is TransferKind.HOUSE_FUNDING
    assert venue.ledger.balances[f"{account}:{BTC}"] == 4
    assert venue.ledger.total() == 0
    assert paid.subject is None


@pytest.mark.parametrize("account", HouseAccount)
def test_no_more_leaves_an_account_than_it_holds(account: HouseAccount) -> None:
    venue = books()
    done(venue.send(fund(account, 10)))

    refusal = refused(venue.send(fund(account, -11)))
    assert refusal.code is RejectCode.INSUFFICIENT_FUNDS
    assert refusal.facts == {"required_micros": 11, "available_micros": 10}
    done(venue.send(fund(account, -10)))


@pytest.mark.parametrize("side", Side)
def test_the_house_keeps_what_all_traders_would_gain_by_leaving(side: Side) -> None:
    """Also when their gain came by trading alone, on a market marked at its quote."""
    venue = Books((quote_market(house_deposit=10_000 * MICRO), STORY_PRICE))
    venue.add_user("ann")
    position = opened(venue.open("ann", side, 500 * MICRO, ticker=STORY, leverage=2))
    moved = STORY_PRICE * 11 // 10 if side is Side.LONG else STORY_PRICE * 9 // 10
    done(venue.price(moved, ticker=STORY))
    market = venue.markets[STORY]
    gain = market.liability
    assert gain > 0

    assert refused(venue.send(fund(HOUSE, -(market.house - gain) - 1, STORY))).code is RejectCode.INSUFFICIENT_FUNDS
    done(venue.send(fund(HOUSE, -(market.house - gain), STORY)))
    before = market.house
    done(venue.close(position, ticker=STORY))
    assert 0 <= market.house < before
    assert abs(before - gain - market.house) <= 2, "the liability is what leaving pays, to within its roundings"


def test_what_losers_owe_beyond_their_margin_is_not_there_for_the_winners() -> None:
    """A halted market keeps positions that have lost more than their margin: nobody pays the rest of that loss."""
    venue = books(house_credit_limit=0, taker_fee=0, maker_fee=0)
    venue.add_user("bob")
    done(venue.send(fund(HOUSE, 2_000 * MICRO)))
    winner = opened(venue.open("ann", Side.LONG, 10_000 * MICRO))
    opened(venue.open("bob", Side.SHORT, 10_000 * MICRO, leverage=50))
    done(venue.mode(Mode.HALTED))
    done(venue.price(BTC_PRICE * 115 // 100))

    assert refused(venue.send(fund(HOUSE, -1))).facts["available_micros"] == 0
    done(venue.mode(Mode.ENABLED))
    done(venue.close(winner))


@pytest.mark.parametrize("doubt", ["held", "stale"])
def test_the_house_pays_nothing_out_at_a_price_in_doubt_while_somebody_holds_a_position(doubt: str) -> None:
    """What he would gain at the right price is not known. Paying in, and out of the insurance, goes on."""
    venue = books(price_band=Ppb(PPB // 10), max_price_age=1_000)
    for account in HouseAccount:
        done(venue.send(fund(account, 100)))
    position = opened(venue.open("ann", Side.LONG, 1_000 * MICRO))
    if doubt == "held":
        done(venue.price(BTC_PRICE * 2))
    else:
        venue.at = Millis(venue.at + 1_001)

    code = RejectCode.PRICE_UNCONFIRMED if doubt == "held" else RejectCode.PRICE_STALE
    assert refused(venue.send(fund(HOUSE, -1))).code is code
    done(venue.send(fund(HOUSE, 1)))
    done(venue.send(fund(INSURANCE, -1)))
    done(venue.price(BTC_PRICE))
    done(venue.close(position))
    venue.at = Millis(venue.at + 2_000)
    done(venue.send(fund(HOUSE, -1)))


def test_nothing_is_no_amount() -> None:
    assert refused(books().send(fund(HOUSE, 0))).code is RejectCode.VALIDATION_ERROR


def test_a_house_in_debt_can_be_paid_into_and_not_out_of() -> None:
    venue = books()
    position = opened(venue.open("ann", Side.LONG, 1_000 * MICRO))
    done(venue.price(BTC_PRICE * 2))
    done(venue.close(position))
    assert venue.markets[BTC].house < 0

    refusal = refused(venue.send(fund(HOUSE, -1)))
    assert refusal.facts == {"required_micros": 1, "available_micros": 0}
    done(venue.send(fund(HOUSE, 1)))


@pytest.mark.parametrize("mode", Mode)
def test_it_is_the_way_back_in_every_mode(mode: Mode) -> None:
    venue = books()
    done(venue.mode(mode))

    done(venue.send(fund(HOUSE, 5)))
    assert venue.markets[BTC].house == 5


def test_all_deposits_together_stay_within_their_bound() -> None:
    venue = books()
    outside = -venue.ledger.balances["world"]

    assert refused(venue.send(fund(HOUSE, DEPOSITS_MAX - outside + 1))).code is RejectCode.VALIDATION_ERROR
    done(venue.send(fund(HOUSE, DEPOSITS_MAX - outside)))
    assert venue.funds.in_flight == (0, 0), "what was held has been released, refused or not"


def test_a_replay_comes_to_the_same_house_and_insurance() -> None:
    venue = books()
    for command in (fund(HOUSE, 100), fund(INSURANCE, 50), fund(HOUSE, -30)):
        done(venue.send(command))

    market = venue.replayed().markets[BTC]
    assert (market.house, market.insurance) == (70, 50)
