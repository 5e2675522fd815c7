"""Those who would live on funding: at a constant outside price the house never pays more than it was paid."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from perps.commands import ObserveTime, Side
from perps.events import PositionOpened, PositionReduced
from perps.journal import events_of as decoded
from perps.market.position import funding_base, funding_owed
from perps.units import PPB, Millis
from tests.perps.adversaries.test_trading import GANG, LONG, MARKETS, NO_FEES, SHORT, gang_venue, leave_all, profit
from tests.perps.build import START_MS, STORY, STORY_PRICE, Books, done, opened, quote_market

FLOWS: dict[str, Any] = {"max_funding_rate": PPB // 30, "funding_velocity": 2 * PPB}
"""Funding that meets its bounds within a few hours."""
PATHS = st.lists(
    st.tuples(
        st.sampled_from(GANG),
        st.sampled_from([LONG, SHORT]),
        st.integers(0, 100_000) | st.sampled_from([0, 50_000, 100_000]),  # ppm of twice the skew cap
        st.integers(0, 3),
        st.integers(0, PPB) | st.just(PPB),
        st.integers(0, 3_600_000) | st.sampled_from([0, 1, 3_600_000]),  # ms that pass before
    ),
    min_size=1,
    max_size=25,
)


def house_funding(venue: Books, ticker: str) -> int:
    """What positions have paid in funding so far, settled or not, less what they received, micros."""
    settled = sum(event.funding for event in all_of(venue, PositionReduced))
    market = venue.markets[ticker]
    return int(settled) + sum(
        funding_owed(position.lots, market.funding_index) - funding_base(position, market.params, market.funding_index)
        for position in market.positions.values()
    )


def all_of(venue: Books, kind: Any) -> list[Any]:
    """All events of one kind since the beginning."""
    return [event for row in venue.rows for event in decoded(row) if isinstance(event, kind)]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["index", "quote, no fees", "index, at its limits", "quote, at its limits"])
@settings(max_examples=100)
@given(path=PATHS, newest_first=st.booleans())
def test_no_path_through_funding_at_a_constant_price_pays(
    name: str, path: list[tuple[str, Side, int, int, int, int]], newest_first: bool
) -> None:
    """Build slowly and collect at once, double the skew, change sides, wait for the hour, leave the market empty."""
    params, price = MARKETS[name]
    params = replace(params, **{**FLOWS, "max_funding_rate": PPB // (3 * params.max_leverage)})
    ticker = params.ticker
    venue = gang_venue(params, price)
    cap = 2 * params.max_skew * price * params.unit
    for user, side, part, which, share, wait_ms in path:
        venue.at = Millis(venue.at + wait_ms)
        done(venue.send(ObserveTime(ticker=ticker)))
        if part:
            venue.open(user, side, max(cap * part // 100_000, 1), ticker=ticker, leverage=params.max_leverage)
        own = list(venue.markets[ticker].positions.values())
        if share and which < len(own):
            venue.close(PositionOpened(own[which], fill=None, fee=0, referral=0, transfers=()), share, ticker=ticker)  # type: ignore[arg-type]
        trades = len(all_of(venue, PositionReduced | PositionOpened))
        assert house_funding(venue, ticker) >= -trades
    leave_all(venue, ticker, newest_first=newest_first)

    assert profit(venue) <= 0
    assert venue.ledger.total() == 0


def test_paying_slowly_and_collecting_beyond_the_skew_cap_does_not_pay() -> None:
    """A velocity that were clamped at K_max would pay 166 lots of notional here: reductions pass every cap."""
    params = quote_market(**{**NO_FEES, **FLOWS, "max_skew": 1_000})
    venue = gang_venue(params, STORY_PRICE)
    worth = 950 * STORY_PRICE * params.unit
    for _ in range(3):
        done(venue.open("ann", LONG, worth, ticker=STORY, leverage=5))
        done(venue.open("bob", SHORT, worth, ticker=STORY, leverage=5))
    last = opened(venue.open("cid", LONG, worth, ticker=STORY, leverage=5))
    for minute in range(1, 25):
        venue.at = Millis(START_MS + minute * 60_000)
        done(venue.send(ObserveTime(ticker=STORY)))
    venue.close(last, ticker=STORY)
    longs = [position for position in venue.markets[STORY].positions.values() if position.lots > 0]
    for position in longs:
        venue.close(PositionOpened(position, fill=None, fee=0, referral=0, transfers=()), ticker=STORY)  # type: ignore[arg-type]
    assert venue.markets[STORY].skew < -params.max_skew
    for minute in range(25, 60):
        venue.at = Millis(START_MS + minute * 60_000)
        done(venue.send(ObserveTime(ticker=STORY)))
        assert house_funding(venue, STORY) >= -20, minute
    leave_all(venue, STORY)

    assert profit(venue) <= 0
