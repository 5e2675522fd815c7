"""Take-profit and stop-loss: giving them to a position, and leaving by them."""

from typing import Final

from msgspec.structs import replace

from perps.commands import SetTriggers
from perps.events import CloseReason, PositionChanged, PositionReduced
from perps.market.levels import Places
from perps.market.position import Position
from perps.market.state import Market
from perps.market.triggers import is_stop_due, valid_exits
from perps.params import Execution
from perps.refusals import RejectCode, Rejected
from perps.rules.checks import find, reject, shut, usable, would_trigger
from perps.rules.closing import can_be_paid, gain, reduce
from perps.rules.rule import CommandRule, EventRule, Given
from perps.units import Millis, Ticks

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
    waits = exits != (None, None) and market.params.execution is Execution.NEXT_PRICE
    set_at = given.at if waits else Millis(0)
    changed = replace(found, take_profit=command.take_profit, stop_loss=command.stop_loss, exits_at=set_at)
    return would_trigger(changed, mark) or (
        PositionChanged(changed, mark_price=mark, funding_index=market.funding_index),
    )


class Unpaid(set[int]):
    """Numbers of the positions that a sweep passes over, since the house cannot pay them."""

    def __init__(self) -> None:
        super().__init__()
        self.places: Places = [None, None]
        """How far it has gone through the exits, so that it does not pass over the same ones for each that leaves."""


def next_exit(market: Market, mark: Ticks, unpaid: Unpaid) -> PositionReduced | None:
    """The close of the first position that an exit is due for and whose gain, if it has one, the house can pay.

    None when there is none. The numbers of those whom the house cannot pay, or whose exits wait for a younger price,
    are added to ``unpaid``. Whoever is in it is passed over. There may be many of them, in every sweep: each costs one
    sum, and no close that comes to nothing.
    """
    for number in market.exits.due_positions(mark, unpaid.places):
        if number in unpaid:
            continue
        position = market.positions[number]
        if not is_young(market, position) and can_be_paid(market, gain(market, position)):
            return exit_of(market, position, mark)
        unpaid.add(number)
    return None


def is_young(market: Market, position: Position) -> bool:
    """Whether a position's exits wait for a price that is stamped after they were set."""
    waits = market.params.execution is Execution.NEXT_PRICE and position.exits_at > 0
    return waits and position.exits_at >= market.decided_before


def exit_of(market: Market, position: Position, mark: Ticks) -> PositionReduced:
    """The close of the whole position at the present quote, by the exit that is due."""
    reason = CloseReason.STOP_LOSS if is_stop_due(position, mark) else CloseReason.TAKE_PROFIT
    return reduce(market, position, abs(position.lots), reason)


COMMANDS = (CommandRule(SetTriggers, decide_triggers),)
EVENTS: tuple[EventRule, ...] = ()
