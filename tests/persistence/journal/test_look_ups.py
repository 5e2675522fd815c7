"""Look-ups by client id keep one session, replace one that is gone, and answer or fail within their limit."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from time import monotonic
from typing import Final

import asyncpg
import pytest

from perps.journal import JournalUnavailable
from persistence.journal.history import PostgresHistory
from persistence.journal.look_ups import PostgresLookUps
from tests.persistence.stores import PostgresBackend
from tests.support.entries import Scribe
from tests.support.postgres import sql
from tests.support.slowness import in_time

LIMIT_S: Final = 10.0
KEY: Final = ("ann", "mine")


@pytest.fixture
def look_ups(postgres: PostgresBackend, database_url: str) -> Iterator[PostgresLookUps]:
    """A way to ask a journal that has answered ``KEY``."""
    scribe = Scribe()
    scribe.add_user("ann")
    scribe.deposit("ann", 5, client_order_id="mine")
    postgres.acquire().append(scribe.entries)
    with closing(PostgresHistory(database_url).look_ups(LIMIT_S)) as made:
        yield made


def sessions(url: str) -> list[int]:
    """The server's processes that answer look-ups."""
    query = (
        "select pid from pg_stat_activity where application_name = 'perps look-up'"
        " and datname = current_database() and wait_event = 'ClientRead'"
    )
    return [pid for (pid,) in sql(url, query)]


def test_one_session_is_kept_from_look_up_to_look_up_and_ends_when_closed(
    look_ups: PostgresLookUps, database_url: str
) -> None:
    assert sessions(database_url) == []
    assert KEY in look_ups.answers([KEY])
    first = sessions(database_url)
    assert len(first) == 1
    assert KEY in look_ups.answers([KEY, ("ann", "never")])
    assert sessions(database_url) == first

    look_ups.close()
    look_ups.close()
    until = monotonic() + 5
    while sessions(database_url):
        assert monotonic() < until


def test_a_kept_session_that_was_ended_is_replaced_within_the_same_look_up(
    look_ups: PostgresLookUps, database_url: str
) -> None:
    look_ups.answers([KEY])
    (ended,) = sessions(database_url)
    assert sql(database_url, "select pg_terminate_backend($1, 5000)", ended)[0][0]

    assert KEY in look_ups.answers([KEY])
    assert ended not in sessions(database_url)


def test_a_kept_session_that_is_silent_is_replaced_before_the_limit(
    look_ups: PostgresLookUps, database_url: str
) -> None:
    look_ups.answers([KEY])
    (silent,) = sessions(database_url)
    with closing(PostgresHistory(database_url).look_ups(1.0)) as quick:
        quick.answers([KEY])
        (silent,) = set(sessions(database_url)) - {silent}
        os.kill(silent, signal.SIGSTOP)
        try:
            begun = monotonic()
            assert KEY in quick.answers([KEY])
            assert 0.4 < monotonic() - begun < 1.0
        finally:
            os.kill(silent, signal.SIGCONT)


def test_a_table_that_somebody_keeps_fails_a_look_up_within_its_limit(
    look_ups: PostgresLookUps, database_url: str
) -> None:
    async def kept(quick: PostgresLookUps) -> None:
        connection = await asyncpg.connect(database_url)
        await connection.execute("begin; lock table journal")
        try:
            begun = monotonic()
            with pytest.raises(JournalUnavailable):
                await asyncio.to_thread(quick.answers, [KEY])
            assert in_time(monotonic() - begun, 2)
        finally:
            await connection.close()

    with closing(PostgresHistory(database_url).look_ups(0.5)) as quick:
        quick.answers([KEY])
        asyncio.run(kept(quick))
        assert KEY in quick.answers([KEY])


def test_a_server_that_is_silent_fails_a_look_up_within_its_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://perps@127.0.0.1:{silent.getsockname()[1]}/perps?sslmode=disable"
        with closing(PostgresHistory(url).look_ups(0.3)) as made:
            begun = monotonic()
            with pytest.raises(JournalUnavailable):
                made.answers([KEY])
            assert in_time(monotonic() - begun, 2)
