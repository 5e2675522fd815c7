"""``perps`` with rows and commits so small that one price takes many of them: a kill falls between two."""

import sys

import actors.journal
import actors.ledger
import perps.engine
from tools.cli import main

PER_ROW: int = 16


def run() -> int:
    """The command line, with small rows."""
    perps.engine.CONSEQUENCES_PER_ROW_MAX = PER_ROW  # type: ignore[misc]
    actors.journal.EVENTS_PER_COMMIT_MAX = actors.ledger.EVENTS_PER_COMMIT_MAX = 1  # type: ignore[attr-defined]
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
