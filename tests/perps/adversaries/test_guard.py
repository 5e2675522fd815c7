"""Those who would rob a venue by its guards: a settlement, an empty house. At a constant price nobody gains."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from perps.commands import Side
from perps.events import PositionOpened
from perps.params import Mode
from perps.refusals import RejectCode
from perps.units import MICRO, PPB, Micros
from tests.perps.adversaries.test_trading import GANG, MARKETS, MOVES, NO_FEES, gang_venue, profit
from tests.perps.build import BTC, BTC_PRICE, Books, done, index_market, opened, reductions, refused

LONG, SHORT = Side


@pytest.mark.slow
@pytest.mark.timeout(90)
@pytest.mark.parametrize("name", MARKETS)
@settings(max_examples=100)
@given(moves=MOVES)
def test_no_round_of_trades_before_a_settlement_pays(name: str, moves: list[tuple[str, Side, int, int, int]]) -> None:
    """Who knows that a market will be settled, and at which skew, can pump it: together they lose the roundings."""
    params, price = MARKETS[name]
    ticker = params.ticker
    venue = gang_venue(params, price)
    cap = 2 * params.max_skew * price * params.unit
    for user, side, part, which, share in moves:
        venue.open(user, side, max(cap * part // 100_000, 1), ticker=ticker, leverage=params.max_leverage)
        own = list(venue.markets[ticker].positions.values())
        if share and which < len(own):
            venue.close(PositionOpened(own[which], fill=None, fee=0, referral=0, transfers=()), share, ticker=ticker)  # type: ignore[arg-type]
    gone = reductions(venue.mode(Mode.SETTLED, ticker=ticker))

    assert profit(venue) <= 0
    assert [event.bad_debt for event in gone if event.bad_debt] == [], "nobody was let in who could not pay"
    assert venue.ledger.total() == 0
    assert venue.markets[ticker].mode is Mode.SETTLED


@pytest.mark.parametrize("side", Side)
def test_a_gang_that_empties_the_house_locks_nobody_in(side: Side) -> None:
    """It holds the gains that the house cannot pay, and hopes that losers can neither leave nor be liquidated."""
    other = SHORT if side is LONG else LONG
    venue = Books((index_market(house_credit_limit=Micros(0), **NO_FEES), BTC_PRICE))
    for user in (*GANG, "eve"):
        venue.add_user(user)
    winner = opened(venue.open("ann", side, 10_000 * MICRO, leverage=5))
    loser = opened(venue.open("bob", other, 1_000 * MICRO, leverage=5))
    opened(venue.open("cid", other, 1_000 * MICRO, leverage=50))
    up = side is LONG
    gone = reductions(venue.price(BTC_PRICE * (103 if up else 97) // 100))
    assert [event.position.user for event in gone] == ["cid"]

    for _ in range(3):
        assert refused(venue.close(winner)).code is RejectCode.HOUSE_CANNOT_PAY
        assert venue.markets[BTC].mode is Mode.ENABLED
    position = opened(venue.open("eve", other, 100 * MICRO))
    done(venue.close(position))
    done(venue.close(loser, PPB // 2))
    done(venue.close(loser))
    assert venue.markets[BTC].house >= 0
