"""The stream hub: committed rows go to every subscriber once and in order, or the subscriber is reset.

It knows rows, subscribers, how far each has come, and how much may wait for one. It knows no protocol and encodes
nothing: a ``Kind`` of stream turns a row into bytes, once for all its subscribers. A transport reads the bytes from
``follow`` and writes them; one that writes too slowly is cut off at a byte limit, and the others do not notice.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from itertools import islice
from typing import Final, NamedTuple

import structlog

from perps.engine import entry_of
from perps.journal import Entry, Row
from web.readside.model import ReadModel
from web.readside.money import PastMoney
from web.streams.deliveries import Deliveries
from web.streams.resume_turns import ResumeTurns, Turn
from web.streams.subscribers import BEHIND_BYTES_MAX, Followers, Kind, Place, Subscriber, place_of
from web.streams.topics import Topics

SUBSCRIBERS_MAX: Final = 10_000

RESUME_ROWS_MAX: Final = 50_000
"""How far back a stream may resume from the journal; further back it is reset."""

RESUME_PAGE: Final = 500
"""Rows that are read and encoded in one turn of a subscriber who catches up."""

RESUME_EVENTS: Final = 2_000
"""Events of those rows, from the second on: a crash may have put hundreds of liquidations into each."""

RowsAfter = Callable[[int, int], Awaitable[list[Row]]]
"""Journal rows: (offset, limit) → rows in order. Raises ``JournalUnavailable``."""

log = structlog.get_logger()


class _Missed(NamedTuple):
    """Rows up to ``end``, and what must be known to tell them."""

    end: int
    past: PastMoney | None


class _Page(NamedTuple):
    """Rows up to ``last``, as a subscriber gets them."""

    last: int
    data: bytes


class _Closing(Exception):
    """The venue stops: nobody catches up any more."""


class Hub:
    """Every open stream, fed by ``publish`` after each commit. On one event loop."""

    def __init__(self, model: ReadModel, rows_after: RowsAfter, *, behind_bytes_max: int = BEHIND_BYTES_MAX) -> None:
        self._model, self._rows_after, self._behind_bytes_max = model, rows_after, behind_bytes_max
        self.resume_turns = ResumeTurns()
        self._open: set[Subscriber] = set()
        self._fed: dict[Kind, Followers] = {}
        """Those of the open ones that have caught up, by kind. A kind that nobody follows has no entry."""
        self._deliveries = Deliveries()
        self.closing = False

    @property
    def readers(self) -> int:
        """Open streams."""
        return len(self._open)

    @property
    def is_full(self) -> bool:
        """Whether another stream would be one too many; a hub that closes has no room either."""
        return self.closing or len(self._open) >= SUBSCRIBERS_MAX

    def subscriber(self, kind: Kind, topics: Topics) -> Subscriber:
        """A new subscriber of a kind, for ``follow``."""
        return Subscriber(kind, topics, self._deliveries, behind_bytes_max=self._behind_bytes_max)

    def publish(self, entries: Sequence[Entry]) -> None:
        """Give rows that the read model has just taken to everybody who follows them.

        A kind that cannot encode them ends its own streams, and nothing else: their readers come back, and are reset.
        """
        for kind, followers in self._fed.items():
            try:
                followers.feed(kind, entries)
            except Exception:
                subscribers = [subscriber for group in followers.groups.values() for subscriber in group]
                log.exception("stream.not_encoded", kind=type(kind).__name__, streams=len(subscribers))
                for subscriber in subscribers:
                    subscriber.end()

    async def follow(self, subscriber: Subscriber, since: str | None, turn: Turn) -> AsyncGenerator[bytes, None]:
        """All that a subscriber reads, from the place it saw last, until it ends or the hub closes.

        It gets a snapshot first when ``since`` is None; a ``reset`` and a snapshot when its place is too old, from the
        future or garbled. Each block is taken when the last one has been written. An empty one asks only to wait until
        all that ``Subscriber.write`` was given has been written. ``turn`` gives its turns to catch up.
        Raises ``JournalUnavailable``. Close the iterator (``contextlib.aclosing``): that ends the subscription.
        """
        self._open.add(subscriber)
        try:
            offset = None if since is None else await self._known_offset(since, turn)
            if offset is not None:
                async with aclosing(self._catch_up(subscriber, offset, turn)) as pages:
                    async for page in pages:
                        if page is None:
                            offset = None
                        elif page:
                            subscriber.is_behind = True
                            yield page
                            subscriber.is_behind = False
            if offset is None:
                if since is not None:
                    subscriber.push(subscriber.kind.reset(since, self._model.offset))
                subscriber.push(subscriber.kind.snapshot(subscriber.topics))
            self._fed.setdefault(subscriber.kind, Followers()).add(subscriber)
            while not (subscriber.ended or self.closing):
                data = subscriber.take()
                if data or subscriber.is_behind:
                    subscriber.is_behind = True
                    yield data
                    subscriber.is_behind = False
                else:
                    subscriber.is_idle = True
                    await subscriber.wake.wait()
                    subscriber.is_idle = False
        except _Closing:
            pass
        finally:
            self._forget(subscriber)

    def close(self) -> None:
        """End every stream: the venue stops. It does not wait for readers that do not read."""
        self._deliveries.flush()
        self.closing = True
        for subscriber in self._open:
            subscriber.wake.set()
            if subscriber.is_behind:
                subscriber.abort()

    def _forget(self, subscriber: Subscriber) -> None:
        self._open.discard(subscriber)
        followers = self._fed.get(subscriber.kind)
        if followers is not None:
            followers.remove(subscriber)
            if not followers.groups:
                del self._fed[subscriber.kind]

    async def _known_offset(self, since: str, turn: Turn) -> int | None:
        """Where a stream may go on: ``since`` is one of the journal's rows and not too far back. Else None."""
        place, model = parse_place(since), self._model
        if place is None:
            return None
        epoch, offset = place
        if offset > model.offset or epoch > model.epoch or model.offset - offset > RESUME_ROWS_MAX:
            return None
        if not offset:
            return 0
        known = model.row(offset)
        if known is None:
            async with self._page_turn(turn, offset):
                known = next(iter(await self._rows_after(offset - 1, 1)), None)
        return offset if known is not None and (known.epoch, known.offset) == place else None

    async def _catch_up(self, subscriber: Subscriber, offset: int, turn: Turn) -> AsyncGenerator[bytes | None, None]:
        """What a subscriber missed, page by page, until it has all. None at the end: it cannot be had without a gap.

        A turn ends before its page is written: a reader who does not read keeps nobody waiting.
        """
        model = self._model
        while offset < model.offset and not subscriber.ended:
            missed = await self._look_ahead(subscriber, offset, turn)
            while missed is not None and offset < missed.end and not subscriber.ended:
                page = await self._missed(subscriber, offset, missed, turn)
                if page is None:
                    missed = None
                else:
                    offset = page.last
                    yield page.data
            if missed is None:
                yield None
                return

    async def _look_ahead(self, subscriber: Subscriber, offset: int, turn: Turn) -> _Missed | None:
        """How far a subscriber is behind, and what its kind must know of the time before; None: there is a gap.

        For what its kind must know, all that it missed is read twice.
        """
        past, model = subscriber.kind.past(subscriber.topics), self._model
        while past is not None and offset < model.offset and not subscriber.ended:
            async with self._page_turn(turn, offset):
                last, entries = await self._decoded(subscriber, offset, model.offset)
                if last is None:
                    return None
                past.note(entries)
                offset = last
        if past is not None:
            past.begin()
        return _Missed(model.offset, past)

    async def _missed(self, subscriber: Subscriber, offset: int, missed: _Missed, turn: Turn) -> _Page | None:
        """One page; None: it cannot be had."""
        async with self._page_turn(turn, offset):
            last, entries = await self._decoded(subscriber, offset, missed.end)
            if last is None:
                return None
            try:
                return _Page(last, _encoded(subscriber, entries, missed.past))
            except Exception:
                log.exception("stream.not_encoded", kind=type(subscriber.kind).__name__, streams=1)
                return None

    async def _decoded(self, subscriber: Subscriber, offset: int, end: int) -> tuple[int | None, list[Entry]]:
        """The rows after an offset: that of the last of them (None: no rows), and those that may concern a subscriber.

        They are a page, or as many as have ``RESUME_EVENTS`` together, and one at least; none is behind ``end``.
        """
        last, seen = None, 0
        entries: list[Entry] = []
        for row in await self._page(offset):
            if row.offset > end:
                break
            if subscriber.kind.concerns(row, subscriber.topics):
                entry = entry_of(row)
                seen += len(entry.events)
                if last and seen > RESUME_EVENTS:
                    break
                entries.append(entry)
            last = row.offset
        return last, entries

    @asynccontextmanager
    async def _page_turn(self, turn: Turn, offset: int) -> AsyncIterator[None]:
        """A subscriber's next turn, with the rows after ``offset`` to come; a hub that closes has none to give."""
        async with turn(self._model.offset - offset):
            if self.closing:
                raise _Closing
            yield

    async def _page(self, offset: int) -> list[Row]:
        """The rows after an offset, from memory or the journal; none if the next of them has been archived."""
        oldest = self._model.oldest_offset
        if oldest is not None and offset + 1 >= oldest:
            return list(islice(self._model.rows_after(offset), RESUME_PAGE))
        found = await self._rows_after(offset, RESUME_PAGE)
        rows = [row for row in found if row.offset <= self._model.offset]  # later ones are yet to come
        return rows if rows and rows[0].offset == offset + 1 else []


def parse_place(text: str) -> Place | None:
    """A place as a reader sends it back; None when it cannot be one."""
    match = re.fullmatch(r"(\d{1,18})-(\d{1,18})", text, re.ASCII)
    return (int(match[1]), int(match[2])) if match else None


def _encoded(subscriber: Subscriber, entries: Sequence[Entry], past: PastMoney | None) -> bytes:
    """What a subscriber wants of rows that it missed."""
    kind, wanted = subscriber.kind, subscriber.topics
    parts: list[bytes] = []
    for entry, blocks in zip(entries, kind.tell(entries, wanted, past), strict=True):
        chosen = [data for topics, data in blocks if not wanted.isdisjoint(topics)]
        if chosen:
            parts.append(kind.row(chosen, place_of(entry.row)))
    return b"".join(parts)
