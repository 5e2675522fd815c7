"""The program that takes a running venue's snapshots: ``perps snapshot --offline`` without a command line.

It reads no option, no setting and no file of its user. The venue passes the database's URL in the environment.
``web/process/snapshot_process.py`` says what it prints.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Final

from perps.journal import JournalUnavailable
from perps.snapshot.format import SnapshotBroken
from perps.venue import JournalCorrupt
from tools.output import buffer_stdout
from tools.snapshot import record
from web.compose import snapshot_of
from web.process import logs
from web.process.snapshot_process import DATABASE_URL

FOLLOWER: Final = (sys.executable, "-P", "-m", "tools.snapshot_follower")
"""How to start it. ``-P``: do not import packages from the working directory, whatever their names."""

NICENESS: Final = 10
"""It leaves the processor to the venue and the database."""


def main() -> int:
    """Take a snapshot; return the exit code. An error is the last line on stdout."""
    os.nice(NICENESS)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    buffer_stdout()
    logs.configure("warning")
    try:
        taken = snapshot_of(os.environ[DATABASE_URL], on_progress=lambda: print(flush=True))
    except (JournalCorrupt, JournalUnavailable, SnapshotBroken) as error:
        print("perps: error: " + " ".join(str(error).split()), flush=True)
        return 1
    print(json.dumps(record(taken)), flush=True)
    return 0


def _end_with_stdin() -> None:
    """End when stdin closes: the venue is gone. A snapshot is stored whole or not at all, so any time is fine."""
    while os.read(0, 1 << 16):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
