"""A venue that is told to stop while it rebuilds its core stops in order, soon, and keeps no shard."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence

import pytest

import web.process.host
from actors.messages import Failure, FailureKind
from actors.ports import Journal
from perps.commands import CreateUser
from perps.journal import Entry, JournalUnavailable
from tests.actors.venue import Running, running
from tests.support.memory import MemoryJournal, MemoryStore
from tests.support.slowness import in_time


class Journals:
    """Opens journals; the second one only when it may, or never."""

    def __init__(self, *, away: bool = False, rows: int = 1) -> None:
        self.store = MemoryStore()
        self.asked = threading.Event()
        """The second has been asked for."""
        self.may_open = threading.Event()
        self.away, self.rows = away, rows
        """Whether the database is, and how many rows it takes before the first journal fails."""
        self.opened: list[Closing] = []
        self.attempts = 0

    def open(self) -> Journal:
        self.attempts += 1
        if self.attempts > 1:
            self.asked.set()
            if self.away:
                raise JournalUnavailable("no server there")
            assert self.may_open.wait(10)
        self.opened.append(Closing(self.store.acquire(), rows=self.rows if self.attempts == 1 else 1_000))
        return self.opened[-1]


class Closing:
    """A journal that knows whether it was closed, and takes so many rows."""

    def __init__(self, journal: MemoryJournal, *, rows: int) -> None:
        self._journal, self._left = journal, rows
        self.closed = threading.Event()

    @property
    def epoch(self) -> int:
        return self._journal.epoch

    def append(self, entries: Sequence[Entry]) -> None:
        if not self._left:
            raise JournalUnavailable("the line was cut")
        self._left -= 1
        self._journal.append(entries)

    def probe(self) -> None:
        self._journal.probe()

    def close(self) -> None:
        self._journal.close()
        self.closed.set()


async def _rebuilding(venue: Running, journals: Journals) -> None:
    for _ in range(journals.rows):
        await venue.add_user("ann")
    outcome = await venue.send(CreateUser(user="bob"), order_id="1")
    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.OUTCOME_UNKNOWN
    assert await asyncio.to_thread(journals.asked.wait, 5)


async def _is_set(event: threading.Event) -> bool:
    return await asyncio.to_thread(event.wait, 5)


@pytest.mark.parametrize("rows", [0, 1])
async def test_a_shard_that_a_rebuild_takes_while_the_venue_stops_is_given_back(rows: int) -> None:
    journals = Journals(rows=rows)
    async with running(journals.store, open_journal=journals.open) as venue:
        await _rebuilding(venue, journals)
        stopping = asyncio.create_task(venue.host.stop())
        await asyncio.sleep(0)
        journals.may_open.set()
        await asyncio.wait_for(stopping, 5)

        assert [await _is_set(journal.closed) for journal in journals.opened] == [True, True]
        assert not venue.host.ended.done(), "it was stopped, not lost"


@pytest.mark.parametrize("rows", [0, 1])
async def test_a_rebuild_that_hangs_does_not_keep_the_venue_from_stopping(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what it opens in the end it closes by itself."""
    monkeypatch.setattr(web.process.host, "REBUILD_STOP_S", 0.2)
    journals = Journals(rows=rows)
    async with running(journals.store, open_journal=journals.open) as venue:
        await _rebuilding(venue, journals)
        began = time.monotonic()
        await venue.host.stop()
        assert await asyncio.to_thread(in_time, time.monotonic() - began, 2)
        assert len(journals.opened) == 1

        journals.may_open.set()
        assert await asyncio.to_thread(_within, 5, lambda: len(journals.opened) == 2)
        assert await _is_set(journals.opened[1].closed)


async def test_a_venue_whose_database_stays_away_stops_at_once() -> None:
    journals = Journals(away=True)
    async with running(journals.store, open_journal=journals.open) as venue:
        await _rebuilding(venue, journals)
        began = time.monotonic()
        await venue.host.stop()
        assert await asyncio.to_thread(in_time, time.monotonic() - began, 2)


async def test_a_replay_of_many_rows_is_called_off(monkeypatch: pytest.MonkeyPatch) -> None:
    journals = Journals()
    journals.may_open.set()
    async with running(journals.store, open_journal=journals.open) as venue:
        rows, read = journals.store.rows, threading.Event()

        def slow_rows(after: int = 0) -> object:
            for row in rows(after):
                read.set()
                assert venue.host._aborted.wait(5)
                yield row
                raise AssertionError("it went on")

        monkeypatch.setattr(journals.store, "rows", slow_rows)
        await _rebuilding(venue, journals)
        assert await _is_set(read)
        await asyncio.wait_for(venue.host.stop(), 5)

        assert await _is_set(journals.opened[1].closed)
        assert not venue.host.ended.done(), "it was stopped, not lost"


def _within(seconds: float, found: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not found() and time.monotonic() < end:
        time.sleep(0.005)
    return found()
