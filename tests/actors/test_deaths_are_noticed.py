"""No actor ends, or stands still, unnoticed: it is seen within a second, counted, shown and made good."""

from __future__ import annotations

import asyncio
import ctypes
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import pykka
import pytest

import perps.engine
import perps.sequencer
from actors.base import FailStopActor
from actors.journal import JournalActor
from actors.ledger import LedgerActor
from actors.look_up import LookUpActor
from actors.market import MarketActor
from actors.messages import Failure, FailureKind, Settled
from actors.supervisor import Supervisor
from perps.commands import Deposit
from perps.journal import Entry, JournalUnavailable, OwnershipLost
from perps.units import Micros
from tests.actors.venue import USD, Running, open_long, running
from tests.support.memory import MemoryJournal, MemoryStore
from tests.support.slowness import in_time, soon

NOTICED_S: Final = 1.0
PARTS: Final[dict[str, type[FailStopActor]]] = {
    "journal": JournalActor,
    "ledger": LedgerActor,
    "supervisor": Supervisor,
    "look-up": LookUpActor,
    "A": MarketActor,
}


class Line:
    """A journal whose line a test may hold, cut, or hand to another."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal
        self.free = threading.Event()
        self.free.set()
        self.probe_fails: BaseException | None = None
        self.append_fails: BaseException | None = None
        self.probes = 0

    @property
    def epoch(self) -> int:
        return self._journal.epoch

    def append(self, entries: Sequence[Entry]) -> None:
        assert self.free.wait(10)
        if self.append_fails is not None:
            raise self.append_fails
        self._journal.append(entries)

    def probe(self) -> None:
        self.probes += 1
        assert self.free.wait(10)
        if self.probe_fails is not None:
            raise self.probe_fails
        self._journal.probe()

    def close(self) -> None:
        self._journal.close()


class Lines:
    """Opens journals and keeps them at hand."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.opened: list[Line] = []

    def open(self) -> Line:
        self.opened.append(Line(self.store.acquire()))
        return self.opened[-1]


async def _until(found: Callable[[], object], within_s: float = NOTICED_S) -> None:
    async with soon(within_s):
        while not found():  # noqa: ASYNC110 - plain values, polled as /readyz would
            await asyncio.sleep(0.005)


def _deaths(venue: Running) -> dict[tuple[str, str], float]:
    """How many of (part, reason) were counted."""
    return {
        (sample.labels["part"], sample.labels["reason"]): sample.value
        for family in venue.metrics.deaths.collect()
        for sample in family.samples
        if sample.name == "perps_deaths_total"
    }


async def _ready(venue: Running) -> None:
    await venue.list_market("A")
    await venue.add_user("ann")


def _ref(actor: type[FailStopActor]) -> pykka.ActorRef[FailStopActor]:
    (ref,) = pykka.ActorRegistry.get_by_class(actor)
    return ref


async def _trades(venue: Running) -> None:
    """The venue takes a trade, at the latest when what died has been made good."""
    for attempt in range(1_000):
        outcome = await venue.send(open_long("A", "ann"), sender="ann", order_id=f"again-{attempt}")
        if isinstance(outcome, Settled):
            return
        assert isinstance(outcome, Failure), outcome
        await asyncio.sleep(0.005)
    raise AssertionError("it never came back")


@pytest.mark.parametrize("part", PARTS)
async def test_an_actor_that_somebody_stopped_by_mistake_is_made_good(part: str) -> None:
    async with running() as venue:
        await _ready(venue)

        _ref(PARTS[part]).stop(block=False)
        if part == "A":
            await _trades(venue)
        else:
            await _until(lambda: (part, "stopped") in _deaths(venue))
            await _trades(venue)

        assert venue.host.health == {}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
async def test_a_thread_that_is_told_to_exit_is_made_good(part: str, kind: type[BaseException]) -> None:
    """From outside, at whatever line the thread stands; in pykka alone that would end the thread in silence, or every
    actor there is."""
    async with running() as venue:
        await _ready(venue)
        thread = next(thread for thread in threading.enumerate() if thread.name == part)

        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(kind))
        _ref(PARTS[part]).tell([])

        await _until(lambda: _deaths(venue) == {(part, kind.__name__): 1.0})
        await _trades(venue)
        assert venue.host.health == {}


