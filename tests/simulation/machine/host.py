"""One process of the simulated world: the core, and what the host and the bridge do around it.

It answers callers only from its own loop, one turn at a time, as the bridge does; rebuilds the core when it fails; and
can be killed at any step or stopped in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from actors.base import tell
from actors.core import Core
from actors.limits import DEADLINE_MS
from actors.messages import (
    NO_TOKEN,
    Envelope,
    Failure,
    FailureKind,
    ImageTaken,
    Outcome,
    Reply,
    Settled,
    TakeImage,
    Tick,
    Token,
    VenueImage,
)
from actors.ports import Journal, RowClock
from actors.recovery import Recovered, recover
from actors.unfinished import Unfinished
from perps.journal import Entry, JournalUnavailable, OwnershipLost
from perps.snapshot.format import Snapshot
from perps.venue import VenueState
from tests.simulation.machine.journal import Store
from tests.simulation.machine.scheduler import NS_PER_MS, Owner, Scheduler

REBUILD_PAUSE_S = 0.2


class Listener:
    """What a run hears from its processes. The base hears and does nothing."""

    def settled(self, process: Process, rows: list[Settled]) -> None:
        """A core says that these rows are durable. Called at once, in the journal actor."""

    def replied(self, process: Process, replies: list[Reply]) -> None:
        """A core answers. Called at once, in the supervisor."""

    def image_taken(self, process: Process, taken: ImageTaken) -> None:
        """An actor says what it holds. Called at once, in the journal actor."""

    def recovered(self, process: Process, recovered: Recovered) -> None:
        """A core is about to start from this."""

    def published(self, process: Process, entry: Entry) -> None:
        """A row reached the readers."""

    def answered(self, process: Process, token: Token, outcome: Outcome) -> None:
        """A caller got his answer."""

    def stopped(self, process: Process) -> None:
        """A process has stopped in order."""


class Outlet:
    """One core's way out. Satisfies ``actors.ports.Outbox``; everything happens on the process's loop."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def settled(self, rows: list[Settled]) -> None:
        """Rows are durable."""
        process = self._process
        process.say(
            "before settled", lambda: process.deliver(rows), heard=lambda: process.listener.settled(process, rows)
        )

    def replies(self, replies: list[Reply]) -> None:
        """Callers are answered."""
        process = self._process
        heard = lambda: process.listener.replied(process, replies)  # noqa: E731 - a word of one line
        process.say("before replies", lambda: process.answer(replies), heard=heard)

    def image(self, taken: ImageTaken) -> None:
        """A part of an image."""
        process = self._process
        process.say("before an image", lambda: None, heard=lambda: process.listener.image_taken(process, taken))

    def market_health(self, ticker: str, problem: str | None) -> None:
        """A market's health changed."""
        self._process.say("before health", lambda: self._process.market_health(self, ticker, problem))

    def core_failed(self, reason: str) -> None:
        """The core is gone."""
        self._process.say("before core_failed", lambda: self._process.core_failed(self, reason))


