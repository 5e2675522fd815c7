"""The way to one agent: whole frames are written at once, and whoever does not read them is cut off."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp.abc import AbstractStreamWriter

from web.streams.sse import PUT_BYTES, WRITE_S
from web.streams.subscribers import BEHIND_BYTES_MAX

CUT_BYTES: Final = BEHIND_BYTES_MAX
"""What may wait for an agent that does not read. One answer more is written to nobody who is further behind."""


class Line:
    """Writes to an agent's connection."""

    def __init__(self, transport: asyncio.WriteTransport, writer: AbstractStreamWriter) -> None:
        self._transport, self._writer = transport, writer

    def send(self, frame: bytes) -> None:
        """Write an answer. An agent that is too far behind is cut off instead."""
        if self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > CUT_BYTES:
            self._transport.abort()
            return
        self._transport.write(frame)

    def put(self, frames: bytes) -> bool:
        """Write events; False if the agent should take some of what waits before it gets more."""
        if self._transport.is_closing():
            return False
        self._transport.write(frames)
        return self._transport.get_write_buffer_size() <= PUT_BYTES

    async def write(self, frames: bytes) -> None:
        """Write, and wait until the agent has taken enough. Raises ``ConnectionError`` when it does not."""
        if self._transport.is_closing():
            raise ConnectionResetError("the agent has left")
        self._transport.write(frames)
        await self.drained()

    async def drained(self) -> None:
        """Wait until the agent has taken enough of what was written. Raises ``ConnectionError`` when it does not."""
        if self._transport.get_write_buffer_size() <= PUT_BYTES:
            return
        try:
            async with asyncio.timeout(WRITE_S):
                await self._writer.drain()
        except TimeoutError as error:
            self.abort()
            raise ConnectionResetError("the agent does not read") from error

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    def abort_unless_closed(self) -> None:
        """End the connection, also if it waits for an agent that does not take what has been written."""
        if self._transport.get_write_buffer_size():
            self._transport.abort()
