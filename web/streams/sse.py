"""SSE: committed rows as events, each once and in order, or an explicit reset.

A row is encoded once, whatever the number of readers. An event's id is ``<epoch>-<offset>`` and stands on the last
event of its row, so that a reader who resumes after it misses nothing and sees nothing twice. A reader that takes
too little of what is written to it is cut off, at a time limit or a byte limit; the others do not notice.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import Final

import msgspec
import structlog
from aiohttp import web
from aiohttp_sse import EventSourceResponse

from perps.events import (
    CloseReason,
    Events,
    MarketListed,
    ModeChanged,
    PositionOpened,
    PositionReduced,
    PriceUpdated,
    decode_events,
)
from perps.journal import Entry, JournalUnavailable, Row
from perps.params import MarketParams
from web.answers import decimals
from web.answers.times import rfc3339
from web.readside.model import ReadModel
from web.streams.resume_turns import ResumeTurns, Turn

BEHIND_BYTES_MAX: Final = 1 << 20
"""What a reader that has caught up may have waiting behind the write under way before it is cut off."""

READERS_MAX: Final = 10_000

RESUME_ROWS_MAX: Final = 50_000
"""How far back a stream may resume from the journal; further back it is reset."""

RESUME_PAGE: Final = 500
"""Rows that are read and encoded in one turn of a reader who catches up."""

RESUME_EVENTS: Final = 2_000
"""Events of those rows, from the second on: a crash may have put hundreds of liquidations into each."""

WRITE_S: Final = 15.0
"""How long one write may wait for a reader before it is cut off.

A write ends when all but 16 KiB of it has gone to the system, which takes more only when the reader has taken a third
of what it has. So a reader that takes less than some 20 KB/s is cut off, but only while there is more than that to
tell: of a quiet market nothing waits, and nobody knows who reads.
"""

SEND_BYTES: Final = 256 * 1024
"""What the system may keep of a stream, and as much again for its own use. By default it is megabytes: memory that
10,000 readers would have, and of which a third must have been taken before the next write ends."""

HEARTBEAT_S: Final = 15.0

RETRY_MS: Final = 1_000
"""How soon a browser should come back after a break."""

EventId = tuple[int, int]
"""(epoch, offset)."""

log = structlog.get_logger()

_encode = msgspec.json.Encoder().encode


class Reader:
    """One open stream: what it wants and what waits for it."""

    def __init__(self, tickers: frozenset[str] | None, *, behind_bytes_max: int = BEHIND_BYTES_MAX) -> None:
        self.tickers = tickers
        self._behind_bytes_max = behind_bytes_max
        self.blocks: list[bytes] = []
        self.bytes_waiting = 0
        self.wake = asyncio.Event()
        self.ended = False
        """It has left, or has been cut off: nothing more is written to it."""
        self.is_behind = False
        """It has not taken yet what was written to it last."""
        self.abort: Callable[[], None] = lambda: None
        """Ends its connection at once, also while a write to it waits."""

    def wants(self, ticker: str) -> bool:
        """Whether this reader follows a market."""
        return self.tickers is None or ticker in self.tickers

    def push(self, block: bytes) -> None:
        """Queue bytes; a reader that had more than the limit waiting already is cut off instead.

        One commit may be larger than the limit (a crash that liquidates thousands): it cuts off nobody who reads.
        """
        if self.bytes_waiting > self._behind_bytes_max:
            self.blocks.clear()
            self.end()
            self.abort()
        else:
            self.blocks.append(block)
            self.bytes_waiting += len(block)
        self.wake.set()

    def end(self) -> None:
        """Write nothing more to it."""
        self.ended = True
        self.wake.set()

    def take(self) -> bytes:
        """All that waits, joined."""
        data = b"".join(self.blocks)
        self.blocks.clear()
        self.bytes_waiting = 0
        self.wake.clear()
        return data


class Streams:
    """Every open market stream, fed by ``publish`` after each commit."""

    def __init__(
        self, model: ReadModel, *, behind_bytes_max: int = BEHIND_BYTES_MAX, heartbeat_s: float = HEARTBEAT_S
    ) -> None:
        self.behind_bytes_max, self.heartbeat_s = behind_bytes_max, heartbeat_s
        self._model = model
        self.resume_turns = ResumeTurns()
        self._open: set[Reader] = set()
        self._readers: set[Reader] = set()
        """Those of the open ones that are fed; the others are still catching up."""
        self.closing = False

    @property
    def readers(self) -> int:
        """Open streams."""
        return len(self._open)

    def publish(self, entries: Sequence[Entry]) -> None:
        """Give rows that the read model has just taken to everybody who follows their markets."""
        if not self._readers:
            return
        blocks = [(entry.row.stream, block) for entry in entries if (block := self._block(entry.row, entry.events))]
        if not blocks:
            return
        whole = b"".join(block for _, block in blocks)
        for reader in self._readers:
            if reader.tickers is None:
                reader.push(whole)
            else:
                chosen = b"".join(block for stream, block in blocks if stream in reader.tickers)
                if chosen:
                    reader.push(chosen)

    def open(self, reader: Reader) -> None:
        """A reader has come."""
        self._open.add(reader)

    def add(self, reader: Reader) -> None:
        """Begin to feed a reader."""
        self._readers.add(reader)

    def remove(self, reader: Reader) -> None:
        """A reader has gone."""
        self._readers.discard(reader)
        self._open.discard(reader)

    def close(self) -> None:
        """End every stream: the venue stops. It does not wait for readers that do not read."""
        self.closing = True
        for reader in self._open:
            reader.wake.set()
            if reader.is_behind:
                reader.abort()

    def encode(self, rows: Iterable[Row], reader: Reader) -> tuple[int, bytes]:
        """The first of these rows: the offset of the last of them, and what one reader wants of them.

        They are as many as have ``RESUME_EVENTS`` together, and one at least.
        """
        last, seen = 0, 0
        blocks: list[bytes] = []
        for row in rows:
            events = decode_events(row.payload)
            seen += len(events)
            if last and seen > RESUME_EVENTS:
                break
            last = row.offset
            if reader.wants(row.stream):
                blocks.append(self._block(row, events))
        return last, b"".join(blocks)

    def _block(self, row: Row, events: Events) -> bytes:
        view = self._model.markets.get(row.stream)
        return b"" if view is None else encode_row(row, events, view.market.params)


def encode_row(row: Row, happened: Events, params: MarketParams) -> bytes:
    """A row's public events in SSE format; the id on the last of them. Empty for a row with nothing public."""
    events: list[tuple[str, bytes]] = []
    for event in happened:
        name, data = _public(event, params)
        data |= {"ticker": params.ticker, "offset": row.offset, "at": rfc3339(row.at)}
        events.append((name, _encode(data)))
        if isinstance(event, PositionReduced) and event.reason is CloseReason.LIQUIDATION:
            events.append(("liquidation", _encode(data)))
    parts = [b"event: %s\ndata: %s\n" % (name.encode(), data) for name, data in events]
    if not parts:
        return b""
    parts[-1] += b"id: %d-%d\n" % (row.epoch, row.offset)
    return b"\n".join(parts) + b"\n"


