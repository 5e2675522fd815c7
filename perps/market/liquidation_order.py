"""Which position is due first: positions sorted by κ, a key that neither a price nor funding moves.

Insert and remove O(log n); asking whether anybody is due is one comparison a side and tier, whatever the number of
positions. κ says nothing of the maintenance rate, so positions of each size tier have lists of their own.
"""

from collections.abc import Iterable, Iterator
from heapq import merge
from operator import itemgetter

from sortedcontainers import SortedList

from perps.market.position import Position, kappa
from perps.params import MarketParams
from perps.units import PPB, FundingIndex, Ppb, div_ceil, div_floor

_NUMBER_BITS = 48
NUMBER_MAX = (1 << _NUMBER_BITS) - 1
"""No position of a market has a higher number."""


class LiquidationOrder:
    """For each tier longs by κ descending, shorts by κ ascending, each entry one integer: the key, then the number."""

    def __init__(self) -> None:
        self._tiers: list[tuple[SortedList[int], SortedList[int]]] = [(SortedList(), SortedList())]
        """Longs and shorts, by the place of their tier; the first one without tiers."""

    def add(self, position: Position, params: MarketParams) -> None:
        """Enter a position. Its place follows from its lots, cash and ``params`` alone."""
        self._side(position, params).add(_entry(position, params))

    def add_all(self, positions: Iterable[Position], params: MarketParams) -> None:
        """Enter many at once, for less than one by one."""
        entries: dict[tuple[int, bool], list[int]] = {}
        for position in positions:
            place = (params.tier_of(position.lots), position.lots < 0)
            entries.setdefault(place, []).append(_entry(position, params))
        for (tier, is_short), found in entries.items():
            self._of(tier)[is_short].update(found)

    def remove(self, position: Position, params: MarketParams) -> None:
        """Take out a position that was entered with the same lots, cash and ``params``."""
        self._side(position, params).remove(_entry(position, params))

    def rekey(self, positions: Iterable[Position], params: MarketParams) -> None:
        """The market has other tiers: every position gets its place anew."""
        self._tiers = [(SortedList(), SortedList())]
        self.add_all(positions, params)

    def may_be_due(self, price: int, params: MarketParams, index: FundingIndex, scale: int = 1) -> bool:
        """Whether there is any candidate: one comparison a side and tier, whatever the number of positions."""
        value = price * params.unit
        for tier, (longs, shorts) in enumerate(self._tiers):
            rate = params.tiers[tier].maintenance_rate if params.tiers else params.maintenance_rate
            if longs and -(longs[0] >> _NUMBER_BITS) >= _long_due(value, scale, rate, index):
                return True
            if shorts and shorts[0] >> _NUMBER_BITS <= _short_due(value, scale, rate, index):
                return True
        return False

    def candidates(self, price: int, params: MarketParams, index: FundingIndex, scale: int = 1) -> Iterator[int]:
        """Numbers of the positions whose κ says they are due at ``price``/``scale`` ticks, longs then shorts.

        The most endangered of each side come first: those whose κ is furthest beyond what their tier allows. κ is
        rounded so as never to be late: a candidate may fail the exact predicate and must then be skipped. Stop
        iterating before changing the order.
        """
        value = price * params.unit
        rates = [tier.maintenance_rate for tier in params.tiers] or [params.maintenance_rate]
        beyond = [_longs_beyond(longs, _long_due(value, scale, rates[n], index)) for n, (longs, _) in self._numbered()]
        yield from _in_turn(beyond)
        beyond = [
            _shorts_beyond(shorts, _short_due(value, scale, rates[n], index)) for n, (_, shorts) in self._numbered()
        ]
        yield from _in_turn(beyond)

    def entries(self) -> list[tuple[list[int], list[int]]]:
        """Everything in it, as it lies: equal for equal contents, whatever stood in later tiers before."""
        found = [(list(longs), list(shorts)) for longs, shorts in self._tiers]
        while len(found) > 1 and found[-1] == ([], []):
            found.pop()
        return found

    def __len__(self) -> int:
        return sum(len(longs) + len(shorts) for longs, shorts in self._tiers)

    def _numbered(self) -> Iterator[tuple[int, "tuple[SortedList[int], SortedList[int]]"]]:
        return enumerate(self._tiers)

    def _of(self, tier: int) -> "tuple[SortedList[int], SortedList[int]]":
        tiers = self._tiers
        while len(tiers) <= tier:
            tiers.append((SortedList(), SortedList()))
        return tiers[tier]

    def _side(self, position: Position, params: MarketParams) -> "SortedList[int]":
        tier = params.tier_of(position.lots) if params.tiers else 0
        return self._of(tier)[position.lots < 0]


class NoOrder(LiquidationOrder):
    """For followers that liquidate nobody (the read model): keeps nothing."""

    def add(self, position: Position, params: MarketParams) -> None:
        """Nothing to keep."""

    def add_all(self, positions: Iterable[Position], params: MarketParams) -> None:
        """Nothing to keep."""

    def remove(self, position: Position, params: MarketParams) -> None:
        """Nothing was kept."""

    def rekey(self, positions: Iterable[Position], params: MarketParams) -> None:
        """Nothing is kept."""


def _long_due(value: int, scale: int, rate: Ppb, index: FundingIndex) -> int:
    """The least κ of a long that may be due at P·u = ``value``/``scale``; κ is whole, so rounding loses nobody."""
    return div_ceil(value * (PPB - rate), scale) - index


def _short_due(value: int, scale: int, rate: Ppb, index: FundingIndex) -> int:
    """The greatest κ of a short that may be due."""
    return div_floor(value * (PPB + rate), scale) - index


def _longs_beyond(longs: "SortedList[int]", due: int) -> Iterator[tuple[int, int]]:
    """How far beyond what is allowed (below 0: further), and who."""
    for entry in longs:
        beyond = due + (entry >> _NUMBER_BITS)
        if beyond > 0:
            break
        yield beyond, entry & NUMBER_MAX


def _shorts_beyond(shorts: "SortedList[int]", due: int) -> Iterator[tuple[int, int]]:
    for entry in shorts:
        beyond = (entry >> _NUMBER_BITS) - due
        if beyond > 0:
            break
        yield beyond, entry & NUMBER_MAX


def _in_turn(beyond: list[Iterator[tuple[int, int]]]) -> Iterator[int]:
    return map(itemgetter(1), beyond[0] if len(beyond) == 1 else merge(*beyond))


def _entry(position: Position, params: MarketParams) -> int:
    key = kappa(position, params)
    return ((-key if position.lots > 0 else key) << _NUMBER_BITS) | position.number
