"""Who owns a shard when sessions die, hang or are frozen, and how soon anybody knows."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import asyncpg
import pytest

from perps.journal import JournalRefused, JournalUnavailable
from persistence.errors import ShardTaken
from persistence.journal.writer import HOLDER, LOCK_CLASS, PostgresJournal
from tests.persistence.stores import PostgresBackend
from tests.support.entries import Scribe
from tests.support.postgres import sql
from tests.support.slowness import in_time

AT_ONCE_S = 0.5


def holder_of(url: str) -> tuple[int, str] | None:
    found = sql(url, HOLDER, LOCK_CLASS, 0)
    return (found[0]["pid"], found[0]["application_name"]) if found else None


def kill_session(url: str, journal: PostgresJournal) -> None:
    assert sql(url, "select pg_terminate_backend($1, 5000)", journal.backend_pid)[0][0]


@contextmanager
def frozen(pid: int | None) -> Iterator[None]:
    """A server process that does nothing for a while."""
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_probe_notices_at_once_that_its_session_was_killed(postgres: PostgresBackend, database_url: str) -> None:
    journal = postgres.acquire()
    kill_session(database_url, journal)
    began = monotonic()
    with pytest.raises(JournalUnavailable) as raised:
        journal.probe()
    assert not isinstance(raised.value, JournalRefused)
    assert in_time(monotonic() - began, AT_ONCE_S)


def test_a_probe_without_an_answer_ends_at_its_time_limit(database_url: str) -> None:
    journal = PostgresJournal.acquire(database_url, probe_timeout_s=0.3)
    began = monotonic()
    with frozen(journal.backend_pid), pytest.raises(JournalUnavailable):
        journal.probe()
    took = monotonic() - began
    assert took >= 0.3
    assert in_time(took, 1.0)
    journal.close()


def test_a_server_that_stands_still_for_a_moment_keeps_its_owner(postgres: PostgresBackend) -> None:
    journal = postgres.acquire()
    pid = journal.backend_pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    thaw = threading.Timer(0.7, os.kill, (pid, signal.SIGCONT))
    thaw.start()
    journal.probe()
    thaw.join()
    journal.append([Scribe().add_user("ann")])


def test_a_probe_at_rest_locks_no_table(postgres: PostgresBackend, database_url: str) -> None:
    journal = postgres.acquire()
    journal.probe()
    held = "select relation::regclass::text from pg_locks where pid = $1 and locktype = 'relation'"
    assert sql(database_url, held, journal.backend_pid) == []


def test_an_owner_ends_its_own_session_that_was_given_up_and_still_keeps_the_lock(database_url: str) -> None:
    """As after a line that swallows everything: the server believes for long that the session lives."""
    old = PostgresJournal.acquire(database_url, venue="mine")
    began = monotonic()
    with PostgresJournal.acquire(database_url, wait_s=1.0, venue="mine", last_epoch=old.epoch) as new:
        assert in_time(monotonic() - began, AT_ONCE_S)
        assert new.epoch == old.epoch + 1
        with pytest.raises(JournalUnavailable):
            old.append([Scribe().add_user("ann")])


def test_an_own_session_that_does_not_end_is_waited_for_and_taken_for_nobody_elses(database_url: str) -> None:
    old = PostgresJournal.acquire(database_url, venue="mine")
    with frozen(old.backend_pid), pytest.raises(JournalUnavailable, match="this venue's last session"):
        PostgresJournal.acquire(database_url, wait_s=0.2, venue="mine", last_epoch=old.epoch)
    PostgresJournal.acquire(database_url, wait_s=1.0, venue="mine", last_epoch=old.epoch).close()
    old.close()


def test_an_owner_who_was_away_while_another_took_over_is_told_at_once(
    postgres: PostgresBackend, database_url: str
) -> None:
    """The zombie: its session was killed, another serves now. Nothing of the other is touched."""
    zombie = PostgresJournal.acquire(database_url, venue="zombie")
    kill_session(database_url, zombie)
    scribe, other = Scribe(epoch=zombie.epoch + 1), postgres.acquire()
    with pytest.raises(JournalUnavailable):
        zombie.append([Scribe().add_user("ann")])

    began = monotonic()
    with pytest.raises(ShardTaken, match=r"another venue has taken over .* its epoch is 2, this one's was 1"):
        PostgresJournal.acquire(database_url, wait_s=30, venue="zombie", last_epoch=zombie.epoch)

    assert in_time(monotonic() - began, AT_ONCE_S)
    other.append([scribe.add_user("ann")])
    assert [row.epoch for row in postgres.history.rows()] == [2]


def test_a_lock_that_is_kept_by_somebody_who_never_began_an_epoch_is_waited_for(database_url: str) -> None:
    """A take-over that is not complete, or another program under the same key."""
    mine = PostgresJournal.acquire(database_url, venue="mine")
    mine.close()

    def ask() -> None:
        began = monotonic()
        with pytest.raises(ShardTaken, match="another venue serves"):
            PostgresJournal.acquire(database_url, wait_s=0.4, venue="mine", last_epoch=mine.epoch)
        assert monotonic() - began >= 0.4

    async def keep_and_ask() -> None:
        connection = await asyncpg.connect(database_url)
        await connection.execute("select pg_advisory_lock($1, 0)", LOCK_CLASS)
        await asyncio.to_thread(ask)
        await connection.close()

    asyncio.run(keep_and_ask())
    PostgresJournal.acquire(database_url, wait_s=1.0, venue="mine", last_epoch=mine.epoch).close()


def test_the_server_shows_whose_session_keeps_the_lock(database_url: str) -> None:
    with PostgresJournal.acquire(database_url, venue="mine") as journal:
        assert holder_of(database_url) == (journal.backend_pid, "perps journal, shard 0, mine")
    assert holder_of(database_url) is None


def test_two_owners_without_a_name_are_not_the_same(database_url: str) -> None:
    with PostgresJournal.acquire(database_url) as first:
        with pytest.raises(ShardTaken, match="another venue serves"):
            PostgresJournal.acquire(database_url, wait_s=0.1)
        first.probe()
