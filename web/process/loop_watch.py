"""The event loop, watched from another thread: a blocked one is logged with its stack, and ends the process in the end.

By hand because asyncio's debug mode reports a slow callback after it has returned; one that never returns is logged
here after 1 s and ends the process after 60 s, at the cost of one call of the loop every 0.2 s.

A call that holds the interpreter itself (C code that never gives it up) stops the watcher too; then only somebody
outside the process sees it, by ``/healthz``.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Final

import structlog

from web.metrics import Metrics
from web.process.last_words import end_process, stack_of

log = structlog.get_logger()

BLOCKED_AFTER_S: Final = 1.0
"""A turn of the loop that takes this long is a fault: everybody waits."""

LOOP_BLOCKED_MAX_S: Final = 60.0
"""A loop that is blocked for so long will not go on. Everything acknowledged is durable, so the process ends itself; a
service manager starts it again."""

End = Callable[[str], None]


class LoopWatch:
    """Sends the running loop a beat and sees how long it takes to come back. Made on the loop's own thread."""

    def __init__(self, metrics: Metrics, *, max_s: float = LOOP_BLOCKED_MAX_S, end: End = end_process) -> None:
        self._loop, self._thread_id = asyncio.get_running_loop(), threading.get_ident()
        self._metrics, self._max_s, self._end = metrics, max_s, end
        self._answered = True
        self._sent_at = 0.0
        self._counted_s = 0.0

    def look(self, now_s: float) -> None:
        """Called by the watchdog every 0.2 s; ``now_s`` is a time that does not run while the process is frozen.

        A blocked loop is logged once, with its stack, and counted by number and by time.
        """
        if self._answered:
            if self._counted_s:
                log.warning("loop.goes_on", blocked_s=round(self._counted_s, 1))
            self._sent_at, self._counted_s, self._answered = now_s, 0.0, False
            try:
                self._loop.call_soon_threadsafe(self._answer)
            except RuntimeError:  # it is closed: the process is ending, or hangs at its end and is ended then
                log.debug("loop.closed")
            return
        blocked_s = now_s - self._sent_at
        if blocked_s < BLOCKED_AFTER_S:
            return
        counted_s, self._counted_s = self._counted_s, blocked_s
        self._metrics.loop_blocked_seconds.inc(blocked_s - counted_s)
        if not counted_s:
            self._metrics.loop_blocked.inc()
            log.error("loop.blocked", for_s=round(blocked_s, 1), stack=stack_of(self._thread_id))
        if blocked_s >= self._max_s:
            self._end(f"the event loop has been blocked for {blocked_s:.0f} s")

    def _answer(self) -> None:
        self._answered = True
