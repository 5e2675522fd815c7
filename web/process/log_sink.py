"""Where lines for stderr go: a file that may be slow, stopped, full or gone, written by a thread of its own.

The event loop never waits for it, and an error of it is nobody's: lines that cannot be written are dropped and counted,
and once there is room again their number is written in their place.
"""

from __future__ import annotations

import atexit
import io
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

WAITING_BYTES_MAX: Final = 16 << 20
"""What may wait to be written; lines past it are dropped."""

WRITE_BYTES: Final = 1 << 16
"""About what is written at a time."""

LAST_WRITES_S: Final = 2.0
"""How long the end of the process waits for what is still unwritten."""

ROOM_S: Final = 1.0
"""How long a full file is waited for before it is tried again."""

FULL_PAUSE_S: Final = 0.005
"""The least time between two tries to write to a full file."""


class File(Protocol):
    """As much of a binary file as is needed. Without a buffer: its lock would be held by a write that waits."""

    def write(self, data: memoryview, /) -> int | None:
        """Write some of it, and say how much."""
        ...


class LogSink:
    """Looks like a binary file to structlog. ``lost`` is the line, or lines, that say how many were dropped."""

    def __init__(self, file: File, lost: Callable[[int], bytes] | None = None) -> None:
        self._file, self._lost = file, lost
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self.dropped = 0
        """Lines lost so far."""
        self._told = 0
        self._thread = threading.Thread(target=self._run, name="log sink", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, data: bytes) -> int:
        """Queue some lines; never blocks, never raises."""
        with self._lock:
            if self._waiting_bytes + len(data) > WAITING_BYTES_MAX:
                self.dropped += data.count(b"\n")
            else:
                self._waiting.append(data)
                self._waiting_bytes += len(data)
        self._wake.set()
        return len(data)

    def flush(self) -> None:
        """Nothing to do: the thread writes as soon as it can."""

    def close(self) -> None:
        """Write what waits, for a moment."""
        self._closing = True
        self._wake.set()
        self._thread.join(LAST_WRITES_S)
        atexit.unregister(self.close)

    def _run(self) -> None:
        while not (self._closing and not self._waiting):
            self._wake.wait()
            self._wake.clear()
            while self._waiting:
                chunk = self._next()
                if not self._put(chunk):
                    with self._lock:
                        self.dropped += chunk.count(b"\n")
            lost = self.dropped - self._told
            if lost and self._lost is not None and self._put(self._lost(lost)):
                self._told += lost

    def _next(self) -> bytes:
        """What to write next; it no longer counts as waiting."""
        with self._lock:
            taken, size = [], 0
            while self._waiting and size < WRITE_BYTES:
                taken.append(self._waiting.popleft())
                size += len(taken[-1])
            self._waiting_bytes -= size
        return b"".join(taken)

    def _put(self, chunk: bytes) -> bool:
        """Write all of it; False if that cannot be."""
        left = memoryview(chunk)
        try:
            while left:
                taken = self._take(left)
                left = left[taken:]
                if not taken:
                    self._wait_for_room()
        except (OSError, ValueError):
            return False
        return True

    def _take(self, chunk: memoryview) -> int:
        """How much of it is written at once: nothing, if the file is full and does not wait by itself."""
        try:
            return self._file.write(chunk) or 0
        except BlockingIOError as full:
            return int(getattr(full, "characters_written", 0))

    def _wait_for_room(self) -> None:
        """Until the file may take more, ``ROOM_S`` at most. Never no time: a full terminal may say it has room."""
        time.sleep(FULL_PAUSE_S)
        descriptor = _descriptor_of(self._file)
        if descriptor is not None:
            wait_for_room(descriptor, ROOM_S)


_started: list[LogSink] = []
"""This process's sink, if it has one."""


def start(lost: Callable[[int], bytes]) -> LogSink:
    """From now on everything for stderr goes through a sink."""
    while _started:
        _started.pop().close()
    _started.append(LogSink(_unbuffered_stderr(), lost))
    return _started[0]


def say(line: str) -> None:
    """One plain line for whoever started the venue, after what has been logged."""
    if _started:
        _started[0].write(f"{line}\n".encode("utf-8", "backslashreplace"))
    else:
        print(line, file=sys.stderr, flush=True)


def wait_for_room(descriptor: int, seconds: float) -> None:
    """Until a descriptor takes something or its reader has gone, at most so long."""
    ready = select.poll()
    ready.register(descriptor, select.POLLOUT)
    ready.poll(seconds * 1000)


def _descriptor_of(file: object) -> int | None:
    try:
        number = file.fileno()  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return None
    return int(number)


def _unbuffered_stderr() -> File:
    """Stderr below Python's own buffer, or as it is where it is no file."""
    try:
        return open(sys.stderr.fileno(), "wb", buffering=0, closefd=False)
    except (OSError, AttributeError, io.UnsupportedOperation):
        return sys.stderr.buffer
