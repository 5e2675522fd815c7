"""A lean HTTP load in a process of its own: keep-alive connections, one request in flight on each, HTTP/1.1 by hand.

``python -m tools.benchmark.load`` reads a ``LoadSpec`` as JSON from stdin and prints a ``LoadResult``. Every request
opens a position under a new client id. Each connection has the key of one user, and opens longs and shorts by turns.
"""

from __future__ import annotations

import asyncio
import sys
import time
from array import array
from collections import Counter
from typing import Final, cast

import msgspec
import uvloop
from msgspec import Struct

DRAIN_S: Final = 15.0
"""How long after the end to wait for an answer, before its connection counts as lost."""

CONNECT_TOGETHER: Final = 32
PERCENT: Final = 100


class LoadSpec(Struct, frozen=True, kw_only=True):
    """What to send, where, and for how long."""

    host: str
    port: int
    path: str
    keys: list[str]
    """One for each connection."""
    tickers: list[str]
    run: str
    """The beginning of this run's client ids, different in every run."""
    warm_up_s: float
    seconds: float


class LoadResult(Struct, frozen=True, kw_only=True):
    """The answers within the measured time. Latencies are those of successful answers."""

    succeeded: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failures: dict[str, int]
    """Failed answers by status; ``lost``: connections that broke or fell silent."""

    @property
    def per_second(self) -> float:
        """Successful answers per second."""
        return self.succeeded / self.seconds

    def noted(self, note: str) -> str:
        """A figure's note, and what failed."""
        failed = ", ".join(f"{count} × {code}" for code, count in sorted(self.failures.items()))
        return f"{note}; failed: {failed}" if failed else note


class Load:
    """What all connections share: begin and end of the measurement, and the results."""

    def __init__(self, begin_ns: int, end_ns: int) -> None:
        self.begin_ns = begin_ns
        self.end_ns = end_ns
        self.waits_ns = array("q")
        self.failures: Counter[str] = Counter()

    def answered(self, sent_ns: int, now_ns: int, status: int) -> None:
        """An answer has come."""
        if not self.begin_ns <= now_ns <= self.end_ns:
            return
        if 200 <= status < 300:
            self.waits_ns.append(now_ns - sent_ns)
        else:
            self.failures[str(status)] += 1

    def result(self, seconds: float) -> LoadResult:
        """What has been measured in so many seconds."""
        waits_ns = sorted(self.waits_ns)
        return LoadResult(
            succeeded=len(waits_ns),
            seconds=seconds,
            p50_ms=percentile(waits_ns, 50) / 1e6,
            p99_ms=percentile(waits_ns, 99) / 1e6,
            failures={code: count for code, count in self.failures.items() if count},
        )


class Loading(asyncio.Protocol):
    """One connection of a load. ``done`` is set when it has ended; one that is lost counts as a failure."""

    def __init__(self, load: Load, done: asyncio.Future[None]) -> None:
        self._load, self._done = load, done
        self._buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._load.failures["lost"] += 1
            self._done.set_result(None)

    def stop(self) -> None:
        """Close the connection: the measurement is over."""
        if not self._done.done():
            self._done.set_result(None)
        if self.transport is not None:
            self.transport.close()


class Connection(Loading):
    """One client: sends a request, reads the whole answer, sends the next."""

    def __init__(self, load: Load, requests: tuple[tuple[bytes, bytes], ...], done: asyncio.Future[None]) -> None:
        super().__init__(load, done)
        self._requests = requests
        self._count = 0
        self._sent_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own is not registered as one

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = answer_end(self._buffer)
        if end is None or len(self._buffer) < end:
            return
        now_ns = time.perf_counter_ns()
        self._load.answered(self._sent_ns, now_ns, int(self._buffer[9:12]))
        self._buffer = self._buffer[end:]
        if now_ns < self._load.end_ns:
            self.send()
        else:
            self.stop()

    def send(self) -> None:
        """Send the next request."""
        if self.transport is None:
            return
        head, tail = self._requests[self._count % len(self._requests)]
        self._count += 1
        self._sent_ns = time.perf_counter_ns()
        self.transport.write(b"%b%010d%b" % (head, self._count, tail))


def answer_end(buffer: bytes) -> int | None:
    """How many bytes the first answer in ``buffer`` has, with its body; None while its headers are incomplete.

    Errors: ValueError for an answer without a Content-Length; the venue sends none.
    """
    headers_end = buffer.find(b"\r\n\r\n")
    if headers_end < 0:
        return None
    headers = buffer[:headers_end].lower() + b"\r\n"
    at = headers.find(b"\r\ncontent-length:")
    if at < 0:
        raise ValueError("an answer without Content-Length")
    at += len(b"\r\ncontent-length:")
    return headers_end + 4 + int(headers[at : headers.index(b"\r\n", at)])


def request_parts(spec: LoadSpec, connection: int) -> tuple[tuple[bytes, bytes], ...]:
    """The requests of one connection, long and short. Each is in two parts: ten digits between them make a new id."""
    ticker = spec.tickers[connection % len(spec.tickers)]
    parts = []
    for side in ("long", "short"):
        body = {"ticker": ticker, "side": side, "size": "100", "leverage": 10}
        opening = msgspec.json.encode(body)[:-1] + f',"clientOrderId":"{spec.run}-{connection:05d}-'.encode()
        closing = b'"}'
        head = (
            f"POST {spec.path} HTTP/1.1\r\nHost: {spec.host}:{spec.port}\r\n"
            f"Authorization: Bearer {spec.keys[connection]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(opening) + 10 + len(closing)}\r\n\r\n"
        ).encode()
        parts.append((head + opening, closing))
    if connection % 2:
        parts.reverse()
    return tuple(parts)


async def run(spec: LoadSpec) -> LoadResult:
    """Send the load, one connection for each key. Errors: OSError if nobody listens."""
    loop = asyncio.get_running_loop()
    load = Load(begin_ns=0, end_ns=0)
    connections: list[Connection] = []
    ends: list[asyncio.Future[None]] = []
    together = asyncio.Semaphore(CONNECT_TOGETHER)

    async def connect(number: int) -> None:
        end: asyncio.Future[None] = loop.create_future()
        connection = Connection(load, request_parts(spec, number), end)
        async with together:
            await loop.create_connection(lambda: connection, spec.host, spec.port)
        connections.append(connection)
        ends.append(end)

    await asyncio.gather(*(connect(number) for number in range(len(spec.keys))))
    load.begin_ns = time.perf_counter_ns() + int(spec.warm_up_s * 1e9)
    load.end_ns = load.begin_ns + int(spec.seconds * 1e9)
    for connection in connections:
        connection.send()
    await asyncio.wait(ends, timeout=spec.warm_up_s + spec.seconds + DRAIN_S)
    load.failures["lost"] += sum(not end.done() for end in ends)
    for connection in connections:
        connection.stop()
    return load.result(spec.seconds)


def percentile(ordered: list[int], percent: int) -> float:
    """The nearest-rank percentile of sorted numbers; 0 if there are none."""
    if not ordered:
        return 0.0
    return float(ordered[max(0, -(-len(ordered) * percent // PERCENT) - 1)])


def main() -> None:
    """Read the specification from stdin, measure, print the result."""
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=LoadSpec)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(run(spec))))


if __name__ == "__main__":
    main()
