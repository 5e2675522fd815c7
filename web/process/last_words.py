"""Where every thread stands, on stderr, said in a way that nothing can hold up: whoever reads it may have stopped."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import traceback
from typing import Final

from web.process.log_sink import wait_for_room

LOOP_BLOCKED_EXIT: Final = 70
"""The exit code of a process whose event loop stands for good."""

SAY_S: Final = 2.0
"""How long the last words may take."""

STDERR: Final = 2

_speaking = threading.Lock()
"""Taken while somebody answers who asked."""


def end_process(reason: str) -> None:
    """Say why and where every thread stands, on stderr; then end without waiting for anybody.

    Not by ``faulthandler``: it keeps the interpreter to itself while it writes, and nobody could end the process.
    """
    speaker = threading.Thread(target=_say, args=(f"perps: error: {reason}",), daemon=True)
    speaker.start()
    speaker.join(SAY_S)
    os._exit(LOOP_BLOCKED_EXIT)


def stack_of(thread_id: int | None) -> str:
    """Where a thread stands, innermost call last; empty when it is gone."""
    frame = sys._current_frames().get(thread_id or 0)
    return "" if frame is None else "".join(traceback.format_stack(frame))


def say_when_asked() -> None:
    """On SIGUSR1 every thread says on stderr where it stands, once the main one is between two steps of its program.

    Not by ``faulthandler``: it looks at threads while they run, and a busy process can die of that.
    """
    signal.signal(signal.SIGUSR1, _asked)


def _asked(number: int, frame: object) -> None:
    """In the main thread, whatever it holds at the moment: hence without any of ``threading``'s locks."""
    if _speaking.acquire(blocking=False):
        _thread.start_new_thread(_answer, ())


def _answer() -> None:
    """Takes as long as whoever reads stderr makes it take; who asks meanwhile gets this answer."""
    try:
        _say("perps: asked where its threads stand")
    finally:
        _speaking.release()


def _say(first_line: str) -> None:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    lines = [f"{first_line}\n"]
    for ident in sys._current_frames():
        lines.append(f"Thread 0x{ident:016x} ({names.get(ident, 'unknown')}), most recent call last:\n")
        lines.append(stack_of(ident))
    left = "".join(lines).encode("utf-8", "backslashreplace")
    while left:
        try:
            left = left[os.write(STDERR, left) :]
        except BlockingIOError:
            wait_for_room(STDERR, SAY_S)
