"""What waits for a price: sorted lists of levels, so that a price that reaches none costs two comparisons.

What waits for a price to fall lies in one list, what waits for it to rise in another. An entry is one integer: its
level, then the id of what waits. So a list has one order, and nothing in it moves when a price does.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from sortedcontainers import SortedList

_ID_BITS: Final = 50
_ID_MAX: Final = (1 << _ID_BITS) - 1

NOTHING_BELOW: Final = -1
NOTHING_ABOVE: Final = 1 << 200
"""The nearest level of an empty list: no price reaches it."""

Places = list[int | None]
"""The last entry of each list that was passed over; None: none was."""


class Levels:
    """Ids (integers below 2⁵⁰) by the level, a price ≥ 0, at which each is due."""

    __slots__ = ("_falling", "_rising", "falls_to", "rises_to")

    def __init__(self) -> None:
        self._falling: SortedList[int] = SortedList()
        self._rising: SortedList[int] = SortedList()
        self.falls_to = NOTHING_BELOW
        """A price at or below this has reached something …"""
        self.rises_to = NOTHING_ABOVE
        """… and so has one at or above this."""

    def add(self, level: int, waiting: int, *, falls: bool) -> None:
        """``waiting`` is due when the price falls to ``level``, or rises to it."""
        if falls:
            self._falling.add((-level << _ID_BITS) | waiting)
            self.falls_to = max(self.falls_to, level)
        else:
            self._rising.add((level << _ID_BITS) | waiting)
            self.rises_to = min(self.rises_to, level)

    def remove(self, level: int, waiting: int, *, falls: bool) -> None:
        """Take out what was added with the same arguments."""
        if falls:
            falling = self._falling
            falling.remove((-level << _ID_BITS) | waiting)
            self.falls_to = -(falling[0] >> _ID_BITS) if falling else NOTHING_BELOW
        else:
            rising = self._rising
            rising.remove((level << _ID_BITS) | waiting)
            self.rises_to = rising[0] >> _ID_BITS if rising else NOTHING_ABOVE

    def add_all(self, entries: Iterable[tuple[int, int, bool]]) -> None:
        """Enter many at once, for less than one by one: level, id, whether it waits for a fall."""
        both: tuple[list[int], list[int]] = ([], [])
        for level, waiting, falls in entries:
            both[falls].append(((-level if falls else level) << _ID_BITS) | waiting)
        self._rising.update(both[False])
        self._falling.update(both[True])
        if self._falling:
            self.falls_to = -(self._falling[0] >> _ID_BITS)
        if self._rising:
            self.rises_to = self._rising[0] >> _ID_BITS

    def reached(self, price: int) -> bool:
        """Whether anything is due at ``price``."""
        return price <= self.falls_to or price >= self.rises_to

    @property
    def are_none(self) -> bool:
        """Whether nothing waits."""
        return self.falls_to == NOTHING_BELOW and self.rises_to == NOTHING_ABOVE

    def due(self, price: int, places: Places | None = None) -> Iterator[int]:
        """What is due at ``price``, in the order in which a price on its way there would have met it.

        First what waits for a fall, from the highest level down, then what waits for a rise, from the lowest up; at
        one level the lower id. Stop iterating before changing the levels. ``places``: where to go on, behind what
        was passed over; it is noted there what is passed over now.
        """
        places = [None, None] if places is None else places
        for entry in _behind(self._falling, places[0]):
            if -(entry >> _ID_BITS) < price:
                break
            yield entry & _ID_MAX
            places[0] = entry
        for entry in _behind(self._rising, places[1]):
            if entry >> _ID_BITS > price:
                break
            yield entry & _ID_MAX
            places[1] = entry

    def first(self, price: int, *, falls: bool) -> int | None:
        """What is due first at ``price`` of what waits for a fall, or for a rise; None when nothing is."""
        if falls:
            return self._falling[0] & _ID_MAX if price <= self.falls_to else None
        return self._rising[0] & _ID_MAX if price >= self.rises_to else None

    def __len__(self) -> int:
        return len(self._falling) + len(self._rising)

    def entries(self) -> tuple[list[int], list[int]]:
        """Everything in it, as it lies: equal for equal contents."""
        return list(self._falling), list(self._rising)


def _behind(entries: "SortedList[int]", place: int | None) -> Iterable[int]:
    return entries if place is None else entries.irange(place, inclusive=(False, True))
