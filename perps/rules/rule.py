"""What a rule is: one entry of ``perps/rules/table.py`` for each command, and one for each event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec import Struct

from perps.effects import Effects
from perps.events import Events
from perps.refusals import Rejected
from perps.units import Micros, Millis


class Given(Struct, frozen=True, gc=False):
    """What a decision is given beside state and command: nothing in the domain reads a clock or another's state."""

    at: Millis
    """The row's time; never falls within a market."""
    doubtful_price_at: Millis | None = None
    """The time of a price that counts as too old: nobody knows how old it is. See ``MarketSide``."""
    ahead_ms: int = 0
    """How far ``at`` runs before the system's clock, when that was set back: a feed's own times lag by as much."""
    held: Micros = Micros(0)
    """What the ledger has set aside for the command, micros."""
    referrer: str | None = None
    """Who brought the user that the command is for."""


class CommandRule(NamedTuple):
    """How a command is decided.

    ``decide(state, command, given) → events or Rejected`` holds every check, changes nothing, and has no other way
    out. The state is a ``Market``; for ``Route.LEDGER`` the ``Funds``; for a listing None.
    """

    command: type[Any]
    decide: Callable[[Any, Any, Given], Events | Rejected]


class EventRule(NamedTuple):
    """What an event does.

    ``apply(state, event)`` takes it in; it checks nothing and cannot fail, so old journals replay for ever.
    ``project(event) → effects`` says what readers are shown.
    """

    event: type[Any]
    apply: Callable[[Any, Any], None]
    project: Callable[[Any], Effects]


def nothing(_: Any, __: Any) -> None:
    """``apply`` of an event that moves money and changes nothing else."""
