"""Where every thread stands, on stderr, said in a way that nothing can hold up: whoever reads it may have stopped."""

from __future__ import annotations

import faulthandler
import os
import signal
import stat
import sys
import threading
import traceback
from typing import Final

from web.log_sink import wait_for_room

LOOP_BLOCKED_EXIT: Final = 70
"""The exit code of a process whose event loop stands for good."""

SAY_S: Final = 2.0
"""How long the last words may take."""

STDERR: Final = 2


def end_process(reason: str) -> None:
    """Say why and where every thread stands, on stderr; then end without waiting for anybody.

    Not by ``faulthandler``: it keeps the interpreter to itself while it writes, and nobody could end the process.
    """
    speaker = threading.Thread(target=_say, args=(reason,), daemon=True)
    speaker.start()
    speaker.join(SAY_S)
    os._exit(LOOP_BLOCKED_EXIT)


def stack_of(thread_id: int | None) -> str:
    """Where a thread stands, innermost call last; empty when it is gone."""
    frame = sys._current_frames().get(thread_id or 0)
    return "" if frame is None else "".join(traceback.format_stack(frame))


def say_when_asked() -> None:
    """On SIGUSR1 every thread says on stderr where it stands, also while the interpreter is kept by one of them.

    What a terminal or a pipe does not take at once is dropped, if it can be opened again.
    """
    faulthandler.register(signal.SIGUSR1, file=_never_waiting(), all_threads=True)


def _never_waiting() -> int:
    """Stderr, or another way to it that does not wait."""
    try:
        if os.isatty(STDERR) or stat.S_ISFIFO(os.fstat(STDERR).st_mode):
            return os.open(f"/dev/fd/{STDERR}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:  # it is closed, or somebody else's
        return STDERR
    return STDERR


def _say(reason: str) -> None:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    lines = [f"perps: error: {reason}\n"]
    for ident in sys._current_frames():
        lines.append(f"Thread 0x{ident:016x} ({names.get(ident, 'unknown')}), most recent call last:\n")
        lines.append(stack_of(ident))
    left = "".join(lines).encode("utf-8", "backslashreplace")
    while left:
        try:
            left = left[os.write(STDERR, left) :]
        except BlockingIOError:
            wait_for_room(STDERR, SAY_S)
