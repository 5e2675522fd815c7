"""Which position is due first: positions sorted by κ, a key that neither a price nor funding moves.

Insert and remove O(log n); asking whether anybody is due is one comparison, whatever the number of positions.
"""

from collections.abc import Iterable, Iterator

from sortedcontainers import SortedList

from perps.market.position import Position, kappa
from perps.params import MarketParams
from perps.units import PPB, FundingIndex, Ticks

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

    def may_be_due(self, price: Ticks, params: MarketParams, index: FundingIndex) -> bool:
        """Whether there is any candidate: one comparison a side, whatever the number of positions."""
        value = price * params.unit
        longs, shorts = self._longs, self._shorts
        return bool(
            (longs and -(longs[0] >> _NUMBER_BITS) >= value * (PPB - params.maintenance_rate) - index)
            or (shorts and shorts[0] >> _NUMBER_BITS <= value * (PPB + params.maintenance_rate) - index)
        )

    def candidates(self, price: Ticks, params: MarketParams, index: FundingIndex) -> Iterator[int]:
        """Numbers of the positions whose κ says they are due at ``price``, most endangered first, longs then shorts.

        κ is rounded so as never to be late: a candidate may fail the exact predicate and must then be skipped.
        Stop iterating before changing the order.
        """
        value = price * params.unit
        longs_due = value * (PPB - params.maintenance_rate) - index
        for entry in self._longs:
            if -(entry >> _NUMBER_BITS) < longs_due:
                break
            yield entry & NUMBER_MAX
        shorts_due = value * (PPB + params.maintenance_rate) - index
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


def _entry(position: Position, params: MarketParams) -> int:
    key = kappa(position, params)
    return ((-key if position.lots > 0 else key) << _NUMBER_BITS) | position.number
