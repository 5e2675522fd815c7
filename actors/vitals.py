"""Whether the actors of a core are there and get on: each shows a pulse, the watchdog looks at it.

Costs an actor two additions per batch. Nothing here waits, and no clock is read: ages are the watchdog's own time, in
which a process that was frozen did not age.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, NamedTuple

SHOWN_AFTER_S: Final = 0.6
"""A step that takes this long is shown as a problem. With looks every 0.2 s it shows within 0.8 s of its beginning; an
ordinary batch takes milliseconds, the largest commits tens of them."""

IDLE_AFTER_S: Final = 0.5
"""An actor that had nothing to do for this long is asked what it can only find out by trying (``Pulse.on_idle``)."""


class Pulse:
    """What one actor shows of itself. Its own thread writes, any thread reads; each field is one value, so no lock."""

    __slots__ = (
        "_vitals",
        "dead",
        "doing",
        "on_idle",
        "over",
        "part",
        "seen_at",
        "seen_turn",
        "thread",
        "ticker",
        "turn",
    )

    def __init__(self, part: str, ticker: str | None = None, *, vitals: Vitals | None = None) -> None:
        self.part, self.ticker = part, ticker
        self.doing = "busy with one batch"
        """What it is at, for whoever asks why it takes so long."""
        self.turn = 0
        """Odd while a batch is being handled, even between batches; higher with each, and with each step of one."""
        self.thread: threading.Thread | None = None
        self.dead = False
        """Its death has been counted."""
        self.over = False
        """It has ended, and whom it concerns has been told."""
        self.on_idle: Callable[[], object] | None = None
        self.seen_turn, self.seen_at = 0, 0.0
        """The watchdog's: the turn it saw last, and when it saw it first."""
        self._vitals = vitals

    def step(self) -> None:
        """A large batch goes on: what has been done of it so far took its time, and is over."""
        self.turn += 2

    def died(self, error: BaseException | None) -> None:
        """This actor dies of ``error``. It tells the others itself."""
        if self._vitals is not None:
            self._vitals.died(self, error)

    def lost(self) -> None:
        """This actor died and could not tell whom it concerns."""
        if self._vitals is not None:
            self._vitals.lose(self)

    def ended(self) -> None:
        """This actor is gone, and said so if it had to."""
        self.over = True
        if self._vitals is not None:
            self._vitals.forget(self)

    def stopped(self) -> None:
        """This actor has been stopped; whether it should have been is the core's to know."""
        if self._vitals is not None:
            self._vitals.stopped(self)


class Busy(NamedTuple):
    """A part that has been at one thing for too long."""

    part: str
    """A ticker, or what the actor is called."""
    doing: str
    for_s: float
    turn: int
    thread: threading.Thread | None


OnLost = Callable[[str], None]
OnDeath = Callable[[str, str], None]
"""(a ticker or what the actor is called, the name of the exception)."""


class Vitals:
    """The pulses of one core's actors. Safe from any thread."""

    def __init__(self, on_lost: OnLost, on_death: OnDeath | None = None) -> None:
        """``on_lost`` is told that a part is gone that could not or did not say so itself: the core is to be rebuilt.

        ``on_death`` hears of every death, in the dying thread.
        """
        self._on_lost, self._on_death = on_lost, on_death
        self._lock = threading.Lock()
        self._pulses: dict[int, Pulse] = {}
        self._stopping = False
        self.cause: BaseException | None = None
        """What the first of the parts that every market needs died of."""

    def pulse(self, part: str, ticker: str | None = None) -> Pulse:
        """The pulse of a new actor."""
        pulse = Pulse(part, ticker, vitals=self)
        with self._lock:
            self._pulses[id(pulse)] = pulse
        return pulse

    def expect_stops(self) -> None:
        """The core is being stopped: its actors may end."""
        self._stopping = True

    def died(self, pulse: Pulse, error: BaseException | None) -> None:
        """Note a death."""
        pulse.dead = True
        if pulse.ticker is None and self.cause is None:
            self.cause = error
        if self._on_death is not None:
            self._on_death(pulse.ticker or pulse.part, type(error).__name__)

    def stopped(self, pulse: Pulse) -> None:
        """A stop that nobody of this core asked for is a death. (Markets tell the supervisor themselves.)"""
        if not self._stopping and pulse.ticker is None:
            if self._on_death is not None:
                self._on_death(pulse.part, "stopped")
            self._on_lost(f"the {pulse.part} was stopped")

    def forget(self, pulse: Pulse) -> None:
        """It has ended."""
        with self._lock:
            self._pulses.pop(id(pulse), None)

    def lose(self, pulse: Pulse) -> None:
        """It is gone, and nobody has been told: only a new core can go on without it."""
        self.forget(pulse)
        if not self._stopping:
            name = pulse.ticker or f"the {pulse.part}"
            if self._on_death is not None and not pulse.dead:
                self._on_death(pulse.ticker or pulse.part, "lost")
            self._on_lost(f"{name} is gone without a word")

    def look(self, now_s: float) -> list[Busy]:
        """What takes too long, at ``now_s`` of the watchdog's time. Finds threads that are gone without a word, and
        asks who is idle."""
        with self._lock:
            pulses = list(self._pulses.values())
        busy: list[Busy] = []
        for pulse in pulses:
            if pulse.thread is not None and not pulse.thread.is_alive() and not pulse.over:
                self.lose(pulse)
                continue
            turn = pulse.turn
            if turn != pulse.seen_turn:
                pulse.seen_turn, pulse.seen_at = turn, now_s
            age_s = now_s - pulse.seen_at
            if turn % 2:
                if age_s >= SHOWN_AFTER_S:
                    busy.append(Busy(pulse.ticker or pulse.part, pulse.doing, age_s, turn, pulse.thread))
            elif pulse.on_idle is not None and age_s >= IDLE_AFTER_S and not self._stopping:
                pulse.on_idle()
        return busy
