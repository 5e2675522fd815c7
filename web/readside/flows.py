"""What trades did to a market lately: bought and sold, opened and closed, liquidated, by how many people.

Sums by minute, for the minutes in which something was traded, of a day at most. So a market has at most 1,440 of them
(some 0.3 MB) and one number for each of its traders, ``TRADERS_KEPT`` at most.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice, takewhile
from typing import Final, NamedTuple

from perps.candles import MINUTE_MS
from perps.effects import Traded, TradeKind
from perps.units import PPB
from web.readside.sums import Sum, packed, unpacked

WINDOWS: Final[dict[str, int]] = {"1m": 1, "5m": 5, "1h": 60, "24h": 1440}
"""How many minutes a window has: the present one, and those before it."""
MINUTES_KEPT: Final = max(WINDOWS.values())
TRADERS_KEPT: Final = 100_000
"""Traders of a day that are told apart; beyond that those who traded longest ago are forgotten, and not counted."""

MinuteImage = tuple[int, Sum, Sum, int, int, int, Sum, int, int, int]
"""start, bought, sold, opens, closes, liquidations, liquidated, traders, latest, ended_by."""


class FlowsImage(NamedTuple):
    """A market's flows, frozen."""

    minutes: list[MinuteImage]
    traders: list[tuple[str, int]]
    """With the minute of each one's last trade, in the order of these."""
    is_whole: bool = True
    """They count from the market's first row on. False: from a snapshot that had none."""


class Flow:
    """What was traded in some minutes. Volumes are micros."""

    __slots__ = ("bought", "closes", "liquidated", "liquidations", "opens", "sold", "start", "traders")

    def __init__(self, start: int) -> None:
        self.start = start
        """When the first of the minutes begins, ms."""
        self.bought = 0
        self.sold = 0
        self.opens = 0
        self.closes = 0
        """Settlements included, liquidations not."""
        self.liquidations = 0
        self.liquidated = 0
        self.traders = 0
        """How many users traded; each counts once."""

    def add(self, other: Flow) -> None:
        """Take other minutes in, but not their traders, who may be the same."""
        self.bought += other.bought
        self.sold += other.sold
        self.opens += other.opens
        self.closes += other.closes
        self.liquidations += other.liquidations
        self.liquidated += other.liquidated

    @property
    def sentiment(self) -> int:
        """(bought − sold)/(bought + sold), ppb, rounded toward 0; 0 without a trade."""
        total, net = self.bought + self.sold, self.bought - self.sold
        if not total:
            return 0
        share = abs(net) * PPB // total
        return share if net > 0 else -share


class _Minute(Flow):
    __slots__ = ("ended_by", "latest")

    def __init__(self, start: int) -> None:
        super().__init__(start)
        self.latest = 0
        """How many users traded in it and never since."""
        self.ended_by = 0
        """The market's first row after it; 0: it goes on."""


