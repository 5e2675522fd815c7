"""The formula of funding, against fractions: the rate, what it adds up to, and that cutting time changes nothing."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perps.market.funding import (
    CARRY,
    DAY_MS,
    HOUR_MS,
    INDEX_MAX,
    Funding,
    advanced,
    forgotten,
    index_bound,
    slope_of,
    twice,
)
from perps.units import PPB, FundingIndex, Lots, Ppb
from tests.perps.build import quote_market

CAP = 60_000_000 * PPB
"""6 % a day."""
V = Ppb(240_000_000)
K_MAX = Lots(4_000)
FLOW = quote_market(funding_velocity=V, max_funding_rate=Ppb(CAP // PPB), max_skew=K_MAX)

RATES = st.integers(-CAP, CAP) | st.sampled_from([-CAP, 0, CAP])
SKEWS = st.integers(-3 * K_MAX, 3 * K_MAX) | st.sampled_from([-K_MAX, -1, 0, 1, K_MAX])
TIMES = st.integers(0, 3 * DAY_MS) | st.sampled_from([0, 1, HOUR_MS, DAY_MS])


def exact_rate(rate: int, slope: int, cap: int, at: Fraction) -> Fraction:
    """r(t) = clamp(r₀ + slope·t)."""
    return max(Fraction(-cap), min(Fraction(cap), rate + slope * at))


def exact_area(rate: int, slope: int, cap: int, elapsed: int) -> Fraction:
    """∫ r dt: linear between the moments at which the rate meets a cap."""
    meets = [Fraction(cap - rate, slope), Fraction(-cap - rate, slope)] if slope else []
    stops = sorted({Fraction(0), Fraction(elapsed), *(at for at in meets if 0 < at < elapsed)})
    return sum(
        (
            (exact_rate(rate, slope, cap, one) + exact_rate(rate, slope, cap, other)) / 2 * (other - one)
            for one, other in pairwise(stops)
        ),
        Fraction(0),
    )


@given(RATES, st.integers(-CAP // 1000, CAP // 1000), TIMES)
def test_the_rate_and_its_area_are_those_of_the_clamped_line(rate: int, slope: int, elapsed: int) -> None:
    doubled, reached = twice(rate, slope, CAP, elapsed)

    assert reached == exact_rate(rate, slope, CAP, Fraction(elapsed))
    assert abs(doubled - 2 * exact_area(rate, slope, CAP, elapsed)) < 1


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("rate", "slope", "elapsed", "doubled", "reached"),
    [
        (0, 0, 10, 0, 0),
        (5, 0, 10, 100, 5),
        (0, 3, 10, 300, 30),
        (0, 10, 20, 3_000, 100),  # meets the cap after 10
        (100, 10, 20, 4_000, 100),  # is there
        (100, -10, 20, 0, -100),  # from one cap to the other
        (-100, 10, 10, -1_000, 0),
        (-50, 10, 10, 0, 50),  # crosses 0
        (50, -7, 10, 300, -20),
        (0, 7, 20, 2 * 100 * 20 - 1_428, 100),  # 100²/7 rounded down
        (400, 1, 5, 1_000, 100),  # the cap has been lowered
        (400, -10, 5, 750, 50),
    ],
)
def test_each_way_the_rate_can_go(sign: int, rate: int, slope: int, elapsed: int, doubled: int, reached: int) -> None:
    assert twice(sign * rate, sign * slope, 100, elapsed) == (sign * doubled, sign * reached)


@pytest.mark.parametrize(
    ("skew", "slope"), [(0, 0), (4_000, 2_777_777_777), (-4_000, -2_777_777_777), (8_000, 5_555_555_555)]
)
def test_the_slope_is_linear_in_the_skew_even_beyond_its_cap(skew: int, slope: int) -> None:
    """V·K/K_max, truncated towards 0: were it clamped, whoever passes the clamp would be paid."""
    assert slope_of(V, Lots(skew), K_MAX) == slope


@given(RATES, SKEWS, st.lists(st.integers(0, 4 * HOUR_MS), min_size=1, max_size=8), st.integers(0, CARRY - 1))
def test_cutting_the_time_changes_nothing(rate: int, skew: int, pieces: list[int], carry: int) -> None:
    begun: Funding = (FundingIndex(0), rate, carry)
    cut = begun
    for piece in pieces:
        cut = step(cut, skew=skew, elapsed_ms=piece)

    assert cut == step(begun, skew=skew, elapsed_ms=sum(pieces))


def step(funding: Funding, *, skew: int, elapsed_ms: int, index_price: int = 10_000, **changes: Any) -> Funding:
    params = quote_market(**{"funding_velocity": V, "max_funding_rate": CAP // PPB, "max_skew": K_MAX, **changes})
    return advanced(funding, params, skew=Lots(skew), index_price=index_price, unit=params.unit, elapsed_ms=elapsed_ms)


@given(
    st.lists(
        st.tuples(
            SKEWS, st.integers(1, 30_000), st.integers(0, HOUR_MS), st.integers(0, 60_000_000), st.integers(0, V)
        ),
        min_size=1,
        max_size=20,
    )
)
def test_the_index_is_the_floor_of_the_exact_sum(segments: list[tuple[int, int, int, int, int]]) -> None:
    """Over any number of stretches of different skew, price and parameters."""
    funding: Funding = (FundingIndex(0), 0, 0)
    total, exact = 0, Fraction(0)
    for skew, price, elapsed, cap, velocity in segments:
        rate = max(-cap * PPB, min(cap * PPB, funding[1]))
        slope = slope_of(Ppb(velocity), Lots(skew), K_MAX)
        area = exact_area(rate, slope, cap * PPB, elapsed)
        total += price * FLOW.unit * (ceil(2 * area) if slope > 0 else floor(2 * area))
        exact += price * FLOW.unit * 2 * area
        funding = step(
            funding, skew=skew, index_price=price, elapsed_ms=elapsed, max_funding_rate=cap, funding_velocity=velocity
        )
        assert 0 <= funding[2] < CARRY

    assert funding[0] == total // CARRY
    assert funding[0] * CARRY + funding[2] == total
    assert abs(total - exact) < len(segments) * 30_000 * FLOW.unit, (
        "the square is rounded where a cap is met: 10⁻¹¹ of F"
    )


@pytest.mark.parametrize(
    ("rate", "elapsed", "left"),
    [(0, 5, 0), (10_000_000_000, 1, 7_222_222_223), (10_000_000_000, 10, 0), (-10_000_000_000, 1, -7_222_222_223)],
)
def test_an_empty_market_forgets_at_full_velocity(rate: int, elapsed: int, left: int) -> None:
    assert forgotten(rate, V, elapsed) == left


def test_without_a_velocity_an_empty_market_forgets_at_once() -> None:
    assert forgotten(CAP, Ppb(0), 1) == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_an_index_that_would_pass_its_bound_stays_there(sign: int) -> None:
    bound = index_bound(FLOW.max_open_interest)
    begun: Funding = (FundingIndex(sign * (bound - 5)), sign * CAP, 7)

    assert step(begun, skew=sign * K_MAX, elapsed_ms=HOUR_MS) == (sign * bound, sign * CAP, 0)


@pytest.mark.parametrize("lots", [1, PPB, PPB + 1, 2**59])
def test_a_side_that_owes_the_bound_owes_what_63_bits_hold(lots: int) -> None:
    bound = index_bound(Lots(lots))

    assert bound <= INDEX_MAX
    assert bound * lots // PPB <= INDEX_MAX
