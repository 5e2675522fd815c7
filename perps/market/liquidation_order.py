"""Which position is due first: positions sorted by κ, a key that neither a price nor funding moves.

Insert and remove O(log n); asking whether anybody is due is one comparison, whatever the number of positions.
"""

from collections.abc import Iterable, Iterator

from sortedcontainers import SortedList

from perps.market.position import Position, kappa
from perps.params import MarketParams
from perps.units import PPB, FundingIndex, div_ceil, div_floor

_NUMBER_BITS = 48
NUMBER_MAX = (1 << _NUMBER_BITS) - 1
"""No position of a market has a higher number."""


class LiquidationOrder:
    """Longs by κ descending, shorts by κ ascending, each entry one integer: the key, then the position's number."""

    def __init__(self) -> None:
        self._longs: SortedList[int] = SortedList()
        self._shorts: SortedList[int] = SortedList()

    def add(self, position: Position, params: MarketParams) -> None:
        """Enter a position. Its key follows from its lots, cash and ``params`` alone."""
        self._side(position).add(_entry(position, params))

    def add_all(self, positions: Iterable[Position], params: MarketParams) -> None:
        """Enter many at once, for less than one by one."""
        entries: tuple[list[int], list[int]] = ([], [])
        for position in positions:
            entries[position.lots > 0].append(_entry(position, params))
        self._shorts.update(entries[False])
        self._longs.update(entries[True])

    def remove(self, position: Position, params: MarketParams) -> None:
        """Take out a position that was entered with the same lots, cash and ``params``."""
        self._side(position).remove(_entry(position, params))

    def may_be_due(self, price: int, params: MarketParams, index: FundingIndex, scale: int = 1) -> bool:
        """Whether there is any candidate: one comparison a side, whatever the number of positions."""
        longs_due, shorts_due = _due(price, scale, params, index)
        longs, shorts = self._longs, self._shorts
        return bool(
            (longs and -(longs[0] >> _NUMBER_BITS) >= longs_due) or (shorts and shorts[0] >> _NUMBER_BITS <= shorts_due)
        )

    def candidates(self, price: int, params: MarketParams, index: FundingIndex, scale: int = 1) -> Iterator[int]:
        """Numbers of the positions whose κ says they are due at ``price``/``scale`` ticks, longs then shorts.

        The most endangered of each side come first. κ is rounded so as never to be late: a candidate may fail the exact
        predicate and must then be skipped. Stop iterating before changing the order.
        """
        longs_due, shorts_due = _due(price, scale, params, index)
        for entry in self._longs:
            if -(entry >> _NUMBER_BITS) < longs_due:
                break
            yield entry & NUMBER_MAX
        for entry in self._shorts:
            if entry >> _NUMBER_BITS > shorts_due:
                break
            yield entry & NUMBER_MAX

    def __len__(self) -> int:
        return len(self._longs) + len(self._shorts)

    def _side(self, position: Position) -> "SortedList[int]":
        return self._longs if position.lots > 0 else self._shorts


class NoOrder(LiquidationOrder):
    """For followers that liquidate nobody (the read model): keeps nothing."""

    def add(self, position: Position, params: MarketParams) -> None:
        """Nothing to keep."""

    def add_all(self, positions: Iterable[Position], params: MarketParams) -> None:
        """Nothing to keep."""

    def remove(self, position: Position, params: MarketParams) -> None:
        """Nothing was kept."""


def _due(price: int, scale: int, params: MarketParams, index: FundingIndex) -> tuple[int, int]:
    """The least κ of a long that may be due and the greatest of a short; κ is whole, so rounding loses nobody."""
    value, rate = price * params.unit, params.maintenance_rate
    return div_ceil(value * (PPB - rate), scale) - index, div_floor(value * (PPB + rate), scale) - index


def _entry(position: Position, params: MarketParams) -> int:
    key = kappa(position, params)
    return ((-key if position.lots > 0 else key) << _NUMBER_BITS) | position.number
