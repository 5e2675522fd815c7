"""A position at a price: equity, maintenance, and the prices at which it ends."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from perps.market.liquidation_order import LiquidationOrder
from perps.market.position import (
    Position,
    bankruptcy_price,
    equity,
    funding_owed,
    is_liquidatable,
    kappa,
    liquidation_price,
    maintenance,
    notional,
)
from perps.units import PPB, FundingIndex, Ticks
from tests.perps.build import index_market, new_position

LOTS = st.integers(1, 10**13) | st.integers(1, 20)
SIGNS = st.sampled_from([1, -1])
CASH = st.integers(-(10**18), 10**18) | st.integers(-1000, 1000)
INDEX = st.integers(-(10**18), 10**18) | st.just(0)
RATES = st.integers(1, PPB - 1)
TICK_COUNTS = st.integers(1, 10**9) | st.integers(1, 100)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Position, int, int]:
    """A position near its end: its cash is what brings it within a few micros of being due at the price drawn."""
    lots = draw(LOTS) * draw(SIGNS)
    price, rate, index = draw(TICK_COUNTS), draw(RATES), draw(INDEX)
    due = ceil(Fraction(lots * index, PPB)) - lots * price + ceil(Fraction(abs(lots) * price * rate, PPB))
    return new_position(lots=lots, cash=due + draw(st.integers(-3, 3))), rate, index


def rules(rate: int, fixed: int = 0) -> dict[str, int]:
    return {"maintenance_rate": rate, "maintenance_fixed": fixed}


@pytest.mark.parametrize(
    ("lots", "index", "owed"),
    [
        (2, 1_500_000_000, 3),
        (1, 1, 1),  # a billionth owed is a micro paid
        (-1, 1, 0),  # a billionth earned is nothing
        (1, -1, 0),
        (-1, -1, 1),
        (-2, 1_500_000_000, -3),
        (0, 10**18, 0),
    ],
)
def test_funding_is_rounded_against_the_position(lots: int, index: int, owed: int) -> None:
    assert funding_owed(lots, FundingIndex(index)) == owed


@given(st.lists(CASH, max_size=20), INDEX)
def test_a_funding_round_never_creates_money(sizes: list[int], index: int) -> None:
    book = [*sizes, -sum(sizes)]

    assert 0 <= sum(funding_owed(lots, FundingIndex(index)) for lots in book) < len(book)


@pytest.mark.parametrize(
    ("lots", "cash", "price", "expected"),
    [(3, -200, 100, 100), (3, -400, 100, -100), (-3, 400, 100, 100), (-3, 200, 100, -100), (1, -100, 100, 0)],
)
def test_equity_is_cash_and_the_lots_at_the_price(lots: int, cash: int, price: int, expected: int) -> None:
    assert equity(new_position(lots=lots, cash=cash), Ticks(price), 1, FundingIndex(0)) == expected


@given(LOTS, SIGNS, CASH, TICK_COUNTS, st.integers(1, 100), INDEX)
def test_equity_never_exceeds_its_exact_value(size: int, sign: int, cash: int, price: int, unit: int, f: int) -> None:
    lots = size * sign
    real = cash + lots * price * unit - Fraction(lots * f, PPB)

    assert 0 <= real - equity(new_position(lots=lots, cash=cash), Ticks(price), unit, FundingIndex(f)) < 1


@pytest.mark.parametrize(
    ("lots", "price", "rate", "fixed", "expected"),
    [(10, 100, PPB // 10, 0, 100), (-10, 100, PPB // 10, 0, 100), (1, 10, PPB // 4, 0, 3), (-1, 10, PPB // 4, 5, 8)],
)
def test_maintenance_is_rounded_up_and_blind_to_the_side(
    lots: int, price: int, rate: int, fixed: int, expected: int
) -> None:
    assert maintenance(lots, Ticks(price), index_market(**rules(rate, fixed))) == expected
    assert notional(lots, Ticks(price), 1) == abs(lots) * price


@pytest.mark.parametrize(("extra", "due"), [(-1, True), (0, True), (1, False)])
@pytest.mark.parametrize("lots", [10, -10])
def test_equity_equal_to_maintenance_is_due_and_a_micro_more_is_not(lots: int, extra: int, due: bool) -> None:
    position = new_position(lots=lots, cash=-lots * 100 + 100 + extra)

    assert is_liquidatable(position, Ticks(100), index_market(**rules(PPB // 10)), FundingIndex(0)) is due


@given(cases(), st.integers(-2, 2), st.integers(0, 1000))
@example((new_position(lots=1, cash=-7), PPB // 4, 0), 0, 0)
def test_the_liquidation_order_is_never_late(case: tuple[Position, int, int], away: int, fixed: int) -> None:
    """Whoever the exact predicate finds due at a price is a candidate there; the rounding of κ errs to that side."""
    position, rate, index = case
    params = index_market(**rules(rate, fixed))
    position = replace(position, cash=position.cash + fixed)
    order = LiquidationOrder()
    order.add(position, params)
    near = liquidation_price(position, params, FundingIndex(index))
    for price in {max(1, near + away), 10}:
        if is_liquidatable(position, Ticks(price), params, FundingIndex(index)):
            assert list(order.candidates(Ticks(price), params, FundingIndex(index))) == [position.number]


@given(LOTS, SIGNS, CASH, RATES, TICK_COUNTS, INDEX)
def test_a_candidate_is_due_but_for_two_micros(
    size: int, sign: int, cash: int, rate: int, price: int, index: int
) -> None:
    """κ is not early either: at most by the two roundings of the exact predicate, and its own."""
    position, params = new_position(lots=size * sign, cash=cash), index_market(**rules(rate))
    order = LiquidationOrder()
    order.add(position, params)
    if list(order.candidates(Ticks(price), params, FundingIndex(index))):
        spare = equity(position, Ticks(price), 1, FundingIndex(index)) - maintenance(
            position.lots, Ticks(price), params
        )
        assert spare <= 2 + size // PPB + 1


@given(cases())
@example((new_position(lots=2, cash=-5), PPB // 2, 0))  # equity is exactly a micro too much, one tick up
@example((new_position(lots=-2, cash=6), PPB // 2, 0))
def test_the_liquidation_price_is_the_first_at_which_a_position_is_due(case: tuple[Position, int, int]) -> None:
    position, rate, raw = case
    params, index = index_market(**rules(rate)), FundingIndex(raw)
    price = liquidation_price(position, params, index)
    before = price + 1 if position.lots > 0 else price - 1
    assume(price >= 1)

    assert is_liquidatable(position, price, params, index)
    assert before < 1 or not is_liquidatable(position, Ticks(before), params, index)


@given(LOTS, SIGNS, CASH, INDEX)
@example(3, 1, 4, 1_500_000_000)
def test_the_bankruptcy_price_is_the_first_at_which_nothing_is_left(size: int, sign: int, cash: int, raw: int) -> None:
    position, index = new_position(lots=size * sign, cash=cash), FundingIndex(raw)
    params = index_market()
    price = bankruptcy_price(position, params, index)
    before = price + 1 if sign > 0 else price - 1
    assume(price >= 1)

    assert equity(position, price, params.unit, index) <= 0
    assert before < 1 or equity(position, Ticks(before), params.unit, index) > 0


@pytest.mark.parametrize(("lots", "cash", "liquidation", "bankruptcy"), [(10, -900, 100, 90), (-10, 1100, 100, 110)])
def test_the_two_last_prices_of_a_long_and_a_short(lots: int, cash: int, liquidation: int, bankruptcy: int) -> None:
    params = index_market(**rules(PPB // 10))
    position = new_position(lots=lots, cash=cash)

    assert liquidation_price(position, params, FundingIndex(0)) == liquidation
    assert bankruptcy_price(position, params, FundingIndex(0)) == bankruptcy


@pytest.mark.parametrize(("lots", "cash"), [(10, 10**6), (-10, -(10**6))])
def test_a_price_below_zero_is_reported_as_zero(lots: int, cash: int) -> None:
    """A long that no price ends, and a short that is over at every price."""
    position, params = new_position(lots=lots, cash=cash), index_market()

    assert liquidation_price(position, params, FundingIndex(0)) == 0
    assert bankruptcy_price(position, params, FundingIndex(0)) == 0


@given(cases(), st.integers(1, 10**6))
def test_no_price_and_no_funding_moves_the_key(case: tuple[Position, int, int], gain: int) -> None:
    """κ follows from lots, cash and the rules: display fields and margin do not enter; more cash moves it away."""
    position, rate, _ = case
    params = index_market(**rules(rate))
    same = replace(position, margin=7, entry_cost=9, funding_paid=11, leverage=13, user="other")
    richer = replace(position, cash=position.cash + abs(position.lots) * gain)

    assert kappa(same, params) == kappa(position, params)
    away = kappa(position, params) - kappa(richer, params)
    assert away == gain * PPB if position.lots > 0 else away == -gain * PPB
