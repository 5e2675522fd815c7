"""The read side's end: in order, or by force when the server stands still."""

import asyncio
import os
import signal
import time

import pytest

from perps.journal import JournalUnavailable
from persistence.reads import queries
from persistence.reads.queries import PostgresQueries
from tests.persistence.stores import PostgresBackend
from tests.support.postgres import sql
from tests.support.slowness import in_time

SESSIONS = "select pid from pg_stat_activity where application_name = 'perps queries' and datname = current_database()"


@pytest.fixture
def url(postgres: PostgresBackend, database_url: str) -> str:
    """A database that has the tables."""
    postgres.acquire()
    return database_url


async def test_a_frozen_session_holds_up_the_end_of_the_read_side_for_a_moment_only(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "CLOSE_S", 0.3)
    made = PostgresQueries(url)
    await made.open()
    ((frozen,),) = await asyncio.to_thread(sql, url, SESSIONS)
    os.kill(frozen, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        await made.close()
        assert await asyncio.to_thread(in_time, time.monotonic() - begun, 2)
    finally:
        os.kill(frozen, signal.SIGCONT)
    with pytest.raises(JournalUnavailable):
        await made.row(1)


async def test_a_read_side_whose_sessions_were_ended_closes_without_a_word(url: str) -> None:
    made = PostgresQueries(url)
    await made.open()
    ((ended,),) = await asyncio.to_thread(sql, url, SESSIONS)
    ((gone,),) = await asyncio.to_thread(sql, url, "select pg_terminate_backend($1, 5000)", ended)
    assert gone

    await made.close()
    await made.close()
