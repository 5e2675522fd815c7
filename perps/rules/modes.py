"""What a market lets through."""

from perps.commands import SetMode
from perps.events import MarketEvents, ModeChanged


def decide_mode(command: SetMode) -> MarketEvents:
    """Any mode may follow any mode."""
    return (ModeChanged(command.mode, command.reason),)
