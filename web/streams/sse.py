"""Server-sent events: the format, the market stream in it, and the response that a reader holds open.

An event's id is its row's place, ``<epoch>-<offset>``, and comes with the last event of the row. So a reader who
resumes after it misses nothing and sees nothing twice.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from contextlib import aclosing, suppress
from typing import Final

import structlog
from aiohttp import web
from aiohttp_sse import EventSourceResponse

from actors.ports import Clock
from perps.journal import Entry, JournalUnavailable
from perps.wire.base import encode
from perps.wire.streams import MarketsNow
from web.answers.markets import market
from web.answers.stream_events import public_events
from web.readside.model import ReadModel
from web.streams.hub import Block, Hub, Place, Subscriber, Topics
from web.streams.resume_turns import Turn

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

SINCE_SHOWN_MAX: Final = 64
"""Characters of a reader's place that a ``reset`` repeats."""

log = structlog.get_logger()


class MarketSse:
    """The public market stream in SSE format; a topic is a ticker. A ``Kind`` for the hub."""

    def __init__(self, model: ReadModel, clock: Clock) -> None:
        self._model, self._clock = model, clock

    def blocks(self, entry: Entry, topics: Topics) -> Iterable[Block]:
        """A market row's public events; nothing for a row that belongs to no market."""
        row, view = entry.row, self._model.markets.get(entry.row.stream)
        if view is None or (topics is not None and row.stream not in topics):
            return ()
        data = frame_row(public_events(entry, view.market.params), (row.epoch, row.offset))
        return ((row.stream, data),) if data else ()

    def reset(self, since: str, offset: int) -> bytes:
        """The event ``reset``."""
        shown = since.encode("ascii", "replace")[:SINCE_SHOWN_MAX].decode()
        return frame("reset", {"since": shown, "offset": offset})

    def snapshot(self, topics: Topics) -> bytes:
        """The event ``snapshot``: these markets as they are now."""
        model, now_ms = self._model, self._clock.now_ms()
        shown = [market(view, now_ms) for name, view in model.markets.items() if topics is None or name in topics]
        return frame("snapshot", MarketsNow(markets=shown, offset=model.offset), (model.epoch, model.offset))


def frame(name: str, data: object, place: Place | None = None) -> bytes:
    """One event in SSE format."""
    ident = b"" if place is None else b"id: %d-%d\n" % place
    return b"event: %s\ndata: %s\n%s\n" % (name.encode(), encode(data), ident)


def frame_row(events: Iterable[tuple[str, bytes]], place: Place) -> bytes:
    """A row's events (name, JSON) in SSE format, with its place on the last of them. Empty for no events."""
    parts = [b"event: %s\ndata: %s\n" % (name.encode(), data) for name, data in events]
    if not parts:
        return b""
    parts[-1] += b"id: %d-%d\n" % place
    return b"\n".join(parts) + b"\n"


async def serve(
    request: web.BaseRequest,
    hub: Hub,
    subscriber: Subscriber,
    since: str | None,
    turn: Turn,
    *,
    request_id: str,
    heartbeat_s: float = HEARTBEAT_S,
) -> EventSourceResponse:
    """Answer a request with all that its subscriber follows, until the reader leaves or is cut off.

    ``since`` is the id that the reader saw last. A stream is its connection's last answer: requests that come behind
    it are not kept for when it has ended.
    """
    request.protocol.close()
    response = EventSourceResponse(ping_interval=heartbeat_s, sep="\n", headers={"X-Request-Id": request_id})
    await response.prepare(request)
    if request.transport is not None:
        subscriber.abort = request.transport.abort
        with suppress(OSError):  # it has gone already
            request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
    async with response:
        heartbeat = asyncio.create_task(response.wait())
        heartbeat.add_done_callback(lambda _: subscriber.end())
        try:
            await _write(response, subscriber, b"retry: %d\n\n" % RETRY_MS)
            async with aclosing(hub.follow(subscriber, since, turn)) as blocks:
                async for block in blocks:
                    await _write(response, subscriber, block)
        except ConnectionError:
            pass  # the reader has left, or has been cut off
        except JournalUnavailable as error:
            log.warning("stream.ended", error=str(error))  # the reader comes back in a second
        finally:
            heartbeat.cancel()
    return response


async def _write(response: EventSourceResponse, subscriber: Subscriber, data: bytes) -> None:
    try:
        async with asyncio.timeout(WRITE_S):
            await response.write(data)
    except TimeoutError as error:
        subscriber.abort()
        raise ConnectionResetError("the reader does not read") from error
