"""Delisting: a halted market closes everybody at one price, losers first, and is settled."""

from __future__ import annotations

from itertools import permutations
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from perps.commands import FundMarket, HouseAccount, PriceSource, SetMode, SettleMarket, Side, UpdatePrice
from perps.engine import apply, execute, sweep
from perps.events import CloseReason, Events, MarketSettling, ModeChanged, PositionReduced
from perps.market.settling import Settling
from perps.market.state import Market
from perps.params import Mode
from perps.refusals import RejectCode, Rejected
from perps.rules.rule import Given
from perps.sequencer import MarketSide, Moment
from perps.snapshot.checks import market_flaw
from perps.snapshot.images import MarketImage
from perps.units import MICRO, PPB, Lots, Micros, Millis, Ppb, Ticks
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    RICH,
    START_MS,
    STORY,
    STORY_PRICE,
    Books,
    done,
    full_state,
    index_market,
    opened,
    quote_market,
    reductions,
    refused,
)

LONG, SHORT = Side
USERS = ("ann", "bob", "cid")
NO_FEES: dict[str, Any] = {"taker_fee": Ppb(0), "maker_fee": Ppb(0)}


def story(**changes: Any) -> Books:
    venue = Books((quote_market(**changes), STORY_PRICE))
    for user in USERS:
        venue.add_user(user)
    return venue


def settle(venue: Books, ticker: str = STORY) -> Events | Rejected:
    return venue.mode(Mode.SETTLED, ticker=ticker)


BOOKS: list[list[tuple[Side, int]]] = [
    [(LONG, 1_000)],
    [(SHORT, 1_000)],
    [(LONG, 1_000), (SHORT, 1_000)],
    [(LONG, 2_000), (SHORT, 300), (LONG, 7)],
    [(SHORT, 2_000), (LONG, 300), (SHORT, 7)],
    [],
]


