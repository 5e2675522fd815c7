"""Time passes: what is due by now, though nobody trades and no price comes.

The sweep that follows every command finds here what funding has made due.
"""

from perps.commands import ObserveTime
from perps.events import HoldEnded
from perps.market.state import Market
from perps.rules.prices import hold_is_over
from perps.rules.rule import CommandRule, Given


def decide_time(market: Market, _: ObserveTime, given: Given) -> tuple[HoldEnded, ...]:
    """End what has waited long enough; the engine sweeps behind it."""
    return (HoldEnded(),) if hold_is_over(market, given) else ()


COMMANDS = (CommandRule(ObserveTime, decide_time),)
EVENTS = ()
