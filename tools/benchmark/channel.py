"""A lean load on the agents' channel in a process of its own: WebSockets by hand, a number of opens in flight on each.

``python -m tools.benchmark.channel`` reads a ``ChannelSpec`` as JSON from stdin and prints a ``LoadResult``. Whenever
answers come, as many new opens go out in one frame. Each socket has the key of one user.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import time
from typing import Final, cast

import msgspec
import uvloop
from msgspec import Struct

from perps.wire.agents import AGENTS, ENVELOPES_MAX, MSGPACK
from tools.benchmark.load import DRAIN_S, Load, Loading, LoadResult, LoadSpec

MASKED: Final = 0x80
BINARY: Final = 0x82
MEDIUM: Final = 126
LONG: Final = 127
HEAD_MAX: Final = 10
UNMASKED: Final = b"\0\0\0\0"
"""A mask that changes nothing: a client must send one."""


class ChannelSpec(LoadSpec, frozen=True, kw_only=True):
    """As ``LoadSpec``, with a socket for each key."""

    in_flight: int
    """Opens without an answer, on each socket."""


class _Answer(Struct, array_like=True):
    """An answer, or an event if its id is 0, as far as anybody looks here."""

    id: int
    status: int | str


_decode: Final = msgspec.msgpack.Decoder(list[_Answer]).decode


class _Agent(Loading):
    """One socket: sends opens, and as many again as have been answered."""

    def __init__(self, load: Load, spec: ChannelSpec, number: int, done: asyncio.Future[None]) -> None:
        super().__init__(load, done)
        self._spec, self._number = spec, number
        self._count = 0
        self._sent_ns: dict[int, int] = {}
        self._is_open = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own is not registered as one
        self.transport.write(hand_shake(f"{self._spec.host}:{self._spec.port}", self._spec.keys[self._number]))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_open:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self._buffer.startswith(b"HTTP/1.1 101 "):
                raise ValueError(f"no channel: {self._buffer[:200]!r}")
            self._buffer, self._is_open = self._buffer[end + 4 :], True
        answered, now_ns = 0, time.perf_counter_ns()
        while True:
            size = message_size(self._buffer)
            if size is None or len(self._buffer) < sum(size):
                break
            head, length = size
            opcode, message, self._buffer = (
                self._buffer[0],
                self._buffer[head : head + length],
                self._buffer[head + length :],
            )
            if opcode != BINARY:
                continue  # a ping; the measurement is over before a pong is missed
            for answer in _decode(message):
                if answer.id:
                    self._load.answered(self._sent_ns.pop(answer.id), now_ns, int(answer.status))
                    answered += 1
                else:
                    self.ready.set_result(None)
        if answered and now_ns < self._load.end_ns:
            self.send(answered)
        elif answered and not self._sent_ns:
            self.stop()

    def send(self, count: int) -> None:
        """Send so many opens, in as few frames as they fit into."""
        if self.transport is None:
            return
        now_ns, frames = time.perf_counter_ns(), []
        for begin in range(0, count, ENVELOPES_MAX):
            opens = [self._open(now_ns) for _ in range(min(ENVELOPES_MAX, count - begin))]
            frames.append(framed(msgspec.msgpack.encode(opens)))
        self.transport.write(b"".join(frames))

    def _open(self, now_ns: int) -> tuple[int, str, dict[str, object]]:
        self._count += 1
        self._sent_ns[self._count] = now_ns
        tickers = self._spec.tickers
        body: dict[str, object] = {
            "ticker": tickers[(self._number + self._count) % len(tickers)],
            "side": ("long", "short")[(self._count // len(tickers)) % 2],
            "size": "100",
            "leverage": 10,
            "clientOrderId": f"{self._spec.run}-{self._number:05d}-{self._count:010d}",
        }
        return self._count, "open", body


def hand_shake(host: str, key: str) -> bytes:
    """What a channel begins with."""
    secret = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {AGENTS.path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {secret}\r\n"
        f"Sec-WebSocket-Protocol: {MSGPACK}\r\n\r\n"
    ).encode()


def framed(message: bytes) -> bytes:
    """A message to the venue, as one WebSocket frame."""
    size = len(message)
    if size < MEDIUM:
        return bytes((BINARY, MASKED | size)) + UNMASKED + message
    return bytes((BINARY, MASKED | MEDIUM)) + size.to_bytes(2, "big") + UNMASKED + message


def message_size(buffer: bytes) -> tuple[int, int] | None:
    """Bytes of the first frame's head, and of what is in it. None: not known yet."""
    if len(buffer) < 2:
        return None
    length = buffer[1]
    if length < MEDIUM:
        return 2, length
    head = 4 if length == MEDIUM else HEAD_MAX
    return None if len(buffer) < head else (head, int.from_bytes(buffer[2:head], "big"))


async def run(spec: ChannelSpec) -> LoadResult:
    """Send the load, one socket for each key. Errors: OSError if nobody listens."""
    loop = asyncio.get_running_loop()
    load = Load(begin_ns=0, end_ns=0)
    agents: list[_Agent] = []
    ends: list[asyncio.Future[None]] = []
    for number in range(len(spec.keys)):
        end: asyncio.Future[None] = loop.create_future()
        agent = _Agent(load, spec, number, end)
        await loop.create_connection(lambda agent=agent: agent, spec.host, spec.port)  # type: ignore[misc]
        await agent.ready
        agents.append(agent)
        ends.append(end)
    load.begin_ns = time.perf_counter_ns() + int(spec.warm_up_s * 1e9)
    load.end_ns = load.begin_ns + int(spec.seconds * 1e9)
    for agent in agents:
        agent.send(spec.in_flight)
    await asyncio.wait(ends, timeout=spec.warm_up_s + spec.seconds + DRAIN_S)
    load.failures["lost"] += sum(not end.done() for end in ends)
    for agent in agents:
        agent.stop()
    return load.result(spec.seconds)


def main() -> None:
    """Read the specification from stdin, measure, print the result."""
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=ChannelSpec)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(run(spec))))


if __name__ == "__main__":
    main()
