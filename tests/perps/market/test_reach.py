"""How far trading can go: the largest order and the largest caps that fit, beside trying all of them."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from perps.commands import Side
from perps.market.listing import check_params
from perps.market.reach import largest_interest, largest_open, largest_skew, reach
from perps.params import MarketParams
from perps.refusals import RejectCode, Rejected
from perps.rules.opening import decide_open
from perps.rules.rule import Given
from perps.units import PPB, Lots, Micros, Millis, Ticks
from tests.perps.build import BTC_PRICE, START_MS, STORY, STORY_PRICE, index_market, new_market, new_open, quote_market

CAPS = (RejectCode.MAX_SKEW_EXCEEDED, RejectCode.OPEN_INTEREST_EXCEEDED, RejectCode.POSITION_SIZE_TOO_LARGE)


def refused_by_caps(longs: int, shorts: int, sign: int, size: int) -> bool:
    """Whether an open of this size breaks a cap, asked of the rule itself."""
    market = new_market(
        quote_market(skew_scale=1_000, max_skew=12, max_open_interest=30, min_order_size=1), STORY_PRICE
    )
    market.long_lots, market.short_lots = Lots(longs), Lots(shorts)
    command = new_open("ann", Side.LONG if sign > 0 else Side.SHORT, size, ticker=STORY, leverage=1)
    outcome = decide_open(market, command, Given(Millis(START_MS), held=Micros(10**15)))
    return isinstance(outcome, Rejected) and outcome.code in CAPS


@settings(max_examples=150)
@given(st.integers(0, 30), st.integers(0, 30), st.sampled_from([1, -1]))
@example(0, 14, 1)
@example(14, 0, -1)
def test_the_largest_open_fits_and_a_lot_more_does_not(longs: int, shorts: int, sign: int) -> None:
    """On every skew, also beyond its cap, where closes can lead: then an open may only bring it nearer to 0."""
    market = new_market(
        quote_market(skew_scale=1_000, max_skew=12, max_open_interest=30, min_order_size=1), STORY_PRICE
    )
    market.long_lots, market.short_lots = Lots(longs), Lots(shorts)
    fitting = [d for d in range(1, 62) if not refused_by_caps(longs, shorts, sign, abs(market.cost(sign * d)))]

    assert largest_open(market, sign) == (abs(market.cost(sign * max(fitting))) if fitting else 0)


@pytest.mark.parametrize(
    ("params", "price"),
    [
        (index_market(), BTC_PRICE),
        (index_market(max_skew=1), BTC_PRICE),
        (index_market(max_skew=9_000, max_open_interest=100), BTC_PRICE),
        (quote_market(), STORY_PRICE),
        (quote_market(maintenance_rate=PPB // 6), STORY_PRICE),
        (quote_market(funding_velocity=PPB, max_funding_rate=PPB // 15), STORY_PRICE),
    ],
)
def test_the_largest_caps_fit_and_larger_ones_do_not(params: MarketParams, price: int) -> None:
    def fits(**changes: Any) -> bool:
        return check_params(replace(params, **changes), Ticks(price)) is None

    interest, skew = largest_interest(params, Ticks(price)), largest_skew(params)

    assert fits(max_open_interest=interest)
    assert not fits(max_open_interest=interest + 1)
    assert fits(max_skew=skew)
    assert not fits(max_skew=skew + 1)


def test_where_fees_eat_the_maintenance_no_cap_fits() -> None:
    params = index_market(liquidation_fee=PPB // 200)

    assert (largest_interest(params, Ticks(BTC_PRICE)), largest_skew(params)) == (0, 0)
    broken = check_params(params, Ticks(BTC_PRICE))
    assert broken is not None
    assert broken.facts["trading_range_ppb"] == 0


@pytest.mark.parametrize(("skew", "interest", "expected"), [(10, 20, (10, 20)), (30, 20, (20, 20))])
def test_opens_reach_the_smaller_cap_and_closes_the_open_interest(
    skew: int, interest: int, expected: tuple[int, int]
) -> None:
    params = quote_market(skew_scale=1_000, max_skew=skew, max_open_interest=interest)

    assert reach(params) == tuple(part * PPB // 1_000 for part in expected)
