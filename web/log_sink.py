"""Where log lines go: a file that may be slow, full or gone, written by a thread of its own.

The event loop never waits for it, and an error of it is nobody's: lines that cannot be written are dropped and counted.
"""

from __future__ import annotations

import atexit
import threading
from collections import deque
from typing import BinaryIO, Final

WAITING_MAX: Final = 10_000
"""Writes that may wait; further ones are dropped."""

LAST_WRITES_S: Final = 2.0
"""How long the end of the process waits for what is still unwritten."""


class LogSink:
    """Looks like a binary file to structlog."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._waiting: deque[bytes] = deque()
        self._wake = threading.Event()
        self._closing = False
        self.dropped = 0
        """Writes lost so far."""
        self._thread = threading.Thread(target=self._run, name="log sink", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, data: bytes) -> int:
        """Queue some bytes; never blocks, never raises."""
        if len(self._waiting) >= WAITING_MAX:
            self.dropped += 1
        else:
            self._waiting.append(data)
            self._wake.set()
        return len(data)

    def flush(self) -> None:
        """Nothing to do: the thread writes as soon as it can."""

    def close(self) -> None:
        """Write what waits, for a moment."""
        self._closing = True
        self._wake.set()
        self._thread.join(LAST_WRITES_S)

    def _run(self) -> None:
        while not (self._closing and not self._waiting):
            self._wake.wait()
            self._wake.clear()
            while self._waiting:
                chunk = b"".join(self._waiting.popleft() for _ in range(len(self._waiting)))
                try:
                    self._file.write(chunk)
                    self._file.flush()
                except (OSError, ValueError):
                    self.dropped += 1
