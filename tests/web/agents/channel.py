"""An agent on its channel, for tests: frames as they are, and what comes back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import msgspec

from perps.wire.agents import JSON, MSGPACK
from tests.support.slowness import soon
from tests.web.venue import Client, Running

PROTOCOLS: Final = (JSON, MSGPACK)
WAIT_S: Final = 10


class Channel:
    """One open channel."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, protocol: str) -> None:
        self.socket, self.protocol = socket, protocol
        self.hello: dict[str, Any] = {}
        self.answers: dict[int, tuple[int, Any]] = {}
        """By envelope id: status and body."""
        self.headers: dict[int, dict[str, str]] = {}
        self.order: list[int] = []
        self.events: list[tuple[str, Any, str | None]] = []

    async def send(self, *envelopes: object) -> None:
        """One frame."""
        await self.send_raw(self.encoded(list(envelopes)))

    def encoded(self, value: object) -> bytes:
        """A value as the subprotocol has it."""
        return json.dumps(value).encode() if self.protocol == JSON else msgspec.msgpack.encode(value)

    async def send_raw(self, raw: bytes) -> None:
        """These bytes, as a message of the subprotocol's kind."""
        if self.protocol == JSON:
            await self.socket.send_frame(raw, aiohttp.WSMsgType.TEXT)
        else:
            await self.socket.send_bytes(raw)

    def wire(self, data: bytes) -> None:
        """These bytes, as they are, to the connection."""
        assert self.socket._writer is not None
        self.socket._writer.transport.write(data)

    async def frame(self) -> list[Any]:
        """The next frame, taken to pieces: its answers and events are kept."""
        async with soon(WAIT_S):
            message = await self.socket.receive()
        if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
            raise ConnectionResetError(f"closed: {self.socket.close_code} {message.extra}")
        expected = aiohttp.WSMsgType.TEXT if self.protocol == JSON else aiohttp.WSMsgType.BINARY
        assert message.type is expected, message
        found: list[Any] = json.loads(message.data) if self.protocol == JSON else msgspec.msgpack.decode(message.data)
        for first, second, third, *rest in found:
            if first == 0:
                self.events.append((second, third, rest[0]))
            else:
                assert first not in self.answers, "answered twice"
                self.answers[first] = (second, third)
                self.headers[first] = rest[0] if rest else {}
                self.order.append(first)
        return found

    async def until(self, *ids: int) -> list[tuple[int, Any]]:
        """The answers to these, in the order of the ids."""
        while not set(ids) <= self.answers.keys():
            await self.frame()
        return [self.answers[one] for one in ids]

    async def ask(self, *envelopes: tuple[Any, ...]) -> list[tuple[int, Any]]:
        """Send one frame, and wait for all of its answers."""
        await self.send(*envelopes)
        return await self.until(*(envelope[0] for envelope in envelopes))

    async def event(self, name: str) -> tuple[Any, str | None]:
        """The next event of a name: its data and id. Events before it are forgotten."""
        while True:
            while self.events:
                found, data, place = self.events.pop(0)
                if found == name:
                    return data, place
            await self.frame()

    async def closed(self) -> tuple[int | None, str]:
        """The code and the reason that the venue ends the channel with."""
        async with soon(WAIT_S):
            while True:
                message = await self.socket.receive()
                if message.type is aiohttp.WSMsgType.CLOSE:
                    return message.data, message.extra or ""
                if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                    return self.socket.close_code, ""


@asynccontextmanager
async def channel(client: Client, protocol: str = MSGPACK, query: str = "", **options: Any) -> AsyncIterator[Channel]:
    """An open channel, after its ``hello``."""
    headers = {"Authorization": f"Bearer {client.key}"}
    url = f"{client.url}/api/agents{query}"
    async with client.session.ws_connect(
        url, headers=headers, protocols=[protocol], max_msg_size=0, **options
    ) as socket:
        made = Channel(socket, protocol)
        made.hello, _ = await made.event("hello")
        yield made


async def none_left(venue: Running, *, but: int = 0) -> None:
    """Wait until the venue has no channel any more (``but`` so many), nor anything to do for one that has ended."""
    agents = venue.venue.context.agents
    async with soon(WAIT_S):
        while len(agents) > but or agents.ending:  # noqa: ASYNC110 - plain values
            await asyncio.sleep(0.001)
