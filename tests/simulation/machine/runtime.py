"""pykka's actors on the scheduler: their own loops, with inbox, stop event and future replaced for the length of a run.

``on_scheduler`` changes what pykka's base classes leave open, the limits of the run, and the event that a sleeping
market wakes at, and puts everything back at the end. The product knows nothing of it.
"""

from __future__ import annotations

import logging
import queue
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import pykka._actor
import structlog
from greenlet import GreenletExit
from pykka import ActorRef, ThreadingFuture
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

import actors.core
import actors.journal
import actors.ledger
import actors.market
import actors.supervisor
import perps.engine
from actors.answers import Answers
from actors.base import FailStopActor
from actors.vitals import Pulse, Vitals
from tests.simulation.machine.scheduler import Scheduler

Strike = Callable[[str], None]
"""May raise in an actor's name: a bug that the run has planned for it."""


Planned = Callable[[BaseException | None], bool]
"""Whether an actor may die of this: the run has planned it."""

Hear = Callable[[Any], None]
"""Hears each message that is sent to the journal, when it is sent."""


@dataclass(frozen=True)
class Limits:
    """Limits of the product, made small enough for a short run to meet them."""

    recent_answers: int
    rows_per_commit: int
    events_per_commit: int
    liquidations_per_row: int
    rebuild_queue: int
    market_deaths: int

    @property
    def rows_ahead(self) -> int:
        """Rows of a crash that are on their way at a time."""
        return min(self.liquidations_per_row, 8)


class Inbox:
    """An actor's inbox. Sending gives way before the message is there and after it; taking gives way before."""

    def __init__(self, scheduler: Scheduler, name: str, strike: Strike, hear: Hear | None) -> None:
        self._scheduler, self._name, self._strike, self._hear = scheduler, name, strike, hear
        self._queue: deque[Envelope[Any]] = deque()
        self._batch = 0

    def put(self, envelope: Envelope[Any], /) -> None:
        """Deliver. The receiver may have died since the sender saw it alive: its inbox takes the message still."""
        if not isinstance(envelope.message, _ActorStop):
            self._strike(f"→ {self._name}")
        if self._hear is not None:
            self._hear(envelope.message)
        self._scheduler.pause(f"before → {self._name}")
        self._queue.append(envelope)
        self._scheduler.pause(f"after → {self._name}")

    def get(self) -> Envelope[Any]:
        """The next message; waits for one. Within a batch nothing comes between."""
        if self._batch > 0 and self._queue:
            self._batch -= 1
            return self._queue.popleft()
        self._batch = 0
        while not self._scheduler.wait(self.filled, "inbox"):
            pass
        return self._queue.popleft()

    def get_nowait(self) -> Envelope[Any]:
        """The next message. Raises ``queue.Empty`` when there is none."""
        self._scheduler.pause("looking through an inbox")
        if not self._queue:
            raise queue.Empty
        return self._queue.popleft()

    def filled(self) -> bool:
        """Whether there is a message."""
        return bool(self._queue)

    def empty(self) -> bool:
        """Whether there is none at this moment."""
        return not self._queue

    def qsize(self) -> int:
        """How many messages the actor sees: all there are, or, as if the others came later, fewer."""
        count, chance = len(self._queue), self._scheduler.random
        self._batch = count if count < 1 or chance.random() < 0.5 else int(chance.random() * (count + 1))
        return self._batch


class Event:
    """Whether an actor has stopped, or shall."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._set = False

    def is_set(self) -> bool:
        """Whether it has."""
        return self._set

    def set(self) -> None:
        """It has."""
        self._set = True

    def wait(self, timeout: float | None = None) -> bool:
        """Let others go on until it has, or the time is up."""
        limit = None if timeout is None else int(timeout * 1e9)
        return self._set or self._scheduler.wait(self.is_set, "wait for a stop", limit)


class Future(ThreadingFuture[Any]):
    """A reply to wait for on the scheduler."""

    scheduler: Scheduler

    def get(self, *, timeout: float | None = None) -> Any:
        """The reply. Raises ``pykka.Timeout``."""
        if self._get_hook is None and self._result is None:
            limit = None if timeout is None else int(timeout * 1e9)
            self.scheduler.wait(self._answered, "wait for a reply", limit)
        return super().get(timeout=timeout if self._get_hook is not None else 0)

    def _answered(self) -> bool:
        return self._result is not None


class _NoRegistry:
    """Stands for pykka's registry of all actors, which would let one dead process reach into the next."""

    @staticmethod
    def register(_: ActorRef[Any]) -> None:
        """Nothing is kept."""

    @staticmethod
    def unregister(_: ActorRef[Any]) -> None:
        """Nothing was kept."""

    @staticmethod
    def stop_all() -> None:
        """Nobody is known."""


