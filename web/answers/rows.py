"""What every answer to a command begins with: the event of its row."""

from __future__ import annotations

from typing import TypeVar

from perps.events import Event, own_of
from perps.journal import Entry

E = TypeVar("E", bound=Event)


def own_event(entry: Entry, kind: type[E]) -> E:
    """The event of the row's own command: funding may stand before it, and what it led to stands behind it.

    Raises ``TypeError`` for another command's.
    """
    event = own_of(entry.events)
    if not isinstance(event, kind):
        raise TypeError(f"row {entry.row.offset} is of {type(event).__name__}, not {kind.__name__}")
    return event
