"""The program that takes a running venue's snapshots: ``perps snapshot --offline`` without a command line.

It reads no option, no setting and no file of its user. The venue passes the database's URL in the environment. The
program prints a line of JSON about once a second while it makes progress, and last a line about what it stored.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Final

from perps.journal import JournalUnavailable
from perps.snapshot.format import SnapshotBroken
from perps.venue import JournalCorrupt
from tools.output import buffer_stdout, show_line
from tools.snapshot import record
from web.compose import snapshot_of
from web.process import logs
from web.process.snapshot_process import DATABASE_URL

FOLLOWER: Final = (sys.executable, "-P", "-m", "tools.snapshot_follower")
"""How to start it. ``-P``: do not import packages from the working directory, whatever their names."""

PULSE_S: Final = 1.0
"""The least time between two lines."""


class Pulse:
    """Prints now and then which row has been reached."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def __call__(self, offset: int) -> None:
        """Row ``offset`` has been reached."""
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + PULSE_S
            print(json.dumps({"row": offset}), flush=True)


def main() -> int:
    """Take a snapshot; return the exit code. An error is one line on stderr."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    buffer_stdout()
    logs.configure("warning")
    try:
        taken = snapshot_of(os.environ[DATABASE_URL], on_progress=Pulse())
    except (JournalCorrupt, JournalUnavailable, SnapshotBroken) as error:
        show_line("perps: error: " + " ".join(str(error).split()), err=True)
        return 1
    print(json.dumps(record(taken)), flush=True)
    return 0


def _end_with_stdin() -> None:
    """End the program when stdin closes: the venue is gone. A snapshot is stored whole or not at all, so any time is
    fine."""
    while os.read(0, 1 << 16):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
