"""A stage: one process on the scheduler, whose tasks go on only when a test says so. For the story of one bug."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from random import Random
from typing import Any

from actors.limits import DEADLINE_MS, EVENTS_PER_COMMIT_MAX, MARKET_DEATHS_MAX, REBUILD_QUEUE_MAX, ROWS_PER_COMMIT_MAX
from actors.messages import Envelope, Outcome, Token
from perps.commands import Command
from perps.engine import CONSEQUENCES_PER_ROW_MAX
from perps.fingerprints import fingerprint
from perps.units import Millis
from tests.simulation.machine.host import Listener, Process
from tests.simulation.machine.journal import Commit, Store
from tests.simulation.machine.runtime import Limits, on_scheduler
from tests.simulation.machine.scheduler import Scheduler, Task, Time

STEPS_MAX = 2_000


class _NoChance(Random):
    """Whatever comes by chance does not come: an actor sees all that is queued, nobody gives way unasked."""

    def random(self) -> float:
        return 0.0


class Stage(Listener):
    """``send`` commands, let tasks ``go`` by name, look at ``outcomes``."""

    def __init__(self) -> None:
        self.scheduler = Scheduler(_NoChance(), Time(), yields=0.0)
        self.store = Store(self.scheduler, self.scheduler.random, lambda _: Commit.DONE)
        self.process = Process("p1", self.scheduler, self.store, self.scheduler.time, self)
        self.outcomes: dict[Token, Outcome] = {}
        self._tokens = count(1)

    def answered(self, process: Process, token: Token, outcome: Outcome) -> None:
        """Keep a caller's answer."""
        self.outcomes[token] = outcome

    def send(self, *commands: Command, sender: str = "@admin", order_id: str | None = None) -> list[Token]:
        """Send commands in one turn of the loop, which tells them to the supervisor."""
        now_ms = self.scheduler.time.now_ms()
        tokens = []
        for command in commands:
            token = next(self._tokens)
            tokens.append(token)
            envelope = Envelope(
                command=command,
                token=token,
                trace_id="",
                sender=sender,
                client_order_id=order_id,
                fresh=order_id is None,
                fingerprint=fingerprint(command),
                now_ms=now_ms,
                deadline_ms=Millis(now_ms + DEADLINE_MS),
            )
            assert self.process.send(envelope) is None
        while self.process.outgoing:
            self.go("p1 loop")
        return tokens

    def task(self, name: str) -> Task:
        """The newest task of this name."""
        return [task for task in self.scheduler.tasks if task.name == name][-1]

    def go(self, *names: str) -> None:
        """Let these go on, each to its next stop."""
        for name in names:
            task = self.task(name)
            assert task.ready is None or task.ready(), f"{name} has nothing to do: it is at {task.where}"
            self.scheduler.run(task)

    def may_go(self, name: str) -> bool:
        """Whether this one has anything to do."""
        return any(task.name == name and (task.ready is None or task.ready()) for task in self.scheduler.tasks)

    def go_slowly(self, name: str, until: str | None = None) -> None:
        """Let this one go on to its next stop, where it may give way at every message; or on ``until`` it is there."""
        self.scheduler.yields = 1.0
        self.go(name)
        while until is not None and self.task(name).where != until:
            self.go(name)
        self.scheduler.yields = 0.0

    def rest(self) -> None:
        """Let all go on until nobody has anything to do."""
        for _ in range(STEPS_MAX):
            if self.scheduler.step() is None:
                return
        raise AssertionError(f"not at rest after {STEPS_MAX} steps")

    def actor(self, name: str) -> Any:
        """The actor behind a task."""
        return self.task(name).subject


@contextmanager
def stage(*commands: Command, liquidations_per_row: int = CONSEQUENCES_PER_ROW_MAX) -> Iterator[Stage]:
    """A stage whose venue has done ``commands``."""
    limits = Limits(
        recent_answers=1_000,
        rows_per_commit=ROWS_PER_COMMIT_MAX,
        events_per_commit=EVENTS_PER_COMMIT_MAX,
        liquidations_per_row=liquidations_per_row,
        rebuild_queue=REBUILD_QUEUE_MAX,
        market_deaths=MARKET_DEATHS_MAX,
    )
    set_up = Stage()
    with on_scheduler(set_up.scheduler, limits, strike=lambda _: None, hear=lambda _: None, planned=lambda _: False):
        try:
            set_up.process.start()
            set_up.rest()
            for command in commands:
                set_up.send(command)
                set_up.rest()
            yield set_up
        finally:
            set_up.scheduler.kill(set_up.process)