def _public(event: object, params: MarketParams) -> tuple[str, dict[str, object]]:
    tick, lot = params.tick_size, params.lot_size
    match event:
        case PriceUpdated():
            return "price", {
                "indexPrice": decimals.price(event.price, tick),
                "markPrice": decimals.price(event.mark, tick),
                "quotePrice": decimals.price(event.quote, tick),
                "source": event.source,
            }
        case PositionOpened(fill=fill) | PositionReduced(fill=fill):
            opened = isinstance(event, PositionOpened)
            data: dict[str, object] = {
                "kind": "open" if opened else "close",
                "side": "long" if (fill.lots > 0) is opened else "short",
                "price": decimals.average_price(fill.cost, fill.lots, params),
                "size": decimals.money(abs(fill.cost)),
                "quantity": decimals.quantity(abs(fill.lots), lot),
                "markPrice": decimals.price(fill.mark_price, tick),
                "quotePrice": decimals.price(fill.quote_after, tick),
            }
            if isinstance(event, PositionReduced):
                data["realizedPnL"] = decimals.money(event.pnl)
                if event.reason is CloseReason.LIQUIDATION:
                    data["kind"] = "liquidation"
            return "trade", data
        case ModeChanged(mode=mode, reason=reason):
            return "market", {"status": mode, "reason": reason}
        case MarketListed(params=listed):
            return "market", {"status": "enabled", "name": listed.name, "reason": "listed"}
        case _:
            raise TypeError(f"{type(event).__name__} is not a market's event")


def frame(name: str, data: object, event_id: EventId | None = None) -> bytes:
    """One event in SSE format."""
    ident = b"" if event_id is None else b"id: %d-%d\n" % event_id
    return b"event: %s\ndata: %s\n%s\n" % (name.encode(), _encode(data), ident)


def parse_event_id(text: str) -> EventId | None:
    """An event id as sent back by a reader; None when it cannot be one."""
    match = re.fullmatch(r"(\d{1,18})-(\d{1,18})", text, re.ASCII)
    return (int(match[1]), int(match[2])) if match else None


