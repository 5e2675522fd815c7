"""Where lines for stderr go: a thread of its own writes them, so a slow, full, stopped or closed stderr stops nobody.

Lines that cannot be written are dropped and counted; once there is room again, a line says how many.

By hand because the standard library's ``QueueListener`` waits without limit for its last write, so that a venue whose
stderr nobody reads would never end; and its queue counts items, of which one holds all commands of 10 ms (1.4 MB).
"""

from __future__ import annotations

import atexit
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Final

WAITING_BYTES_MAX: Final = 16 << 20
"""What may wait to be written; lines past it are dropped."""

WRITE_BYTES: Final = 1 << 16
"""About what is written at a time."""

LAST_WRITES_S: Final = 2.0
"""How long the end of the process waits for what is still unwritten."""

Write = Callable[[memoryview], int | None]
"""Writes some of it and returns how much. May wait."""


class LogSink:
    """Looks like a binary file to structlog. ``lost`` returns the line that says how many were dropped."""

    def __init__(self, write: Write, lost: Callable[[int], bytes]) -> None:
        self._write, self._lost = write, lost
        self._waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._lock = threading.RLock()  # a finalizer may log while its thread is in ``write``
        self._queued = self._taken = 0
        self.dropped = 0
        """Lines lost so far."""
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="log sink", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, data: bytes) -> int:
        """Queue some lines; never blocks, never raises."""
        with self._lock:
            if self._queued - self._taken + len(data) > WAITING_BYTES_MAX:
                self.dropped += data.count(b"\n")
                return len(data)
            self._queued += len(data)
        self._waiting.put(data)
        return len(data)

    def flush(self) -> None:
        """Nothing to do: the thread writes as soon as it can."""

    def close(self) -> None:
        """Write what waits, for at most ``LAST_WRITES_S``."""
        self._closing = True
        self._waiting.put(b"")
        self._thread.join(LAST_WRITES_S)
        atexit.unregister(self.close)

    def _run(self) -> None:
        told = 0
        while not (self._closing and self._waiting.empty()):
            chunk = self._waiting.get()
            while len(chunk) < WRITE_BYTES and not self._waiting.empty():
                chunk += self._waiting.get()
            self._taken += len(chunk)
            if not self._put(chunk):
                with self._lock:
                    self.dropped += chunk.count(b"\n")
            lost = self.dropped - told
            if lost and self._waiting.empty() and self._put(self._lost(lost)):
                told += lost

    def _put(self, chunk: bytes) -> bool:
        """Write all of it; False if that cannot be."""
        left = memoryview(chunk)
        try:
            while left:
                left = left[self._write(left) or 0 :]
        except (OSError, ValueError):
            return False
        return True


_started: list[LogSink] = []
"""This process's sink, if it has one."""


def start(lost: Callable[[int], bytes]) -> LogSink:
    """From now on everything for stderr goes through this sink."""
    close()
    _started.append(LogSink(_write_stderr, lost))
    return _started[0]


def say(text: str) -> None:
    """Plain text for whoever started the venue, after what has been logged."""
    if _started:
        _started[0].write(f"{text}\n".encode("utf-8", "backslashreplace"))
    else:
        print(text, file=sys.stderr, flush=True)


def close() -> None:
    """Write what waits, for at most ``LAST_WRITES_S``; lines said later go straight to stderr."""
    while _started:
        _started.pop().close()


def _write_stderr(data: memoryview) -> int:
    """Below Python's buffer, whose lock a write that waits would hold.

    Whoever shares a pipe or a terminal may have told it not to wait; then it is told to wait again.
    """
    descriptor = sys.stderr.fileno()
    try:
        return os.write(descriptor, data)
    except BlockingIOError:
        os.set_blocking(descriptor, True)
        return 0
