"""Take-profit and stop-loss: two prices of a position. The mark that reaches one closes the whole position.

A long takes its profit at or above ``take_profit`` and stops at or below ``stop_loss``; a short the other way round.
Exit orders, which close a share of a position, wait in the same lists.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from perps.market.levels import Levels, Places
from perps.market.order import Order
from perps.market.position import Position
from perps.units import INTEGER_MAX, Ticks

_ORDER: Final = 0
_PROFIT: Final = 1
_STOP: Final = 2
"""What the id of an exit ends with, behind the number of the position, or of the exit order."""


class Exits(Levels):
    """The exits of a market's positions, by the mark that each waits for."""

    __slots__ = ()

    def enter(self, position: Position) -> None:
        """Enter what a position has of them."""
        for level, waiting, falls in _exits_of(position):
            self.add(level, waiting, falls=falls)

    def leave(self, position: Position) -> None:
        """Take out what was entered for the same position."""
        for level, waiting, falls in _exits_of(position):
            self.remove(level, waiting, falls=falls)

    def enter_all(self, positions: Iterable[Position]) -> None:
        """Enter many at once, for less than one by one."""
        self.add_all(entry for position in positions for entry in _exits_of(position))

    def enter_order(self, order: Order) -> None:
        """Enter an exit order."""
        self.add(order.price, order.number << 2 | _ORDER, falls=order.falls)

    def leave_order(self, order: Order) -> None:
        """Take out what was entered for the same order."""
        self.remove(order.price, order.number << 2 | _ORDER, falls=order.falls)

    def due_exits(self, mark: Ticks, places: Places | None = None) -> Iterator[tuple[int, bool]]:
        """What leaves at ``mark``, the first to leave first: the number of a position, or (True) of an exit order.

        Stop before changing anything. ``places``: see ``Levels.due``.
        """
        if self.reached(mark):
            for waiting in self.due(mark, places):
                yield waiting >> 2, waiting & 3 == _ORDER


class NoExits(Exits):
    """For followers that close nothing (the read model): keeps nothing."""

    __slots__ = ()

    def enter(self, position: Position) -> None:
        """Nothing to keep."""

    def leave(self, position: Position) -> None:
        """Nothing was kept."""

    def enter_all(self, positions: Iterable[Position]) -> None:
        """Nothing to keep."""

    def enter_order(self, order: Order) -> None:
        """Nothing to keep."""

    def leave_order(self, order: Order) -> None:
        """Nothing was kept."""


def valid_exits(*exits: Ticks | None) -> bool:
    """Whether each exit is a price, where there is one."""
    return all(price is None or 1 <= price <= INTEGER_MAX for price in exits)


def is_stop_due(position: Position, mark: Ticks) -> bool:
    """Whether the mark has reached the position's stop-loss."""
    stop = position.stop_loss
    return stop is not None and (mark <= stop if position.lots > 0 else mark >= stop)


def is_profit_due(position: Position, mark: Ticks) -> bool:
    """Whether the mark has reached the position's take-profit."""
    profit = position.take_profit
    return profit is not None and (mark >= profit if position.lots > 0 else mark <= profit)


def _exits_of(position: Position) -> Iterator[tuple[int, int, bool]]:
    """Level, id, and whether it waits for a fall."""
    is_long, waiting = position.lots > 0, position.number << 2
    if position.take_profit is not None:
        yield position.take_profit, waiting | _PROFIT, not is_long
    if position.stop_loss is not None:
        yield position.stop_loss, waiting | _STOP, is_long
