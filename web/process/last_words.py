"""Where every thread is in its program, on stderr; nothing can hold this up, whoever reads stderr may have stopped.

Not by ``faulthandler``: its time-out ends the process with 1 instead of 70, it keeps the interpreter while it writes,
and it looks at threads while they run, of which a busy venue has died (a segmentation fault).
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import traceback
from typing import Final

from web.process import log_sink

LOOP_BLOCKED_EXIT: Final = 70
"""The exit code of a process whose event loop is blocked for good."""

SAY_S: Final = 3.0
"""How long the last words may take."""


def end_process(reason: str) -> None:
    """Write the reason and all stacks to stderr; then end the process without waiting for any thread."""
    speaker = threading.Thread(target=_say_last, args=(f"perps: error: {reason}",), daemon=True)
    speaker.start()
    speaker.join(SAY_S)
    os._exit(LOOP_BLOCKED_EXIT)


def stack_of(thread_id: int | None) -> str:
    """A thread's stack, innermost call last; empty when the thread has ended."""
    frame = sys._current_frames().get(thread_id or 0)
    return "" if frame is None else "".join(traceback.format_stack(frame))


def say_when_asked() -> None:
    """On SIGUSR1, write all stacks to stderr.

    In a thread of its own, started without ``threading``: the main thread may hold any of its locks at the moment.
    """
    signal.signal(signal.SIGUSR1, lambda *_: _thread.start_new_thread(_say, ("perps: asked where its threads stand",)))


def _say_last(first_line: str) -> None:
    _say(first_line)
    log_sink.close()


def _say(first_line: str) -> None:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    stacks = [
        f"Thread 0x{ident:016x} ({names.get(ident, 'unknown')}), most recent call last:\n{stack_of(ident)}"
        for ident in sys._current_frames()
    ]
    log_sink.say("\n".join((first_line, *stacks)))
