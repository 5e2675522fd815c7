"""Trailing stops in their groups, beside a naive list of them."""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor
from random import Random

import pytest

from perps.command_facts import OrderKind, Side
from perps.market.order import Order
from perps.market.orders import NoLists, RestingOrders
from perps.market.trailing import largest_callback, trailed, trailing_price
from perps.market.triggers import Exits, NoExits
from perps.units import PPB, Micros, Millis, Ppb, Ticks
from tests.perps.build import index_market

PARAMS = index_market()
CALLBACKS = (1, 1_000, PPB // 1_000, PPB // 100, PPB // 100, PPB // 20, PPB // 2, PPB - 1)


def stop(number: int, side: Side, callback: int, extreme: int) -> Order:
    order = Order(
        number=number,
        user="ann",
        kind=OrderKind.TRAILING_STOP,
        side=side,
        size=Micros(0),
        leverage=1,
        price=Ticks(0),
        reserve=Micros(0),
        taker_fee=Ppb(0),
        placed_at=Millis(0),
        position=number,
        reduces=True,
        share=Ppb(PPB),
        callback=Ppb(callback),
    )
    return trailed(order, Ticks(extreme))


@dataclass
class Naive:
    """Every stop by itself, in exact fractions."""

    stops: dict[int, tuple[bool, Fraction]] = field(default_factory=dict)
    """By number: whether it is of a long, and its callback."""
    best: dict[int, int] = field(default_factory=dict)

    def follow(self, mark: int) -> None:
        for number, (is_long, _) in self.stops.items():
            self.best[number] = max(self.best[number], mark) if is_long else min(self.best[number], mark)

    def price(self, number: int) -> int:
        is_long, callback = self.stops[number]
        best = self.best[number]
        return floor(best * (1 - callback)) if is_long else ceil(best * (1 + callback))

    def due(self, mark: int) -> list[int]:
        """In the order in which the mark has met them: those of longs from above, then those of shorts from below."""
        falling = [(-self.price(number), number) for number, (is_long, _) in self.stops.items() if is_long]
        rising = [(self.price(number), number) for number, (is_long, _) in self.stops.items() if not is_long]
        longs = [number for price, number in sorted(falling) if mark <= -price]
        return longs + [number for price, number in sorted(rising) if mark >= price]


def due(orders: RestingOrders, exits: Exits, mark: int) -> list[int]:
    orders.show_trailing(Ticks(mark))
    return [number for number, is_order in exits.due_exits(Ticks(mark)) if is_order]


def compare(orders: RestingOrders, naive: Naive, mark: int) -> None:
    late = set(naive.due(mark))
    for number, order in orders.by_number.items():
        present = orders.present(order)
        assert (present.extreme, present.price) == (naive.best[number], naive.price(number))
        assert present.is_reached(Ticks(mark)) is (number in late)


@pytest.mark.parametrize("block", range(20))
def test_random_stops_follow_and_are_due_as_in_a_naive_list(block: int) -> None:
    """20 blocks of 20 runs: placed, replaced, cancelled, filled or passed over, at marks that rise, fall and jump."""
    for seed in range(20 * block, 20 * block + 20):
        chance, naive, exits = Random(seed), Naive(), Exits()
        orders, follower = RestingOrders(exits), NoLists(NoExits())
        mark, number = chance.choice([50, 10_000, 3_000_000]), 0
        widest = chance.choice([3, mark // 50 + 1, mark // 3 + 1])
        for _ in range(150):
            if chance.random() < 0.5:
                mark = max(mark + chance.randint(-widest, widest), 1)
                naive.follow(mark)
                for each in (orders, follower):
                    each.follow(Ticks(mark))
            elif chance.random() < 0.7 or not naive.stops:
                number += 1
                side, callback = chance.choice(list(Side)), chance.choice([*CALLBACKS, chance.randint(1, PPB - 1)])
                for each in (orders, follower):
                    each.add(stop(number, side, callback, mark), PARAMS)
                naive.stops[number], naive.best[number] = (side is Side.LONG, Fraction(callback, PPB)), mark
            else:
                gone = chance.choice(list(naive.stops))
                for each in (orders, follower):
                    each.remove(gone)
                del naive.stops[gone]
            compare(orders, naive, mark)
            assert due(orders, exits, mark) == naive.due(mark)
            if chance.random() < 0.5:  # otherwise what is due stays, as it does where the house cannot pay
                for number_due in naive.due(mark):
                    for each in (orders, follower):
                        each.remove(number_due)
                    del naive.stops[number_due]
                assert due(orders, exits, mark) == []
        compare(follower, naive, mark)
        for left in list(orders.by_number):
            orders.remove(left)
        assert (len(orders.trailing), len(exits), orders.trailing.reached(Ticks(mark))) == (0, 0, False)


def test_a_restored_list_goes_on_as_the_one_it_is_of() -> None:
    chance, exits, others = Random(7), Exits(), Exits()
    orders, restored = RestingOrders(exits), RestingOrders(others)
    mark = 10_000
    for number in range(1, 400):
        mark = max(mark + chance.randint(-30, 30), 1)
        orders.follow(Ticks(mark))
        orders.add(stop(number, chance.choice(list(Side)), chance.randint(PPB // 1_000, PPB // 10), mark), PARAMS)
        if number % 3:
            due(orders, exits, mark)
    for order in orders.all():
        restored.add(order, PARAMS)
    for _ in range(200):
        mark = max(mark + chance.randint(-100, 100), 1)
        for each in (orders, restored):
            each.follow(Ticks(mark))
        assert due(orders, exits, mark) == due(restored, others, mark)
        assert sorted(orders.all(), key=lambda order: order.number) == sorted(
            restored.all(), key=lambda order: order.number
        )


@pytest.mark.parametrize(
    ("side", "extreme", "callback", "price"),
    [
        (Side.LONG, 10_000, PPB // 50, 9_800),
        (Side.LONG, 10_001, PPB // 50, 9_800),  # 9,800.98, rounded down: no mark lies between
        (Side.LONG, 10_000, 1, 9_999),
        (Side.LONG, 10_000, PPB - 1, 0),
        (Side.SHORT, 10_000, PPB // 50, 10_200),
        (Side.SHORT, 10_001, PPB // 50, 10_202),  # 10,201.02, rounded up
        (Side.SHORT, 10_000, 1, 10_001),
        (Side.SHORT, 10_000, PPB - 1, 20_000),
    ],
)
def test_a_stop_lies_a_callback_behind_the_best_mark(side: Side, extreme: int, callback: int, price: int) -> None:
    assert trailing_price(side, Ticks(extreme), Ppb(callback)) == price


@pytest.mark.parametrize("extreme", [1, 2, 3, 7, 10_000, 999_999_999, PPB, PPB + 1, 10**15])
def test_the_largest_callback_is_the_largest_that_leaves_a_price(extreme: int) -> None:
    largest = largest_callback(Side.LONG, Ticks(extreme))
    assert not largest or trailing_price(Side.LONG, Ticks(extreme), largest) >= 1
    assert largest == PPB - 1 or trailing_price(Side.LONG, Ticks(extreme), Ppb(largest + 1)) == 0
    assert largest_callback(Side.SHORT, Ticks(extreme)) == PPB - 1
