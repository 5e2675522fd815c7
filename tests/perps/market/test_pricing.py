"""The price of a trade: an exact integral, rounded once, against the trader."""

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from perps.market.pricing import most_lots, trade_cost
from perps.units import Lots, Micros, Ticks, div_ceil, div_floor
from tests.perps.build import index_market, new_market

SCALES = st.integers(2, 10**12)
PRICES = st.integers(1, 10**9)
UNITS = st.integers(1, 10**6)


@st.composite
def markets(draw: st.DrawFn) -> dict[str, int]:
    """Price, unit, scale, and a skew strictly within the scale."""
    scale = draw(SCALES)
    skew = draw(st.integers(-scale + 1, scale - 1))
    return {"index_price": draw(PRICES), "unit": draw(UNITS), "skew": skew, "skew_scale": scale}


def cost(lots: int, at: dict[str, int], *, moved: int = 0) -> int:
    return trade_cost(
        lots,
        index_price=Ticks(at["index_price"]),
        unit=at["unit"],
        skew=Lots(at["skew"] + moved),
        skew_scale=Lots(at["skew_scale"]),
    )


def exact_cost(lots: int, at: dict[str, int]) -> Fraction:
    """∫ of the quote along the skew, by the mean of its ends (the quote is linear)."""
    before, after = Fraction(at["skew"], at["skew_scale"]), Fraction(at["skew"] + lots, at["skew_scale"])
    return lots * at["index_price"] * at["unit"] * (1 + (before + after) / 2)


def most(size: int, sign: int, at: dict[str, int]) -> int:
    return most_lots(
        Micros(size),
        sign,
        index_price=Ticks(at["index_price"]),
        unit=at["unit"],
        skew=Lots(at["skew"]),
        skew_scale=Lots(at["skew_scale"]),
    )


@pytest.mark.parametrize(
    ("numerator", "denominator", "down", "up"),
    [(7, 2, 3, 4), (-7, 2, -4, -3), (6, 2, 3, 3), (-6, 2, -3, -3), (0, 5, 0, 0), (1, 10**18, 0, 1), (-1, 3, -1, 0)],
)
def test_divisions_round_to_the_side_they_name(numerator: int, denominator: int, down: int, up: int) -> None:
    assert (div_floor(numerator, denominator), div_ceil(numerator, denominator)) == (down, up)


@pytest.mark.parametrize(
    ("lots", "skew", "expected"),
    [
        (10, 0, 1_050),  # buying from balance: mean quote 105
        (-10, 0, -950),  # selling from balance: mean quote 95
        (10, -10, 950),  # buying back towards balance
        (-10, 10, -1_050),
        (10, 10, 1_150),
        (-10, -10, -850),
        (20, -10, 2_000),  # through balance: symmetric, mean quote 100
        (0, 7, 0),
    ],
)
def test_a_trade_pays_the_mean_of_the_quote_before_and_after(lots: int, skew: int, expected: int) -> None:
    assert cost(lots, {"index_price": 100, "unit": 1, "skew": skew, "skew_scale": 100}) == expected


@pytest.mark.parametrize(("lots", "expected"), [(1, 4), (-1, -2)])
def test_a_cost_is_rounded_against_the_trader_on_both_sides(lots: int, expected: int) -> None:
    """Exactly 3.5 bought and 2.5 sold: he pays 4 and gets 2."""
    assert cost(lots, {"index_price": 3, "unit": 1, "skew": 0, "skew_scale": 3}) == expected


@given(markets(), st.integers(-(10**12), 10**12))
def test_a_cost_is_the_exact_integral_rounded_up(at: dict[str, int], lots: int) -> None:
    assert cost(lots, at) == ceil(exact_cost(lots, at))


@given(markets(), st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=8))
def test_a_split_never_costs_less_and_at_most_a_micro_more_a_part(at: dict[str, int], parts: list[int]) -> None:
    whole, paid, moved = cost(sum(parts), at), 0, 0
    for part in parts:
        paid += cost(part, at, moved=moved)
        moved += part

    assert 0 <= paid - whole < len(parts)


@given(markets(), st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=8))
def test_a_closed_loop_at_a_constant_index_never_pays(at: dict[str, int], parts: list[int]) -> None:
    paid, moved = 0, 0
    for part in (*parts, -sum(parts)):
        paid += cost(part, at, moved=moved)
        moved += part

    assert 0 <= paid <= len(parts)


@given(markets())
def test_the_quote_is_rounded_down(at: dict[str, int]) -> None:
    market = new_market(index_market(), at["index_price"])
    market.params = replace(market.params, skew_scale=Lots(at["skew_scale"]))
    exact = at["index_price"] * (1 + Fraction(at["skew"], at["skew_scale"]))

    assert market.quote_at(at["skew"]) == max(floor(exact), 1)


@given(markets(), st.integers(0, 10**18), st.sampled_from([1, -1]))
@example({"index_price": 100, "unit": 1, "skew": 0, "skew_scale": 100}, 5_000, -1)  # all that can be sold
@example({"index_price": 100, "unit": 1, "skew": 0, "skew_scale": 100}, 4_999, -1)
@example({"index_price": 1, "unit": 1, "skew": 0, "skew_scale": 2}, 0, -1)  # a lot that sells for nothing
@example({"index_price": 1, "unit": 1, "skew": -(10**12) + 2, "skew_scale": 10**12}, 0, 1)
def test_most_lots_is_the_largest_that_fits_on_either_side(at: dict[str, int], size: int, sign: int) -> None:
    lots = most(size, sign, at)
    depth = at["skew_scale"] + at["skew"]

    assert lots >= 0
    assert abs(cost(sign * lots, at)) <= size
    if sign > 0 or lots < depth:
        assert abs(cost(sign * (lots + 1), at)) > size
    else:
        assert lots == depth


@given(markets(), st.integers(1, 10**6), st.sampled_from([1, -1]), st.sampled_from([-1, 0, 1]))
def test_most_lots_finds_exactly_what_a_trade_cost(at: dict[str, int], lots: int, sign: int, more: int) -> None:
    """At a size of exactly |C(d)| it is d or more; a micro below, less than d, if a lot is worth a micro there."""
    assume(sign > 0 or lots < at["skew_scale"] + at["skew"])
    size = abs(cost(sign * lots, at)) + more
    assume(size >= 0)

    assert (most(size, sign, at) >= lots) is (more >= 0)


@pytest.mark.timeout(2)
def test_most_lots_is_at_once_where_the_curve_is_flat() -> None:
    """A million lots are worth the last micro before the quote reaches 0: found by formula, not one by one."""
    at = {"index_price": 1, "unit": 1, "skew": 0, "skew_scale": 10**18}
    everything = -cost(-(10**18), at)

    for size in (everything - 1, everything, everything + 1):
        assert abs(cost(-most(size, -1, at), at)) <= size
