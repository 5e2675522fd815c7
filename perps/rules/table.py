"""Every rule there is: who decides a command, what an event does, and what readers are shown of it.

To add a command: declare it in ``perps/commands.py`` and its event in ``perps/events.py``, write its rule in a module
here, and name the module below. What is missing is said at the first import, by ``_complete``.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, get_args

from perps import commands, events
from perps.commands import Ids, Route
from perps.effects import Effects
from perps.rules import (
    closing,
    deleveraging,
    funding,
    house,
    listing,
    margin,
    modes,
    netting,
    opening,
    parameters,
    prices,
    settling,
    time,
    triggers,
    users,
)
from perps.rules.orders import cancel_timers, exits, next_price, resting, twap
from perps.rules.rule import CommandRule, EventRule

MODULES: Final = (
    opening,
    closing,
    margin,
    triggers,
    resting,
    next_price,
    netting,
    cancel_timers,
    exits,
    funding,
    prices,
    listing,
    modes,
    parameters,
    house,
    settling,
    deleveraging,
    time,
    users,
    twap,
)


FUNDED: Final = (Route.FUNDED, Route.LISTING)
"""Routes of commands that the ledger sets money aside for."""


def _complete(declared: Iterable[type[Any]], rules: dict[type[Any], Any]) -> None:
    """Raise ``TypeError`` unless exactly the declared types have a rule."""
    missing = set(declared) ^ set(rules)
    if missing:
        raise TypeError(f"declared without a rule, or ruled without being declared: {sorted(map(str, missing))}")


def _stated(command: type[Any]) -> None:
    """Raise ``TypeError`` unless a command has every field that its facts speak of."""
    needed = ["kind", "route", "scope", "ids", "gets_id", "later"]
    needed += ["ticker"] if command.route is not Route.LEDGER else []
    needed += ["payer", "bound"] if command.route in FUNDED else []
    needed += ["user"] if command.ids is Ids.USER else []
    missing = [name for name in (*needed, *command.later) if not hasattr(command, name)]
    if missing:
        raise TypeError(f"{command.__name__} lacks {', '.join(missing)}")


_COMMANDS: Final[dict[type[Any], CommandRule]] = {rule.command: rule for module in MODULES for rule in module.COMMANDS}
_EVENTS: Final[dict[type[Any], EventRule]] = {rule.event: rule for module in MODULES for rule in module.EVENTS}
_complete(commands.COMMANDS, _COMMANDS)
_complete(events.EVENTS, _EVENTS)

for _command in commands.COMMANDS:
    _stated(_command)
_complete(get_args(commands.LedgerCommand), {kind: None for kind in commands.COMMANDS if kind.route is Route.LEDGER})
_complete(get_args(commands.FundedCommand), {kind: None for kind in commands.COMMANDS if kind.route in FUNDED})

DECIDE: Final[dict[type[Any], Callable[..., Any]]] = {kind: rule.decide for kind, rule in _COMMANDS.items()}
"""How each command is decided."""

APPLY: Final[dict[type[Any], Callable[[Any, Any], None]]] = {kind: rule.apply for kind, rule in _EVENTS.items()}
"""What each event does to its market, or to the ledger."""

PROJECT: Final[dict[type[Any], Callable[[Any], Effects]]] = {kind: rule.project for kind, rule in _EVENTS.items()}
"""What each event shows to readers."""
