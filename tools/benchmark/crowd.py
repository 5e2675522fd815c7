"""Many connections that keep a venue busy, in a process of their own, while somebody else is measured beside them.

``python -m tools.benchmark.crowd`` reads a ``CrowdSpec`` as JSON from stdin. When all are connected and under way it
prints ``up``, and at the end, as JSON, a ``LoadResult`` of what they got since. They open positions, ask for one path
again and again, or read one stream; how many they are is how many keys there are. An empty key: none is sent.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Final, Literal, cast

import msgspec
import uvloop

from tools.benchmark.load import CONNECT_TOGETHER, Connection, Load, LoadResult, LoadSpec, request_parts

UP: Final = "up"
UP_S_MAX: Final = 120.0
"""How long all streams may take to begin."""
POLL_S: Final = 0.01
FOR_EVER_NS: Final = 1 << 62
MARK: Final = b"\nid: "
"""In every row of a stream, and at the end of what it begins with."""


class CrowdSpec(LoadSpec, frozen=True, kw_only=True):
    """As ``LoadSpec``; ``warm_up_s`` lies between the last connection and ``up``."""

    does: Literal["open", "get", "follow"]


class Follower(asyncio.Protocol):
    """Reads a stream, and counts what comes of it."""

    def __init__(self, load: Load, request: bytes) -> None:
        self._load, self._request, self._end = load, request, b""
        self.transport: asyncio.Transport | None = None
        self.has_begun = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own is not registered as one
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count its rows."""
        now_ns, rows = time.perf_counter_ns(), (self._end + data).count(MARK)
        self._end = data[1 - len(MARK) :]
        self.has_begun = self.has_begun or rows > 0
        for _ in range(rows):
            self._load.answered(now_ns, now_ns, 200)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it, if nobody wanted that."""
        self._load.failures["lost"] += time.perf_counter_ns() < self._load.end_ns


def get_request(spec: LoadSpec, connection: int) -> tuple[bytes, bytes]:
    """A request for the path, in two parts: ten digits between them say which it is."""
    key = spec.keys[connection]
    head = f"GET {spec.path} HTTP/1.1\r\nHost: {spec.host}:{spec.port}\r\n"
    head += f"Authorization: Bearer {key}\r\n" if key else ""
    return f"{head}X-Number: ".encode(), b"\r\n\r\n"


async def run(spec: CrowdSpec) -> LoadResult:
    """Connect, print ``up``, and keep the venue busy for ``spec.seconds``. Errors: OSError if nobody listens."""
    loop, load = asyncio.get_running_loop(), Load(begin_ns=FOR_EVER_NS, end_ns=FOR_EVER_NS)
    made: list[Connection | Follower] = []
    together = asyncio.Semaphore(CONNECT_TOGETHER)

    async def connect(number: int) -> None:
        if spec.does == "follow":
            one: Connection | Follower = Follower(load, b"0".join(get_request(spec, number)))
        else:
            parts = request_parts(spec, number) if spec.does == "open" else (get_request(spec, number),)
            one = Connection(load, parts, loop.create_future())
        async with together:
            await loop.create_connection(lambda: one, spec.host, spec.port)
            while isinstance(one, Follower) and not one.has_begun:  # noqa: ASYNC110 - a plain value
                await asyncio.sleep(POLL_S)
        made.append(one)
        if isinstance(one, Connection):
            one.send()

    async with asyncio.timeout(UP_S_MAX):
        await asyncio.gather(*(connect(number) for number in range(len(spec.keys))))
    await asyncio.sleep(spec.warm_up_s)
    load.begin_ns = time.perf_counter_ns()
    load.end_ns = load.begin_ns + int(spec.seconds * 1e9)
    print(UP, flush=True)
    await asyncio.sleep(spec.seconds)
    for one in made:
        if one.transport is not None:
            one.transport.abort()
    return load.result(spec.seconds)


def main() -> None:
    """Read the specification from stdin, keep busy, print the result."""
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=CrowdSpec)
    result = uvloop.run(run(spec))
    print(msgspec.json.encode(result).decode(), flush=True)


if __name__ == "__main__":
    main()
