"""``perps`` with rows and commits so small, and of consequences so slow, that a kill falls between two of one price."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Final

import actors.journal
import actors.ledger
import perps.engine
from perps.journal import Entry
from persistence.journal.writer import PostgresJournal
from tools.cli import main

PER_ROW: Final = 16
COMMIT_S: Final = 0.1
"""How long a commit of consequences takes here at least: longer than a busy machine needs to see it and to kill."""
SLOW: Final = "sweep"

Append = Callable[[PostgresJournal, Sequence[Entry]], None]


def slowly(append: Append) -> Append:
    """A disk that takes its time."""

    @wraps(append)
    def slow(journal: PostgresJournal, entries: Sequence[Entry]) -> None:
        if any(entry.row.kind == SLOW for entry in entries):
            time.sleep(COMMIT_S)
        append(journal, entries)

    return slow


def run() -> int:
    """The command line, with small rows."""
    perps.engine.CONSEQUENCES_PER_ROW_MAX = PER_ROW  # type: ignore[misc]
    actors.journal.EVENTS_PER_COMMIT_MAX = actors.ledger.EVENTS_PER_COMMIT_MAX = 1  # type: ignore[attr-defined]
    PostgresJournal.append = slowly(PostgresJournal.append)  # type: ignore[assignment,method-assign]
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
