"""Resting orders: what waits for a price, and the lists in which it waits.

A limit waits for the quote, because that is what its fill pays; a stop waits for the mark, as exits do. An entry fills
whole or not at all. Exit orders wait in the list of the positions' exits. An order that is pending, where opens and
closes are decided at the next price, waits for nothing else; and there every other order is in no list before a price
has come that is stamped after it.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Final, TypeVar

from msgspec.structs import replace
from sortedcontainers import SortedList

from perps.command_facts import OrderKind, Side
from perps.market.levels import Levels
from perps.market.order import Order
from perps.market.trailing import TrailingStops
from perps.market.triggers import Exits
from perps.params import MarketParams
from perps.units import Lots, Micros, Millis, Ticks, div_ceil, div_floor

ORDER_NUMBER_MAX: Final = (1 << 48) - 1
"""No order of a market has a higher number."""

KEY_SCALE: Final = 1 << 32
"""A limit waits for a quote in this part of a tick: many of them lie within one."""

_K = TypeVar("_K")

_NUMBER_BITS: Final = 50
_NUMBER_MASK: Final = (1 << _NUMBER_BITS) - 1


class RestingOrders:
    """A market's resting orders by number, and what is counted over them. Nothing here can refuse."""

    __slots__ = (
        "_by_time",
        "_crowded",
        "_exits",
        "_expiries",
        "_keys",
        "_slices",
        "by_number",
        "by_position",
        "by_user",
        "limits",
        "orphans",
        "pending",
        "ready_before",
        "reserved",
        "stops",
        "trailing",
        "twaps",
    )

    def __init__(self, exits: Exits) -> None:
        """``exits``: the market's, in which its exit orders wait too."""
        self._exits = exits
        self.by_number: dict[int, Order] = {}
        """As their last events left them: see ``present``."""
        self.trailing = TrailingStops()
        self.by_user: dict[str, set[int]] = {}
        self.by_position: dict[int, set[int]] = {}
        """Orders about an open position, by its number: its exits, and what is pending about it."""
        self.orphans: set[int] = set()
        """Orders about a position that is gone: they end next."""
        self.pending: SortedList[int] = SortedList()
        """Orders that wait for nothing but the next price, first in first out."""
        self.ready_before: Millis | None = None
        """What was placed before this and is not pending waits in its list, the others in none; None: all do."""
        self._by_time: SortedList[int] = SortedList()
        """Orders that are not pending by the time of their placing, where ``ready_before`` counts."""
        self.stops = Levels()
        """By the mark."""
        self.limits = Levels()
        """By the quote, in 1/``KEY_SCALE`` of a tick."""
        self._keys: dict[int, int] = {}
        """The level at which a limit waits now: its key, or what ``defer`` made of it."""
        self._crowded: tuple[SortedList[int], SortedList[int]] = (SortedList(), SortedList())
        """Limits that were tried and found no room, by size: shorts, longs. See ``defer``."""
        self._expiries: SortedList[int] = SortedList()
        self._slices: SortedList[int] = SortedList()
        """TWAP orders by the time of their next slice."""
        self.twaps: set[int] = set()
        """Their numbers."""
        self.reserved = Micros(0)
        """Σ of the reserves: what the market's account of orders holds."""

    def add(self, order: Order, params: MarketParams) -> None:
        """An order rests from here on."""
        self.by_number[order.number] = order
        self.by_user.setdefault(order.user, set()).add(order.number)
        if order.position is not None:
            self.by_position.setdefault(order.position, set()).add(order.number)
        if order.twap is not None:
            self.twaps.add(order.number)
        self.reserved = Micros(self.reserved + order.reserve)
        self._wait(order, params)

    def remove(self, number: int) -> Order:
        """An order rests no more: the order as it was."""
        order = self.by_number.pop(number)
        _take_out(self.by_user, order.user, number)
        self.twaps.discard(number)
        if number in self.orphans:
            self.orphans.remove(number)
        elif order.position is not None:
            _take_out(self.by_position, order.position, number)
        self.reserved = Micros(self.reserved - order.reserve)
        self._wait_no_more(order)
        return order

    def fill(self, order: Order, params: MarketParams) -> None:
        """An order has been filled: it rests no more, unless it is a TWAP that has slices left."""
        self.remove(order.number)
        if order.twap is not None and not order.twap.is_over:
            self.add(order, params)

    @property
    def next_slice_at(self) -> Millis | None:
        """When the next slice of a TWAP is due; None: there is none."""
        return Millis(self._slices[0] >> _NUMBER_BITS) if self._slices else None

    def first_slice(self) -> Order:
        """The TWAP whose slice is due first; of those due at the same time, the one that was placed first."""
        return self.by_number[self._slices[0] & _NUMBER_MASK]

    def orphan(self, position: int) -> None:
        """A position is gone: what was ordered about it ends next."""
        self.orphans |= self.by_position.pop(position, set())

    def find_orphans(self, positions: Container[int]) -> None:
        """After a start: which orders are about none of the positions that are open."""
        for position in [each for each in self.by_position if each not in positions]:
            self.orphan(position)

    def about(self, position: int) -> list[Order]:
        """Orders about an open position, the oldest first."""
        return [self.present(self.by_number[number]) for number in sorted(self.by_position.get(position, ()))]

    def present(self, order: Order) -> Order:
        """A resting order as it is now: of a trailing stop, how far it has followed the mark."""
        return self.trailing.present(order) if order.trails else order

    def all(self) -> tuple[Order, ...]:
        """All of them, as they are now, in any order."""
        orders = self.by_number.values()
        return tuple(map(self.present, orders)) if self.trailing.by_number else tuple(orders)

    def follow(self, mark: Ticks) -> None:
        """The mark is this now: trailing stops follow it."""
        for number, price in self.trailing.follow(mark):
            order = self.by_number[number]
            if self.is_ready(order):
                self._exits.leave_order(replace(order, price=price))

    def show_trailing(self, mark: Ticks) -> None:
        """Trailing stops that are due wait among the exits from here on."""
        if self.trailing.reached(mark):
            for number in self.trailing.show(mark):
                order = self.by_number[number]
                if self.is_ready(order):
                    self._exits.enter_order(self.present(order))

    def exits_of(self, position: int) -> list[Order]:
        """A position's exit orders, the oldest first."""
        return [order for order in self.about(position) if order.is_exit]

    def make_ready(self, before: Millis, params: MarketParams) -> None:
        """A price has come: orders that were placed before ``before`` wait in their lists, no others do."""
        since, self.ready_before = self.ready_before, before
        if since is None or since == before:
            return
        between = (min(since, before) << _NUMBER_BITS, max(since, before) << _NUMBER_BITS)
        for entry in self._by_time.irange(*between, inclusive=(True, False)):
            order = self.by_number[entry & _NUMBER_MASK]
            if before > since:
                self._enter(order, params)
            else:
                self._leave(order)

    def is_ready(self, order: Order) -> bool:
        """Whether an order that is not pending may be filled at the present price: it was placed before that."""
        return self.ready_before is None or order.placed_at < self.ready_before

    def _wait(self, order: Order, params: MarketParams) -> None:
        if order.twap is not None:
            self._slices.add(_slice(order))
        elif order.is_pending:
            self.pending.add(order.number)
        else:
            if order.trails:
                self.trailing.add(order)
            if self.is_ready(order):
                self._enter(order, params)
            if self.ready_before is not None:
                self._by_time.add(_by_time(order))
        if order.expires_at is not None:
            self._expiries.add(_expiry(order))

    def _wait_no_more(self, order: Order) -> None:
        if order.twap is not None:
            self._slices.remove(_slice(order))
        elif order.is_pending:
            self.pending.remove(order.number)
        else:
            if self.is_ready(order):
                self._leave(order)
            if order.trails:
                self.trailing.remove(order)
            if self.ready_before is not None:
                self._by_time.remove(_by_time(order))
        if order.expires_at is not None:
            self._expiries.remove(_expiry(order))

    def _enter(self, order: Order, params: MarketParams) -> None:
        if order.trails:
            if self.trailing.is_shown(order):
                self._exits.enter_order(self.present(order))
        elif order.is_exit:
            self._exits.enter_order(order)
        elif order.kind is OrderKind.STOP:
            self.stops.add(order.price, order.number, falls=order.falls)
        else:
            key = self._keys[order.number] = limit_key(order, params)
            self.limits.add(key, order.number, falls=order.falls)

    def _leave(self, order: Order) -> None:
        if order.trails:
            if self.trailing.is_shown(order):
                self._exits.leave_order(self.present(order))
        elif order.is_exit:
            self._exits.leave_order(order)
        elif order.kind is OrderKind.STOP:
            self.stops.remove(order.price, order.number, falls=order.falls)
        else:
            self.limits.remove(self._keys.pop(order.number), order.number, falls=order.falls)
            self._crowded[order.falls].discard(_by_size(order))

    def defer(self, order: Order, quote_key: int, *, lacks_room: bool = False) -> None:
        """A limit could not fill at this quote: let it wait for a better one; or for room, if it ``lacks_room``.

        So a crowd of limits near the price is tried once for each step of the quote towards them, not by every
        command. The lists are no part of the state: after a start each is tried once more.
        """
        self._wait_at(order, quote_key - 1 if order.falls else quote_key + 1)
        if lacks_room and _by_size(order) not in self._crowded[order.falls]:
            self._crowded[order.falls].add(_by_size(order))

    def is_crowded(self, *, falls: bool) -> bool:
        """Whether limits of a side wait for room."""
        return bool(self._crowded[falls])

    def fits(self, too_large: int, *, falls: bool) -> bool:
        """Whether a limit that lacked room finds it now: its size is below ``too_large``, micros."""
        crowded = self._crowded[falls]
        return bool(crowded) and crowded[0] >> _NUMBER_BITS < too_large

    def take_back(self, too_large: int, params: MarketParams, *, falls: bool) -> None:
        """Limits that find room now wait at their own levels again."""
        while self.fits(too_large, falls=falls):
            order = self.by_number[self._crowded[falls].pop(0) & _NUMBER_MASK]
            self._wait_at(order, limit_key(order, params))

    def _wait_at(self, order: Order, key: int) -> None:
        self.limits.remove(self._keys[order.number], order.number, falls=order.falls)
        self.limits.add(key, order.number, falls=order.falls)
        self._keys[order.number] = key

    def expired(self, at: Millis) -> Iterator[Order]:
        """Those whose time is over, the oldest time first. Stop iterating before changing anything."""
        for entry in self._expiries:
            if entry >> _NUMBER_BITS > at:
                break
            yield self.by_number[entry & _NUMBER_MASK]

    def rekey(self, params: MarketParams, ready_before: Millis | None = None) -> None:
        """The market has other parameters: its limits wait at other levels, and perhaps all orders for a price."""
        for order in self.by_number.values():
            if order.is_exit and self.is_ready(order):
                self._leave(order)
        self.limits, self.stops, self._keys, self.ready_before = Levels(), Levels(), {}, ready_before
        for crowded in self._crowded:
            crowded.clear()
        limits, stops, times = [], [], []
        for number, order in self.by_number.items():
            if order.is_pending or order.twap is not None:
                continue
            if ready_before is not None:
                times.append(_by_time(order))
            if not self.is_ready(order):
                continue
            if order.is_exit:
                self._enter(order, params)
            elif order.kind is OrderKind.STOP:
                stops.append((order.price, number, order.falls))
            else:
                key = self._keys[number] = limit_key(order, params)
                limits.append((key, number, order.falls))
        self.limits.add_all(limits)
        self.stops.add_all(stops)
        self._by_time = SortedList(times)

    def of(self, user: str) -> list[Order]:
        """A user's resting orders, oldest first."""
        return [self.present(self.by_number[number]) for number in sorted(self.by_user.get(user, ()))]

    def __len__(self) -> int:
        return len(self.by_number)


