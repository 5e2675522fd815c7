"""The venue's time: what rows, keys and answers go by."""

from __future__ import annotations

import threading

from actors.ports import Clock
from perps.units import Millis

NS_PER_MS = 1_000_000


class VenueClock:
    """The system's time, but never behind a row that is durable, and never standing still.

    When the system's clock is set back, or a start finds it behind the newest row, this one goes on from where it was,
    at the pace of the clock that nobody can set, until the system's has caught up. Safe from any thread.
    """

    def __init__(self, system: Clock) -> None:
        self._system = system
        self._lock = threading.Lock()
        self._anchor: tuple[int, int] = (system.monotonic_ns(), system.now_ms())
        """A moment on the clock that nobody can set, and the time it was then."""

    def now_ms(self) -> Millis:
        """Milliseconds since 1970-01-01 UTC. Never falls."""
        return self.reading()[0]

    def ahead_ms(self) -> int:
        """How far this clock runs before the system's; 0 unless that was set back."""
        return self.reading()[1]

    def reading(self) -> tuple[Millis, int]:
        """``now_ms`` and ``ahead_ms`` of one moment."""
        with self._lock:
            monotonic_ns, system_ms = self._system.monotonic_ns(), self._system.now_ms()
            at_ns, at_ms = self._anchor
            now_ms = at_ms + (monotonic_ns - at_ns) // NS_PER_MS
            if system_ms >= now_ms:
                self._anchor = (monotonic_ns, system_ms)
                return system_ms, 0
        return Millis(now_ms), now_ms - system_ms

    def monotonic_ns(self) -> int:
        """Nanoseconds that never fall, for durations only."""
        return self._system.monotonic_ns()

    def begin_after(self, newest_ms: Millis) -> None:
        """At a start: no time before that of the newest durable row is given out."""
        if newest_ms > self.now_ms():  # before any other thread has this clock
            self._anchor = (self._system.monotonic_ns(), newest_ms)


class ManualClock(VenueClock):
    """Time that stands still until somebody advances it: for tests and simulations, in which a day takes a moment.

    Begins with the system's time, or after the newest row. What takes how long is still measured in real time.
    """

    def __init__(self, system: Clock) -> None:
        super().__init__(system)
        self._now_ms = system.now_ms()

    def reading(self) -> tuple[Millis, int]:
        """The present moment, and 0: the system's clock does not move it."""
        with self._lock:
            return self._now_ms, 0

    def begin_after(self, newest_ms: Millis) -> None:
        """At a start: no time before that of the newest durable row is given out."""
        with self._lock:
            self._now_ms = max(self._now_ms, newest_ms)

    def advance_to(self, at_ms: Millis) -> None:
        """Let it be ``at_ms``; no time passes if that is past."""
        self.begin_after(at_ms)
