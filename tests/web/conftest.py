"""Venues to ask, on memory and on PostgreSQL; no fault goes unnoticed."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import aiohttp
import pytest

from actors.clock import VenueClock
from actors.ports import Clock
from tests.conftest import Event
from tests.support.postgres import database_url, server_url, with_tables
from tests.web.venue import Backend, ManualClock, OnMemory, OnPostgres, Running, start
from web.compose import Limits, Stores

__all__ = ["database_url", "server_url"]


@pytest.fixture(autouse=True)
def no_fault_goes_unnoticed(error_lines: list[Event], caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A test that makes the venue log an error says so by clearing ``error_lines``; asyncio and aiohttp log none."""
    yield
    by_the_venue = [line for line in error_lines if line["event"] != "loop.blocked"]  # tests compute on its loop
    assert not by_the_venue
    faults = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert not [record for record in faults if record.name != "pykka"], "pykka says again what the venue has logged"


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client that opens as many connections as it is asked to."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as made:
        yield made


class Starter:
    """Starts venues, and closes at the end of the test those that still run."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._running: list[Running] = []

    async def __call__(
        self,
        backend: Backend | None = None,
        *,
        clock: Clock | VenueClock | None = None,
        limits: Limits | None = None,
        stores: Stores | None = None,
    ) -> Running:
        """A venue on ``backend``, or on a new memory store."""
        running = await start(backend or OnMemory(), self._session, clock=clock, limits=limits, stores=stores)
        self._running.append(running)
        return running

    async def stop(self, running: Running) -> None:
        """Stop a venue in order."""
        self._running.remove(running)
        await running.venue.close()

    async def restart(self, running: Running, *, limits: Limits | None = None) -> Running:
        """Stop a venue in order and start another on the same data, with the same clock and keys."""
        await self.stop(running)
        again = await self(running.backend, clock=running.clock, limits=limits)
        again.keys = running.keys
        return again

    async def end(self) -> None:
        """Stop what still runs."""
        for running in list(self._running):
            await self.stop(running)


@pytest.fixture
async def starter(session: aiohttp.ClientSession, at_last: ExitStack) -> AsyncIterator[Starter]:
    """For tests that start venues themselves. They end before their database, hence ``at_last``."""
    made = Starter(session)
    yield made
    await made.end()


@pytest.fixture
def clock() -> ManualClock:
    """The venue's clock."""
    return ManualClock()


@pytest.fixture
async def venue(starter: Starter, clock: ManualClock) -> Running:
    """A venue on memory with a market, BTC-PERP at 50,000, and nobody in it."""
    running = await starter(clock=clock)
    await running.market()
    return running


@pytest.fixture
def on_postgres(database_url: str) -> OnPostgres:
    """A database for this test alone."""
    return OnPostgres(with_tables(database_url))


@pytest.fixture(params=["memory", "postgres"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Either store, empty."""
    if request.param == "memory":
        return OnMemory()
    found: OnPostgres = request.getfixturevalue("on_postgres")
    return found