async def test_a_command_that_makes_its_market_exit_is_answered_and_has_no_effect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running() as venue:
        await _ready(venue)
        execute, poison = perps.engine.execute, [True]

        def exits(*args: object, **kwargs: object) -> object:
            if poison:
                poison.pop()
                raise SystemExit
            return execute(*args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(perps.sequencer, "execute", exits)
        first = asyncio.create_task(venue.send(open_long("A", "ann"), sender="ann", order_id="1"))
        second = asyncio.create_task(venue.send(open_long("A", "ann"), sender="ann", order_id="2"))

        outcome = await first
        assert isinstance(outcome, Failure)
        assert outcome.kind is FailureKind.INTERNAL_ERROR
        assert isinstance(await second, Settled)
        assert _deaths(venue) == {("A", "SystemExit"): 1.0}


async def test_an_actor_that_cannot_even_say_that_it_dies_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as venue:
        await _ready(venue)

        def silent(*_: object) -> None:
            monkeypatch.undo()
            raise MemoryError

        monkeypatch.setattr(LedgerActor, "on_death", silent)
        _ref(LedgerActor).tell("not for the ledger")

        await _until(lambda: ("ledger", "TypeError") in _deaths(venue))
        await _trades(venue)


async def test_every_death_is_counted_by_part_and_reason() -> None:
    lines = Lines()
    async with running(lines.store, open_journal=lines.open) as venue:
        await _ready(venue)
        lines.opened[0].append_fails = JournalUnavailable("cut")
        await venue.send(Deposit(user="ann", amount=Micros(USD)), sender="ann", order_id="1")
        await venue.rebuilt()

        assert _deaths(venue) == {("journal", "JournalUnavailable"): 1.0}


async def test_a_hung_commit_shows_within_a_second_and_no_longer_when_it_goes_on() -> None:
    lines = Lines()
    async with running(lines.store, open_journal=lines.open) as venue:
        await _ready(venue)
        line = lines.opened[0]
        line.free.clear()
        began = time.monotonic()
        command = asyncio.create_task(
            venue.send(Deposit(user="ann", amount=Micros(USD)), sender="ann", order_id="1"),
        )

        await _until(lambda: "journal" in venue.host.problems())
        assert await asyncio.to_thread(in_time, time.monotonic() - began, NOTICED_S)
        problem = venue.host.problems()["journal"]
        assert problem.why.startswith("committing for 0.")
        assert problem.since is not None
        assert venue.clock.ms - 1_000 <= problem.since <= venue.clock.ms - 600
        await _until(lambda: venue.metrics.stuck_seconds.labels("journal")._value.get() > 0)
        assert venue.metrics.stuck.labels("journal")._value.get() == 1
        line.free.set()

        assert isinstance(await command, Settled)
        await _until(lambda: not venue.host.problems())
        await _until(lambda: venue.metrics.stuck_seconds.labels("journal")._value.get() == 0)
        assert venue.metrics.stuck.labels("journal")._value.get() == 1
        assert _deaths(venue) == {}


async def test_a_database_that_is_silent_shows_although_nobody_writes() -> None:
    lines = Lines()
    async with running(lines.store, open_journal=lines.open) as venue:
        await _ready(venue)
        lines.opened[0].free.clear()

        await _until(lambda: "journal" in venue.host.problems(), within_s=2.0)
        assert venue.host.problems()["journal"].why.startswith("asking whether its database is there for 0.")
        lines.opened[0].free.set()

        await _until(lambda: not venue.host.problems())
        assert len(lines.opened) == 1, "the shard was kept"


async def test_a_line_that_is_cut_is_noticed_within_a_second_although_nobody_writes() -> None:
    lines = Lines()
    async with running(lines.store, open_journal=lines.open) as venue:
        await _ready(venue)
        await _until(lambda: lines.opened[0].probes)

        lines.opened[0].probe_fails = JournalUnavailable("cut")
        await _until(lambda: len(lines.opened) == 2)
        await venue.rebuilt()

        await _trades(venue)


@pytest.mark.parametrize("idle", [True, False])
async def test_a_venue_whose_shard_another_has_taken_ends_at_once_and_says_so(idle: bool) -> None:
    """I9. It does not try to take the shard back."""
    lines = Lines()
    async with running(lines.store, open_journal=lines.open) as venue:
        await _ready(venue)
        lines.store.acquire()
        if not idle:
            await venue.send(Deposit(user="ann", amount=Micros(USD)), sender="ann", order_id="1")

        async with soon(NOTICED_S):
            reason = await venue.host.ended

        assert isinstance(reason, OwnershipLost)
        assert "another venue has taken over" in str(reason)
        assert len(lines.opened) == 1
        assert lines.store.epoch == 2


async def test_a_busy_journal_is_not_probed() -> None:
    lines = Lines()
    async with running(lines.store, open_journal=lines.open) as venue:
        await _ready(venue)
        began = time.monotonic()
        while time.monotonic() - began < 1.2:
            await venue.do(Deposit(user="ann", amount=Micros(USD)))
            await asyncio.sleep(0.01)

        assert lines.opened[0].probes == 0
