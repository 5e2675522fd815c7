"""A venue's database in tiny partitions, with snapshots to start from: something to archive and to restore."""

from __future__ import annotations

from typing import Final

from perps.journal import Entry
from perps.snapshot.format import state_hash
from perps.units import Millis
from perps.venue import VenueState
from tests.persistence.partitioned import TinyPartitions
from tests.support.entries import START_MS, Scribe
from tests.support.postgres import fill
from web.compose import snapshot_of

TINY: Final = 40
ROWS: Final = 200
SNAPSHOT: Final = 130
"""The older one; three partitions end before it. The other one is of the last row."""

ARCHIVED: Final = [40, 80, 120]
"""The last rows of those three."""


def stored_venue(url: str, begin_ms: int = START_MS, partition_rows: int = TINY) -> list[Entry]:
    """Fill an empty database; the rows, from ``begin_ms`` on."""
    scribe = Scribe()
    scribe.now = Millis(begin_ms)
    scribe.live(ROWS, seed=11)

    def write(url: str) -> None:
        store = TinyPartitions(url, partition_rows)
        journal = store.acquire()
        journal.append(scribe.entries[:SNAPSHOT])
        snapshot_of(url)
        journal.append(scribe.entries[SNAPSHOT:])
        snapshot_of(url)
        store.end()

    fill(url, f"venue_{begin_ms}_{partition_rows}", write)
    return scribe.entries


def hash_at(entries: list[Entry], offset: int) -> str:
    """The state hash that a replay of the first rows leads to."""
    state = VenueState()
    for entry in entries[:offset]:
        state.apply(entry.row)
    return state_hash(state).hex()
