"""The timer actor: tells the supervisor that a second has passed."""

from __future__ import annotations

import queue
import time
from typing import Any

import structlog
from pykka._actor import ActorInbox
from pykka._envelope import Envelope as Sent

from actors.base import FailStopActor, tell
from actors.clock import VenueClock
from actors.limits import OBSERVATION_MS
from actors.messages import NO_TOKEN, Envelope, Tick, Wire, Work
from actors.ports import Outbox
from actors.vitals import Pulse
from perps.commands import ObserveTime
from perps.units import Millis

log = structlog.get_logger()

BEHIND_MS = 1_000
"""How far the system's clock may lie behind the newest row before it is worth a line in the log."""


SENDER = "!timer"
"""Whose commands observations are. Not a possible user id."""


def observation(ticker: str, now_ms: Millis, ahead_ms: int) -> Envelope:
    """Asks a market to do what is due. Nobody waits for it, and a late one is dropped: the next is on its way."""
    return Envelope(
        command=ObserveTime(ticker=ticker),
        token=NO_TOKEN,
        trace_id="",
        sender=SENDER,
        client_order_id=None,
        fresh=True,
        fingerprint=b"",
        now_ms=now_ms,
        deadline_ms=Millis(now_ms + OBSERVATION_MS),
        ahead_ms=ahead_ms,
    )


def is_observation(work: Work) -> bool:
    """Whether the timer sent it."""
    return isinstance(work, Envelope) and isinstance(work.command, ObserveTime) and work.token == NO_TOKEN


class TickingInbox(queue.SimpleQueue[Any]):
    """An inbox in which a ``Tick`` lies every ``OBSERVATION_MS``, whatever else comes."""

    def __init__(self) -> None:
        super().__init__()
        self._next_s = time.monotonic() + OBSERVATION_MS / 1000

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """The next message, or a tick when it is time for one."""
        wait_s = self._next_s - time.monotonic()
        if wait_s > 0:
            try:
                return super().get(timeout=wait_s)
            except queue.Empty:
                pass
        self._next_s = max(self._next_s, time.monotonic() - OBSERVATION_MS / 1000) + OBSERVATION_MS / 1000
        return Sent(Tick())


class TimerActor(FailStopActor):
    """The one clock that makes markets do things by themselves: each second, one message to the supervisor.

    It also says in the log when the system's clock has been set back behind the newest row, and when that is over.
    """

    def __init__(self, clock: VenueClock, *, outbox: Outbox, pulse: Pulse | None = None) -> None:
        super().__init__(pulse=pulse)
        self._clock, self._outbox = clock, outbox
        self._wire: Wire | None = None
        self._is_behind = False

    @staticmethod
    def _create_actor_inbox() -> ActorInbox:
        return TickingInbox()

    def handle(self, batch: list[Any]) -> None:
        """Pass on that time has passed."""
        for message in batch:
            if isinstance(message, Wire):
                self._wire = message
        if self._wire is not None and any(isinstance(message, Tick) for message in batch):
            tell(self._wire.supervisor, Tick())
            self._look_at_the_clock()

    def on_death(self, reason: str, queued: list[Any]) -> None:
        """Nothing would ever come due: rebuild."""
        self._outbox.core_failed(f"the timer died: {reason}")

    def _look_at_the_clock(self) -> None:
        ahead_ms = self._clock.ahead_ms()
        if ahead_ms > BEHIND_MS and not self._is_behind:
            log.warning("clock.behind", behind_ms=ahead_ms, effect="row times go on from the newest row")
        elif self._is_behind and ahead_ms <= BEHIND_MS:
            log.info("clock.caught_up")
        self._is_behind = ahead_ms > BEHIND_MS
