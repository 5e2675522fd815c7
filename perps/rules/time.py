"""Time passes: what is due by now, though nobody trades and no price comes.

Orders end when their time is over. Those of a user whose cancel timer has run out end in an observation of their own.
The sweep that follows every command finds what funding has made due.
"""

from typing import Final

from perps.commands import ObserveTime
from perps.events import CancelTimerSet, HoldEnded, OrderCancelled
from perps.market.state import Market
from perps.rules.orders.cancel_timers import run_out
from perps.rules.orders.resting import expired
from perps.rules.prices import hold_is_over
from perps.rules.rule import CommandRule, Given

EXPIRIES_MAX: Final = 256
"""Orders that one observation ends."""


def decide_time(
    market: Market, _: ObserveTime, given: Given
) -> tuple[HoldEnded | CancelTimerSet | OrderCancelled, ...]:
    """End what has waited long enough; the engine sweeps behind it."""
    ended = run_out(market, given, EXPIRIES_MAX) or expired(market, given, EXPIRIES_MAX)
    return (HoldEnded(), *ended) if hold_is_over(market, given) else ended


COMMANDS = (CommandRule(ObserveTime, decide_time),)
EVENTS = ()
