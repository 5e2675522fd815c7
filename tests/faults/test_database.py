"""The database server dies, stands still or loses a session under a venue that is traded on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from persistence.embedded.server import EmbeddedPostgres as Server
from persistence.journal.writer import APPEND_TIMEOUT_S
from tests.endtoend.api import client
from tests.endtoend.conftest import Venues
from tests.endtoend.opens import Opens
from tests.endtoend.rounds import Journal
from tests.endtoend.test_database_faults import kill_postmaster
from tests.endtoend.venue_process import until
from tests.faults.reader import ANSWER_S
from tests.faults.siege import Siege, besieged, held
from tests.support.faults import fault
from tests.support.postgres import sql
from tests.support.slowness import soon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

NOTICED_S: Final = 5.0
"""Longest time until a session lost in silence is replaced."""


@asynccontextmanager
async def served(venues: Venues, server: Server, place: Path) -> AsyncIterator[Siege]:
    """A venue on ``server`` under siege, which must outlive whatever happens."""
    database = await asyncio.to_thread(server.start)
    async with held(venues(database_url=database), database, place) as siege:
        yield siege


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """All of its processes stand still: connections stay, and are not answered."""
    postmaster = int((server.directory / "postmaster.pid").read_text().split()[0])
    stopped: list[int] = []

    def stop(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        stopped.append(pid)

    stop(postmaster)  # first: it starts no more
    try:
        for pid in children_of(postmaster):
            stop(pid)
        yield
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def children_of(pid: int) -> list[int]:
    """The processes it has started."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return [int(child) for child, parent in (line.split() for line in listed.splitlines()) if int(parent) == pid]


def terminate_journal(database: str) -> None:
    """End the journal's session on the server, which wakes whoever reads from it."""
    sql(database, "select pg_terminate_backend($1)", Journal(database).session())


def set_standby(database: str, name: str) -> None:
    """Commits wait for the standby of this name; for none if it is empty."""
    configure(database, {"synchronous_standby_names": name})


def configure(database: str, settings: Mapping[str, str]) -> None:
    """Settings of the running server. Waits until sessions see them."""

    def seen(name: str, value: str) -> bool | None:
        return sql(database, "select setting from pg_settings where name = $1", name)[0][0] == value or None

    for name, value in settings.items():
        sql(database, f"alter system set {name} = '{value}'")
    sql(database, "select pg_reload_conf()")
    for name, value in settings.items():
        until(partial(seen, name, value), within_s=5, what=f"{name} = {value}")


@fault("kill -9 of the postmaster", "I1", "I3", "I4", "I5", "I8", "I10", "I12", "I13")
async def test_a_killed_database_server_is_started_again_and_nothing_is_lost(venues: Venues, tmp_path: Path) -> None:
    venue = venues()
    await asyncio.to_thread(venue.start)
    database = await asyncio.to_thread(venue.postgres.start)
    async with besieged(venue.url, database, tmp_path) as siege:
        async with siege.in_a_hurry():
            kill_postmaster(venue.postgres)
        await siege.serves_again(time.monotonic())
        await siege.acknowledges(50)
    assert venue.exit_code() is None


@fault("kill -9 of one backend: the journal's", "I1", "I3", "I4", "I5", "I8", "I10", "I12", "I13")
async def test_a_killed_journal_session_is_taken_up_again(venues: Venues, tmp_path: Path) -> None:
    venue = venues()
    await asyncio.to_thread(venue.start)
    database = await asyncio.to_thread(venue.postgres.start)
    async with besieged(venue.url, database, tmp_path) as siege:
        async with siege.in_a_hurry():
            os.kill(await asyncio.to_thread(Journal(database).session), signal.SIGKILL)
        await siege.serves_again(time.monotonic())
        await siege.acknowledges(50)
    assert venue.exit_code() is None


@fault("pg_ctl restart -m fast", "I1", "I3", "I4", "I5", "I8", "I10", "I12", "I13")
async def test_an_orderly_restart_of_the_database_is_sat_out(venues: Venues, server: Server, tmp_path: Path) -> None:
    """A server that is not the venue's own, which the venue must wait for."""
    async with served(venues, server, tmp_path) as siege:
        async with siege.in_a_hurry():
            await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        await siege.serves_again(time.monotonic())
        await siege.acknowledges(50)


