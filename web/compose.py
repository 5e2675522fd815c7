"""The composition root: the one place where persistence, actors and web meet."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol
from uuid import uuid4

import structlog
import uvloop
from msgspec import Struct

from actors.limits import IN_FLIGHT_MAX
from actors.ports import Clock, History
from perps.journal import JournalUnavailable
from perps.venue import JournalCorrupt
from persistence.embedded.server import EmbeddedPostgres, EmbeddedPostgresError
from persistence.errors import CannotServe
from persistence.journal.history import PostgresHistory
from persistence.journal.snapshots import PostgresSnapshots
from persistence.journal.writer import PostgresJournal
from persistence.reads.keys import PostgresKeys
from persistence.reads.queries import PostgresQueries
from web.api import app
from web.api.context import Context, Queries
from web.auth import Keys, KeyStore
from web.listener import Listener
from web.metrics import Metrics
from web.process import affinity as processor
from web.process import last_words, logs, snapshot_process
from web.process.clock import SystemClock
from web.process.data_directory import CannotStart, DataDirectory
from web.process.host import Host, OpenJournal, StartAborted
from web.process.log_sink import say
from web.process.snapshot_taking import OnProgress, SnapshotTaken, take_snapshot
from web.process.snapshots import SnapshotPolicy, Snapshots, TakeSnapshot
from web.readside.model import ROWS_KEPT, ReadModel
from web.streams.sse import BEHIND_BYTES_MAX, HEARTBEAT_S, Streams

log = structlog.get_logger()

SWITCH_INTERVAL_S: Final = 0.0005
"""How long a thread may keep the interpreter while another waits: Python's default of 5 ms costs tens of ms at p95."""

GC_THRESHOLD: Final = 10_000
"""Allocations between young collections: the venue's values are acyclic, and collecting at every 700 only costs time.
But errors leave cycles that hold what was received: at 50,000 that could come to a gigabyte under bad requests."""

LOCK_WAIT_S: Final = 1.0
"""How long a start waits for the shard's lock: the session of a venue that was just killed may still be ending."""

Companion = Callable[[str, str, asyncio.Event], Awaitable[None]]
"""Something that runs beside the venue from when it is ready: (base URL, admin key, stop)."""


class ServeSettings(Struct, frozen=True, kw_only=True):
    """What ``perps serve`` was told."""

    host: str
    port: int
    data_dir: Path
    database_url: str | None
    admin_key: str | None
    snapshots: SnapshotPolicy = SnapshotPolicy()
    snapshot_command: tuple[str, ...] = ()
    """The program that takes a snapshot of PERPS_DATABASE_URL: see ``web/process/snapshot_process``."""
    partition_rows: int | None = None
    """Rows of each of the journal's partitions, for a new database. None: what the database has."""
    log_level: str = "info"
    one_processor: bool = True
    """Keep all threads on one: see ``web/process/affinity``."""


def serve(settings: ServeSettings, companion: Companion | None = None, *, wrap: WrapStores | None = None) -> int:
    """Run a venue until SIGTERM or SIGINT. 0: stopped in order; 1: it could not start, or could not go on.

    ``wrap`` may put something between the venue and its stores.
    """
    logs.configure(settings.log_level)
    try:
        code = uvloop.run(_serve(settings, companion, wrap))
    except (CannotStart, CannotServe, EmbeddedPostgresError, JournalCorrupt, JournalUnavailable) as error:
        say(f"perps: error: {error}")
        return 1
    say("perps has stopped")
    return code


async def _serve(settings: ServeSettings, companion: Companion | None, wrap: WrapStores | None) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    last_words.say_when_asked()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    directory = DataDirectory(settings.data_dir)
    admin_key = settings.admin_key or directory.admin_key()
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(directory.close)
        url, server = settings.database_url, None
        if url is None:
            server = EmbeddedPostgres(directory.path / "postgres", say=say)
            url = await asyncio.to_thread(server.start)
            stack.push_async_callback(asyncio.to_thread, server.close)
        stores = postgres(url, server, settings.snapshot_command, settings.partition_rows)
        venue = VenueServer(wrap(stores) if wrap else stores, admin_key, limits=Limits(snapshots=settings.snapshots))
        port = await venue.listen(settings.host, settings.port)
        stack.push_async_callback(venue.close)
        if not await _started(venue, stop):
            return 0
        tune_process()
        if settings.one_processor:
            stack.callback(asyncio.create_task(processor.stay_together()).cancel)
        base_url = f"http://{f'[{settings.host}]' if ':' in settings.host else settings.host}:{port}"
        say(f"perps is ready on {base_url}")
        waits: list[asyncio.Future[Any]] = [asyncio.create_task(stop.wait()), venue.host.ended]
        beside = asyncio.create_task(_beside(companion, base_url, admin_key, stop)) if companion else None
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            say("perps is stopping")
        stop.set()
        if beside is not None:
            await beside
    if venue.host.ended.done():
        raise CannotStart(f"the venue cannot go on: {venue.host.ended.result()}")
    return 0


