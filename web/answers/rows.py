"""What every answer to a command begins with: the event of its row."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from perps.events import Event, own_of
from perps.journal import Entry

E = TypeVar("E", bound=Event)
F = TypeVar("F", bound=Event)


@overload
def own_event(entry: Entry, kind: type[E], /) -> E: ...
@overload
def own_event(entry: Entry, kind: type[E], other: type[F], /) -> E | F: ...
def own_event(entry: Entry, *kinds: type[Any]) -> Any:
    """The event of the row's own command: funding may stand before it, and what it led to stands behind it.

    Raises ``TypeError`` for another command's.
    """
    event = own_of(entry.events)
    if not isinstance(event, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"row {entry.row.offset} is of {type(event).__name__}, not {names}")
    return event
