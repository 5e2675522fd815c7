"""The disk under the venue's own database is full."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from tests.endtoend.api import client
from tests.endtoend.conftest import Venues
from tests.faults.siege import BACK_S, besieged
from tests.faults.test_database import children_of
from tests.support.faults import fault
from tests.support.postgres import sql

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

DISK_MIB: Final = 192
"""Of the small disk: enough for a fresh cluster and its log."""
LOG_FILE_BYTES: Final = 16 << 20
"""Of one file of PostgreSQL's log."""
FULL_S: Final = 3.0
"""How long the disk stays full."""


@pytest.fixture
def disk(place: Path, at_last: ExitStack) -> Path:
    """A small disk of its own for the venue's data directory."""
    disk = place / "venue"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=755", "perps-tests", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk is a tmpfs, and it cannot be mounted here: {mounted.stderr.strip()}")
    at_last.callback(subprocess.run, ["umount", "--lazy", str(disk)], check=True)
    return disk


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Not a byte is left on it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1 << 20)):
            pass
    try:
        yield
    finally:
        ballast.unlink()


@fault("disk full", "I1", "I3", "I4", "I5", "I8", "I10", "I12", "I13")
async def test_a_venue_on_a_full_disk_acknowledges_nothing_and_goes_on_when_there_is_space(
    venues: Venues, disk: Path, tmp_path: Path
) -> None:
    """Its database can neither extend a table nor begin another file of its log; what is committed can be read."""
    venue = venues()
    await asyncio.to_thread(venue.start)
    database = await asyncio.to_thread(venue.postgres.start)
    async with besieged(venue.url, database, tmp_path) as siege:
        with full(disk):
            await siege.is_silent(within_s=20, quiet_s=FULL_S)
            async with client(venue.url) as api:
                problems = (await api.send("GET", "/readyz")).json["problems"]
            assert problems["journal"].startswith("disk full"), problems
            reads = siege.reads["sums read"]
            await asyncio.sleep(FULL_S)
            assert siege.reads["sums read"] > reads, "nothing could be read meanwhile"
        await siege.serves_again(time.monotonic())
        await siege.acknowledges(50)
    assert venue.exit_code() is None


@fault("log of the database cannot be written: it panics", "I1", "I3", "I4", "I5", "I8", "I10", "I12", "I13")
@pytest.mark.skipif(shutil.which("prlimit") is None, reason="no prlimit, which changes limits of a running process")
async def test_a_database_that_panics_again_and_again_is_waited_for(venues: Venues, tmp_path: Path) -> None:
    """Half of each log file is out of its reach: it crashes, comes back, and crashes at the next write.

    Where memory is the disk it does so twenty times a second. PostgreSQL 18 then hangs now and then: its startup
    process waits for a checkpointer that has crashed. So the server is ended once it can write again, and the venue
    starts it.
    """
    venue = venues()
    await asyncio.to_thread(venue.start)
    database = await asyncio.to_thread(venue.postgres.start)
    async with besieged(venue.url, database, tmp_path) as siege:
        size = LogSize(LOG_FILE_BYTES // 2)
        limiting = asyncio.create_task(asyncio.to_thread(keep_limited, venue.postgres.directory, size))
        try:
            await asyncio.to_thread(write_log_until_it_panics, database)
            await siege.is_silent(within_s=20, quiet_s=FULL_S)
            size.allowed = None
            await asyncio.to_thread(end_server, venue.postgres.directory)
            await siege.serves_again(time.monotonic(), within_s=2 * BACK_S)  # it may just have begun to crash once more
        finally:
            size.over.set()
            await limiting
        await siege.acknowledges(50)
    assert venue.exit_code() is None


@dataclass
class LogSize:
    """How far a server may write its files just now."""

    allowed: int | None
    """In bytes; None for as far as it likes."""
    over: threading.Event = field(default_factory=threading.Event)


def keep_limited(directory: Path, size: LogSize) -> None:
    """The server that runs now, each that is started after it, and all that they have started, until it is over."""
    while not size.over.is_set():
        with suppress(OSError, ValueError, IndexError):
            postmaster = int((directory / "postmaster.pid").read_text().split()[0])
            limit_files(postmaster, "unlimited" if size.allowed is None else str(size.allowed))
        size.over.wait(0.02)


def end_server(directory: Path) -> None:
    """The server ends at once, as if its machine did."""
    with suppress(OSError, ValueError, IndexError):
        os.kill(int((directory / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)


def limit_files(postmaster: int, size: str) -> None:
    """No file of a server grows past ``size`` bytes. Only its own user may say so, also if we are root."""
    owner = Path(f"/proc/{postmaster}").stat()
    other = owner.st_uid != os.geteuid()

    def limit(pid: int) -> None:
        subprocess.run(
            ["prlimit", f"--pid={pid}", f"--fsize={size}:"],
            user=owner.st_uid if other else None,
            group=owner.st_gid if other else None,
            extra_groups=[] if other else None,
            stderr=subprocess.DEVNULL,  # it has just ended
            check=False,
        )

    limit(postmaster)
    for pid in children_of(postmaster):  # those begun before it was limited; any later one inherits that
        limit(pid)


def write_log_until_it_panics(database: str) -> None:
    """Messages of 1 MiB that mean nothing, until the server breaks off."""
    for _ in range(2 * LOG_FILE_BYTES >> 20):
        try:
            sql(database, "select pg_logical_emit_message(false, 'ballast', repeat('x', 1 << 20))")
        except (asyncpg.PostgresError, OSError):
            return
    raise AssertionError("the server wrote it all")