class ReadSide(Queries, Protocol):
    """Queries that live as long as the venue."""

    async def open(self) -> None:
        """Connect."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...


class Stores(Struct, frozen=True, kw_only=True):
    """Where a venue keeps what must last."""

    open_journal: OpenJournal
    history: History
    queries: ReadSide
    keys: KeyStore
    take_snapshot: TakeSnapshot


WrapStores = Callable[[Stores], Stores]


def postgres(
    url: str,
    server: EmbeddedPostgres | None = None,
    snapshot_command: Sequence[str] = (),
    partition_rows: int | None = None,
) -> Stores:
    """The stores in one PostgreSQL database; on ``server``, if it is the venue's own to bring back when it dies.

    Snapshots are taken by ``snapshot_command`` in a process of its own, or in a thread if there is none.
    ``partition_rows``: see ``ServeSettings``.
    """

    venue, epoch = uuid4().hex, 0

    def open_journal() -> PostgresJournal:
        nonlocal epoch
        if server is not None:
            try:
                with processor.elsewhere():
                    server.start()
            except EmbeddedPostgresError as error:
                raise JournalUnavailable(str(error)) from error
        journal = PostgresJournal.acquire(
            url, wait_s=LOCK_WAIT_S, venue=venue, last_epoch=epoch, partition_rows=partition_rows
        )
        epoch = journal.epoch
        return journal

    async def take() -> SnapshotTaken:
        if snapshot_command:
            return await snapshot_process.run(snapshot_command, url)
        return await asyncio.to_thread(snapshot_of, url)

    return Stores(
        open_journal=open_journal,
        history=PostgresHistory(url),
        queries=PostgresQueries(url),
        keys=PostgresKeys(url),
        take_snapshot=take,
    )


def snapshot_of(url: str, on_progress: OnProgress = lambda offset: None) -> SnapshotTaken:
    """Take a snapshot of a database here and now. Blocking.

    Raises ``JournalCorrupt``, ``JournalUnavailable``, and ``SnapshotBroken`` for a state too large for one.
    """
    return take_snapshot(PostgresHistory(url), PostgresSnapshots(url), on_progress=on_progress)


class Limits(Struct, frozen=True, kw_only=True):
    """What of a venue is bounded, and by how much."""

    in_flight_max: int = IN_FLIGHT_MAX
    connections_max: int = 0
    """0: as many as the process may have."""
    rows_kept: int = ROWS_KEPT
    behind_bytes_max: int = BEHIND_BYTES_MAX
    heartbeat_s: float = HEARTBEAT_S
    snapshots: SnapshotPolicy = SnapshotPolicy()


class VenueServer:
    """One running venue: the web server, the read side and the core's host."""

    def __init__(
        self, stores: Stores, admin_key: str, *, clock: Clock | None = None, limits: Limits | None = None
    ) -> None:
        clock, limits = clock or SystemClock(), limits or Limits()
        model, metrics = ReadModel(rows_kept=limits.rows_kept), Metrics()
        streams = Streams(model, behind_bytes_max=limits.behind_bytes_max, heartbeat_s=limits.heartbeat_s)
        self._queries = stores.queries
        self._snapshots = Snapshots(stores.take_snapshot, model, metrics, limits.snapshots, clock)
        self.host = Host(
            stores.open_journal,
            stores.history,
            clock,
            model,
            streams,
            metrics,
            in_flight_max=limits.in_flight_max,
        )
        self.context = Context(
            bridge=self.host.bridge,
            model=model,
            queries=self._queries,
            keys=Keys(stores.keys, admin_key, clock),
            streams=streams,
            snapshots=self._snapshots,
            metrics=metrics,
            recorder=self.host.recorder,
            clock=clock,
            problems=self.host.problems,
        )
        metrics.gauge("perps_problems", "Parts that are not well.", lambda: len(self.host.problems()))
        metrics.gauge("perps_in_flight", "Commands sent and not answered.", lambda: self.host.bridge.in_flight)
        metrics.gauge("perps_offset", "The last durable row.", lambda: model.offset)
        metrics.gauge("perps_snapshot_offset", "The newest snapshot.", lambda: self._snapshots.last_offset)
        metrics.gauge("perps_snapshot_problem", "1: the last one failed.", lambda: self._snapshots.problem is not None)
        metrics.gauge("perps_streams", "Open event streams.", lambda: streams.readers)
        self._listener = Listener(app.build(self.context), metrics, limits.connections_max)

    async def listen(self, host: str, port: int) -> int:
        """Answer on a port; ``/readyz`` says 503 until ``start`` has ended. Returns the port (0 asks for any)."""
        return await self._listener.open(host, port)

    async def start(self) -> None:
        """Recover, open the doors."""
        await self.host.start()
        await self._queries.open()
        await self.context.keys.open()
        self._snapshots.start(self.host.began_at)
        self.context.started = True

    async def close(self) -> None:
        """Drain and stop: answers first, then streams and connections, then the core."""
        self.context.draining = True
        self.context.arrivals.end()
        await self._snapshots.stop()
        await self.host.stop()
        self.context.streams.close()
        await self._listener.close()
        await self._queries.close()


def tune_process() -> None:
    """Once recovery is done: threads take turns quickly, and the collector does not walk what will stay."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


async def _started(venue: VenueServer, stop: asyncio.Event) -> bool:
    """Start the venue; False if it was told to stop before it was ready."""
    starting, stopping = asyncio.create_task(venue.start()), asyncio.create_task(stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        venue.host.abort()
    try:
        await starting
    except StartAborted:
        return False
    finally:
        stopping.cancel()
    return not stop.is_set()


async def _beside(companion: Companion, base_url: str, admin_key: str, stop: asyncio.Event) -> None:
    try:
        await companion(base_url, admin_key, stop)
    except Exception as error:  # noqa: BLE001 - the venue outlives whatever runs beside it
        log.error("companion.failed", error=repr(error))
