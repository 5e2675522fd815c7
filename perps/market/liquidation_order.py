"""Which position is due first: positions sorted by κ, a key that neither a price nor funding moves.

Insert and remove O(log n); asking whether anybody is due is one comparison a side and tier, whatever the number of
positions. κ says nothing of the maintenance rate, so positions of each size tier have lists of their own.
"""

from collections.abc import Iterable, Iterator
from heapq import merge
from operator import itemgetter
from typing import Final

from sortedcontainers import SortedList

from perps.market.position import Position, kappa
from perps.params import MarketParams
from perps.units import PPB, FundingIndex, Ppb, div_ceil, div_floor

_NUMBER_BITS = 48
NUMBER_MAX = (1 << _NUMBER_BITS) - 1
"""No position of a market has a higher number."""


NOBODY_LONG: Final = -(1 << 200)
NOBODY_SHORT: Final = 1 << 200
"""The head of an empty list: due at no price."""


class _Lists:
    """Longs by κ descending and shorts by κ ascending, each entry one integer: the key, then the number."""

    __slots__ = ("least", "longs", "most", "shorts")

    def __init__(self) -> None:
        self.longs: SortedList[int] = SortedList()
        self.shorts: SortedList[int] = SortedList()
        self.most = NOBODY_LONG
        """The greatest κ of a long …"""
        self.least = NOBODY_SHORT
        """… and the least of a short: who is due first."""

    def add(self, position: Position, params: MarketParams) -> None:
        key = kappa(position, params)
        if position.lots > 0:
            self.longs.add((-key << _NUMBER_BITS) | position.number)
            if key > self.most:
                self.most = key
        else:
            self.shorts.add((key << _NUMBER_BITS) | position.number)
            if key < self.least:
                self.least = key

    def add_all(self, positions: list[Position], params: MarketParams) -> None:
        entries: tuple[list[int], list[int]] = ([], [])
        for position in positions:
            key, is_long = kappa(position, params), position.lots > 0
            entries[is_long].append(((-key if is_long else key) << _NUMBER_BITS) | position.number)
        self.shorts.update(entries[False])
        self.longs.update(entries[True])
        self._look()

    def remove(self, position: Position, params: MarketParams) -> None:
        key = kappa(position, params)
        if position.lots > 0:
            self.longs.remove((-key << _NUMBER_BITS) | position.number)
        else:
            self.shorts.remove((key << _NUMBER_BITS) | position.number)
        if key in (self.most, self.least):
            self._look()

    def _look(self) -> None:
        self.most = -(self.longs[0] >> _NUMBER_BITS) if self.longs else NOBODY_LONG
        self.least = self.shorts[0] >> _NUMBER_BITS if self.shorts else NOBODY_SHORT


class LiquidationOrder:
    """Lists for each size tier, by its place; one pair without tiers."""

    def __init__(self) -> None:
        self._tiers = [_Lists()]

    def add(self, position: Position, params: MarketParams) -> None:
        """Enter a position. Its place follows from its lots, cash and ``params`` alone."""
        lists = self._of(params.tier_of(position.lots)) if params.tiers else self._tiers[0]
        lists.add(position, params)

    def add_all(self, positions: Iterable[Position], params: MarketParams) -> None:
        """Enter many at once, for less than one by one."""
        by_tier: dict[int, list[Position]] = {}
        for position in positions:
            by_tier.setdefault(params.tier_of(position.lots), []).append(position)
        for tier, found in by_tier.items():
            self._of(tier).add_all(found, params)

    def remove(self, position: Position, params: MarketParams) -> None:
        """Take out a position that was entered with the same lots, cash and ``params``."""
        self._of(params.tier_of(position.lots)).remove(position, params)

    def rekey(self, positions: Iterable[Position], params: MarketParams) -> None:
        """The market has other tiers: every position gets its place anew."""
        self._tiers = [_Lists()]
        self.add_all(positions, params)

    def may_be_due(self, price: int, params: MarketParams, index: FundingIndex, scale: int = 1) -> bool:
        """Whether there is any candidate: one comparison a side and tier, whatever the number of positions."""
        value = price * params.unit
        if not params.tiers:
            lists, rate = self._tiers[0], params.maintenance_rate
            longs_due, shorts_due = div_ceil(value * (PPB - rate), scale), div_floor(value * (PPB + rate), scale)
            return lists.most >= longs_due - index or lists.least <= shorts_due - index
        return any(
            lists.most >= _long_due(value, scale, tier.maintenance_rate, index)
            or lists.least <= _short_due(value, scale, tier.maintenance_rate, index)
            for lists, tier in zip(self._tiers, params.tiers, strict=False)
        )

    def candidates(self, price: int, params: MarketParams, index: FundingIndex, scale: int = 1) -> Iterator[int]:
        """Numbers of the positions whose κ says they are due at ``price``/``scale`` ticks, longs then shorts.

        The most endangered of each side come first: those whose κ is furthest beyond what their tier allows. κ is
        rounded so as never to be late: a candidate may fail the exact predicate and must then be skipped. Stop
        iterating before changing the order.
        """
        value = price * params.unit
        rates = [tier.maintenance_rate for tier in params.tiers] or [params.maintenance_rate]
        rated = list(zip(self._tiers, rates, strict=False))
        yield from _in_turn([_longs_beyond(lists.longs, _long_due(value, scale, rate, index)) for lists, rate in rated])
        yield from _in_turn(
            [_shorts_beyond(lists.shorts, _short_due(value, scale, rate, index)) for lists, rate in rated]
        )

    def entries(self) -> list[tuple[list[int], list[int]]]:
        """Everything in it, as it lies: equal for equal contents, whatever stood in later tiers before."""
        found = [(list(lists.longs), list(lists.shorts)) for lists in self._tiers]
        while len(found) > 1 and found[-1] == ([], []):
            found.pop()
        return found

    def __len__(self) -> int:
        return sum(len(lists.longs) + len(lists.shorts) for lists in self._tiers)

    def _of(self, tier: int) -> _Lists:
        tiers = self._tiers
        while len(tiers) <= tier:
            tiers.append(_Lists())
        return tiers[tier]


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
