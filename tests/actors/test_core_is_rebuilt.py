"""The journal or the ledger dies: what is in doubt is decided by the journal, and the venue goes on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from actors.messages import Failure, FailureKind, Repeated, Settled
from perps.commands import Deposit
from perps.journal import Entry, JournalUnavailable, OwnershipLost
from perps.units import Micros
from persistence.memory import MemoryJournal, MemoryStore
from tests.actors.venue import USD, open_long, running


class FlakyJournal:
    """A journal whose next append fails, before or after the rows became durable."""

    def __init__(self, journal: MemoryJournal, fails: list[str]) -> None:
        self._journal, self._fails = journal, fails

    @property
    def epoch(self) -> int:
        return self._journal.epoch

    def append(self, entries: Sequence[Entry]) -> None:
        fault = self._fails.pop() if self._fails else ""
        if fault == "before":
            raise JournalUnavailable("the test broke the connection before the commit")
        self._journal.append(entries)
        if fault == "after":
            raise JournalUnavailable("the test broke the connection after the commit")

    def close(self) -> None:
        self._journal.close()


@pytest.mark.parametrize(("fault", "done"), [("before", False), ("after", True)])
async def test_an_unknown_outcome_resolves_by_retry_to_what_the_journal_says(fault: str, done: bool) -> None:
    """I13. Lost before the commit: the retry does it now. Lost after: the retry gets the first answer."""
    store, fails = MemoryStore(), list[str]()
    async with running(store, open_journal=lambda: FlakyJournal(store.acquire(), fails)) as venue:
        await venue.list_market("A")
        await venue.add_user("ann")
        fails.append(fault)

        doubtful = await venue.send(open_long("A", "ann"), sender="ann", order_id="1")
        await venue.rebuilt()
        retried = await venue.send(open_long("A", "ann"), sender="ann", order_id="1")

        assert isinstance(doubtful, Failure)
        assert doubtful.kind is FailureKind.OUTCOME_UNKNOWN
        assert isinstance(retried, Repeated if done else Settled)
        assert len(venue.model.open_positions("ann")) == 1
        assert venue.model.epoch == (1 if done else 2)


async def test_what_was_in_doubt_and_is_durable_is_published_before_anything_newer() -> None:
    store, fails = MemoryStore(), list[str]()
    async with running(store, open_journal=lambda: FlakyJournal(store.acquire(), fails)) as venue:
        await venue.add_user("ann")
        fails.append("after")
        await venue.send(Deposit(user="ann", amount=Micros(5 * USD)), sender="ann", order_id="1")
        await venue.rebuilt()

        assert venue.model.wallet("ann") == 1_005 * USD
        assert [entry.row.offset for entry in venue.model.entries_after(0)] == [1, 2]


async def test_what_was_lost_leaves_no_trace_in_any_balance() -> None:
    """I1, I3: the ledger that ran ahead is thrown away with its holds and its credits."""
    store, fails = MemoryStore(), list[str]()
    async with running(store, open_journal=lambda: FlakyJournal(store.acquire(), fails)) as venue:
        await venue.list_market("A")
        await venue.add_user("ann")
        fails.append("before")
        await asyncio.gather(
            *(venue.send(open_long("A", "ann"), sender="ann", order_id=str(n)) for n in range(20)),
        )
        await venue.rebuilt()

        assert venue.model.wallet("ann") == 1_000 * USD
        assert not venue.model.open_positions("ann")
        await venue.do(open_long("A", "ann", dollars=990, leverage=1), sender="ann", order_id="all")
        assert sum(venue.model.balances.values()) == 0


async def test_a_command_that_breaks_the_ledger_does_not_stop_the_venue() -> None:
    async with running() as venue:
        await venue.list_market("A")
        await venue.add_user("ann")

        words: Any = "not a number"
        outcome = await venue.send(replace(open_long("A", "ann"), size=words), sender="ann", order_id="p")
        await venue.rebuilt()

        assert isinstance(outcome, Failure)
        await venue.do(open_long("A", "ann"), sender="ann", order_id="1")


async def test_a_store_that_another_took_over_ends_the_venue_with_the_reason() -> None:
    """The old owner writes nothing and does not come back."""
    store = MemoryStore()
    mine = [store.acquire()]

    def acquire_once() -> MemoryJournal:
        if not mine:
            raise OwnershipLost("another venue owns the shard")
        return mine.pop()

    async with running(store, open_journal=acquire_once) as venue:
        await venue.add_user("ann")
        store.acquire()

        outcome = await venue.send(Deposit(user="ann", amount=Micros(USD)), sender="ann", order_id="1")
        ended = await asyncio.wait_for(venue.host.ended, 5)

        assert isinstance(outcome, Failure)
        assert isinstance(ended, OwnershipLost)
        assert len(list(store.rows())) == 1
