"""The database dies, or is restarted, under a serving venue: nothing acknowledged is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from persistence.embedded.server import EmbeddedPostgres
from tests.endtoend.api import client
from tests.endtoend.conftest import Venues
from tests.endtoend.opens import Opens
from tests.endtoend.venue_process import until
from tests.support.clusters import copied
from tests.support.postgres import sql
from tests.support.slowness import in_time

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

CLIENTS: Final = 16
BACK_S: Final = 5.0
"""I12: serving again, by itself, this long after a fault at most."""


@pytest.fixture
def server(place: Path, cluster: Path, at_last: ExitStack) -> EmbeddedPostgres:
    """A database server that is not the venue's own."""
    server = copied(cluster, place / "pg")
    at_last.callback(server.stop)
    return server


async def test_a_venue_serves_again_by_itself_after_its_database_was_restarted(
    venues: Venues, server: EmbeddedPostgres
) -> None:
    """I1, I3, I4, I12, I13, three times over, with opens in flight each time."""
    venue = venues(database_url=await asyncio.to_thread(server.start))
    await asyncio.to_thread(venue.start)
    async with client(venue.url) as api:
        opens = await Opens.prepare(api, CLIENTS)
        for faults in range(1, 4):
            storm = await opens.storm(partial(has_answers, opens, 10 * faults * CLIENTS))
            await asyncio.to_thread(server.stop)
            await asyncio.wait_for(storm, 5)
            assert opens.in_doubt
            assert (await api.send("GET", "/readyz")).status == 503
            await asyncio.to_thread(server.start)
            began = time.monotonic()
            await opens.resolve()
            assert in_time(time.monotonic() - began, BACK_S)
            assert (await api.send("GET", "/readyz")).status == 200
            await opens.check()
    assert venue.exit_code() is None


async def test_nothing_is_acknowledged_and_nothing_lost_while_the_database_is_dead(venues: Venues) -> None:
    """kill -9 of the venue's own postmaster: 503 until somebody starts it, and then every open is there once."""
    venue = venues()
    venue.start()
    async with client(venue.url) as api:
        opens = await Opens.prepare(api, CLIENTS)
        storm = await opens.storm(partial(has_answers, opens, 10 * CLIENTS))
        kill_postmaster(venue.postgres)
        await asyncio.wait_for(storm, 5)
        assert (await api.send("GET", "/readyz")).status == 503
        assert (await opens.one("user-0")).code == "unavailable"
        assert (await api.send("GET", "/api/users/user-0/trades")).code == "unavailable"
    venue.kill()

    await asyncio.to_thread(venue.start)
    async with client(venue.url) as api:
        opens.api = api
        await opens.resolve()
        await opens.check()
    assert not venue.foreign_lines()


async def test_a_venue_brings_its_own_database_back(venues: Venues) -> None:
    """I12 for the embedded server."""
    venue = venues()
    venue.start()
    async with client(venue.url) as api:
        opens = await Opens.prepare(api, 1)
        kill_postmaster(venue.postgres)
        killed = time.monotonic()
        while (answer := await opens.one("user-0")).status == 503:
            assert time.monotonic() - killed < 6 * BACK_S
            await asyncio.sleep(0.05)
        assert in_time(time.monotonic() - killed, BACK_S)
    assert answer.status == 201


def test_a_venue_started_while_its_database_recovers_waits_for_it(venues: Venues) -> None:
    """A crash of one session makes the server start over; whoever restarts the venue then need not know."""
    venue = venues()
    venue.start()
    query = "select pid from pg_stat_activity where application_name like 'perps journal%'"
    found = sql(venue.postgres.start(), query)
    os.kill(found[0]["pid"], signal.SIGKILL)
    venue.kill()
    venue.spawn()
    until(lambda: venue.exit_code() is not None or venue.readiness() == 200 or None, within_s=20, what="a start")

    assert venue.exit_code() is None, venue.tail()


def has_answers(opens: Opens, count: int) -> bool:
    """Whether so many opens were answered."""
    return len(opens.answers) >= count


def kill_postmaster(server: EmbeddedPostgres) -> None:
    """SIGKILL to the server's first process; the others notice and go."""
    os.kill(int((server.directory / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
