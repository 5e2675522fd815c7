"""Snapshots are taken while everything goes on, and broken in every way: nothing but time may be lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Final

import pytest

from tests.endtoend.api import Api, client
from tests.endtoend.conftest import Venues
from tests.endtoend.venue_process import VenueProcess, until
from tests.faults.siege import BACK_S, besieged, held
from tests.support.faults import fault
from tests.support.postgres import sql
from tests.support.slowness import soon
from web.process.snapshot_process import STALLED_S
from web.process.snapshots import RETRY_S

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

ROWS: Final = 100
"""Between two snapshots: somebody in a hurry makes them in less time than it takes to store one."""
KILLS: Final = 2
WAIT_S: Final = 20.0


def with_snapshots(venues: Venues, database: str, rows: int = ROWS) -> VenueProcess:
    """A venue that takes one after the other."""
    return venues(database_url=database, environment={"PERPS_SNAPSHOT_ROWS": str(rows)})


def taking(venue: int) -> int | None:
    """The process that takes a snapshot for the venue with this process id; None when there is none."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            command = (status.parent / "cmdline").read_bytes()
        except OSError:  # it has ended
            continue
        if int(fields[1]) == venue and b"snapshot" in command and fields[0] not in "ZX":
            return int(status.parent.name)
    return None


async def snapshot(api: Api) -> int:
    """Ask for one: its row."""
    answer = await api.send("POST", "/api/admin/snapshots")
    assert answer.status == 201, answer.body
    return int(answer.json["offset"])


async def until_taking(venue: int) -> int:
    """Wait for such a process."""
    async with soon(WAIT_S):
        while (found := taking(venue)) is None:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.005)
    return found


def offsets(database: str) -> list[int]:
    """Of the stored snapshots, newest first."""
    return [record[0] for record in sql(database, 'select "offset" from snapshots order by 1 desc')]


async def until_stored(database: str, more_than: int = 0) -> int:
    """Wait for a snapshot of a later row."""
    async with soon(WAIT_S):
        while True:
            newest = next(iter(await asyncio.to_thread(offsets, database)), 0)
            if newest > more_than:
                return newest
            await asyncio.sleep(0.05)


@fault("kill -9 during a snapshot", "I1", "I3", "I4", "I5", "I6", "I8", "I10", "I12", "I13")
async def test_kill_9_of_the_venue_during_a_snapshot_loses_nothing(
    venues: Venues, database: str, tmp_path: Path
) -> None:
    venue = with_snapshots(venues, database)
    await asyncio.to_thread(venue.start)
    async with besieged(venue.url, database, tmp_path) as siege:
        await until_stored(database)
        for _ in range(KILLS):
            async with siege.in_a_hurry():
                await until_taking(venue.pid)
                venue.signal(signal.SIGKILL)
            dead = time.monotonic()
            assert await asyncio.to_thread(venue.wait_exit) == -signal.SIGKILL
            await asyncio.to_thread(venue.start_whatever_it_takes)
            await siege.serves_again(dead)
            await siege.acknowledges(50)
    starts = [json.loads(line) for line in venue.log.read_text().splitlines() if '"core.recovered"' in line]
    assert len(starts) == KILLS + 1
    assert all(start["snapshot"] > 0 for start in starts[1:])


@fault("kill -9 of the process that takes a snapshot", "I1", "I3", "I4", "I8", "I10")
async def test_kill_9_of_the_snapshots_process_costs_a_warning(venues: Venues, database: str, tmp_path: Path) -> None:
    venue = with_snapshots(venues, database)
    async with held(venue, database, tmp_path):
        last = await until_stored(database)
        os.kill(await until_taking(venue.pid), signal.SIGKILL)
        async with client(venue.url) as api, soon(WAIT_S):
            while "snapshot.failed" not in venue.log.read_text():  # noqa: ASYNC110 - a file
                await asyncio.sleep(0.05)
            await snapshot(api)
        assert await until_stored(database, last) > last


