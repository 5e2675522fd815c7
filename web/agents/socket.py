"""The WebSocket of a channel: the hand-shake, frames in, and what ends it. Nothing is compressed.

``aiohttp`` bounds a message's size, and closes sockets of which no pong comes back.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from perps.wire.agents import FRAME_BYTES_MAX, MSGPACK, PROTOCOLS
from web.agents.frames import FORMS, FrameError, JsonFrames, PackedFrames
from web.agents.line import Line
from web.agents.session import Session
from web.answers.errors import invalid
from web.streams.sse import SEND_BYTES

CLOSE_S: Final = 5.0
"""How long the venue waits for an agent's part of the good-bye."""


class Channel:
    """A request that becomes a WebSocket. Raises ``validation_error`` if it cannot."""

    def __init__(self, request: web.BaseRequest, *, heartbeat_s: float, request_id: str) -> None:
        offered = [
            name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if name.strip()
        ]
        if offered and not set(offered) & set(PROTOCOLS):
            raise invalid("The venue speaks other subprotocols.", field="Sec-WebSocket-Protocol", allowed=[*PROTOCOLS])
        self._request = request
        self._socket = web.WebSocketResponse(
            protocols=PROTOCOLS,
            compress=False,
            max_msg_size=FRAME_BYTES_MAX + 1,  # aiohttp takes less than that
            heartbeat=heartbeat_s,
            autoping=False,
            decode_text=False,
            timeout=CLOSE_S,
        )
        ready = self._socket.can_prepare(request)
        if not ready:
            raise invalid("This is a WebSocket: send Upgrade: websocket, with Sec-WebSocket-Version 13 and a key.")
        self._socket.headers["X-Request-Id"] = request_id
        self.form: JsonFrames | PackedFrames = FORMS[ready.protocol or MSGPACK]

    async def open(self) -> Line:
        """Shake hands. Raises ``ConnectionError`` if the agent has gone."""
        request, transport = self._request, self._request.transport
        writer = await self._socket.prepare(request)
        if transport is None:
            raise ConnectionResetError("the agent has left")
        with suppress(OSError):  # it has gone already
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        return Line(transport, writer)

    async def close(self, code: int, reason: str) -> None:
        """Say good-bye. ``reason``: as much of it as fits into a frame of its kind."""
        await self._socket.close(code=code, message=reason.encode()[:REASON_BYTES_MAX])

    async def read(self, session: Session) -> None:
        """Hand the session its frames, until the channel ends."""
        while True:
            message = await self._socket.receive()
            match message.type:
                case WSMsgType.BINARY | WSMsgType.TEXT:
                    is_packed = self.form.name == MSGPACK
                    if (message.type is WSMsgType.BINARY) is not is_packed:
                        kind = "binary" if is_packed else "text"
                        await self.close(
                            WSCloseCode.UNSUPPORTED_DATA, f"Frames of {self.form.name} are {kind} messages."
                        )
                        return
                    try:
                        await session.take(message.data)
                    except FrameError as error:
                        await self.close(error.code, error.reason)
                        return
                case WSMsgType.PING:
                    await self._socket.pong(message.data)
                case WSMsgType.PONG:
                    pass
                case _:
                    return
            await asyncio.sleep(0)  # whoever sends a thousand small frames at once does not hold up the others

    @property
    def response(self) -> web.WebSocketResponse:
        """What the request is answered with."""
        return self._socket


REASON_BYTES_MAX: Final = 123
"""Of a frame that closes a WebSocket."""


async def serve(
    channel: Channel,
    session: Session,
    line: Line,
    while_good: Callable[[Callable[[], None]], AbstractContextManager[None]],
) -> None:
    """Read until the channel ends, by whomever; then the connection is gone. ``while_good``: while the key is."""
    try:
        with while_good(lambda: session.end(WSCloseCode.POLICY_VIOLATION, "The key has been revoked, or has expired.")):
            await channel.read(session)
    except ConnectionError:
        pass  # the agent has left, or has been cut off
    finally:
        line.abort_unless_closed()
