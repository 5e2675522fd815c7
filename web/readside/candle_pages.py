"""Pages of candles: the newest of a span, or from a moment on, forwards; with gaps left out, or filled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from perps.query_rows import Candle


class Find(Protocol):
    """Finds candles of one market and interval, wherever they are."""

    async def __call__(self, start_ms: int, end_ms: int, limit: int, /, *, newest: bool) -> Sequence[Candle]:
        """The newest or oldest ``limit`` candles that open in [start, end), oldest first."""
        ...


class CandlePage(NamedTuple):
    """Candles, oldest first, and where the next page begins; None: there is none."""

    candles: Sequence[Candle]
    next_ms: int | None = None


async def newest_page(find: Find, span: range, limit: int, *, fill: bool) -> CandlePage:
    """The newest ``limit`` candles that open in a span, whose step is the interval."""
    if not fill:
        return CandlePage(await find(span.start, span.stop, limit, newest=True))
    return CandlePage((await _filled(find, _starts(span)[-limit:])).candles)


async def page_from(find: Find, span: range, limit: int, *, fill: bool) -> CandlePage:
    """The oldest ``limit`` candles that open in a span, whose step is the interval."""
    if not fill:
        found = await find(span.start, span.stop, limit + 1, newest=False)
        return CandlePage(found[:limit], found[limit].start if len(found) > limit else None)
    return await _filled(find, _starts(span), limit)


async def _filled(find: Find, starts: range, limit: int | None = None) -> CandlePage:
    """At most ``limit`` candles, one for each start; none for those before the market's first candle."""
    if not starts:
        return CandlePage(())
    before = await find(0, starts.start, 1, newest=True)
    if not before:
        first = await find(starts.start, starts.stop, 1, newest=False)
        if not first:
            return CandlePage(())
        starts = range(first[0].start, starts.stop, starts.step)
    page = starts[:limit]
    found = await find(page.start, page.stop, len(page), newest=False)
    candles = list(_without_gaps(page, found, before[-1] if before else found[0]))
    return CandlePage(candles, starts[limit] if limit is not None and len(starts) > limit else None)


def _without_gaps(starts: range, found: Sequence[Candle], last: Candle) -> Iterator[Candle]:
    """One candle for each start: the one that was found, or a flat one at the close before it."""
    there = {candle.start: candle for candle in found}
    for start in starts:
        candle = there.get(start)
        last = Candle(start, last.close, last.close, last.close, last.close) if candle is None else candle
        yield last


def _starts(span: range) -> range:
    """Where candles open in a span: at the multiples of its step."""
    return range(span.start + -span.start % span.step, span.stop, span.step)
