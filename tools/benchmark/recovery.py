"""Start-up with and without a snapshot, and how long a busy market waits while a snapshot is taken.

It runs in a process of its own (``python -m tools.benchmark.recovery``): it reads a ``RecoverySpec`` as JSON from stdin
and prints a ``RecoveryResult``.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from actors.messages import Settled, VenueImage
from actors.recovery import recover
from perps.commands import PriceSource, UpdatePrice
from perps.units import Ticks
from tools.benchmark.journal_writer import TICKER, write_journal
from tools.benchmark.load import percentile
from tools.benchmark.process import run_part
from tools.benchmark.report import Figure
from tools.errors import ToolError
from tools.snapshot_follower import FOLLOWER
from web import compose
from web.process import affinity as processor
from web.process import logs
from web.process.snapshots import SnapshotPolicy
from web.readside.loading import load_views
from web.readside.model import ReadModel

QUIET_S: Final = 3.0
IMAGES: Final = 20
NEVER: Final = SnapshotPolicy(rows=sys.maxsize, seconds=1e9)


class RecoverySpec(msgspec.Struct, frozen=True):
    """An empty database, the rows to write to it, and how many positions stay open in its one market."""

    database_url: str
    rows: int
    positions: int


class Waits(msgspec.Struct, frozen=True):
    """How long price updates waited, sent one at a time: milliseconds."""

    p50: float
    p99: float
    longest: float


class RecoveryResult(msgspec.Struct, frozen=True):
    """Everything that this process measured, in seconds unless the name says otherwise."""

    rows: int
    positions: int
    without_s: float
    with_s: float
    snapshot_s: float
    snapshot_bytes: int
    image_ms: float
    quiet: Waits
    during_snapshot: Waits
    during_images: Waits


def figures(
    database_url: str, directory: Path, rows: int, positions: int, tell: Callable[[str], None]
) -> Iterator[Figure]:
    """Start-up from a long journal, and the longest wait of a price update while a snapshot is taken."""
    tell(f"start-up from {rows:,} rows, with and without a snapshot")
    spec = RecoverySpec(database_url, rows, positions)
    result = msgspec.json.decode(run_part("tools.benchmark.recovery", spec, directory), type=RecoveryResult)
    read = f"{result.rows:,} rows"
    size = f"{result.positions:,} positions, {result.snapshot_bytes / 1e6:.1f} MB"
    yield Figure("recovery", "start without a snapshot", result.without_s, "s", note=read)
    yield Figure("recovery", "start with a snapshot at its end", result.with_s, "s", note=size)
    yield Figure(
        "recovery", "taking the snapshot", result.snapshot_s, "s", note=f"in another process, which replays {read}"
    )
    yield Figure(
        "recovery", "a market's image", result.image_ms, "ms", note=f"{result.positions:,} positions, its thread"
    )
    for name, waits in (
        ("nothing else", result.quiet),
        ("a snapshot being taken", result.during_snapshot),
        ("images being taken", result.during_images),
    ):
        yield Figure(
            "recovery",
            f"longest wait of a price update: {name}",
            waits.longest,
            "ms",
            p50=waits.p50,
            p99=waits.p99,
            note=f"{result.positions:,} positions",
        )


async def measure(spec: RecoverySpec) -> RecoveryResult:
    """Write the journal, start from it twice, then send prices while snapshots and images are taken."""
    await asyncio.to_thread(write_journal, spec.database_url, spec.rows, spec.positions)
    stores = compose.postgres(spec.database_url, snapshot_command=FOLLOWER)
    rows, without_s = await asyncio.to_thread(_start, stores)
    begun = time.perf_counter()
    taken = await stores.take_snapshot()
    snapshot_s = time.perf_counter() - begun
    _, with_s = await asyncio.to_thread(_start, stores)

    venue = compose.VenueServer(stores, secrets.token_hex(), limits=compose.Limits(snapshots=NEVER))
    await venue.start()
    compose.tune_process()
    processor.gather()
    quiet = await _waits(venue, asyncio.sleep(QUIET_S))
    during_snapshot = await _waits(venue, stores.take_snapshot())
    during_images = await _waits(venue, _images(venue))
    image_ms = _image_ms(venue)
    await venue.close()
    return RecoveryResult(
        rows,
        spec.positions,
        without_s,
        with_s,
        snapshot_s,
        taken.size,
        image_ms,
        quiet,
        during_snapshot,
        during_images,
    )


def _start(stores: compose.Stores) -> tuple[int, float]:
    """The journal's rows, and the seconds until a venue would be ready."""
    begun, model = time.perf_counter(), ReadModel()
    state = recover(stores.history, model.replay, lambda snapshot, state: load_views(model, snapshot, state)).state
    return state.offset, time.perf_counter() - begun


async def _waits(venue: compose.VenueServer, meanwhile: Awaitable[object]) -> Waits:
    """Price updates one after the other, until ``meanwhile`` has ended."""
    other, waits = asyncio.ensure_future(meanwhile), list[int]()
    while not other.done():
        price = Ticks(100_000 + len(waits) % 10)
        command = UpdatePrice(ticker=TICKER, price=price, source=PriceSource.ORACLE)
        begun_ns = time.perf_counter_ns()
        outcome = await venue.host.bridge.send(
            command, sender="@admin", client_order_id=None, fresh=False, trace_id="bench"
        )
        waits.append(time.perf_counter_ns() - begun_ns)
        if not isinstance(outcome, Settled):
            raise ToolError(f"the venue did not accept a price of the benchmark: {outcome}")
    await other
    waits.sort()
    return Waits(percentile(waits, 50) / 1e6, percentile(waits, 99) / 1e6, waits[-1] / 1e6)


async def _images(venue: compose.VenueServer) -> None:
    for _ in range(IMAGES):
        image = await venue.host.bridge.image()
        if not isinstance(image, VenueImage):
            raise ToolError(f"the venue gave no image of its state: {image.reason}")
        await asyncio.sleep(0.05)


def _image_ms(venue: compose.VenueServer) -> float:
    """The longest time in ms for which taking an image occupies a market actor, measured on the read model's copy."""
    market, waits = venue.context.model.markets[TICKER].market, []
    for _ in range(IMAGES):
        begun = time.perf_counter()
        market.image()
        waits.append(time.perf_counter() - begun)
    return max(waits) * 1e3


def main() -> None:
    """Read the specification from stdin, measure, print the result."""
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=RecoverySpec)
    logs.configure("warning")
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(measure(spec))))


if __name__ == "__main__":
    main()
