"""Time passes: what is due by now, though nobody trades and no price comes.

Nothing is, so far, that an earlier command has not done: the sweep that follows every command finds it here too.
"""

from perps.commands import ObserveTime
from perps.market.state import Market
from perps.rules.rule import CommandRule, Given


def decide_time(_: Market, __: ObserveTime, ___: Given) -> tuple[()]:
    """No event of its own; the engine sweeps behind it."""
    return ()


COMMANDS = (CommandRule(ObserveTime, decide_time),)
EVENTS = ()
