"""The order of liquidation against the plainest possible search."""

from fractions import Fraction
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from perps.market.liquidation_order import LiquidationOrder, NoOrder
from perps.market.position import Position, is_liquidatable, kappa
from perps.params import MarketParams
from perps.units import PPB, FundingIndex, Ticks
from tests.perps.build import index_market, new_position

POSITIONS = st.lists(st.tuples(st.integers(-50, 50).filter(bool), st.integers(-6_000, 6_000)), max_size=30, unique=True)
PRICES = st.integers(1, 150)


def filled(book: list[tuple[int, int]], params: MarketParams) -> tuple[LiquidationOrder, dict[int, Position]]:
    order, positions = LiquidationOrder(), {}
    for number, (lots, cash) in enumerate(book, start=1):
        positions[number] = new_position(number=number, lots=lots, cash=cash)
        order.add(positions[number], params)
    return order, positions


def danger(position: Position, params: MarketParams) -> Fraction:
    """Exact κ, counted so that more is nearer to the end on either side."""
    exact = Fraction(params.maintenance_fixed - position.cash, position.lots)
    return exact if position.lots > 0 else -exact


@given(POSITIONS, PRICES, st.integers(1, PPB // 2), st.integers(-(10**11), 10**11))
def test_everybody_who_is_due_is_a_candidate(book: list[tuple[int, int]], price: int, rate: int, index: int) -> None:
    params = index_market(maintenance_rate=rate)
    order, positions = filled(book, params)
    due = {n for n, each in positions.items() if is_liquidatable(each, Ticks(price), params, FundingIndex(index))}
    found = list(order.candidates(Ticks(price), params, FundingIndex(index)))

    assert due <= set(found)
    assert len(found) == len(set(found))


@given(POSITIONS, PRICES)
def test_candidates_come_longs_first_and_most_endangered_first(book: list[tuple[int, int]], price: int) -> None:
    params = index_market(maintenance_rate=PPB // 10)
    order, positions = filled(book, params)
    found = [positions[number] for number in order.candidates(Ticks(price), params, FundingIndex(0))]
    sides = [each.lots > 0 for each in found]

    assert sides == sorted(sides, reverse=True)
    for side in (True, False):
        keys = [kappa(each, params) for each in found if (each.lots > 0) is side]
        assert keys == sorted(keys, reverse=side)


@given(POSITIONS)
def test_of_two_on_one_side_with_equal_lots_the_poorer_goes_first(book: list[tuple[int, int]]) -> None:
    params = index_market(maintenance_rate=PPB // 10)
    order, positions = filled(book, params)
    for price in (1, 10**9):
        found = [positions[number] for number in order.candidates(Ticks(price), params, FundingIndex(0))]
        for first, second in pairwise(found):
            if first.lots == second.lots:
                assert danger(first, params) >= danger(second, params)


@given(POSITIONS, st.lists(st.integers(0, 29), max_size=30), PRICES)
@settings(max_examples=50)
def test_what_is_taken_out_is_gone_and_nothing_else_is(
    book: list[tuple[int, int]], gone: list[int], price: int
) -> None:
    params = index_market(maintenance_rate=PPB // 10)
    order, positions = filled(book, params)
    before = list(order.candidates(Ticks(price), params, FundingIndex(0)))
    out = {number for number in gone if number in positions}
    for number in out:
        order.remove(positions[number], params)

    assert list(order.candidates(Ticks(price), params, FundingIndex(0))) == [n for n in before if n not in out]
    assert len(order) == len(positions) - len(out)


def test_a_follower_without_an_order_keeps_nothing() -> None:
    order, position = NoOrder(), new_position()
    order.add(position, index_market())
    order.remove(position, index_market())

    assert len(order) == 0
