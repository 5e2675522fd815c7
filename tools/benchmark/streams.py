"""What readers of streams cost a running venue: ``python -m tools.benchmark.streams URL ADMIN_KEY PID``.

Opens readers on raw connections, sends prices at a steady rate, and prints for each case: CPU time of the venue for
each delivery, and how long a price takes from its request to the readers. Linux only. Use a venue without traders.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles
from typing import Final, cast
from urllib.parse import urlsplit

import aiohttp
import uvloop

BUSY, QUIET = "BUSY-PERP", "QUIET-PERP"
PRICES_PER_S: Final = 40
SECONDS: Final = 8.0
OPENING_AT_ONCE: Final = 50
ENOUGH_S: Final = 30.0
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
MARK: Final = b"\nid: "


class Reader(asyncio.Protocol):
    """Counts rows as they come, and when."""

    def __init__(self, path: str, host: str) -> None:
        self._request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        self.rows = 0
        self.times: list[float] = []
        self.transport: asyncio.Transport | None = None
        self._end = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count."""
        count = (self._end + data).count(MARK)
        self._end = data[1 - len(MARK) :]
        self.rows += count
        self.times.extend([time.monotonic()] * count)


async def _open(url: str, path: str, count: int) -> list[Reader]:
    parts, loop = urlsplit(url), asyncio.get_running_loop()
    readers: list[Reader] = []
    while len(readers) < count:
        some = min(OPENING_AT_ONCE, count - len(readers))
        made = await asyncio.gather(
            *(
                loop.create_connection(lambda: Reader(path, parts.netloc), parts.hostname or "", parts.port or 0)
                for _ in range(some)
            )
        )
        readers += [reader for _, reader in made]
    async with asyncio.timeout(ENOUGH_S):
        while any(not reader.rows for reader in readers):  # noqa: ASYNC110 - the snapshot
            await asyncio.sleep(0.01)
    return readers


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


async def _prices(session: aiohttp.ClientSession, url: str, at_once: int) -> list[float]:
    """Send prices at a steady rate, so many in a request: when each was sent."""
    sent: list[float] = []
    begin = time.monotonic()
    for number in range(int(PRICES_PER_S * SECONDS)):
        await asyncio.sleep(max(0.0, begin + number / PRICES_PER_S - time.monotonic()))
        sent.extend([time.monotonic()] * at_once)
        body = [{"ticker": BUSY, "price": f"{100 + (number + one) % 7}"} for one in range(at_once)]
        async with session.post(f"{url}/api/markets/prices", json=body) as answer:
            answer.raise_for_status()
    return sent


async def _case(
    session: aiohttp.ClientSession,
    url: str,
    pid: int,
    name: str,
    *,
    active: int,
    idle: int = 0,
    stopped: int = 0,
    at_once: int = 1,
) -> None:
    reading = await _open(url, f"/api/sse/markets?tickers={BUSY}", active)
    others = await _open(url, f"/api/sse/markets?tickers={QUIET}", idle)
    stopping = await _open(url, f"/api/sse/markets?tickers={BUSY}", stopped)
    for reader in stopping:
        if reader.transport is not None:
            reader.transport.pause_reading()
    for reader in reading:
        reader.times.clear()
    before = _cpu_s(pid)
    sent = await _prices(session, url, at_once)
    async with asyncio.timeout(ENOUGH_S):
        while any(len(reader.times) < len(sent) for reader in reading):  # noqa: ASYNC110 - counted elsewhere
            await asyncio.sleep(0.01)
    used = _cpu_s(pid) - before
    waits = [1000 * (at - begun) for reader in reading for at, begun in zip(reader.times, sent, strict=True)]
    each = quantiles(waits, n=100)
    deliveries = len(sent) * active
    print(
        f"{name}: {deliveries} deliveries, {used:.2f} s CPU, {1e6 * used / max(deliveries, 1):.1f} us each, "
        f"delay p50 {each[49]:.1f} ms, p99 {each[98]:.1f} ms, most {max(waits):.1f} ms",
        flush=True,
    )
    for reader in (*reading, *others, *stopping):
        if reader.transport is not None:
            reader.transport.abort()
    await asyncio.sleep(1.0)


async def _main(url: str, key: str, pid: int) -> None:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
        for ticker in (BUSY, QUIET):
            body = {"ticker": ticker, "organizationId": "org", "name": ticker, "price": "100"}
            async with session.post(f"{url}/api/admin/markets", json=body):
                pass  # it may be there already
        await _case(session, url, pid, "1 reader", active=1)
        await _case(session, url, pid, "100 readers", active=100)
        await _case(session, url, pid, "500 readers", active=500)
        await _case(session, url, pid, "500 readers, 5,000 idle", active=500, idle=5_000)
        await _case(session, url, pid, "100 readers, 20 prices at once", active=100, at_once=20)
        await _case(session, url, pid, "the same, and 100 that do not read", active=100, stopped=100, at_once=20)


def main(arguments: Sequence[str]) -> None:
    """Measure, and print."""
    url, key, pid = arguments
    uvloop.run(_main(url, key, int(pid)))


if __name__ == "__main__":
    main(sys.argv[1:])
