"""What idle agents cost a running venue: ``python -m tools.benchmark.sockets URL ADMIN_KEY PID [COUNT]``.

Opens so many channels (by default 10,000) that say nothing but answer pings, from several addresses of this machine,
256 for each user. Prints memory and processor time for each of them, how long an open takes on another channel without
and beside them, and what the venue answers to the first that is one too many. Linux only. Use a venue without traders.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles
from typing import Final, cast
from urllib.parse import urlsplit

import uvloop

from perps.client import Agent, Venue
from tools.benchmark.channel import UNMASKED, hand_shake, message_size

TICKER: Final = "SOCKETS-PERP"
COUNT: Final = 10_000
EACH: Final = 256
"""Channels of one user: as many as the venue allows."""
OPENING_AT_ONCE: Final = 64
SOURCES: Final = 8
"""Addresses, 127.0.0.1 and on: one address has some 28,000 ports."""
OPENS: Final = 400
QUIET_S: Final = 30.0
"""How long the venue's processor time is looked at: two heartbeats."""
DESCRIPTORS_KEPT: Final = 64
PING: Final = 0x89
PONG: Final = 0x8A
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class _Idle(asyncio.Protocol):
    """One channel that only answers pings."""

    def __init__(self, host: str, key: str) -> None:
        self._request = hand_shake(host, key)
        self._buffer = b""
        self._is_open = False
        self.transport: asyncio.Transport | None = None
        self.answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        """What the venue said to the hand-shake, from its first byte to the end of its first frame or its body."""
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Shake hands."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own is not registered as one
        self.transport.write(self._request)

    def connection_lost(self, _: Exception | None) -> None:
        """The venue has closed it."""
        self.is_lost = True
        if not self.answered.done():
            self.answered.set_result(self._buffer)

    def data_received(self, data: bytes) -> None:
        """Answer pings."""
        self._buffer += data
        if not self._is_open:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if found and not head.startswith(b"HTTP/1.1 101 ") and rest and not self.answered.done():
                self.answered.set_result(self._buffer)
            if not found or not head.startswith(b"HTTP/1.1 101 "):
                return
            self._buffer, self._is_open = rest, True
            if not self.answered.done():
                self.answered.set_result(head)
        while (size := message_size(self._buffer)) is not None and len(self._buffer) >= sum(size):
            opcode, message = self._buffer[0], self._buffer[size[0] : sum(size)]
            self._buffer = self._buffer[sum(size) :]
            if opcode == PING and self.transport is not None:
                self.transport.write(bytes((PONG, 0x80 | len(message))) + UNMASKED + message)


async def _open(url: str, keys: Sequence[str], count: int) -> tuple[list[_Idle], bytes]:
    """So many channels, or as many as the venue takes; and what it said to the first that it did not take."""
    parts, loop = urlsplit(url), asyncio.get_running_loop()
    made: list[_Idle] = []
    while len(made) < count:
        some = range(len(made), min(count, len(made) + OPENING_AT_ONCE))
        opened = await asyncio.gather(
            *(
                loop.create_connection(
                    lambda number=number: _Idle(parts.netloc, keys[number // EACH]),  # type: ignore[misc]
                    parts.hostname or "",
                    parts.port or 0,
                    local_addr=(f"127.0.0.{1 + number % SOURCES}", 0),
                )
                for number in some
            )
        )
        idle = [one for _, one in opened]
        said = await asyncio.gather(*(one.answered for one in idle))
        made += [one for one, text in zip(idle, said, strict=True) if text.startswith(b"HTTP/1.1 101 ")]
        refused = [text for text in said if not text.startswith(b"HTTP/1.1 101 ")]
        if refused:
            return made, refused[0]
    return made, b""


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def _memory(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


async def _opens(admin: Venue, agent: Agent, name: str) -> None:
    """Open one after the other, and print how long each took."""
    await admin.set_price(TICKER, 100)  # an old one would be refused
    waits: list[float] = []
    for number in range(OPENS):
        began = time.perf_counter()
        await agent.open(TICKER, ("long", "short")[number % 2], 100, 10)
        waits.append(1000 * (time.perf_counter() - began))
    each = quantiles(waits, n=100)
    print(f"one open, {name}: p50 {each[49]:.2f} ms, p99 {each[98]:.2f} ms, most {max(waits):.1f} ms", flush=True)


async def _quiet(pid: int, count: int) -> None:
    before = _cpu_s(pid)
    await asyncio.sleep(QUIET_S)
    share = (_cpu_s(pid) - before) / QUIET_S
    print(f"{count:,} idle channels: {share:.1%} of a processor", flush=True)


def _abort(channels: Sequence[_Idle]) -> None:
    for one in channels:
        if one.transport is not None:
            one.transport.abort()


def _said(answer: bytes) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    return f"{head.split(b' ', 2)[1].decode()} {body.decode(errors='replace')}"


async def _main(url: str, key: str, pid: int, count: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    room = (count if hard == resource.RLIM_INFINITY else hard) - DESCRIPTORS_KEPT
    if room < count:
        print(f"this process may open {hard:,} files (ulimit -Hn): {room:,} channels instead of {count:,}", flush=True)
        count = room
    run = f"sockets-{os.getpid()}"
    async with Venue(url, key) as admin:
        if not any(market.ticker == TICKER for market in (await admin.list_markets()).markets):
            await admin.list_market(TICKER, "org", "Sockets", 100, preset="crypto")
        keys: list[str] = []
        for number in range(2 + count // EACH):
            await admin.create_user(f"{run}-{number}", 1_000_000)
            keys.append((await admin.create_key(["read", "trade"], user_id=f"{run}-{number}")).key)
    async with Venue(url, key) as admin, Agent(url, keys[-1]) as agent:
        await _opens(admin, agent, "warming up")
        await _opens(admin, agent, "without other channels")
        await _quiet(pid, 0)
        before, began = _memory(pid), time.monotonic()
        idle, refused = await _open(url, keys, count)
        took_s = time.monotonic() - began
        print(f"{len(idle):,} channels opened in {took_s:.1f} s, {len(idle) / took_s:,.0f} /s", flush=True)
        print(f"memory of the venue: {(_memory(pid) - before) / max(len(idle), 1) / 1024:.1f} KiB each", flush=True)
        if refused:
            print(f"one more: {_said(refused)}", flush=True)
        await _quiet(pid, len(idle))
        await _opens(admin, agent, f"beside {len(idle):,}")
        print(f"lost meanwhile: {sum(one.is_lost for one in idle)}", flush=True)
        _abort(idle)
        await agent.ping()
        idle, refused = await _open(url, [keys[-1]], EACH)
        print(f"{1 + len(idle):,} channels of one user; one more: {_said(refused)}", flush=True)
        _abort(idle)


def main(arguments: Sequence[str]) -> None:
    """Measure, and print."""
    url, key, pid, *count = arguments
    uvloop.run(_main(url, key, int(pid), int(count[0]) if count else COUNT))


if __name__ == "__main__":
    main(sys.argv[1:])
