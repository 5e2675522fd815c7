"""Server-sent events: the response that a reader holds open."""

from __future__ import annotations

import asyncio
import socket
from contextlib import aclosing, suppress
from functools import lru_cache
from typing import Final

import structlog
from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp_sse import EventSourceResponse

from perps.journal import JournalUnavailable
from web.streams.hub import Hub
from web.streams.resume_turns import Turn
from web.streams.subscribers import Subscriber

WRITE_S: Final = 15.0
"""How long one write may wait for a reader before it is cut off.

A write ends when all but 16 KiB of it has gone to the system, which takes more only when the reader has taken a third
of what it has. So a reader that takes less than some 20 KB/s is cut off, but only while there is more than that to
tell: of a quiet market nothing waits, and nobody knows who reads.
"""

SEND_BYTES: Final = 256 * 1024
"""What the system may keep of a stream, and as much again for its own use. By default it is megabytes: memory that
10,000 readers would have, and of which a third must have been taken before the next write ends."""

PUT_BYTES: Final = 64 * 1024
"""What a connection may hold that the system has not taken yet, before its next event waits for that."""

HEARTBEAT_S: Final = 15.0

RETRY_MS: Final = 1_000
"""How soon a browser should come back after a break."""

log = structlog.get_logger()


class _Connection:
    """Writes to a reader's connection: at once from a commit, or waiting until the reader has taken it."""

    def __init__(self, request: web.BaseRequest, response: EventSourceResponse, writer: AbstractStreamWriter) -> None:
        self._request, self._response, self._writer = request, response, writer

    def put(self, data: bytes) -> bool:
        """Hand bytes over without waiting; False if the reader should take some of it before more is given.

        ``response.write`` does the same, and costs three times as much: it wakes a task for every reader.
        """
        transport = self._request.transport
        if transport is None or transport.is_closing():
            return False
        transport.write(_chunk(data))
        return transport.get_write_buffer_size() <= PUT_BYTES

    async def write(self, data: bytes) -> None:
        """Write, and wait until the reader has taken enough. Raises ``ConnectionError`` when it does not."""
        try:
            async with asyncio.timeout(WRITE_S):
                if self._request.transport is None:
                    raise ConnectionResetError("the reader has left")
                await self._response.write(data)
                await self._writer.drain()
        except TimeoutError as error:
            self.abort()
            raise ConnectionResetError("the reader does not read") from error

    def abort(self) -> None:
        """End the connection at once."""
        if self._request.transport is not None:
            self._request.transport.abort()


@lru_cache(maxsize=1)
def _chunk(data: bytes) -> bytes:
    """Bytes as a chunk of HTTP/1.1, made once for all who get the same."""
    return b"%x\r\n%b\r\n" % (len(data), data)


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

    ``since`` is the id that the reader saw last. A stream is its connection's last answer: later requests on it are
    thrown away.
    """
    request.protocol.close()
    response = EventSourceResponse(ping_interval=heartbeat_s, sep="\n", headers={"X-Request-Id": request_id})
    writer = await response.prepare(request)
    if writer is None:
        return response
    connection = _Connection(request, response, writer)
    subscriber.abort = connection.abort
    if request.version == HttpVersion11:
        subscriber.write = connection.put
    if request.transport is not None:
        with suppress(OSError):  # it has gone already
            request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
    async with response:
        heartbeat = asyncio.create_task(response.wait())
        heartbeat.add_done_callback(lambda _: subscriber.end())
        try:
            await connection.write(b"retry: %d\n\n" % RETRY_MS)
            async with aclosing(hub.follow(subscriber, since, turn)) as blocks:
                async for block in blocks:
                    await connection.write(block)
        except ConnectionError:
            pass  # the reader has left, or has been cut off
        except JournalUnavailable as error:
            log.warning("stream.ended", error=str(error))  # the reader comes back in a second
        finally:
            heartbeat.cancel()
    return response
