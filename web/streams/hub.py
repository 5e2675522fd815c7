"""The stream hub: committed rows go to every subscriber once and in order, or the subscriber is reset.

It knows rows, subscribers, how far each has come, and how much may wait for one. It knows no protocol and encodes
nothing: a ``Kind`` of stream turns a row into bytes, once for all its subscribers. A transport reads the bytes from
``follow`` and writes them; one that writes too slowly is cut off at a byte limit, and the others do not notice.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Final, Protocol

import structlog

from perps.engine import entry_of
from perps.journal import Entry, Row
from web.readside.model import ReadModel
from web.streams.resume_turns import ResumeTurns, Turn

BEHIND_BYTES_MAX: Final = 1 << 20
"""What a subscriber that has caught up may have waiting behind the write under way before it is cut off."""

SUBSCRIBERS_MAX: Final = 10_000

RESUME_ROWS_MAX: Final = 50_000
"""How far back a stream may resume from the journal; further back it is reset."""

RESUME_PAGE: Final = 500
"""Rows that are read and encoded in one turn of a subscriber who catches up."""

RESUME_EVENTS: Final = 2_000
"""Events of those rows, from the second on: a crash may have put hundreds of liquidations into each."""

Place = tuple[int, int]
"""(epoch, offset) of a row: how far a subscriber has come. As text ``<epoch>-<offset>``."""

Topics = frozenset[str] | None
"""What a subscriber follows; None: everything of its kind."""

Block = tuple[str, bytes]
"""What a row says on one topic, encoded."""

RowsAfter = Callable[[int, int], Awaitable[list[Row]]]
"""Journal rows: (offset, limit) → rows in order. Raises ``JournalUnavailable``."""

log = structlog.get_logger()


class Kind(Protocol):
    """One kind of stream: its topics (a ticker, say, or a user) and its encoding. One object for all subscribers."""

    def blocks(self, entry: Entry, topics: Topics) -> Iterable[Block]:
        """What a row says on these topics, in order; nothing when none of it belongs on a stream of this kind.

        The bytes let the reader know the row's place once it has read all of them.
        """
        ...

    def reset(self, since: str, offset: int) -> bytes:
        """That the stream cannot go on at the place ``since`` (as the reader gave it) and begins anew at ``offset``."""
        ...

    def snapshot(self, topics: Topics) -> bytes:
        """The present state of these topics, and its place."""
        ...


class Subscriber:
    """One open stream: what it wants and what waits for it."""

    def __init__(self, kind: Kind, topics: Topics = None, *, behind_bytes_max: int = BEHIND_BYTES_MAX) -> None:
        self.kind, self.topics = kind, topics
        self._behind_bytes_max = behind_bytes_max
        self._blocks: list[bytes] = []
        self._bytes_waiting = 0
        self.wake = asyncio.Event()
        self.ended = False
        """It has left, or has been cut off: it gets nothing more."""
        self.is_behind = False
        """Its transport is still busy with what it was given last."""
        self.abort: Callable[[], None] = lambda: None
        """Ends its connection at once, also while a write to it waits. Set by the transport."""

    def push(self, block: bytes) -> None:
        """Queue bytes; a subscriber that had more than the limit waiting already is cut off instead.

        One commit may be larger than the limit (a crash that liquidates thousands): it cuts off nobody who reads.
        """
        if self.ended:
            return
        if self._bytes_waiting > self._behind_bytes_max:
            self._blocks.clear()
            self.end()
            self.abort()
        else:
            self._blocks.append(block)
            self._bytes_waiting += len(block)
            self.wake.set()

    def end(self) -> None:
        """Give it nothing more."""
        self.ended = True
        self.wake.set()

    def take(self) -> bytes:
        """All that waits, joined."""
        data = b"".join(self._blocks)
        self._blocks.clear()
        self._bytes_waiting = 0
        self.wake.clear()
        return data


class _Closing(Exception):
    """The venue stops: nobody catches up any more."""


class Hub:
    """Every open stream, fed by ``publish`` after each commit. On one event loop."""

    def __init__(self, model: ReadModel, rows_after: RowsAfter, *, behind_bytes_max: int = BEHIND_BYTES_MAX) -> None:
        self._model, self._rows_after, self._behind_bytes_max = model, rows_after, behind_bytes_max
        self.resume_turns = ResumeTurns()
        self._open: set[Subscriber] = set()
        self._fed: dict[Kind, set[Subscriber]] = {}
        """Those of the open ones that have caught up, by kind. A kind that nobody follows has no entry."""
        self.closing = False

    @property
    def readers(self) -> int:
        """Open streams."""
        return len(self._open)

    @property
    def is_full(self) -> bool:
        """Whether another stream would be one too many; a hub that closes has no room either."""
        return self.closing or len(self._open) >= SUBSCRIBERS_MAX

    def subscriber(self, kind: Kind, topics: Topics = None) -> Subscriber:
        """A new subscriber of a kind, for ``follow``."""
        return Subscriber(kind, topics, behind_bytes_max=self._behind_bytes_max)

    def publish(self, entries: Sequence[Entry]) -> None:
        """Give rows that the read model has just taken to everybody who follows them.

        A kind that cannot encode them ends its own streams, and nothing else: their readers come back, and are reset.
        """
        for kind, subscribers in self._fed.items():
            try:
                blocks = [block for entry in entries for block in kind.blocks(entry, None)]
            except Exception:
                log.exception("stream.not_encoded", kind=type(kind).__name__, streams=len(subscribers))
                for subscriber in subscribers:
                    subscriber.end()
                continue
            if blocks:
                _feed(subscribers, blocks)

    async def follow(self, subscriber: Subscriber, since: str | None, turn: Turn) -> AsyncGenerator[bytes, None]:
        """All that a subscriber reads, from the place it saw last, until it ends or the hub closes.

        It gets a snapshot first when ``since`` is None; a ``reset`` and a snapshot when its place is too old, from the
        future or garbled. Each block is taken when the last one has been written. ``turn`` gives its turns to catch up.
        Raises ``JournalUnavailable``. Close the iterator (``contextlib.aclosing``): that ends the subscription.
        """
        self._open.add(subscriber)
        try:
            offset = None if since is None else await self._known_offset(since, turn)
            while offset is not None and offset < self._model.offset and not subscriber.ended:
                offset, data = await self._missed(subscriber, offset, turn)
                if data:
                    subscriber.is_behind = True
                    yield data
                    subscriber.is_behind = False
            if offset is None:
                if since is not None:
                    subscriber.push(subscriber.kind.reset(since, self._model.offset))
                subscriber.push(subscriber.kind.snapshot(subscriber.topics))
            self._fed.setdefault(subscriber.kind, set()).add(subscriber)
            while not (subscriber.ended or self.closing):
                data = subscriber.take()
                if data:
                    subscriber.is_behind = True
                    yield data
                    subscriber.is_behind = False
                else:
                    await subscriber.wake.wait()
        except _Closing:
            pass
        finally:
            self._forget(subscriber)

    def close(self) -> None:
        """End every stream: the venue stops. It does not wait for readers that do not read."""
        self.closing = True
        for subscriber in self._open:
            subscriber.wake.set()
            if subscriber.is_behind:
                subscriber.abort()

    def _forget(self, subscriber: Subscriber) -> None:
        self._open.discard(subscriber)
        fed = self._fed.get(subscriber.kind)
        if fed is not None:
            fed.discard(subscriber)
            if not fed:
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

    async def _missed(self, subscriber: Subscriber, offset: int, turn: Turn) -> tuple[int | None, bytes]:
        """One page of what a subscriber missed, and the offset it ends at; None: it cannot be had without a gap.

        A turn ends before its page is written: a reader who does not read keeps nobody waiting.
        """
        async with self._page_turn(turn, offset):
            rows = await self._page(offset)
            try:
                return _encoded(subscriber, rows)
            except Exception:
                log.exception("stream.not_encoded", kind=type(subscriber.kind).__name__, streams=1)
                return None, b""

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


def _feed(subscribers: Iterable[Subscriber], blocks: Sequence[Block]) -> None:
    whole = b"".join(data for _, data in blocks)
    for subscriber in subscribers:
        if subscriber.topics is None:
            subscriber.push(whole)
        else:
            chosen = b"".join(data for topic, data in blocks if topic in subscriber.topics)
            if chosen:
                subscriber.push(chosen)


def _encoded(subscriber: Subscriber, rows: Iterable[Row]) -> tuple[int | None, bytes]:
    """The first of these rows: the offset of the last of them (None: no rows), and what a subscriber wants of them.

    They are as many as have ``RESUME_EVENTS`` together, and one at least.
    """
    last, seen = None, 0
    blocks: list[bytes] = []
    for row in rows:
        entry = entry_of(row)
        seen += len(entry.events)
        if last and seen > RESUME_EVENTS:
            break
        last = row.offset
        blocks += (data for _, data in subscriber.kind.blocks(entry, subscriber.topics))
    return last, b"".join(blocks)
