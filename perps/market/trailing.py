"""Trailing stops: each follows the best mark since it was placed, and is due so far behind it.

Of a long the best mark is the highest, and the stop lies at floor(best·(1 − callback)); of a short it is the lowest,
and the stop at ceil(best·(1 + callback)). Those that have seen the same best mark are a group. Groups lie in the order
of their best marks, and the stops of a group in the order of their callbacks: a new best mark touches only those groups
that it overtakes, and makes one of them; a mark that is neither a new best one nor reaches a stop costs four
comparisons, however many there are.

Best marks are part of the market's state, so they move with every event that moves the mark, live and in replay alike.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from perps.command_facts import Side
from perps.market.order import Order
from perps.units import PPB, Ppb, Ticks, div_ceil, div_floor

TRAILING_PER_MARKET_MAX: Final = 10_000
"""Trailing stops of one market: one jump of the price overtakes so many groups at most."""

_NUMBER_BITS: Final = 50
_NUMBER_MASK: Final = (1 << _NUMBER_BITS) - 1
_NEVER_FALLS: Final = -1
_NEVER_RISES: Final = 1 << 200
_FEW: Final = 32
"""So many are put into a sorted list, or taken out, one by one; more are sorted, or filtered, at once."""


def trailing_price(side: Side, extreme: Ticks, callback: Ppb) -> Ticks:
    """Where a trailing stop of a position on ``side`` is due after a best mark of ``extreme``, ticks.

    Long: floor(extreme·(1 − callback)); short: ceil(extreme·(1 + callback)). A mark is a whole number of ticks, so it
    has come so far back exactly when it has reached this.
    """
    if side is Side.LONG:
        return Ticks(div_floor(extreme * (PPB - callback), PPB))
    return Ticks(div_ceil(extreme * (PPB + callback), PPB))


def largest_callback(side: Side, extreme: Ticks) -> Ppb:
    """The largest callback that leaves a stop at one tick or above, ppb; at most 1 − 10⁻⁹."""
    return Ppb(PPB - max(div_ceil(PPB, extreme), 1) if side is Side.LONG else PPB - 1)


def trailed(order: Order, extreme: Ticks) -> Order:
    """A trailing stop as a best mark leaves it: ``price`` is where it is due then."""
    return replace(order, price=trailing_price(order.side, extreme, order.callback), extreme=extreme)


class TrailingStops:
    """A market's trailing stops. Nothing here can refuse.

    Those that are due are *shown*: they wait at their price in the market's exits, where the sweep finds them.
    """

    __slots__ = ("_falling", "_rising", "by_number", "falls_to", "rises_to")

    def __init__(self) -> None:
        self.by_number: dict[int, _Group] = {}
        self._falling = _Stops(1)
        """Of longs: they wait for a fall."""
        self._rising = _Stops(-1)
        self.falls_to = _NEVER_FALLS
        """A mark at or below this has reached a stop that is not shown …"""
        self.rises_to = _NEVER_RISES
        """… and so has one at or above this."""

    def __len__(self) -> int:
        return len(self.by_number)

    def add(self, order: Order) -> None:
        """A stop follows from here on. It is shown at once if it lies before one that is."""
        stops = self._of(order)
        group = self.by_number[order.number] = stops.group(order.extreme)
        stops.enter(group, _entry(order))
        self._look()

    def remove(self, order: Order) -> None:
        """A stop follows no more."""
        self._of(order).leave(self.by_number.pop(order.number), _entry(order))
        self._look()

    def present(self, order: Order) -> Order:
        """A stop as it is now: its best mark, and its price."""
        extreme = self.by_number[order.number].extreme
        return order if order.extreme == extreme else trailed(order, extreme)

    def is_shown(self, order: Order) -> bool:
        """Whether it waits in the market's exits."""
        group = self.by_number[order.number]
        return bisect_left(group.entries, _entry(order)) < group.shown

    def follow(self, mark: Ticks) -> list[tuple[int, Ticks]]:
        """The mark is this now: best marks follow. Returns what was shown and is due no more: number, and its price."""
        if mark > self._falling.nearest:
            stops = self._falling
        elif -mark > self._rising.nearest:
            stops = self._rising
        else:
            return []
        hidden = stops.overtake(mark, self.by_number)
        self._look()
        return hidden

    def reached(self, mark: Ticks) -> bool:
        """Whether a stop that is not shown is due."""
        return mark <= self.falls_to or mark >= self.rises_to

    def show(self, mark: Ticks) -> list[int]:
        """Show all that is due. Returns the numbers of those that are new."""
        shown = [*self._falling.show(mark), *self._rising.show(mark)]
        self._look()
        return shown

    def _of(self, order: Order) -> _Stops:
        return self._falling if order.side is Side.LONG else self._rising

    def _look(self) -> None:
        falling, rising = self._falling.heads, self._rising.heads
        self.falls_to = falling[-1][0] if falling else _NEVER_FALLS
        self.rises_to = -rising[-1][0] if rising else _NEVER_RISES


