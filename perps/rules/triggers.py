"""Take-profit and stop-loss: giving them to a position. How it leaves by them: ``perps/rules/orders/exits.py``."""

from typing import Final

from msgspec.structs import replace

from perps.commands import SetTriggers
from perps.events import PositionChanged
from perps.market.position import Position
from perps.market.state import Market
from perps.market.triggers import valid_exits
from perps.refusals import RejectCode, Rejected
from perps.rules.checks import find, reject, shut, usable, would_trigger
from perps.rules.rule import CommandRule, EventRule, Given
from perps.units import Millis

EXITS_RULE: Final = "takeProfit and stopLoss are at least one tick, and below 2^63 ticks"


def decide_triggers(market: Market, command: SetTriggers, given: Given) -> tuple[PositionChanged] | Rejected:
    """Give a position both exits anew. To take them away works in every mode and at every price.

    One that is due at the present mark is refused: until a price reaches it, nobody knows whether it is good to leave.
    Where orders wait for the next price, so do they: whoever knows a price that is on its way would leave at it.
    """
    exits = (command.take_profit, command.stop_loss)
    if not valid_exits(*exits):
        return reject(RejectCode.VALIDATION_ERROR, rule=EXITS_RULE)
    found = find(market, command.position_id, None if command.any_owner else command.user)
    found = usable(found, shut(market, given, opening=False) if exits != (None, None) else None)
    if isinstance(found, Rejected):
        return found
    mark = market.mark
    set_at = given.at if exits != (None, None) and market.params.executes_later else Millis(0)
    changed = replace(found, take_profit=command.take_profit, stop_loss=command.stop_loss, exits_at=set_at)
    return would_trigger(changed, mark) or (
        PositionChanged(changed, mark_price=mark, funding_index=market.funding_index),
    )


def is_young(market: Market, position: Position) -> bool:
    """Whether a position's exits wait for a price that is stamped after they were set."""
    exits_at = position.exits_at
    return market.params.executes_later and exits_at > 0 and exits_at >= market.decided_before


COMMANDS = (CommandRule(SetTriggers, decide_triggers),)
EVENTS: tuple[EventRule, ...] = ()