@fault("database server stopped for 5 s (SIGSTOP)", "I1", "I3", "I4", "I8", "I10", "I12")
async def test_a_database_that_stands_still_for_5_s_costs_5_s(venues: Venues, server: Server, tmp_path: Path) -> None:
    """What was sent is committed when the server goes on; nobody is left in doubt."""
    async with served(venues, server, tmp_path) as siege:
        reads = siege.reads["sums read"]
        with frozen(server):
            await asyncio.sleep(5)
            assert siege.reads["sums read"] > reads, "nothing could be read meanwhile"
        await siege.serves_again(time.monotonic())
        await siege.acknowledges(50)
        assert "outcome_unknown" not in siege.answers


@fault("database server stopped for 60 s (SIGSTOP)", "I1", "I3", "I4", "I5", "I8", "I10", "I12", "I13")
@pytest.mark.faults
@pytest.mark.timeout(150)
async def test_a_database_that_stands_still_for_60_s_leaves_doubts_that_retries_resolve(
    venues: Venues, server: Server, tmp_path: Path
) -> None:
    """The venue says that it is not ready, goes on showing what is committed, and comes back by itself."""
    async with served(venues, server, tmp_path) as siege:
        with frozen(server):
            await asyncio.sleep(60)
            reads = siege.reads["sums read"]
            await asyncio.sleep(2 * ANSWER_S)
            assert siege.reads["sums read"] > reads, "nothing could be read meanwhile"
            assert (await siege.api.send("GET", "/readyz")).status == 503
            assert siege.answers["outcome_unknown"] > 0
        await siege.serves_again(time.monotonic())
        await siege.acknowledges(50)


@fault("journal session terminated under load", "I1", "I3", "I4", "I5", "I8", "I10", "I12", "I13")
async def test_a_terminated_session_is_taken_up_again(venues: Venues, server: Server, tmp_path: Path) -> None:
    """Three times over, with commits on their way each time."""
    async with served(venues, server, tmp_path) as siege:
        for _ in range(3):
            async with siege.in_a_hurry():
                await asyncio.to_thread(terminate_journal, siege.database)
            await siege.serves_again(time.monotonic())
            await siege.acknowledges(50)


@fault("journal session terminated while idle", "I8", "I12")
async def test_a_session_terminated_while_nobody_trades_is_noticed_and_taken_up_again(
    venues: Venues, server: Server
) -> None:
    """Nobody need send a command to find it out: the next one is done as if nothing had happened."""
    venue = venues(database_url=await asyncio.to_thread(server.start))
    await asyncio.to_thread(venue.start)
    async with client(venue.url) as api:
        opens = await Opens.prepare(api, 1)
        epoch = (await api.get("/api/admin/stats"))["epoch"]
        began = time.monotonic()
        await asyncio.to_thread(terminate_journal, await asyncio.to_thread(server.start))
        async with soon(NOTICED_S):
            while (await api.get("/api/admin/stats"))["epoch"] == epoch:  # noqa: ASYNC110 - over HTTP
                await asyncio.sleep(0.05)
        await asyncio.to_thread(venue.wait_ready)
        print(f"I12: noticed and taken up again {time.monotonic() - began:.2f} s after it was terminated")
        assert (await opens.one("user-0")).status == 201
        await opens.check()


@fault("commit outcome unknown: waiting for a standby that is not there", "I1", "I3", "I4", "I8", "I10", "I12", "I13")
async def test_a_commit_that_waits_for_a_standby_is_done_exactly_once(
    venues: Venues, server: Server, tmp_path: Path
) -> None:
    """Written, not confirmed, and given up: in doubt until the server says so, shown to nobody before."""
    async with served(venues, server, tmp_path) as siege:
        await asyncio.to_thread(set_standby, siege.database, "nobody")
        async with soon(APPEND_TIMEOUT_S + 2):
            while not siege.answers["outcome_unknown"]:  # noqa: ASYNC110 - a plain value
                await asyncio.sleep(0.05)
        await siege.is_silent(within_s=1)
        await asyncio.to_thread(set_standby, siege.database, "")
        await siege.serves_again(time.monotonic())
        await siege.acknowledges(50)


@fault("slow fsync", "I1", "I3", "I4", "I8", "I10", "I11")
async def test_a_slow_disk_slows_down_and_refuses_nobody(venues: Venues, server: Server, tmp_path: Path) -> None:
    """``commit_delay`` sleeps before each flush of the log with its lock held: a disk that needs 100 ms."""
    async with served(venues, server, tmp_path) as siege:
        await asyncio.to_thread(configure, siege.database, {"commit_delay": "100000", "commit_siblings": "0"})
        async with siege.in_a_hurry():
            began = time.monotonic()
            await siege.acknowledges(100, within_s=30)
        assert time.monotonic() - began > 0.5, "it was not slow"
        assert not {"unavailable", "outcome_unknown", "overloaded", "silence"} & siege.answers.keys()
