"""The journal or the ledger dies: what is in doubt is decided by the journal, and the venue goes on by itself."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
import weakref
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

import actors.recovery
import web.process.host
from actors.bridge import CORE
from actors.core import Core
from actors.ledger import LedgerActor
from actors.look_up import LookUpActor
from actors.messages import Address, Envelope, Failure, FailureKind, Outcome, Repeated, Settled, Token
from perps.commands import CreateUser, Deposit, SetMode
from perps.journal import Entry, JournalRefused, JournalUnavailable, OwnershipLost
from perps.params import Mode
from perps.refusals import RejectCode, Rejected
from perps.units import Micros, Millis
from tests.actors.venue import USD, Running, open_long, running
from tests.support.memory import MemoryJournal, MemoryStore
from tests.support.slowness import in_time
from web.process.host import CORE_DEATHS_MAX, CoreLost

WORDS: Any = "not a number"


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

    def probe(self) -> None:
        self._journal.probe()

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
        assert len(venue.model.users["ann"].positions) == 1
        assert venue.model.epoch == (1 if done else 2)


async def test_what_was_in_doubt_and_is_durable_is_published_before_anything_newer() -> None:
    store, fails = MemoryStore(), list[str]()
    async with running(store, open_journal=lambda: FlakyJournal(store.acquire(), fails)) as venue:
        await venue.add_user("ann")
        fails.append("after")
        await venue.send(Deposit(user="ann", amount=Micros(5 * USD)), sender="ann", order_id="1")
        await venue.rebuilt()

        assert venue.model.wallet("ann") == 1_005 * USD
        assert [row.offset for row in venue.model.rows_after(0)] == [1, 2]


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
        assert not venue.model.users["ann"].positions
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


async def test_a_retry_of_an_unknown_outcome_may_be_refused_and_then_was_never_done() -> None:
    """I13: done, refused or never seen, and exactly one of them."""
    store, fails = MemoryStore(), list[str]()
    async with running(store, open_journal=lambda: FlakyJournal(store.acquire(), fails)) as venue:
        await venue.list_market("A")
        await venue.add_user("ann")
        fails.append("before")
        await venue.send(open_long("A", "ann"), sender="ann", order_id="1")
        await venue.rebuilt()
        await venue.do(SetMode(ticker="A", mode=Mode.HALTED))

        for _ in range(2):
            refused = await venue.send(open_long("A", "ann"), sender="ann", order_id="1")
            assert isinstance(refused, Rejected)
            assert refused.code is RejectCode.MARKET_HALTED

        assert not venue.model.users["ann"].positions
        assert venue.model.wallet("ann") == 1_000 * USD


async def test_another_command_under_the_id_of_one_in_doubt_is_a_reuse_only_if_that_one_was_done() -> None:
    for fault, done in (("before", False), ("after", True)):
        store, fails = MemoryStore(), list[str]()
        async with running(store, open_journal=partial(flaky, store, fails)) as venue:
            await venue.list_market("A")
            await venue.add_user("ann")
            fails.append(fault)
            await venue.send(open_long("A", "ann"), sender="ann", order_id="1")
            await venue.rebuilt()

            other = await venue.send(open_long("A", "ann", dollars=50), sender="ann", order_id="1")

            if done:
                assert isinstance(other, Rejected)
                assert other.code is RejectCode.CLIENT_ORDER_ID_REUSED
            else:
                assert isinstance(other, Settled)
            assert len(venue.model.users["ann"].positions) == 1


async def test_of_many_in_doubt_each_is_done_once_or_never_seen() -> None:
    """The first commit becomes durable and is not heard of; what queued behind it is never written."""
    store, fails = MemoryStore(), list[str]()
    async with running(store, open_journal=lambda: FlakyJournal(store.acquire(), fails)) as venue:
        await venue.list_market("A")
        await venue.add_user("ann", dollars=100_000)
        fails.append("after")
        ids = [str(n) for n in range(200)]
        doubtful = [venue.send(open_long("A", "ann", dollars=20), sender="ann", order_id=n) for n in ids]
        first = await asyncio.gather(*doubtful)
        written = {row.client_order_id for row in store.rows()} & set(ids)
        while any(
            isinstance(outcome, Failure) and outcome.kind is FailureKind.UNAVAILABLE
            for outcome in (await asyncio.gather(*(_retry(venue, n) for n in ids)))
        ):
            await venue.rebuilt()

        assert any(isinstance(outcome, Failure) for outcome in first)
        assert written
        positions = venue.model.users["ann"].positions
        answers = [row.client_order_id for row in store.rows() if row.client_order_id in ids]
        assert sorted(answers) == sorted(ids), "each id has one row"
        assert len(positions) == len(ids)


async def _retry(venue: Running, order_id: str) -> Outcome:
    return await venue.send(open_long("A", "ann", dollars=20), sender="ann", order_id=order_id)


def flaky(store: MemoryStore, fails: list[str]) -> FlakyJournal:
    """The next owner's journal, which fails as planned."""
    return FlakyJournal(store.acquire(), fails)


