"""Where a row may be written: what every journal checks before it sends anything."""

from collections.abc import Sequence

from perps.journal import Entry, JournalRefused


def check_order(entries: Sequence[Entry], epoch: int, offset: int) -> None:
    """Rows follow row ``offset`` without a gap, in the writer's epoch. Raises ``JournalRefused``: a bug upstream."""
    for expected, entry in enumerate(entries, offset + 1):
        if entry.row.offset != expected:
            raise JournalRefused(f"row {entry.row.offset} where row {expected} must follow")
        if entry.row.epoch != epoch:
            raise JournalRefused(f"row {expected} carries epoch {entry.row.epoch}, the owner's is {epoch}")
