"""What a market lets through: caps at their edge, the age of a price, and the mark that an order is judged by."""

from typing import Any

import pytest

from perps.commands import ClosePosition, Side
from perps.engine import apply
from perps.events import PositionOpened
from perps.market.position import equity, position_id
from perps.market.state import Market
from perps.params import MarketParams
from perps.refusals import RejectCode, Rejected
from perps.rules.closing import decide_close
from perps.rules.opening import decide_open
from perps.rules.rule import Given
from perps.units import PPB, Lots, Micros, Millis, Ppb
from tests.perps.build import (
    BTC_PRICE,
    RICH,
    START_MS,
    STORY_PRICE,
    index_market,
    new_market,
    new_open,
    quote_market,
    refused,
)

LONG, SHORT = Side.LONG, Side.SHORT
WIDE: dict[str, Any] = {"max_skew": 1_000, "max_open_interest": 2_000, "min_order_size": 1}


def market_at(long_lots: int, short_lots: int, params: MarketParams | None = None) -> Market:
    """A market with this much open on either side (by accounts of no interest)."""
    market = new_market(params or index_market(**WIDE), BTC_PRICE)
    market.long_lots, market.short_lots = Lots(long_lots), Lots(short_lots)
    return market


def order(market: Market, lots: int, *, late: int = 0, **more: Any) -> PositionOpened | Rejected:
    """An open of exactly ``lots``."""
    side = LONG if lots > 0 else SHORT
    command = new_open("ann", side, abs(market.cost(lots)), ticker=market.ticker, **more)
    outcome = decide_open(market, command, Given(Millis(START_MS + late), held=Micros(RICH)))
    if isinstance(outcome, Rejected):
        return outcome
    assert isinstance(outcome[0], PositionOpened)
    assert outcome[0].position.lots == lots
    return outcome[0]


@pytest.mark.parametrize(
    ("long_lots", "short_lots", "lots", "ok"),
    [
        (0, 0, 1_000, True),
        (0, 0, 1_001, False),
        (0, 0, -1_000, True),
        (0, 0, -1_001, False),
        (600, 0, 400, True),
        (600, 0, 401, False),
        (0, 600, 1_600, True),
        (0, 600, 1_601, False),
        # closes may leave a skew beyond the cap: what brings it nearer to 0 passes, what does not, does not
        (1_500, 0, -1, True),
        (1_500, 0, -400, True),
        (1_500, 0, 1, False),
        (0, 1_500, 1, True),
        (0, 1_500, -1, False),
    ],
)
def test_the_skew_cap_at_its_edge(long_lots: int, short_lots: int, lots: int, ok: bool) -> None:
    outcome = order(market_at(long_lots, short_lots), lots)

    assert isinstance(outcome, PositionOpened) is ok
    assert ok or refused(outcome).code is RejectCode.MAX_SKEW_EXCEEDED


@pytest.mark.parametrize(("skew", "lots"), [(1_100, -2_200), (1_100, -2_201), (-1_100, 2_200), (-1_100, 2_201)])
def test_an_order_through_balance_to_as_far_on_the_other_side_does_not_reduce(skew: int, lots: int) -> None:
    """|K + d| < |K| is what counts: from +1,100 to −1,100 nothing is gained, and the cap is 1,000."""
    market = market_at(max(skew, 0), max(-skew, 0), index_market(**{**WIDE, "max_open_interest": 5_000}))

    assert refused(order(market, lots)).code is RejectCode.MAX_SKEW_EXCEEDED


@pytest.mark.parametrize(
    ("lots", "code"),
    [
        (500, None),
        (501, RejectCode.OPEN_INTEREST_EXCEEDED),
        (-500, None),
        (-501, RejectCode.OPEN_INTEREST_EXCEEDED),
        (2_001, RejectCode.POSITION_SIZE_TOO_LARGE),
        (-2_001, RejectCode.POSITION_SIZE_TOO_LARGE),
    ],
)
def test_the_open_interest_cap_of_either_side_at_its_edge(lots: int, code: RejectCode | None) -> None:
    outcome = order(market_at(1_500, 1_500), lots)

    assert (outcome.code if isinstance(outcome, Rejected) else None) is code


@pytest.mark.parametrize(("leverage", "ok"), [(1, True), (100, True), (101, False)])
def test_the_leverage_cap_at_its_edge(leverage: int, ok: bool) -> None:
    outcome = order(market_at(0, 0), 100, leverage=leverage)

    assert isinstance(outcome, PositionOpened) is ok


@pytest.mark.parametrize(("size", "ok"), [(9_999_999, False), (10_000_000, True)])
def test_the_smallest_order_at_its_edge(size: int, ok: bool) -> None:
    market = market_at(0, 0, index_market())
    command = new_open("ann", LONG, size)
    outcome = decide_open(market, command, Given(Millis(START_MS), held=Micros(RICH)))

    assert isinstance(outcome, Rejected) is not ok
    assert ok or refused(outcome).facts == {"size_micros": size, "min_order_size_micros": 10_000_000}


@pytest.mark.parametrize(("late", "ok"), [(0, True), (1_000, True), (1_001, False)])
def test_a_price_trades_until_it_is_too_old_for_opens_and_closes_alike(late: int, ok: bool) -> None:
    market = market_at(0, 0, index_market(**WIDE, max_price_age=1_000))
    opening = order(market, 10)
    assert isinstance(opening, PositionOpened)
    apply(market, opening)
    command = ClosePosition(ticker=market.ticker, user="ann", position_id=position_id(market.ticker, 1), share=Ppb(PPB))
    closing = decide_close(market, command, Given(Millis(START_MS + late)))
    again = order(market, 10, late=late)

    assert isinstance(closing, Rejected) is not ok
    assert isinstance(again, PositionOpened) is ok
    assert ok or refused(closing).code is refused(again).code is RejectCode.PRICE_STALE


@pytest.mark.parametrize("lots", [3_000, -3_000])
def test_on_a_quote_market_an_order_is_judged_at_the_mark_it_leaves_behind(lots: int) -> None:
    market = new_market(quote_market(), STORY_PRICE)
    event = order(market, lots, leverage=5)
    assert isinstance(event, PositionOpened)
    fill, before = event.fill, market.mark
    apply(market, event)

    assert (fill.quote_before, fill.quote_after) == (STORY_PRICE, STORY_PRICE + lots // 10)
    assert fill.mark_price == fill.quote_after == market.mark != before
    gain = equity(event.position, market.mark, market.params.unit, market.funding_index) - event.position.margin
    assert gain == 3_000 * 150 * market.params.unit


@pytest.mark.parametrize("lots", [900, -900])
def test_on_an_index_market_an_order_is_judged_at_the_index(lots: int) -> None:
    event = order(market_at(0, 0), lots)

    assert isinstance(event, PositionOpened)
    assert event.fill.mark_price == event.fill.index_price == BTC_PRICE
