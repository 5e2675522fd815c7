"""A venue that somebody looks into, or stops, at a bad moment."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from persistence.embedded.server import EmbeddedPostgres
from tests.endtoend.api import client
from tests.endtoend.conftest import Venues
from tests.endtoend.test_database_faults import server
from tests.endtoend.venue_process import until
from tests.support.slowness import in_time

__all__ = ["server"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

NOTICED_S = 1.0
STOPPED_S = 12.0


def test_a_signal_makes_a_venue_say_where_every_thread_stands_and_it_serves_on(venues: Venues) -> None:
    venue = venues()
    venue.start()
    venue.signal(signal.SIGUSR1)

    def dumped() -> bool | None:
        said = venue.log.read_text(errors="replace")
        return said.count("Thread 0x") >= 5 or None

    until(dumped, within_s=5, what="the stacks")
    until(
        lambda: "in _actor_loop_running" in venue.log.read_text(errors="replace") or None, within_s=5, what="an actor"
    )
    assert venue.readiness() == 200
    assert venue.stop() == 0


async def test_a_database_that_goes_away_while_nobody_trades_shows_within_a_second_and_the_venue_can_be_stopped(
    venues: Venues, server: EmbeddedPostgres
) -> None:
    venue = venues(database_url=await asyncio.to_thread(server.start))
    await asyncio.to_thread(venue.start)
    async with client(venue.url) as api:
        assert (await api.send("GET", "/readyz")).json["problems"] == {}
        await asyncio.to_thread(server.stop)
        gone = time.monotonic()
        answer = await api.send("GET", "/readyz")
        while answer.status == 200:
            assert time.monotonic() - gone < 10 * NOTICED_S
            await asyncio.sleep(0.02)
            answer = await api.send("GET", "/readyz")
        assert in_time(time.monotonic() - gone, NOTICED_S)
        assert answer.json["problems"]["core"].startswith("being rebuilt: the journal died")
        assert answer.json["since"]["core"]
        deaths = [line for line in (await api.send("GET", "/metrics")).body.decode().splitlines() if "deaths_" in line]
        assert 'perps_deaths_total{part="journal",reason="JournalUnavailable"} 1.0' in deaths
        assert "Traceback" not in venue.log.read_text(), "an outage is one line of each part"

    began = time.monotonic()
    assert await asyncio.to_thread(venue.stop) == 0
    assert in_time(time.monotonic() - began, STOPPED_S)
