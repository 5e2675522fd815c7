"""Snapshots as the venue stores them, of journal entries: the state, and what the read model says beside it."""

from collections.abc import Iterable

from perps.journal import Entry
from perps.snapshot.format import Snapshot
from perps.venue import VenueState
from web.readside.image import encode_views
from web.readside.model import ReadModel


def snapshot_of(entries: Iterable[Entry]) -> Snapshot:
    """The snapshot behind these entries, which are a journal's first."""
    state, model = VenueState(), ReadModel(rows_kept=0)
    for entry in entries:
        model.apply(state.apply(entry.row))
    return Snapshot.of(state, encode_views(model))
