"""The program a venue has its snapshots taken by: ``perps snapshot --offline`` without a command line.

It reads no option, no setting and no file of its user: the database's URL comes from the venue, in its environment. It
prints a line whenever it has got on, and last what it has stored.
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
"""How it is started. ``-P``: whatever lies in the working directory under the name of a package of ours is not it."""

PULSE_S: Final = 1.0
"""No more than one line in this time."""


class Pulse:
    """Says which row has been reached, now and then."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def __call__(self, offset: int) -> None:
        """The follower has got on."""
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + PULSE_S
            print(json.dumps({"row": offset}), flush=True)


def main() -> int:
    """Take a snapshot; return the exit code. What went wrong is one line on stderr."""
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
    """Whoever asked for this is gone: a snapshot is stored whole or not at all, so this may end anywhere."""
    while os.read(0, 1 << 16):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
