"""The levels at which limits wait: never late, and late enough that few wait in vain."""

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perps.commands import OrderKind, Side
from perps.market.order import Order, order_id, split_order_id
from perps.market.orders import KEY_SCALE, NoLists, RestingOrders, limit_key, quote_key
from perps.market.pricing import most_lots, trade_cost
from perps.market.triggers import Exits, NoExits
from perps.units import MICRO, Lots, Micros, Millis, Ppb, Ticks
from tests.perps.build import START_MS, index_market, quote_market

MARKETS = {
    "index": index_market(),
    "quote": quote_market(),
    "thin": quote_market(skew_scale=Lots(1_000), max_skew=Lots(300), max_open_interest=Lots(400)),
}


def order(**changes: object) -> Order:
    fields: dict[str, object] = {"number": 1, "user": "ann", "kind": OrderKind.LIMIT, "side": Side.LONG}
    fields |= {"size": 100 * MICRO, "leverage": 2, "price": 10_000, "reserve": 1, "taker_fee": 0}
    return Order(**{**fields, "placed_at": START_MS, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", list(MARKETS))
@pytest.mark.parametrize("side", list(Side))
@settings(max_examples=300)
@given(
    price=st.integers(50, 200_000),
    slack=st.integers(0, 2) | st.integers(0, 1_000),
    part=st.integers(-1_000, 1_000),
    lots_wanted=st.integers(1, 500),
)
def test_a_limit_whose_fill_is_within_it_is_a_candidate(
    name: str, side: Side, price: int, slack: int, part: int, lots_wanted: int
) -> None:
    """The limit is the average price of the fill, or a few ticks worse: with none to spare, a late level shows."""
    params = MARKETS[name]
    skew, scale, unit = Lots(params.max_open_interest * part // 1_000), params.skew_scale, params.unit
    index_price, sign = Ticks(price), 1 if side is Side.LONG else -1
    size = Micros(lots_wanted * price * unit)
    lots = most_lots(size, sign, index_price=index_price, unit=unit, skew=skew, skew_scale=scale)
    if not lots:
        return
    cost = trade_cost(sign * lots, index_price=index_price, unit=unit, skew=skew, skew_scale=scale)
    average = Fraction(abs(cost), lots * unit)
    limit = ceil(average) + slack if side is Side.LONG else floor(average) - slack
    if limit < 1:
        return
    resting = order(side=side, price=Ticks(limit), size=size)
    key, quote = limit_key(resting, params), quote_key(index_price, skew, scale)
    assert quote <= key if side is Side.LONG else quote >= key


@pytest.mark.parametrize("side", list(Side))
def test_a_big_order_waits_for_a_better_quote_than_a_small_one(side: Side) -> None:
    """Its own impact counts: half of what it moves the price by."""
    params = quote_market()
    small, big = (limit_key(order(side=side, size=Micros(size * MICRO)), params) for size in (10, 10_000))
    at = 10_000 * KEY_SCALE
    assert (big < small <= at) if side is Side.LONG else (big > small >= at)


@pytest.mark.parametrize(
    ("kind", "side", "falls"),
    [
        (OrderKind.LIMIT, Side.LONG, True),
        (OrderKind.LIMIT, Side.SHORT, False),
        (OrderKind.STOP, Side.LONG, False),
        (OrderKind.STOP, Side.SHORT, True),
    ],
)
def test_each_kind_waits_for_its_direction(kind: OrderKind, side: Side, falls: bool) -> None:
    assert order(kind=kind, side=side).falls is falls


def test_what_goes_in_comes_out_and_is_counted() -> None:
    params, resting = quote_market(), RestingOrders(Exits())
    placed = [
        order(number=1, reserve=Micros(5)),
        order(number=2, kind=OrderKind.STOP, reserve=Micros(7), expires_at=Millis(START_MS + 5)),
        order(number=3, user="bob", side=Side.SHORT, reserve=Micros(11), expires_at=Millis(START_MS + 3)),
    ]
    for each in placed:
        resting.add(each, params)
    assert (len(resting), resting.reserved, resting.of("ann")) == (3, 23, placed[:2])
    assert (len(resting.limits), len(resting.stops)) == (2, 1)
    assert [each.number for each in resting.expired(Millis(START_MS + 5))] == [3, 2]
    assert [each.number for each in resting.expired(Millis(START_MS + 4))] == [3]
    resting.defer(placed[0], 7)
    for each in placed:
        assert resting.remove(each.number) == each
    assert (len(resting), resting.reserved, resting.by_user) == (0, 0, {})
    assert (len(resting.limits), len(resting.stops), list(resting.expired(Millis(2**60)))) == (0, 0, [])


@pytest.mark.parametrize("side", list(Side))
def test_a_limit_that_was_tried_waits_for_a_better_quote(side: Side) -> None:
    params, resting = quote_market(), RestingOrders(Exits())
    limit = order(side=side)
    resting.add(limit, params)
    key = limit_key(limit, params)
    assert resting.limits.first(key, falls=limit.falls) == 1
    resting.defer(limit, key)
    assert resting.limits.first(key, falls=limit.falls) is None
    assert resting.limits.first(key - 1 if side is Side.LONG else key + 1, falls=limit.falls) == 1
    resting.rekey(params)
    assert resting.limits.first(key, falls=limit.falls) == 1


def test_a_follower_counts_and_waits_for_nothing() -> None:
    resting = NoLists(NoExits())
    stop = order(kind=OrderKind.STOP, reserve=Micros(3), expires_at=Millis(START_MS + 1), taker_fee=Ppb(0))
    resting.add(stop, quote_market())
    assert (resting.reserved, len(resting.stops), list(resting.expired(Millis(2**60)))) == (3, 0, [])
    assert resting.remove(1) == stop
    assert resting.reserved == 0


NO_IDS = ["BTC-PERP-o0", "BTC-PERP-o01", "BTC-PERP-1", "BTC-PERP-o", "-o1", "o1", "BTC-PERP-o1x", "BTC-o" + "9" * 15]


@pytest.mark.parametrize("text", NO_IDS)
def test_what_is_no_order_id_is_none(text: str) -> None:
    assert split_order_id(text) is None


def test_an_order_id_says_its_market() -> None:
    assert split_order_id(order_id("BTC-PERP", 17)) == ("BTC-PERP", 17)
