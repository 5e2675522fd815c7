"""Opens from inside the venue's process, and the replay of their rows: everything but HTTP.

It runs in a process of its own (``python -m tools.benchmark.engine``): it reads an ``EngineSpec`` as JSON from stdin
and prints an ``EngineResult``.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Final

import msgspec
import uvloop

from actors.messages import Outcome, Settled
from actors.recovery import recover
from perps.commands import Command, CreateUser, OpenPosition, Side
from perps.units import MICRO, Micros
from perps.wire.base import Number
from perps.wire.listing import MarketBody
from tools.benchmark.process import run_part
from tools.benchmark.report import Figure
from tools.errors import ToolError
from web import compose
from web.api.bodies.commands import list_command
from web.process import affinity as processor
from web.process import logs
from web.process.snapshots import SnapshotPolicy
from web.readside.model import ReadModel

IN_FLIGHT: Final = (1, 16, 64, 256)
TICKERS: Final = ("BENCH-A", "BENCH-B", "BENCH-C", "BENCH-D")
WARM_UP_S: Final = 1.0
DEPOSIT: Final = Micros(10**9 * MICRO)
SIZE: Final = Micros(100 * MICRO)

NO_SNAPSHOTS: Final = SnapshotPolicy(rows=10**12, seconds=math.inf)
"""None is taken: it would run in the process that is measured, and shorten the replay."""


class EngineSpec(msgspec.Struct, frozen=True):
    """What to measure: an empty database, and how many seconds at each number in flight."""

    database_url: str
    seconds: float


class OpensResult(msgspec.Struct, frozen=True):
    """Durable opens while ``in_flight`` callers wait at a time."""

    in_flight: int
    per_second: float
    p50_ms: float
    p99_ms: float


class EngineResult(msgspec.Struct, frozen=True):
    """Everything that this process measured."""

    opens: list[OpensResult]
    replayed_rows: int
    replayed_per_second: float


def figures(database_url: str, directory: Path, seconds: float, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Durable opens per second from inside the process, then rows per second of recovery."""
    tell("opens inside the process, and their replay")
    spec = EngineSpec(database_url, seconds)
    result = msgspec.json.decode(run_part("tools.benchmark.engine", spec, directory), type=EngineResult)
    for opens in result.opens:
        name = f"opens, {opens.in_flight} in flight"
        yield Figure("engine", name, opens.per_second, "/s", p50=opens.p50_ms, p99=opens.p99_ms)
    note = f"{result.replayed_rows:,} rows, read from PostgreSQL, checked and applied"
    yield Figure("engine", "replay", result.replayed_per_second, "rows/s", note=note)


async def measure(spec: EngineSpec) -> EngineResult:
    """Run a venue on the database, without a web server, and drive its bridge."""
    stores = compose.postgres(spec.database_url)
    venue = compose.VenueServer(stores, secrets.token_hex(), limits=compose.Limits(snapshots=NO_SNAPSHOTS))
    await venue.start()
    compose.tune_process()
    processor.gather()
    users = [f"bench-{number}" for number in range(max(IN_FLIGHT))]
    for ticker in TICKERS:
        await _do(venue, list_command(_market(ticker)), "@admin")
    for user in users:
        await _do(venue, CreateUser(user=user, deposit=DEPOSIT), user)
    opens = [await _opens(venue, users[:count], spec.seconds) for count in IN_FLIGHT]
    await venue.close()
    begun = time.perf_counter()
    recovered = await asyncio.to_thread(recover, stores.history, ReadModel().replay)
    elapsed = time.perf_counter() - begun
    return EngineResult(opens, recovered.state.offset, recovered.state.offset / elapsed)


async def _opens(venue: compose.VenueServer, users: Sequence[str], seconds: float) -> OpensResult:
    """One caller per user. Each waits for its answer before it sends the next open. The warm-up is not counted."""
    waits: list[float] = []
    counted_from = time.perf_counter() + WARM_UP_S
    until = counted_from + seconds
    run = secrets.token_hex(4)

    async def trade(number: int, user: str) -> None:
        ticker, sides, sent = TICKERS[number % len(TICKERS)], (Side.LONG, Side.SHORT), 0
        while (begun := time.perf_counter()) < until:
            sent += 1
            side = sides[(sent + number // len(TICKERS)) % 2]
            command = OpenPosition(ticker=ticker, user=user, side=side, size=SIZE, leverage=5)
            await _do(venue, command, user, f"{run}-{number}-{sent}")
            if begun >= counted_from:
                waits.append(time.perf_counter() - begun)

    await asyncio.gather(*(trade(number, user) for number, user in enumerate(users)))
    shares = quantiles(sorted(waits), n=100)
    return OpensResult(len(users), len(waits) / seconds, shares[49] * 1e3, shares[98] * 1e3)


async def _do(venue: compose.VenueServer, command: Command, sender: str, order_id: str | None = None) -> None:
    outcome: Outcome = await venue.host.bridge.send(
        command, sender=sender, client_order_id=order_id, fresh=order_id is None, trace_id="bench"
    )
    if not isinstance(outcome, Settled):
        raise ToolError(f"the venue did not carry out a command of the benchmark: {outcome}")


def _market(ticker: str) -> MarketBody:
    """A market with room for more opens than any run makes."""
    return MarketBody(
        ticker=ticker,
        organization_id="bench",
        name="Benchmark",
        price=Number(1000),
        max_leverage=10,
        skew_scale=Number(300_000_000),
        max_skew=Number(1_000_000),
        max_open_interest=Number(10_000_000),
    )


def main() -> None:
    """Read the specification from stdin, measure, print the result."""
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=EngineSpec)
    logs.configure("info")
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(measure(spec))))


if __name__ == "__main__":
    main()
