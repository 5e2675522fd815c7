"""What every answer to a command begins with: the event of its row."""

from __future__ import annotations

from typing import TypeVar

from perps.events import Event
from perps.journal import Entry

E = TypeVar("E", bound=Event)


def own_event(entry: Entry, kind: type[E]) -> E:
    """The event of the row's own command; what it led to follows behind. Raises ``TypeError`` for another command's."""
    event = entry.events[0]
    if not isinstance(event, kind):
        raise TypeError(f"row {entry.row.offset} begins with {type(event).__name__}, not {kind.__name__}")
    return event
