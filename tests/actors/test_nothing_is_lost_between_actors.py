"""Messages at the edges of an actor's life, and refusals that rest on rows still on their way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from pykka._envelope import Envelope

from actors.base import FailStopActor, drain
from actors.messages import Failure, FailureKind
from perps.commands import ListMarket
from perps.journal import Entry, JournalUnavailable
from perps.refusals import RejectCode, Rejected
from tests.actors.venue import close, listing, open_long, poison, running
from tests.support.memory import MemoryJournal, MemoryStore


class HeldJournal:
    """A journal that keeps appends waiting while it is held, then commits them or fails."""

    def __init__(self, journal: MemoryJournal, held: threading.Event, fails: list[bool]) -> None:
        self._journal, self._held, self._fails = journal, held, fails

    @property
    def epoch(self) -> int:
        return self._journal.epoch

    def append(self, entries: Sequence[Entry]) -> None:
        self._held.wait(5)
        if self._fails and self._fails.pop():
            raise JournalUnavailable("the test lost the rows")
        self._journal.append(entries)

    def probe(self) -> None:
        self._journal.probe()

    def close(self) -> None:
        self._journal.close()


async def test_a_refusal_does_not_leave_before_the_rows_it_rests_on() -> None:
    """I8. A second close is refused because of a first one that is then lost: nobody is told of what never was."""
    store, free, fails = MemoryStore(), threading.Event(), list[bool]()
    free.set()
    async with running(store, open_journal=lambda: HeldJournal(store.acquire(), free, fails)) as venue:
        await venue.list_market("A")
        await venue.add_user("ann")
        await venue.do(open_long("A", "ann"), sender="ann", order_id="1")
        free.clear()
        fails.append(True)

        first = asyncio.create_task(venue.send(close("A", "ann", 1), sender="ann", order_id="2"))
        second = asyncio.create_task(venue.send(close("A", "ann", 1), sender="ann", order_id="3"))
        await asyncio.wait([second], timeout=0.2)
        assert not second.done()
        free.set()

        for outcome in await asyncio.gather(first, second):
            assert isinstance(outcome, Failure)
            assert outcome.kind is FailureKind.OUTCOME_UNKNOWN
        assert len(venue.model.users["ann"].positions) == 1


async def test_two_listings_at_once_make_one_market() -> None:
    """I8: that the market exists is not said before it is durable."""
    store, free = MemoryStore(), threading.Event()
    async with running(store, open_journal=lambda: HeldJournal(store.acquire(), free, [])) as venue:
        command: ListMarket = listing("A")
        first = asyncio.create_task(venue.send(command))
        second = asyncio.create_task(venue.send(command))
        done, _ = await asyncio.wait({first, second}, timeout=0.1)
        assert not done
        free.set()
        outcome = await asyncio.wait_for(second, 5)
        await asyncio.wait_for(first, 5)

        assert isinstance(outcome, Rejected)
        assert outcome.code is RejectCode.MARKET_EXISTS
        assert list(venue.model.markets) == ["A"]


class _Dying(FailStopActor):
    """Dies of anything; a sender that saw it alive puts one more message in its inbox just then."""

    def __init__(self, gone: threading.Event) -> None:
        super().__init__()
        self._gone = gone

    def handle(self, batch: list[Any]) -> None:
        raise RuntimeError("the test says so")

    def on_death(self, reason: str, queued: list[Any]) -> None:
        self.actor_inbox.put(Envelope("late"))

    def _actor_loop_teardown(self) -> None:
        super()._actor_loop_teardown()
        self._gone.set()


async def test_what_reaches_a_dying_actor_can_still_be_taken_back() -> None:
    """Pykka alone would throw the message away: its hold would never be voided, its caller never answered."""
    gone = threading.Event()
    ref = _Dying.start(gone)
    ref.tell("anything")

    assert await asyncio.to_thread(gone.wait, 5)
    assert drain(ref) == ["late"]


async def test_a_market_whose_rows_cannot_be_read_at_first_comes_back_by_itself() -> None:
    """I12: the database is away for a moment just when a market has to be rebuilt."""
    store = MemoryStore()
    async with running(store) as venue:
        await venue.list_market("A")
        await venue.add_user("ann")
        read, failures = store.rows_of, [JournalUnavailable("away"), JournalUnavailable("away")]

        def flaky(stream: str, after: int = 0) -> object:
            if failures:
                raise failures.pop()
            return read(stream, after)

        store.rows_of = flaky  # type: ignore[method-assign, assignment]
        await venue.send(poison("A", "ann"), sender="ann", order_id="p")

        await venue.do(open_long("A", "ann"), sender="ann", order_id="1")
        assert not failures