class Process(Owner):
    """A venue's process. ``start`` it as a task; ``send`` commands once it is ``open``."""

    def __init__(self, name: str, scheduler: Scheduler, store: Store, clock: RowClock, listener: Listener) -> None:
        super().__init__(name)
        self._scheduler, self._store, self._clock = scheduler, store, clock
        self.listener = listener
        self.core: Core | None = None
        self.health: dict[str, str] = {}
        self.open = False
        self.failed: str | None = None
        self.ended: str | None = None
        """Why it is over: it lost the shard, or it was asked to stop."""
        self.published = 0
        self.waiting: dict[Token, int] = {}
        """Callers without an answer, and when each gives up."""
        self._outlet: Outlet | None = None
        self._unfinished = Unfinished()
        self._turns: deque[Callable[[], None]] = deque()
        self.outgoing: list[Envelope] = []
        """Sent in this turn of the loop, and told to the supervisor at its end."""
        self.stopping = False
        self._begun = 0
        self.epoch = 0

    def say(self, where: str, turn: Callable[[], None], heard: Callable[[], None] | None = None) -> None:
        """From an actor: let ``turn`` happen on the loop, later and in order."""
        self._scheduler.pause(where)
        if self.is_dead():
            return
        if heard is not None:
            heard()
        self._turns.append(turn)
        self._scheduler.pause(where.replace("before", "after"))

    def start(self, *, by_force: bool = False) -> None:
        """Begin: take the shard, recover, serve until it is stopped or killed or loses the shard."""
        self._scheduler.spawn(f"{self.name} loop", self, lambda: self._loop(by_force))

    def send(self, envelope: Envelope) -> Failure | None:
        """Send a command; a failure if the doors are closed."""
        if not self.open:
            return Failure(FailureKind.UNAVAILABLE, "the venue is starting, being rebuilt or stopping")
        self.waiting[envelope.token] = self._scheduler.time.ns + DEADLINE_MS * NS_PER_MS
        if not self.outgoing:
            self._turns.append(self._flush)
        self.outgoing.append(envelope)
        return None

    def ask_to_stop(self) -> None:
        """Refuse what is new, answer what is in flight, make it durable, end."""
        self.open, self.stopping = False, True

    def deliver(self, rows: list[Settled]) -> None:
        """On the loop: publish durable rows, then answer who waits for them."""
        for row in rows:
            self._publish(row.entry)
        self.answer([(row.token, row) for row in self._unfinished.ended(rows)])

    def answer(self, replies: list[Reply]) -> None:
        """On the loop: answer callers that still wait."""
        for token, outcome in replies:
            if self.waiting.pop(token, None) is not None and not isinstance(outcome, VenueImage):
                self.listener.answered(self, token, outcome)

    def market_health(self, outlet: Outlet, ticker: str, problem: str | None) -> None:
        """On the loop: a market is well, or is not."""
        if outlet is not self._outlet:
            return
        if problem is None:
            self.health.pop(ticker, None)
        else:
            self.health[ticker] = problem

    def core_failed(self, outlet: Outlet, reason: str) -> None:
        """On the loop: the core died; everything in flight is in doubt."""
        if outlet is not self._outlet or self.failed is not None:
            return
        self.open, self.failed = False, reason
        unknown = Failure(FailureKind.OUTCOME_UNKNOWN, reason)
        self.answer([(token, unknown) for token in list(self.waiting)])

    def expire(self) -> None:
        """Answer callers whose time is up."""
        now_ns = self._scheduler.time.ns
        late = Failure(FailureKind.OUTCOME_UNKNOWN, "no answer before the deadline")
        self.answer([(token, late) for token, end_ns in self.waiting.items() if end_ns <= now_ns])

    @property
    def idle(self) -> bool:
        """Whether the loop has nothing to do."""
        return not self._turns and self.failed is None and not self._may_stop()

    def _publish(self, entry: Entry) -> None:
        if entry.row.offset <= self.published:
            return
        self.listener.published(self, entry)
        self.published = entry.row.offset

    def _flush(self) -> None:
        outgoing, self.outgoing = self.outgoing, []
        if self.failed is not None or self.core is None or not tell(self.core.supervisor, outgoing):
            gone = Failure(FailureKind.UNAVAILABLE, "the venue is being rebuilt")
            self.answer([(envelope.token, gone) for envelope in outgoing])

    def _may_stop(self) -> bool:
        return self.stopping and not self.waiting and not self._turns

    def _loop(self, by_force: bool) -> None:
        if not self._run(by_force):
            return
        while True:
            self._scheduler.wait(self._has_work, "loop")
            if self._turns:
                self._turns.popleft()()
            elif self.failed is not None:
                if self.core is not None:
                    self.core.stop()
                self._take_turns()
                if self.stopping:
                    self.ended = "stopped while it failed"
                    return
                if not self._run(by_force=False):
                    return
            elif self._may_stop():
                if self.core is not None:
                    self.core.stop()
                self._take_turns()
                self.ended = "stopped"
                self.listener.stopped(self)
                return

    def _has_work(self) -> bool:
        return not self.idle

    def _take_turns(self) -> None:
        while self._turns:
            self._turns.popleft()()

    def _run(self, by_force: bool) -> bool:
        """Recover, as often as the store is away; False when another owns the shard."""
        missed: list[Entry] = []
        recovered: Recovered | None = None
        journal: Journal | None = None
        while recovered is None or journal is None:
            missed.clear()
            try:
                journal = self._store.acquire(self, by_force=by_force)
                recovered = self._recover(missed)
            except JournalUnavailable:
                self._scheduler.sleep(REBUILD_PAUSE_S)
            except OwnershipLost as error:
                self.ended = str(error)
                return False
        for entry in missed:
            self._publish(entry)
        self.listener.recovered(self, recovered)
        self.epoch, self.failed = journal.epoch, None
        self.health = dict.fromkeys(recovered.state.markets, "starting")
        self._outlet = Outlet(self)
        self.core = Core(recovered, journal, self._store, clock=self._clock, outbox=self._outlet)
        self.open = not self.stopping
        return True

    def _recover(self, missed: list[Entry]) -> Recovered:
        """The product's recovery: the only place that calls it. Readers know of nothing at first, and after that only
        rows can bring them on."""

        def keep(entry: Entry, _: VenueState) -> None:
            missed.append(entry)

        if self.published:
            return recover(self._store, keep, until=self.published)

        def begin(snapshot: Snapshot, _: VenueState) -> None:
            self._begun = snapshot.offset

        self._begun = 0
        recovered = recover(self._store, keep, begin)
        self.published = self._begun
        return recovered

    def take_image(self) -> None:
        """Ask the actors what they hold."""
        core = self.core
        if core is not None and self.failed is None:
            self._turns.append(lambda: _tell(core, TakeImage(NO_TOKEN)))

    def watch(self) -> None:
        """What the watchdog does now and then, and the timer each second."""
        if self.core is not None and self.failed is None:
            self.core.vitals.look(self._scheduler.time.ns / 1e9)
            _tell(self.core, Tick())


def _tell(core: Core, message: object) -> None:
    """Tell the supervisor, if it still lives."""
    tell(core.supervisor, message)
