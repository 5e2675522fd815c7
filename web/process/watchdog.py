"""The watchdog: one thread that looks, five times a second, whether the actors and the event loop get on.

It changes nothing by itself, except that it ends a process whose loop is blocked for good (``loop_watch``): it reports
deaths to the core's owner, who rebuilds it, and shows what is slow until it goes on. Its time does not run while the
process is frozen (SIGSTOP, a suspended machine): a frozen venue is not a slow one.
"""

from __future__ import annotations

import threading
import time
from typing import Final, NamedTuple

import structlog

from actors.ports import Clock
from actors.vitals import Busy, Vitals
from perps.units import Millis
from web.metrics import Metrics
from web.process.last_words import stack_of
from web.process.loop_watch import LoopWatch

log = structlog.get_logger()

LOOK_S: Final = 0.2
"""Between two looks. With ``SHOWN_AFTER_S`` and ``IDLE_AFTER_S`` all that goes wrong shows within a second."""

GAP_MAX_S: Final = 2 * LOOK_S
"""What a longer gap between two looks counts for: the process was frozen meanwhile, or had no processor."""


TOLD_EVERY_S: Final = 60.0
"""How soon a watchdog that failed, could look again and fails again says so again."""

WATCHDOG: Final = "watchdog"
"""What it is called where its own failure is shown."""


class Problem(NamedTuple):
    """What is not well with a part of the venue."""

    why: str
    since: Millis | None


class Watchdog:
    """Watches one event loop, and the actors of whichever core is told to ``watch``."""

    def __init__(self, loop_watch: LoopWatch, clock: Clock, metrics: Metrics) -> None:
        self._loop_watch, self._clock, self._metrics = loop_watch, clock, metrics
        self._vitals: Vitals | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._busy: dict[str, tuple[Busy, Problem]] = {}
        self._blind: Problem | None = None
        """Why it cannot look at the moment."""
        self._told_s = -TOLD_EVERY_S

    def watch(self, vitals: Vitals) -> None:
        """From now on this core. The first time starts the thread."""
        self._vitals = vitals
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for it. Blocking."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def problems(self) -> dict[str, Problem]:
        """What takes too long at the moment, by part, as of the last look; and ``watchdog``, if that look failed."""
        blind = self._blind
        own = {} if blind is None else {WATCHDOG: blind}
        return {part: problem for part, (_, problem) in self._busy.items()} | own

    def _run(self) -> None:
        last_s, now_s = time.monotonic(), 0.0
        while not self._stop.wait(LOOK_S):
            woke_s = time.monotonic()
            now_s, last_s = now_s + min(woke_s - last_s, GAP_MAX_S), woke_s
            try:
                self._loop_watch.look(now_s)
                if self._vitals is not None:
                    self._show(self._vitals.look(now_s))
                self._blind = None
            except Exception as error:
                since = self._clock.now_ms() if self._blind is None else self._blind.since
                self._blind = Problem(f"cannot look: {type(error).__name__}", since)
                if now_s - self._told_s >= TOLD_EVERY_S:
                    self._told_s = now_s
                    log.exception("watchdog.failed", error=repr(error))

    def _show(self, busy: list[Busy]) -> None:
        """Publish what is busy; count and tell of each once, also if that fails."""
        before, shown, fresh = self._busy, dict[str, tuple[Busy, Problem]](), list[Busy]()
        for found in busy:
            known, since = before.get(found.part), Millis(self._clock.now_ms() - int(found.for_s * 1000))
            if known is not None and known[0].turn == found.turn:
                since = known[1].since or since
            else:
                fresh.append(found)
            shown[found.part] = found, Problem(f"{found.doing} for {found.for_s:.1f} s", since)
        self._busy = shown
        for found in fresh:
            self._metrics.stuck.labels(found.part).inc()
            stack = stack_of(found.thread.ident if found.thread else None)
            log.warning("part.stuck", part=found.part, doing=found.doing, stack=stack)
        for found in busy:
            self._metrics.stuck_seconds.labels(found.part).set(found.for_s)
        for part in before.keys() - shown.keys():
            self._metrics.stuck_seconds.labels(part).set(0)
            log.warning("part.goes_on", part=part, after_s=round(before[part][0].for_s, 1))