@pytest.mark.parametrize("book", BOOKS)
@pytest.mark.parametrize("percent", [80, 97, 100, 103, 120])
def test_all_leave_at_the_mean_exit_price_without_a_fee(book: list[tuple[Side, int]], percent: int) -> None:
    venue = story()
    for number, (side, size) in enumerate(book):
        opened(venue.open(USERS[number], side, size * MICRO, ticker=STORY, leverage=1))
    done(venue.price(STORY_PRICE * percent // 100, ticker=STORY))
    market, skew, scale = venue.markets[STORY], venue.markets[STORY].skew, 100_000
    standing = dict(market.positions)
    events = done(settle(venue))

    assert events[0] == MarketSettling(Settling(market.index_price, skew, Lots(scale), len(standing)))
    assert events[-1] == ModeChanged(Mode.SETTLED, "settled")
    for event in reductions(events):
        lots = standing[event.position.number].lots
        exact = -lots * market.index_price * market.unit * (2 * scale + skew)
        assert event.fill.cost == -(-exact // (2 * scale)), "rounded up, against the trader"
        assert (event.reason, event.fee, event.position.lots) == (CloseReason.SETTLEMENT, 0, 0)
    assert (market.mode, market.settling, market.positions, market.skew) == (Mode.SETTLED, None, {}, 0)
    assert venue.rows[-1].kind == "settle"
    assert full_state(venue.ledger, venue.markets) == full_state(venue.ledger, dict(venue.replayed().markets))
    assert venue.ledger.total() == 0


@pytest.mark.parametrize("seed", range(10))
def test_together_they_get_what_they_would_get_by_leaving_in_any_order(seed: int) -> None:
    chance = Random(seed)
    sizes = [(chance.choice(list(Side)), chance.randrange(50, 1_200)) for _ in USERS]

    def held() -> tuple[Books, list[Any]]:
        venue = story(**NO_FEES)
        positions = [
            opened(venue.open(user, side, size * MICRO, ticker=STORY, leverage=1))
            for user, (side, size) in zip(USERS, sizes, strict=True)
        ]
        done(venue.price(STORY_PRICE * (90 + 2 * seed) // 100, ticker=STORY))
        return venue, positions

    venue, _ = held()
    done(settle(venue))
    got = venue.wallets(*USERS)
    for order in permutations(range(len(USERS))):
        other, positions = held()
        for number in order:
            done(other.close(positions[number], ticker=STORY))
        assert abs(other.wallets(*USERS) - got) <= len(USERS), "within the roundings"


def test_losers_leave_before_winners_and_the_house_ends_where_it_must() -> None:
    """The house has nothing: it pays the winners with what the losers brought, to the last micro that is needed."""
    venue = Books((index_market(house_credit_limit=Micros(0), **NO_FEES), BTC_PRICE))
    for user in USERS:
        venue.add_user(user)
    opened(venue.open("ann", LONG, 1_000 * MICRO, leverage=2))
    opened(venue.open("bob", SHORT, 1_000 * MICRO, leverage=2))
    opened(venue.open("cid", SHORT, 100 * MICRO, leverage=2))
    done(venue.price(BTC_PRICE * 11 // 10))
    events = reductions(settle(venue, BTC))

    gains = [event.pnl for event in events]
    assert [gain > 0 for gain in gains] == [False, False, True]
    house = 0
    for gain in gains:
        house -= gain
        assert house >= 0
    assert venue.markets[BTC].house == house


@pytest.mark.parametrize("short_of", [0, 1])
def test_a_settlement_that_the_house_cannot_pay_is_refused_with_the_sum(short_of: int) -> None:
    """A loser pays his margin at most, though he owes far more; the insurance pays what it has of the rest."""
    venue = Books((index_market(house_credit_limit=Micros(0), **NO_FEES), BTC_PRICE))
    for user in USERS:
        venue.add_user(user)
    opened(venue.open("ann", LONG, 1_000 * MICRO, leverage=2))
    opened(venue.open("bob", SHORT, 1_000 * MICRO, leverage=10))
    done(venue.send(FundMarket(ticker=BTC, account=HouseAccount.INSURANCE, amount=Micros(MICRO))))
    done(venue.mode(Mode.HALTED))
    done(venue.price(BTC_PRICE * 2))
    before = full_state(venue.ledger, venue.markets)

    refusal = refused(venue.send(SettleMarket(ticker=BTC)))
    assert (refusal.code, refusal.may_succeed_later) == (RejectCode.HOUSE_CANNOT_PAY, True)
    margin = next(each.margin for each in venue.markets[BTC].positions.values() if each.user == "bob")
    assert refusal.facts["collected_micros"] == margin + MICRO
    assert full_state(venue.ledger, venue.markets) == before
    missing = int(refusal.facts["missing_micros"])
    assert missing == int(refusal.facts["payout_micros"]) - margin - MICRO > 0

    done(venue.send(FundMarket(ticker=BTC, account=HouseAccount.HOUSE, amount=Micros(missing - short_of))))
    assert isinstance(venue.send(SettleMarket(ticker=BTC)), Rejected) is bool(short_of)
    if not short_of:
        assert (venue.markets[BTC].house, venue.markets[BTC].insurance) == (0, 0)


@pytest.mark.parametrize("mode", [Mode.ENABLED, Mode.REDUCE_ONLY, Mode.SETTLED])
def test_only_a_halted_market_is_settled(mode: Mode) -> None:
    venue = story()
    if mode is Mode.SETTLED:
        done(settle(venue))
    else:
        done(venue.mode(mode, ticker=STORY))

    refusal = refused(venue.send(SettleMarket(ticker=STORY)))
    assert (refusal.code, refusal.facts) == (RejectCode.MARKET_NOT_HALTED, {"mode": mode})


def test_nobody_is_settled_at_a_price_in_doubt_and_an_old_one_is_no_obstacle() -> None:
    venue = Books((index_market(price_band=Ppb(PPB // 10), max_price_age=1), BTC_PRICE))
    done(venue.mode(Mode.HALTED))
    done(venue.send(UpdatePrice(ticker=BTC, price=Ticks(2 * BTC_PRICE), source=PriceSource.ORACLE)))

    assert refused(venue.send(SettleMarket(ticker=BTC))).code is RejectCode.PRICE_UNCONFIRMED
    done(venue.price(BTC_PRICE))
    venue.at = Millis(venue.at + 1_000_000)
    done(venue.send(SettleMarket(ticker=BTC)))


def test_a_settled_market_takes_nothing_until_it_is_enabled_and_nothing_else_leads_there() -> None:
    venue = story()
    position = opened(venue.open("ann", LONG, 100 * MICRO, ticker=STORY, leverage=1))
    done(settle(venue))

    assert refused(venue.open("ann", LONG, 100 * MICRO, ticker=STORY, leverage=1)).code is RejectCode.MARKET_HALTED
    assert refused(venue.close(position, ticker=STORY)).code is RejectCode.MARKET_HALTED
    done(venue.price(STORY_PRICE * 2, ticker=STORY))
    assert refused(venue.send(SetMode(ticker=STORY, mode=Mode.SETTLED))).code is RejectCode.VALIDATION_ERROR
    done(venue.mode(Mode.ENABLED, ticker=STORY))
    again = opened(venue.open("ann", LONG, 100 * MICRO, ticker=STORY, leverage=1))
    assert again.position.number == position.position.number + 1


# Rows, and crashes between them


def crowd(count: int) -> Books:
    venue = story()
    for number in range(count):
        opened(venue.open(USERS[number % 3], list(Side)[number % 2], 2 * MICRO, ticker=STORY, leverage=1))
    done(venue.price(STORY_PRICE * 101 // 100, ticker=STORY))
    return venue


def test_many_are_settled_in_rows_and_a_crash_between_them_is_made_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever row was the last: the rest that the start makes leads to the same state."""
    monkeypatch.setattr("perps.engine.CONSEQUENCES_PER_ROW_MAX", 4)
    venue = crowd(10)
    before = len(venue.rows)
    done(settle(venue))
    rows = venue.rows[before + 1 :]
    assert [row.kind for row in rows] == ["settle", "sweep", "sweep"]
    whole = full_state(venue.ledger, venue.markets)

    for cut in range(1, len(rows) + 1):
        state = type(venue.replayed())()
        for row in venue.rows[: before + 1 + cut]:
            state.apply(row)
        image = state.markets[STORY].image()
        assert market_flaw(STORY, image) is None
        market = Market.from_image(MarketImage.from_chunks(list(image.chunks())))
        side = MarketSide(STORY, market, Moment(venue.at))
        decisions = list(side.finish())
        for decision in decisions:
            for event in decision.events:
                state.ledger.post(event.transfers)
        assert len(decisions) == len(rows) - cut
        assert full_state(state.ledger, {STORY: market}) == whole


def test_no_price_and_no_command_comes_between_the_rows() -> None:
    """They are made in one go, and a market that is being settled settles before it does anything else."""
    venue = crowd(3)
    market = venue.markets[STORY]
    done(venue.mode(Mode.HALTED, ticker=STORY))
    apply(market, MarketSettling(Settling(market.index_price, market.skew, Lots(100_000), 3)))
    (row,) = sweep(market, Given(venue.at))

    assert [type(event) for event in row.events] == [PositionReduced] * 3 + [ModeChanged]


@pytest.mark.parametrize("change", [{"mode": Mode.ENABLED}, {"settling": Settling(Ticks(0), Lots(0), Lots(1), 0)}])
def test_a_snapshot_that_settles_as_no_market_does_is_refused(change: dict[str, Any]) -> None:
    venue = story()
    done(venue.mode(Mode.HALTED, ticker=STORY))
    market = venue.markets[STORY]
    market.settling = Settling(Ticks(1), Lots(-3), Lots(10), 2)
    image = market.image()

    assert market_flaw(STORY, image) is None
    assert market_flaw(STORY, MarketImage(replace(image.head, **change), image.positions)) is not None


# Those who want to live on it


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("market", ["index", "quote"])
def test_nobody_gains_by_pumping_the_skew_before_a_settlement(side: Side, market: str) -> None:
    """A gang that knows of it builds all the skew there can be: together it gets back what it paid, less roundings."""
    params = index_market(**NO_FEES) if market == "index" else quote_market(**NO_FEES)
    ticker, price = (BTC, BTC_PRICE) if market == "index" else (STORY, STORY_PRICE)
    venue = Books((params, price))
    for user in USERS:
        venue.add_user(user, 10 * RICH)
    begun = venue.wallets(*USERS)
    chance = Random(side.value)
    for number in range(60):
        way = side if number < 30 or chance.random() < 0.6 else chance.choice(list(Side))
        size = Micros(chance.randrange(1, 400 if market == "quote" else 4_000) * MICRO)
        venue.open(USERS[number % 3], way, size, ticker=ticker, leverage=1)
    assert abs(venue.markets[ticker].skew) > params.max_skew // 2

    done(settle(venue, ticker))
    assert venue.wallets(*USERS) <= begun
    assert venue.wallets(*USERS) > begun - 200, "and it costs only roundings: there is no fee"


@pytest.mark.parametrize("side", Side)
def test_who_stands_against_the_crowd_gains_no_more_than_the_crowd_pays(side: Side) -> None:
    """One hand of the gang pumps, another stands against it: the price of the settlement is one for both."""
    venue = story(**NO_FEES)
    begun = venue.wallets(*USERS)
    other = SHORT if side is LONG else LONG
    opened(venue.open("ann", side, 3_000 * MICRO, ticker=STORY, leverage=1))
    opened(venue.open("bob", other, 1_000 * MICRO, ticker=STORY, leverage=5))
    opened(venue.open("cid", side, 900 * MICRO, ticker=STORY, leverage=5))

    done(settle(venue))
    assert venue.wallets(*USERS) <= begun


def test_what_execute_says_of_a_refusal_is_nothing() -> None:
    venue = story()
    rows, refusal = execute(venue.markets[STORY], SettleMarket(ticker=STORY), Given(Millis(START_MS)))

    assert not list(rows)
    assert refusal is not None