class NoLists(RestingOrders):
    """For followers that fill nothing (the read model): knows every order, and waits for none.

    Its trailing stops follow the mark as all do.
    """

    __slots__ = ()

    def rekey(self, params: MarketParams, ready_before: Millis | None = None) -> None:
        """Nothing waits."""

    def make_ready(self, before: Millis, params: MarketParams) -> None:
        """Nothing waits."""

    def _wait(self, order: Order, params: MarketParams) -> None:
        """It waits for nothing."""
        if order.trails:
            self.trailing.add(order)

    def _wait_no_more(self, order: Order) -> None:
        """Nothing was waited for."""
        if order.trails:
            self.trailing.remove(order)


def _take_out(numbers: dict[_K, set[int]], key: _K, number: int) -> None:
    own = numbers[key]
    own.remove(number)
    if not own:
        del numbers[key]


def limit_key(order: Order, params: MarketParams) -> int:
    """The quote, in 1/``KEY_SCALE`` of a tick, before which no fill of a limit can be within it. Never late.

    A fill of d lots from the quote p pays p·(2A ± d)/(2A) on average, A = Ks + K ≤ A_max = Ks + OI_max. Within the
    limit x it has at least n lots, n(p) = max(size // (p·u) − 3, 1). So p ≤ x·2A_max/(2A_max + n(x)) for a long. A
    short has the fewer lots the higher the price, so its key k = x·2A_max/(2A_max − n(k)) is approached from 2x:
    each step ends on the other side of k, an odd one below it.
    """
    depth = 2 * (params.skew_scale + params.max_open_interest)
    price = order.price * KEY_SCALE
    if order.side is Side.LONG:
        return div_ceil(price * depth, depth + _least_lots(order.size, price, params.unit))
    key = 2 * price
    for _ in range(3):
        key = div_floor(price * depth, max(depth - _least_lots(order.size, key, params.unit), 1))
    return min(key, 2 * price)


def quote_key(index_price: Ticks, skew: int, skew_scale: Lots) -> int:
    """The exact quote S·(Ks + K)/Ks in 1/``KEY_SCALE`` of a tick, rounded down."""
    return div_floor(index_price * (skew_scale + skew) * KEY_SCALE, skew_scale)


def _least_lots(size: Micros, price: int, unit: int) -> int:
    return max(div_floor(size * KEY_SCALE, price * unit) - 3, 1)


def _by_size(order: Order) -> int:
    return (order.size << _NUMBER_BITS) | order.number


def _expiry(order: Order) -> int:
    return ((order.expires_at or 0) << _NUMBER_BITS) | order.number


def _slice(order: Order) -> int:
    return (order.due_from << _NUMBER_BITS) | order.number


def _by_time(order: Order) -> int:
    return (order.placed_at << _NUMBER_BITS) | order.number
