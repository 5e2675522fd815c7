"""Cancel timers: a bot that has gone silent leaves no orders behind.

It sets one again and again; when it stops, its resting orders end. What leaves positions stays: their take-profits,
stop-losses and exit orders protect them.
"""

from typing import Final

from perps.commands import SetCancelTimer
from perps.effects import Effects
from perps.events import CancelTimerSet, OrderCancelled
from perps.market.order import Order
from perps.market.state import Market
from perps.refusals import RejectCode, Rejected
from perps.rules.checks import reject
from perps.rules.orders.resting import cancelled, pending
from perps.rules.rule import CommandRule, EventRule, Given
from perps.units import Millis

TIMER_MS_MIN: Final = 1_000
"""A market is looked at each second."""

TIMER_MS_MAX: Final = 24 * 3_600_000

BY_TIMER: Final = "cancel_timer"
"""Why an order ended."""


def decide_timer(market: Market, command: SetCancelTimer, given: Given) -> tuple[CancelTimerSet, ...] | Rejected:
    """Set a user's timer anew, or end it: in every mode. No event when there is none to end."""
    after = command.after_ms
    if not after:
        return (CancelTimerSet(command.user, None),) if command.user in market.cancel_timers.by_user else ()
    if not TIMER_MS_MIN <= after <= TIMER_MS_MAX:
        rule = "seconds is 0, or 1 to 86,400"
        return reject(RejectCode.VALIDATION_ERROR, rule=rule, seconds_pico=after * 10**9)
    return (CancelTimerSet(command.user, Millis(given.at + after)),)


def run_out(market: Market, given: Given, count_max: int) -> tuple[CancelTimerSet | OrderCancelled, ...]:
    """The end of timers that are due and of their users' orders, which may be a few more than ``count_max``.

    The other timers come with the next observation; so does one whose user has a limit or a stop that is pending still.
    """
    ended: list[CancelTimerSet | OrderCancelled] = []
    for user in market.cancel_timers.due(given.at):
        if len(ended) >= count_max:
            break
        due: list[Order] = []
        waiting: list[Order] = []
        for order in market.orders.of(user):
            if not order.is_exit:
                (waiting if pending(market, order, given) else due).append(order)
        if all(order.is_pending for order in waiting):
            ended.append(CancelTimerSet(user, None))
        ended += [cancelled(market, order, BY_TIMER) for order in due]
    return tuple(ended)


def apply_timer(market: Market, event: CancelTimerSet) -> None:
    """The user's timer is this one from here on."""
    market.cancel_timers.set(event.user, event.at)


def project_timer(_: CancelTimerSet) -> Effects:
    """Nothing: the orders that it ends are told one by one."""
    return ()


COMMANDS = (CommandRule(SetCancelTimer, decide_timer),)
EVENTS = (EventRule(CancelTimerSet, apply_timer, project_timer),)