async def test_a_row_that_the_store_refuses_makes_the_core_start_again_from_the_journal() -> None:
    """Nothing of the batch was written; the memory that made the row is thrown away, and the venue goes on."""
    store, refuse = MemoryStore(), [True]

    class Refusing(FlakyJournal):
        def append(self, entries: Sequence[Entry]) -> None:
            if refuse and entries[0].row.kind == "deposit":
                refuse.pop()
                raise JournalRefused("row 2 cannot be")
            super().append(entries)

    async with running(store, open_journal=lambda: Refusing(store.acquire(), [])) as venue:
        await venue.add_user("ann")
        deposit = Deposit(user="ann", amount=Micros(USD))
        outcome = await venue.send(deposit, sender="ann", order_id="1")
        await venue.rebuilt()

        assert isinstance(outcome, Failure)
        assert outcome.kind is FailureKind.OUTCOME_UNKNOWN
        assert venue.model.wallet("ann") == 1_000 * USD
        await venue.do(deposit, sender="ann", order_id="1")
        assert venue.model.wallet("ann") == 1_001 * USD


async def test_a_core_that_dies_of_every_rebuild_is_not_rebuilt_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each try is a new epoch in the database: there is a pause before it, and in the end the venue says why."""
    monkeypatch.setattr(web.process.host, "RETRY_S", (0.01, 0.02))
    store = MemoryStore()
    async with running(store) as venue:
        await venue.list_market("A")
        handle = LedgerActor.handle

        def fail(self: LedgerActor, batch: list[Any]) -> None:
            if any(isinstance(message, Address) for message in batch):
                raise RuntimeError("what it is told at its start kills it")
            handle(self, batch)

        monkeypatch.setattr(LedgerActor, "handle", fail)
        began = time.monotonic()
        core = venue.host._core
        assert core is not None
        core.ledger_ref.tell(Address("A", None))

        ended = await asyncio.wait_for(venue.host.ended, 5)

        assert isinstance(ended, CoreLost)
        assert str(ended) == f"the core died {CORE_DEATHS_MAX + 1} times within 60 s, last of RuntimeError"
        assert isinstance(ended.__cause__, RuntimeError)
        assert venue.metrics.core_restarts._value.get() == CORE_DEATHS_MAX + 1
        assert store.epoch == CORE_DEATHS_MAX + 1
        assert time.monotonic() - began >= 0.01 + (CORE_DEATHS_MAX - 2) * 0.02
        assert venue.host.problems()[CORE].why == "lost: CoreLost"


async def test_a_database_that_comes_and_goes_does_not_end_the_venue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.process.host, "RETRY_S", (0.0,))
    store, fails = MemoryStore(), list[str]()
    async with running(store, open_journal=lambda: FlakyJournal(store.acquire(), fails)) as venue:
        await venue.add_user("ann")
        for number in range(2 * CORE_DEATHS_MAX):
            fails.append("before")
            await venue.send(Deposit(user="ann", amount=Micros(USD)), sender="ann", order_id=str(number))
            await venue.rebuilt()

        assert not venue.host.ended.done()
        assert store.epoch == 2 * CORE_DEATHS_MAX + 1


async def test_a_core_that_cannot_even_be_stopped_ends_the_venue(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not the task alone that should have rebuilt it."""
    store, fails = MemoryStore(), ["before"]
    async with running(store, open_journal=lambda: FlakyJournal(store.acquire(), fails)) as venue:
        with monkeypatch.context() as patched:

            def stop(_: Core) -> None:
                raise MemoryError("no thread can be started")

            patched.setattr(Core, "stop", stop)
            await venue.send(CreateUser(user="ann"))

            assert isinstance(await asyncio.wait_for(venue.host.ended, 5), MemoryError)


