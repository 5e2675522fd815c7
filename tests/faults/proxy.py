"""A TCP proxy between a venue and its database that can go wrong in the ways a network can.

It listens on a loopback port and connects to the server's socket, so that the embedded server needs no TCP. One fault
holds for every connection, also for those that come later, until the next call. What a blackhole swallows is kept, as
TCP keeps it: once the hole is gone it arrives, unless its connection has been given up meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import parse_qs, urlsplit

CHUNK: Final = 64 * 1024
RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing sends RST."""


class _Pair:
    """One connection of a client, and the one made for it to the server."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client, self.server = client, server
        self.half_closed = False

    def reset(self) -> None:
        """Break both ends; the client is sent RST."""
        with contextlib.suppress(OSError):
            self.client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        for writer in (self.client, self.server):
            writer.transport.abort()

    def half_close(self) -> None:
        """The server has nothing more to say, or so the client is told; the server is told nothing."""
        self.half_closed = True
        with contextlib.suppress(OSError, RuntimeError):
            self.client.write_eof()


class Proxy:
    """The control: what happens to connections from now on."""

    def __init__(self, target: str) -> None:
        """``target``: the path of the server's socket."""
        self._target = target
        self._delay_s = 0.0
        self._open = asyncio.Event()
        self._open.set()
        self._pairs: set[_Pair] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self.accepted = 0
        """Connections so far."""

    def clear(self) -> None:
        """Everything passes, at once. Connections that were half-closed are ended: keepalive has found them out."""
        self._delay_s = 0.0
        for pair in [pair for pair in self._pairs if pair.half_closed]:
            pair.reset()
        self._open.set()

    def delay(self, milliseconds: float) -> None:
        """Each piece of data arrives so much later, in either direction."""
        self._delay_s = milliseconds / 1000

    def blackhole(self) -> None:
        """Nothing arrives, in either direction, and no connection is made."""
        self._open.clear()

    def reset(self) -> None:
        """Every connection there is breaks; new ones pass."""
        for pair in list(self._pairs):
            pair.reset()

    def half_close(self) -> None:
        """Every connection there is looks ended to the client; the server hears nothing of that until ``clear``."""
        for pair in list(self._pairs):
            pair.half_close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first byte to its end."""
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._open.wait()
            answers, server = await asyncio.open_unix_connection(self._target)
            await self._carry(_Pair(writer, server), reader, answers)
        writer.transport.abort()
        self._serving.discard(task)

    async def _carry(self, pair: _Pair, requests: asyncio.StreamReader, answers: asyncio.StreamReader) -> None:
        self._pairs.add(pair)
        pumps = (
            asyncio.create_task(self._pump(pair, requests, pair.server)),
            asyncio.create_task(self._pump(pair, answers, pair.client)),
        )
        try:
            await asyncio.wait(pumps)
        finally:
            self._pairs.discard(pair)
            for pump in pumps:
                pump.cancel()
            pair.server.transport.abort()

    async def _pump(self, pair: _Pair, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Carry data one way until its end, and then that end. What is half-closed carries nothing any more."""
        with contextlib.suppress(OSError, RuntimeError):
            while data := await source.read(CHUNK):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                await self._open.wait()
                if not pair.half_closed:
                    sink.write(data)
                    await sink.drain()
            await self._open.wait()
            while pair.half_closed and not sink.is_closing():  # noqa: ASYNC110 - until it is found out
                await asyncio.sleep(0.01)
            sink.write_eof()

    async def close(self) -> None:
        """End every connection."""
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)


@asynccontextmanager
async def proxied(database: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy before the server of ``database``, a URL with a socket directory, and the URL that leads through it."""
    parts = urlsplit(database)
    query = parse_qs(parts.query)
    proxy = Proxy(f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}")
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield proxy, f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}"
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()