@fault("the process that takes a snapshot is frozen", "I1", "I3", "I8", "I12")
async def test_a_venue_stops_in_order_while_its_snapshots_process_stands_still(
    venues: Venues, database: str, tmp_path: Path
) -> None:
    venue = with_snapshots(venues, database)
    async with held(venue, database, tmp_path):
        os.kill(taker := await until_taking(venue.pid), signal.SIGSTOP)
    assert await asyncio.to_thread(venue.stop) == 0
    await asyncio.to_thread(until, lambda: not Path(f"/proc/{taker}").exists() or None, within_s=WAIT_S, what="its end")


@fault("the process that takes a snapshot is frozen for good", "I8", "I12")
@pytest.mark.faults
@pytest.mark.timeout(300)
async def test_a_snapshots_process_that_stands_still_is_told_of_and_ended_and_the_next_one_is_taken(
    venues: Venues, database: str
) -> None:
    venue = with_snapshots(venues, database, rows=1)
    await asyncio.to_thread(venue.start)
    async with client(venue.url) as api:
        listed = {"ticker": "BTC-PERP", "organizationId": "btc", "name": "Bitcoin", "price": "50000"}
        assert (await api.send("POST", "/api/admin/markets", listed)).status == 201
        os.kill(taker := await until_taking(venue.pid), signal.SIGSTOP)
        async with soon(STALLED_S + WAIT_S):
            while "warnings" not in (ready := await api.send("GET", "/readyz")).json:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.5)
        assert ready.status == 200
        assert "no progress" in ready.json["warnings"]["snapshots"]
        assert taking(venue.pid) != taker
        async with soon(RETRY_S + WAIT_S):
            while "warnings" in (await api.send("GET", "/readyz")).json:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.5)
    assert await asyncio.to_thread(offsets, database) == [1]


HARM: Final = {
    "truncated": "body = substr(body, 1, length(body) - 1)",
    "bit flipped": "body = set_byte(body, length(body) / 2, get_byte(body, length(body) / 2) # 1)",
    "emptied": "body = ''",
}


@fault("snapshot truncated, or a bit of it flipped", "I1", "I3", "I5", "I6", "I12")
async def test_a_broken_snapshot_is_skipped_with_a_warning(venues: Venues, database: str, tmp_path: Path) -> None:
    """Each time the one before it, which is whole, is taken."""
    venue = with_snapshots(venues, database, rows=10**9)
    await asyncio.to_thread(venue.start)
    async with client(venue.url) as api, besieged(venue.url, database, tmp_path, clients=4) as siege:
        whole = await snapshot(api)
        for harm, change in HARM.items():
            await siege.acknowledges(20)
            broken = await snapshot(api)
            assert whole < broken, harm
            async with siege.in_a_hurry():
                venue.signal(signal.SIGKILL)
            dead = time.monotonic()
            await asyncio.to_thread(venue.wait_exit)
            await asyncio.to_thread(sql, database, f'update snapshot_parts set {change} where "offset" = $1', broken)
            before = venue.log.stat().st_size
            await asyncio.to_thread(venue.start_whatever_it_takes)
            await siege.serves_again(dead, within_s=2 * BACK_S)
            log = venue.log.read_bytes()[before:].decode()
            assert '"event":"snapshot.skipped"' in log, harm
            assert f'"snapshot":{whole}' in log, harm
            await asyncio.to_thread(sql, database, 'delete from snapshots where "offset" = $1', broken)


@fault("journal lost rows that a snapshot knows", "I1", "I5", "I6")
async def test_a_venue_does_not_start_on_a_journal_that_lost_what_a_snapshot_knows(
    venues: Venues, database: str, tmp_path: Path
) -> None:
    """Without the snapshot such a journal would be whole."""
    venue = with_snapshots(venues, database, rows=10**9)
    await asyncio.to_thread(venue.start)
    async with client(venue.url) as api, besieged(venue.url, database, tmp_path, clients=4):
        pass
    async with client(venue.url) as api:
        offset = await snapshot(api)
    assert await asyncio.to_thread(venue.stop) == 0
    await asyncio.to_thread(sql, database, 'delete from journal where "offset" = $1', offset)

    venue.spawn()

    assert await asyncio.to_thread(venue.wait_exit) == 1
    assert f"perps: error: journal row {offset}: missing" in venue.tail()
