"""The composition root: the one place where persistence, actors and web meet; and the process that a venue runs as."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import msgspec
import structlog
import uvloop
from msgspec import Struct

from actors.clock import ManualClock
from perps.journal import DiskFull, JournalUnavailable
from perps.venue import JournalCorrupt
from persistence.embedded.server import EmbeddedPostgres, EmbeddedPostgresError
from persistence.errors import CannotServe
from persistence.journal.history import PostgresHistory
from persistence.journal.snapshots import PostgresSnapshots
from persistence.journal.writer import PostgresJournal
from persistence.reads.equity import PostgresEquity
from persistence.reads.keys import PostgresKeys
from persistence.reads.queries import PostgresQueries
from web.limits.admission import RequestLimits
from web.limits.origins import Sites
from web.listener import PortTaken, free_port, try_port
from web.process import affinity as processor
from web.process import last_words, logs, snapshot_process
from web.process.clock import SystemClock
from web.process.data_directory import CannotStart, DataDirectory
from web.process.host import StartAborted
from web.process.log_sink import say
from web.process.running_venues import announce, holder, running_venues
from web.process.snapshot_taking import OnProgress, SnapshotTaken, take_snapshot
from web.process.snapshots import SnapshotPolicy
from web.venue_server import Limits, Stores, VenueServer

__all__ = [
    "Companion",
    "Limits",
    "ServeSettings",
    "Stores",
    "VenueServer",
    "WrapStores",
    "postgres",
    "serve",
    "snapshot_of",
    "tune_process",
]

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
    clock_is_manual: bool = False
    """Time stands still but for ``POST /api/admin/clock/advance``."""
    requests: RequestLimits = RequestLimits()
    sites: Sites = Sites()
    public_leaderboard: bool = False
    """Anybody may see the leaderboard, without a key."""
    log_level: str = "info"
    one_processor: bool = True
    """Keep all threads on one: see ``web/process/affinity``."""
    demo_keys: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Of the demo's people, by user, as soon as there are any. The page trades with them."""
    on_port: Callable[[int], str] = "perps serve --port {}".format
    """The command that starts this venue on another port, for a message."""


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
    await _check_port(settings)
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
        clock = ManualClock(SystemClock()) if settings.clock_is_manual else None
        limits = Limits(
            snapshots=settings.snapshots,
            requests=settings.requests,
            sites=settings.sites,
            public_leaderboard=settings.public_leaderboard,
        )
        venue = VenueServer(
            wrap(stores) if wrap else stores, admin_key, clock=clock, limits=limits, demo_keys=settings.demo_keys
        )
        port = await venue.listen(settings.host, settings.port)
        stack.push_async_callback(venue.close)
        stack.callback(announce(directory.path, settings.host, port))
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


async def _check_port(settings: ServeSettings) -> None:
    """Try the port while nothing has been made yet. Raises ``CannotStart``, with what to do."""
    try:
        await try_port(settings.host, settings.port)
    except PortTaken as taken:
        if holder(settings.data_dir) is not None:
            return  # by a venue on this data directory, most likely: whoever locks the directory says so
        for venue in running_venues():
            if venue.port == settings.port:
                taken_by = f"{taken} by the venue on {venue.data_dir} (process {venue.pid})"
                break
        else:
            taken_by = str(taken)
        other = await free_port(settings.host, settings.port)
        free = f"port {other} is free" if other else "port 0 means any free one"
        raise CannotStart(f"{taken_by}; {free}: {settings.on_port(other)}") from taken


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
                kind = DiskFull if os.strerror(errno.ENOSPC) in str(error) else JournalUnavailable
                raise kind(str(error)) from error
        journal = PostgresJournal.acquire(
            url,
            wait_s=LOCK_WAIT_S,
            venue=venue,
            last_epoch=epoch,
            partition_rows=partition_rows,
            say=lambda step: log.info("database.updating", step=step),
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
        equity=PostgresEquity(url),
        take_snapshot=take,
    )


def snapshot_of(url: str, on_progress: OnProgress = lambda: None) -> SnapshotTaken:
    """Take a snapshot of a database here and now. Blocking.

    Raises ``JournalCorrupt``, ``JournalUnavailable``, and ``SnapshotBroken`` for a state too large for one.
    """
    return take_snapshot(PostgresHistory(url), PostgresSnapshots(url), on_progress=on_progress)


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