class Runtime:
    """What the actors of a run are given instead of threads."""

    def __init__(self, scheduler: Scheduler, strike: Strike, hear: Hear, planned: Planned) -> None:
        self._scheduler, self._strike, self._hear, self._planned = scheduler, strike, hear, planned
        self.deaths: list[str] = []
        """Actors that died of what nobody planned."""
        self.errors: list[str] = []
        """What the product logged as errors: the event, and the actor it concerns."""

    def adopt(self, actor: FailStopActor) -> None:
        """Start an actor as a task of the process that starts it."""
        scheduler, starter = self._scheduler, self._scheduler.current
        if starter is None or starter.owner.dead:
            raise GreenletExit
        name = name_of(actor)
        inbox = Inbox(scheduler, name, self._strike, self._hear if name == "journal" else None)
        ref = actor.actor_ref
        actor.actor_inbox = ref.actor_inbox = inbox
        actor.actor_stopped = ref.actor_stopped = Event(scheduler)  # type: ignore[assignment]
        actor.pulse.thread = None
        scheduler.spawn(name, starter.owner, actor._live, actor)

    def died(self, pulse: Pulse, error: BaseException | None) -> None:
        """Note a death that was not planned. A process that is killed is gone with all its actors."""
        task = self._scheduler.current
        if not (isinstance(error, GreenletExit) or task is None or task.owner.dead or self._planned(error)):
            self.deaths.append(f"{pulse.ticker or pulse.part} died of {error!r}, which nobody planned")

    def log(self, _: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Keep the name of a log line, drop the rest."""
        self.errors.append(f"{event.get('event')} {event.get('actor', '')}")
        raise structlog.DropEvent


def name_of(actor: object) -> str:
    """An actor as a trace names it: ``ledger``, ``market A``."""
    kind = type(actor).__name__.removesuffix("Actor").lower()
    ticker = getattr(actor, "_ticker", None)
    return f"{kind} {ticker}" if ticker else kind


@contextmanager
def on_scheduler(
    scheduler: Scheduler, limits: Limits, strike: Strike, hear: Hear, planned: Planned
) -> Iterator[Runtime]:
    """Actors that are started in here are tasks of ``scheduler``, under ``limits``."""
    runtime = Runtime(scheduler, strike, hear, planned)
    noted = Vitals.died

    def died(vitals: Vitals, pulse: Pulse, error: BaseException | None) -> None:
        runtime.died(pulse, error)
        noted(vitals, pulse, error)

    future = type("RunFuture", (Future,), {"scheduler": scheduler})
    pykka_log, config = logging.getLogger("pykka"), structlog.get_config()
    was_disabled, pykka_log.disabled = pykka_log.disabled, True
    structlog.configure(processors=[runtime.log], wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))

    with ExitStack() as changes:
        changes.callback(structlog.configure, **config)
        changes.callback(setattr, pykka_log, "disabled", was_disabled)
        for target, name, value in (
            (FailStopActor, "_start_actor_loop", lambda actor: runtime.adopt(actor)),
            (FailStopActor, "_create_future", staticmethod(future)),
            (Vitals, "died", died),
            (pykka._actor, "ActorRegistry", _NoRegistry),
            (actors.core, "Event", partial(Event, scheduler)),
            (actors.journal, "ROWS_PER_COMMIT_MAX", limits.rows_per_commit),
            (actors.journal, "EVENTS_PER_COMMIT_MAX", limits.events_per_commit),
            (actors.market, "ROWS_AHEAD_MAX", limits.rows_ahead),
            (actors.ledger, "EVENTS_PER_COMMIT_MAX", limits.events_per_commit),
            (actors.supervisor, "REBUILD_QUEUE_MAX", limits.rebuild_queue),
            (actors.supervisor, "MARKET_DEATHS_MAX", limits.market_deaths),
            (perps.engine, "CONSEQUENCES_PER_ROW_MAX", limits.liquidations_per_row),
        ):
            changes.enter_context(patch.object(target, name, value))
        changes.enter_context(patch.dict(Answers.__init__.__kwdefaults__, recent_max=limits.recent_answers))
        yield runtime