class MarketFlows:
    """The flows of one market, built from its committed rows in order."""

    __slots__ = ("_by_end", "_minutes", "_newest", "_past", "_traders", "is_whole")

    def __init__(self) -> None:
        self.is_whole = True
        self._minutes: OrderedDict[int, _Minute] = OrderedDict()
        """By their starts, the oldest first."""
        self._newest: _Minute | None = None
        self._traders: OrderedDict[str, int] = OrderedDict()
        """The minute of each user's last trade, in the order of these."""
        self._by_end: dict[int, _Minute] = {}
        self._past: dict[int, tuple[tuple[int, int], Flow]] = {}
        """Of each window, the minutes before the newest one: added up once a minute, not at every request."""

    @classmethod
    def from_image(cls, image: FlowsImage | None) -> MarketFlows:
        """The flows that an image was taken of; of a snapshot that has none, new ones."""
        flows = cls()
        if image is None:
            flows.is_whole = False
            return flows
        flows.is_whole = image.is_whole
        for stored in image.minutes:
            minute = _Minute(stored[0])
            minute.bought, minute.sold, minute.liquidated = map(unpacked, (stored[1], stored[2], stored[6]))
            minute.opens, minute.closes, minute.liquidations = stored[3:6]
            minute.traders, minute.latest, minute.ended_by = stored[7:]
            flows._minutes[minute.start] = flows._newest = minute
            if minute.ended_by:
                flows._by_end[minute.ended_by] = minute
        flows._traders.update(image.traders)
        return flows

    def image(self) -> FlowsImage:
        """All of it, frozen."""
        minutes = [
            (
                minute.start,
                packed(minute.bought),
                packed(minute.sold),
                minute.opens,
                minute.closes,
                minute.liquidations,
                packed(minute.liquidated),
                minute.traders,
                minute.latest,
                minute.ended_by,
            )
            for minute in self._minutes.values()
        ]
        return FlowsImage(minutes, list(self._traders.items()), self.is_whole)

    def row(self, offset: int, at: int) -> None:
        """A row of the market begins: it may be the first one after a minute."""
        minute = self._newest
        if minute is not None and not minute.ended_by and at - minute.start >= MINUTE_MS:
            minute.ended_by = offset
            self._by_end[offset] = minute
            self._forget(at)

    def trade(self, at: int, traded: Traded) -> None:
        """A trade of the row that has begun."""
        start = at - at % MINUTE_MS
        minute = self._newest
        if minute is None or start > minute.start:
            minute = self._newest = self._minutes[start] = _Minute(start)
        volume = abs(traded.fill.cost)
        if traded.fill.lots > 0:
            minute.bought += volume
        else:
            minute.sold += volume
        if traded.kind is TradeKind.OPEN:
            minute.opens += 1
        elif traded.kind is TradeKind.LIQUIDATION:
            minute.liquidations += 1
            minute.liquidated += volume
        else:
            minute.closes += 1
        self._traded(traded.position.user, minute)

    def ended_by(self, offset: int) -> Flow | None:
        """The minute that a row ended, if it did."""
        return self._by_end.get(offset)

    def window(self, now_ms: int, minutes: int) -> Flow:
        """The present minute and those before it, so many in all."""
        start = now_ms - now_ms % MINUTE_MS - (minutes - 1) * MINUTE_MS
        newest = self._newest
        found = Flow(start)
        if newest is None or newest.start < start:
            return found
        key = start, newest.start
        if minutes not in self._past or self._past[minutes][0] != key:
            self._past[minutes] = key, _sum(start, islice(reversed(self._minutes.values()), 1, None))
        past = self._past[minutes][1]
        found.add(past)
        found.add(newest)
        found.traders = past.traders + newest.latest
        return found

    def _traded(self, user: str, minute: _Minute) -> None:
        last = self._traders.get(user)
        if last == minute.start:
            return
        if last is not None:
            self._leaves(last)
        self._traders[user] = minute.start
        self._traders.move_to_end(user)
        minute.traders += 1
        minute.latest += 1
        if len(self._traders) > TRADERS_KEPT:
            self._leaves(self._traders.popitem(last=False)[1])

    def _leaves(self, start: int) -> None:
        before = self._minutes.get(start)
        if before is not None:
            before.latest -= 1
            for (begin, newest), past in self._past.values():
                past.traders -= begin <= start < newest

    def _forget(self, at: int) -> None:
        """What no window shows any more; but the newest minute, which its next row has yet to tell."""
        oldest = at - at % MINUTE_MS - (MINUTES_KEPT - 1) * MINUTE_MS
        while len(self._minutes) > 1 and (first := next(iter(self._minutes))) < oldest:
            del self._by_end[self._minutes.pop(first).ended_by]
        for user, last in list(takewhile(lambda item: item[1] < oldest, self._traders.items())):
            del self._traders[user]
            self._leaves(last)


def _sum(start: int, newest_first: Iterator[_Minute]) -> Flow:
    """The minutes from ``start`` on, each trader in the minute of the last trade."""
    found = Flow(start)
    for minute in takewhile(lambda each: each.start >= start, newest_first):
        found.add(minute)
        found.traders += minute.latest
    return found
