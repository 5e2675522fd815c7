"""What a market lets through."""

from perps.commands import SetMode
from perps.effects import Effects, Status
from perps.events import ModeChanged
from perps.market.state import Market
from perps.params import Mode
from perps.refusals import RejectCode, Rejected
from perps.rules.checks import reject
from perps.rules.rule import CommandRule, EventRule, Given


def decide_mode(_: Market, command: SetMode, __: Given) -> tuple[ModeChanged] | Rejected:
    """Any mode may follow any mode; but only a settlement leads to ``settled``."""
    if command.mode is Mode.SETTLED:
        return reject(RejectCode.VALIDATION_ERROR, rule="a market is settled by a command of its own")
    return (ModeChanged(command.mode, command.reason),)


def apply_mode(market: Market, event: ModeChanged) -> None:
    """The market lets through what the mode says."""
    market.mode, market.mode_reason = event.mode, event.reason
    if event.mode is Mode.SETTLED:
        market.settling = None


def project_mode(event: ModeChanged) -> Effects:
    """The market's status."""
    return (Status(event.mode, event.reason),)


COMMANDS = (CommandRule(SetMode, decide_mode),)
EVENTS = (EventRule(ModeChanged, apply_mode, project_mode),)