async def test_a_core_that_died_leaves_nothing_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although the collector never looks at what was there at the start."""
    ledgers: list[weakref.ref[LedgerActor]] = []
    init = LedgerActor.__init__

    def note(self: LedgerActor, *arguments: Any, **named: Any) -> None:
        init(self, *arguments, **named)
        ledgers.append(weakref.ref(self))

    monkeypatch.setattr(LedgerActor, "__init__", note)
    monkeypatch.setattr(logging.getLogger("pykka"), "disabled", True)  # pytest keeps log records, with their frames
    async with running() as venue:
        await venue.list_market("A")
        await venue.add_user("ann")
        gc.collect()
        gc.freeze()
        try:
            await venue.send(replace(open_long("A", "ann"), size=WORDS))
            await venue.rebuilt()
            await venue.do(open_long("A", "ann"))
            async with asyncio.timeout(5):
                while ledgers[0]() is not None:  # noqa: ASYNC110 - its thread is just ending
                    await asyncio.sleep(0.01)
        finally:
            gc.unfreeze()
        assert len(ledgers) == 2


async def test_a_silent_database_does_not_hold_up_a_rebuild_by_a_look_up() -> None:
    store, fails, asked, answer = MemoryStore(), list[str](), threading.Event(), threading.Event()

    class Silent:
        def answers(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], tuple[int, bytes]]:
            asked.set()
            assert answer.wait(10)
            return {}

        def close(self) -> None:
            pass

    async with running(store, open_journal=lambda: FlakyJournal(store.acquire(), fails)) as venue:
        await venue.add_user("ann")
        core = venue.host._core
        assert core is not None
        actor = core.look_up_ref._actor_weakref()
        assert isinstance(actor, LookUpActor)
        actor._look_ups.close()
        actor._look_ups = Silent()
        core.look_up_ref.tell(envelope())
        assert await asyncio.to_thread(asked.wait, 5)
        fails.append("before")
        began = time.monotonic()
        await venue.send(Deposit(user="ann", amount=Micros(USD)))
        await venue.rebuilt()

        assert await asyncio.to_thread(in_time, time.monotonic() - began, 2)
        answer.set()


async def test_a_market_that_waits_for_its_rows_does_not_hold_up_a_rebuild(monkeypatch: pytest.MonkeyPatch) -> None:
    store, fails, asked = MemoryStore(), list[str](), threading.Event()
    monkeypatch.setattr(actors.recovery, "RELOAD_PAUSES_S", (9.0,))
    async with running(store, open_journal=lambda: FlakyJournal(store.acquire(), fails)) as venue:
        await venue.list_market("A")
        await venue.add_user("ann")

        def away(stream: str, after: int = 0) -> object:
            asked.set()
            raise JournalUnavailable("away")

        monkeypatch.setattr(store, "rows_of", away)
        await venue.send(replace(open_long("A", "ann"), max_slippage_bps=WORDS))
        assert await asyncio.to_thread(asked.wait, 5)
        fails.append("before")
        began = time.monotonic()
        await venue.send(Deposit(user="ann", amount=Micros(USD)))
        await venue.rebuilt()

        assert await asyncio.to_thread(in_time, time.monotonic() - began, 2)


def envelope() -> Envelope:
    """A command whose client id is looked up."""
    return Envelope(
        command=CreateUser(user="bob"),
        token=Token(10**9),
        trace_id="test",
        sender="bob",
        client_order_id="x",
        fresh=False,
        fingerprint=b"",
        now_ms=Millis(0),
        deadline_ms=Millis(0),
    )
