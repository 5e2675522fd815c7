"""The line between the venue and its database: slow, cut, half-closed, swallowed by a hole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from persistence.journal.writer import APPEND_TIMEOUT_S
from tests.endtoend.conftest import Venues
from tests.faults.proxy import Proxy, proxied
from tests.faults.siege import Siege, held
from tests.support.faults import fault

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


@dataclass
class Line:
    """A venue behind a proxy, under siege."""

    siege: Siege
    proxy: Proxy


@asynccontextmanager
async def line(venues: Venues, database: str, place: Path) -> AsyncIterator[Line]:
    """Everything the venue says to its database passes the proxy; the reader asks the database past it."""
    async with proxied(database) as (proxy, url):
        venue = venues(database_url=url)
        async with held(venue, database, place) as siege:
            yield Line(siege, proxy)
        assert await asyncio.to_thread(venue.stop) == 0


@fault("latency to the database", "I1", "I3", "I4", "I8", "I10", "I11")
async def test_a_slow_line_slows_down_and_refuses_nobody(venues: Venues, database: str, tmp_path: Path) -> None:
    """150 ms each way: one commit takes 300 ms, whatever is in it."""
    async with line(venues, database, tmp_path) as it:
        it.proxy.delay(150)
        await it.siege.acknowledges(60, within_s=30)
        it.proxy.clear()
        await it.siege.serves_again(time.monotonic())
        assert not {"unavailable", "outcome_unknown", "overloaded", "silence"} & it.siege.answers.keys()


@fault("connections to the database reset", "I1", "I3", "I4", "I5", "I8", "I10", "I12", "I13")
async def test_a_line_that_is_reset_again_and_again_loses_nothing(
    venues: Venues, database: str, tmp_path: Path
) -> None:
    async with line(venues, database, tmp_path) as it:
        for _ in range(5):
            async with it.siege.in_a_hurry():
                it.proxy.reset()
            await it.siege.serves_again(time.monotonic())
            await it.siege.acknowledges(30)
        assert it.siege.answers["outcome_unknown"] > 0


@fault("connections to the database half-closed", "I1", "I3", "I4", "I5", "I8", "I10", "I12", "I13")
async def test_a_session_that_outlives_its_half_closed_line_does_not_keep_the_venue_out(
    venues: Venues, database: str, tmp_path: Path
) -> None:
    """The venue sees the end; the server, and with it the shard's lock, does not until keepalive finds out."""
    async with line(venues, database, tmp_path) as it:
        async with it.siege.in_a_hurry():
            it.proxy.half_close()
        await it.siege.serves_again(time.monotonic())
        await it.siege.acknowledges(30)
        it.proxy.clear()
        await it.siege.acknowledges(30)


@fault("blackhole to the database, shorter than a commit may take", "I1", "I3", "I4", "I8", "I10", "I12")
async def test_a_short_hole_is_sat_out(venues: Venues, database: str, tmp_path: Path) -> None:
    """What was on its way arrives afterwards: nobody was refused, and nobody need know."""
    async with line(venues, database, tmp_path) as it:
        reads = it.siege.reads["sums compared"]
        it.proxy.blackhole()
        await asyncio.sleep(4)
        it.proxy.clear()
        await it.siege.serves_again(time.monotonic())
        assert it.siege.reads["sums compared"] > reads + 10
        assert "outcome_unknown" not in it.siege.answers


@fault("blackhole to the database, longer than a commit may take", "I1", "I3", "I4", "I5", "I8", "I10", "I12", "I13")
async def test_a_long_hole_leaves_doubts_that_retries_resolve(venues: Venues, database: str, tmp_path: Path) -> None:
    """Commits without an answer are given up and in doubt; new connections are not made until the hole is gone."""
    async with line(venues, database, tmp_path) as it:
        it.proxy.blackhole()
        await asyncio.sleep(APPEND_TIMEOUT_S + 4)
        assert it.siege.answers["outcome_unknown"] > 0
        it.proxy.clear()
        await it.siege.serves_again(time.monotonic())
        await it.siege.acknowledges(30)