RowsAfter = Callable[[int, int], Awaitable[list[Row]]]
"""Journal rows: (offset, limit) → rows in order."""


class MarketStream:
    """One reader's stream, from its first byte to its end."""

    def __init__(self, streams: Streams, model: ReadModel, rows_after: RowsAfter, turn: Turn) -> None:
        self._streams, self._model, self._rows_after, self._turn = streams, model, rows_after, turn

    async def serve(
        self,
        request: web.Request,
        reader: Reader,
        since: str | None,
        snapshot: Callable[[], object],
        *,
        request_id: str,
    ) -> EventSourceResponse:
        """Begin where the reader left off, or with a snapshot, and write until it leaves or is cut off.

        ``since`` is the id it saw last; one that is too old, from the future or garbled gets ``reset`` and a snapshot.
        A stream is its connection's last answer: requests that come behind it are not kept for when it has ended.
        """
        request.protocol.close()
        headers = {"X-Request-Id": request_id}
        response = EventSourceResponse(ping_interval=self._streams.heartbeat_s, sep="\n", headers=headers)
        await response.prepare(request)
        if request.transport is not None:
            reader.abort = request.transport.abort
            with suppress(OSError):  # it has gone already
                request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        self._streams.open(reader)
        async with response:
            heartbeat = asyncio.create_task(response.wait())
            heartbeat.add_done_callback(lambda _: reader.end())
            try:
                await self._write(response, reader, b"retry: %d\n\n" % RETRY_MS)
                if since is None or not await self._resume(response, reader, since):
                    if since is not None:
                        reader.push(
                            frame(
                                "reset",
                                {"since": since.encode("ascii", "replace")[:64].decode(), "offset": self._model.offset},
                            )
                        )
                    reader.push(frame("snapshot", snapshot(), (self._model.epoch, self._model.offset)))
                    self._streams.add(reader)
                while not (reader.ended or self._streams.closing):
                    data = reader.take()
                    if data:
                        await self._write(response, reader, data)
                    else:
                        await reader.wake.wait()
            except ConnectionError:
                pass  # the reader has left, or has been cut off
            except JournalUnavailable as error:
                log.warning("stream.ended", error=str(error))  # the reader comes back in a second
            finally:
                heartbeat.cancel()
                self._streams.remove(reader)
        return response

    @staticmethod
    async def _write(response: EventSourceResponse, reader: Reader, data: bytes) -> None:
        reader.is_behind = True
        try:
            async with asyncio.timeout(WRITE_S):
                await response.write(data)
        except TimeoutError as error:
            reader.abort()
            raise ConnectionResetError("the reader does not read") from error
        reader.is_behind = False

    async def _resume(self, response: EventSourceResponse, reader: Reader, since: str) -> bool:
        """Write all that a reader missed and begin to feed it; False if that cannot be done without a gap.

        A turn ends before its rows are written: who does not read keeps nobody waiting.
        """
        position = parse_event_id(since)
        if position is None or not await self._is_known(*position):
            return False
        _, offset = position
        while offset < self._model.offset:
            async with self._page_turn(offset):
                rows = await self._page(offset)
                if not rows:
                    return False
                offset, data = self._streams.encode(rows, reader)
            await self._write(response, reader, data)
        self._streams.add(reader)
        return True

    @asynccontextmanager
    async def _page_turn(self, offset: int) -> AsyncIterator[None]:
        """This reader's next turn, with the rows after ``offset`` to come; a venue that stops has none to give."""
        async with self._turn(self._model.offset - offset):
            if self._streams.closing:
                raise ConnectionResetError("the venue is stopping")
            yield

    async def _is_known(self, epoch: int, offset: int) -> bool:
        """Whether a stream may go on after this row: it is one of the journal's, and not too far back."""
        model = self._model
        if offset > model.offset or epoch > model.epoch or model.offset - offset > RESUME_ROWS_MAX:
            return False
        if not offset:
            return True
        known = model.row(offset)
        if known is None:
            async with self._page_turn(offset):
                known = next(iter(await self._rows_after(offset - 1, 1)), None)
        return known is not None and (known.epoch, known.offset) == (epoch, offset)

    async def _page(self, offset: int) -> list[Row]:
        """The rows after an offset, from memory or the journal; none if the next of them has been archived."""
        oldest = self._model.oldest_offset
        if oldest is not None and offset + 1 >= oldest:
            return list(islice(self._model.rows_after(offset), RESUME_PAGE))
        found = await self._rows_after(offset, RESUME_PAGE)
        rows = [row for row in found if row.offset <= self._model.offset]  # later ones are yet to come
        return rows if rows and rows[0].offset == offset + 1 else []
