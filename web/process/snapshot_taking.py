"""Taking a snapshot: recovery once more, and then the state it has come to, saved at the journal's end.

It follows from the newest usable snapshot and the durable rows after it. Every row is checked on the way; a journal
that cannot be believed is noticed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final, Protocol

from msgspec import Struct

from actors.ports import History
from actors.recovery import recover
from perps.journal import Entry
from perps.snapshot.format import Snapshot
from perps.venue import VenueState
from web.readside.image import encode_views
from web.readside.loading import load_views
from web.readside.model import ReadModel

SNAPSHOTS_KEPT: Final = 3
"""Snapshots in the store: if the newest is broken, start-up begins from the one before."""

PROGRESS_ROWS: Final = 1_000
"""Rows between two signs of progress: some 30 ms."""

OnProgress = Callable[[], object]


class SnapshotStore(Protocol):
    """Where snapshots are kept. Blocking; safe from any thread."""

    def save(self, offset: int, body: bytes, *, keep: int, broken: Mapping[int, bytes] | None = None) -> None:
        """Store one, in place of one at the same row; forget those that are ``broken`` (SHA-256 of their bytes, by
        row), then all but this one and the newest ``keep``. Done already if it is there. Raises ``JournalUnavailable``.
        """
        ...


class SnapshotFailed(Exception):
    """No snapshot was stored; the message says why."""


class SnapshotStalled(SnapshotFailed):
    """The program that was to take it did not get on, and was ended."""


class SnapshotTaken(Struct, frozen=True):
    """A snapshot that is stored."""

    offset: int
    state_hash: bytes
    size: int
    """Bytes stored."""
    rows: int
    """Rows read since the snapshot before it."""


def take_snapshot(
    history: History,
    store: SnapshotStore,
    *,
    keep: int = SNAPSHOTS_KEPT,
    on_progress: OnProgress = lambda: None,
) -> SnapshotTaken:
    """Follow the journal to its end and save the state there. Blocking: belongs in another process.

    Those it finds broken on the way count for nothing and are forgotten: with the one it began from and its own there
    are always two that can be used. Raises ``JournalCorrupt`` and ``JournalUnavailable``; ``SnapshotBroken`` when the
    state is too large for one.
    """
    model, broken = ReadModel(rows_kept=0), dict[int, bytes]()

    def follow(entry: Entry, state: VenueState) -> None:
        model.replay(entry, state)
        if entry.row.offset % PROGRESS_ROWS == 0:
            on_progress()

    recovered = recover(
        history,
        follow,
        lambda snapshot, state: load_views(model, snapshot, state),
        on_broken=lambda offset, stored: broken.update({offset: sha256(stored).digest()}),
    )
    on_progress()
    snapshot = Snapshot.of(recovered.state, encode_views(model))
    body = snapshot.encode()
    on_progress()
    store.save(snapshot.offset, body, keep=keep, broken=broken)
    return SnapshotTaken(snapshot.offset, snapshot.state_hash, len(body), snapshot.offset - recovered.begun_at)
