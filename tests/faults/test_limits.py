"""The venue's process is given too few descriptors or too little memory: it refuses or ends, and forgets nothing."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.endtoend.api import Api, client
from tests.endtoend.conftest import Venues
from tests.endtoend.rounds import Journal
from tests.endtoend.venue_process import VenueProcess
from tests.faults.siege import besieged, held
from tests.support.faults import fault
from tests.support.postgres import sql
from tests.support.slowness import soon
from web.readside.model import ROWS_KEPT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(90),
    pytest.mark.skipif(
        sys.platform != "linux", reason="only Linux changes the limits of a running process: prlimit(2)"
    ),
]

SPARE_DESCRIPTORS: Final = 30
SPARE_MEMORY: Final = 2 << 20
"""Of address space."""
MEMORY_CLIENTS: Final = 32
HURT_S: Final = 30.0
"""Longest time that so little memory may be enough, and that commands lost to its want may stay without an answer."""
LONG_CLIENTS: Final = 32
LONG_S: Final = 120.0
"""Longest time for so many rows."""
FULL_ROWS: Final = ROWS_KEPT * 3 // 2
"""More than the venue keeps whole in memory."""
BYTES_PER_ANSWER: Final = 600
"""Of memory for one client id and where its answer stands: at most ``RECENT_ANSWERS_MAX`` of them."""
CONNECTIONS: Final = 200
"""Idle ones, many more than there are descriptors for."""


@contextmanager
def limited(venue: VenueProcess, what: int, value: int) -> Iterator[None]:
    """A limit of its running process, lifted again if it still runs; its database server keeps its own."""
    pid, (soft, hard) = venue.pid, resource.prlimit(venue.pid, what)
    resource.prlimit(pid, what, (value, hard))
    try:
        yield
    finally:
        if venue.exit_code() is None:
            resource.prlimit(pid, what, (soft, hard))


def open_descriptors(venue: VenueProcess) -> int:
    """How many it has."""
    return len(list(Path(f"/proc/{venue.pid}/fd").iterdir()))


@asynccontextmanager
async def crowd(venue: VenueProcess, count: int) -> AsyncIterator[None]:
    """Connections that say nothing. Those that the venue closes are lost and not made again."""
    writers: list[asyncio.StreamWriter] = []
    try:
        for _ in range(count):
            try:
                _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", venue.port), 1)
            except (OSError, TimeoutError):
                continue
            writers.append(writer)
        yield
    finally:
        for writer in writers:
            writer.close()


@fault("descriptor limit", "I1", "I3", "I4", "I8", "I10", "I11", "I12")
async def test_without_descriptors_the_venue_goes_on_and_takes_connections_again(
    venues: Venues, database: str, tmp_path: Path
) -> None:
    """Whoever is connected trades on while nobody else gets in; when the crowd has gone everybody gets in again."""
    venue = venues(database_url=database)
    async with held(venue, database, tmp_path) as siege:
        most = open_descriptors(venue) + SPARE_DESCRIPTORS
        with limited(venue, resource.RLIMIT_NOFILE, most):
            async with crowd(venue, CONNECTIONS):
                assert open_descriptors(venue) >= most - 1
                await siege.acknowledges(200)
            ended = time.monotonic()
            async with client(venue.url) as newcomer:
                assert (await newcomer.verdict("GET", "/healthz")).status == 200
            await siege.serves_again(ended)


@fault("descriptor limit, and the journal's session terminated meanwhile", "I1", "I3", "I4", "I8", "I10", "I12", "I13")
async def test_a_journal_lost_while_there_are_no_descriptors_is_taken_up_again(
    venues: Venues, database: str, tmp_path: Path
) -> None:
    """A rebuild needs descriptors: it is tried until there are some."""
    venue = venues(database_url=database)
    async with held(venue, database, tmp_path) as siege:
        session = await asyncio.to_thread(Journal(database).session)
        with limited(venue, resource.RLIMIT_NOFILE, open_descriptors(venue) + SPARE_DESCRIPTORS):
            async with crowd(venue, CONNECTIONS):
                async with siege.in_a_hurry():
                    await asyncio.to_thread(sql, database, "select pg_terminate_backend($1)", session)
                await siege.is_silent(within_s=10, quiet_s=1.0)
                assert venue.exit_code() is None, venue.tail()
            await siege.serves_again(time.monotonic())


@fault("memory cap", "I1", "I3", "I4", "I8", "I10", "I13")
async def test_a_venue_out_of_memory_refuses_or_ends_and_forgets_nothing(
    venues: Venues, database: str, tmp_path: Path
) -> None:
    """Whatever breaks first. One that neither ends nor answers ``/healthz`` is killed by whoever runs it."""
    venue = venues(database_url=database)
    await asyncio.to_thread(venue.start)
    async with besieged(venue.url, database, tmp_path, clients=MEMORY_CLIENTS) as siege:
        siege.tolerant.set()
        async with siege.in_a_hurry():
            with limited(venue, resource.RLIMIT_AS, address_space(venue) + SPARE_MEMORY):
                await until_it_hurts(venue)
        lifted, manager = time.monotonic(), asyncio.create_task(keep_running(venue, siege.api))
        try:
            await siege.serves_again(lifted, within_s=HURT_S)
            await siege.acknowledges(50)
        finally:
            manager.cancel()
            await asyncio.wait([manager])


async def keep_running(venue: VenueProcess, api: Api) -> None:
    """What a service manager does: start what has ended, kill what does not answer ``/healthz``. Until cancelled."""
    while True:
        if venue.exit_code() is None and not await is_alive(api):
            print("it neither ended nor answered")
            venue.signal(signal.SIGKILL)
            await asyncio.sleep(0.1)
        elif venue.exit_code() is not None:
            print(f"it ended with {venue.wait_exit()}")
            venue.spawn()
        await asyncio.sleep(0.1)


async def until_it_hurts(venue: VenueProcess) -> None:
    """Until it has ended, or failed at something for want of memory."""
    async with soon(HURT_S):
        while venue.exit_code() is None and b"MemoryError" not in venue.log.read_bytes():  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        await asyncio.sleep(1.0)


async def is_alive(api: Api) -> bool:
    """Whether it answers at all, within some seconds."""
    for _ in range(10):
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, KeyError):
            async with asyncio.timeout(1):  # wait_for would forget a cancellation that comes with the answer
                return (await api.send("GET", "/healthz")).status == 200
        await asyncio.sleep(0.5)
    return False


def address_space(venue: VenueProcess) -> int:
    """Its bytes."""
    pages = int(Path(f"/proc/{venue.pid}/statm").read_text().split()[0])
    return pages * resource.getpagesize()


@fault("long run of load", "I3", "I4", "I10", "I11")
@pytest.mark.faults
@pytest.mark.timeout(300)
async def test_memory_stays_bounded_under_a_long_run_of_load(venues: Venues, database: str, tmp_path: Path) -> None:
    """Once the window of recent rows is full, all that grows is the answers by client id, which have a limit too."""
    venue = venues(database_url=database)
    async with held(venue, database, tmp_path, clients=LONG_CLIENTS) as siege, siege.in_a_hurry():
        await siege.acknowledges(FULL_ROWS - siege.told.count, within_s=LONG_S)
        rows, memory, descriptors = siege.told.count, resident(venue), open_descriptors(venue)
        await siege.acknowledges(FULL_ROWS, within_s=LONG_S)
        more, grown = siege.told.count - rows, resident(venue) - memory
        print(f"after {rows} rows {memory >> 20} MiB; {more} rows later {grown >> 10} KiB more, {grown // more} a row")
        assert grown < more * BYTES_PER_ANSWER
        assert open_descriptors(venue) < descriptors + 10


def resident(venue: VenueProcess) -> int:
    """Its bytes in memory."""
    pages = int(Path(f"/proc/{venue.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()