class _Group:
    """Stops with one best mark."""

    __slots__ = ("entries", "extreme", "shown")

    def __init__(self, extreme: Ticks) -> None:
        self.extreme = extreme
        self.entries: list[int] = []
        """Callback and number, sorted: the first is due first."""
        self.shown = 0
        """So many of the first are shown."""


class _Stops:
    """The stops of one side. ``sign`` 1: of longs. Prices are multiplied by it here, so that higher is better."""

    __slots__ = ("_bests", "_groups", "_sign", "heads", "nearest")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._groups: dict[int, _Group] = {}
        """By their best mark."""
        self._bests: list[int] = []
        """Their best marks, sorted: the first is overtaken first."""
        self.nearest = _NEVER_RISES
        """The first of them: a mark above it is a new best one."""
        self.heads: list[tuple[int, int]] = []
        """Of each group that has stops which are not shown: the price of the first of these, and its best mark; sorted:
        the last is due first."""

    def group(self, extreme: Ticks) -> _Group:
        """The group with a best mark, which may have to begin."""
        best = self._sign * extreme
        group = self._groups.get(best)
        if group is None:
            group = self._groups[best] = _Group(extreme)
            insort(self._bests, best)
            self.nearest = self._bests[0]
        return group

    def enter(self, group: _Group, entry: int) -> None:
        """A stop joins a group. It is shown if it lies before one that is."""
        place = bisect_left(group.entries, entry)
        if place < group.shown:
            group.entries.insert(place, entry)
            group.shown += 1
        else:
            self._take_head(group)
            group.entries.insert(place, entry)
            self._give_head(group)

    def leave(self, group: _Group, entry: int) -> None:
        """A stop leaves its group, which ends with its last one."""
        place = bisect_left(group.entries, entry)
        if place < group.shown:
            del group.entries[place]
            group.shown -= 1
        else:
            self._take_head(group)
            del group.entries[place]
            self._give_head(group)
        if not group.entries:
            best = self._sign * group.extreme
            del self._groups[best]
            del self._bests[bisect_left(self._bests, best)]
            self.nearest = self._bests[0] if self._bests else _NEVER_RISES

    def overtake(self, mark: Ticks, by_number: dict[int, _Group]) -> list[tuple[int, Ticks]]:
        """A new best mark: the groups that are not above it become one. Nothing of them is due at it: none is shown."""
        best, bests = self._sign * mark, self._bests
        count = bisect_right(bests, best)
        if count == 1:  # nothing merges: the nearest group goes on alone
            group = self._groups.pop(bests[0])
            hidden = self._shown(group)
            self._take_head(group)
            group.extreme, group.shown = mark, 0
            bests[0] = self.nearest = best
            self._groups[best] = group
            self._give_head(group)
            return hidden
        overtaken = [self._groups.pop(below) for below in bests[:count]]
        hidden = [each for group in overtaken for each in self._shown(group)]
        if count <= _FEW:
            for group in overtaken:
                self._take_head(group)
        else:
            self.heads = [head for head in self.heads if head[1] > best]
        bests[:count] = [best]
        self.nearest = best
        merged = self._groups[best] = _merged(overtaken, by_number)
        merged.extreme, merged.shown = mark, 0
        self._give_head(merged)
        return hidden

    def show(self, mark: Ticks) -> Iterator[int]:
        """The numbers of all that are due and were not shown."""
        at = self._sign * mark
        while self.heads and self.heads[-1][0] >= at:
            _, best = self.heads.pop()
            group = self._groups[best]
            for entry in group.entries[group.shown :]:
                if self._sign * self._price(group, entry) < at:
                    break
                group.shown += 1
                yield entry & _NUMBER_MASK
            self._give_head(group)

    def _shown(self, group: _Group) -> list[tuple[int, Ticks]]:
        if not group.shown:
            return []
        return [(entry & _NUMBER_MASK, self._price(group, entry)) for entry in group.entries[: group.shown]]

    def _price(self, group: _Group, entry: int) -> Ticks:
        side = Side.LONG if self._sign > 0 else Side.SHORT
        return trailing_price(side, group.extreme, Ppb(entry >> _NUMBER_BITS))

    def _head(self, group: _Group) -> tuple[int, int]:
        return self._sign * self._price(group, group.entries[group.shown]), self._sign * group.extreme

    def _take_head(self, group: _Group) -> None:
        if group.shown < len(group.entries):
            del self.heads[bisect_left(self.heads, self._head(group))]

    def _give_head(self, group: _Group) -> None:
        if group.shown < len(group.entries):
            insort(self.heads, self._head(group))


def _merged(groups: list[_Group], by_number: dict[int, _Group]) -> _Group:
    """All of them as one: the small ones go into the largest, so that no stop moves often."""
    largest = max(groups, key=lambda group: len(group.entries))
    moved = [entry for group in groups if group is not largest for entry in group.entries]
    for entry in moved:
        by_number[entry & _NUMBER_MASK] = largest
    if len(moved) <= _FEW:
        for entry in moved:
            insort(largest.entries, entry)
    else:
        largest.entries += moved
        largest.entries.sort()
    return largest


def _entry(order: Order) -> int:
    return (order.callback << _NUMBER_BITS) | order.number
