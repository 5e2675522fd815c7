"""Who is liquidated now: the head of the liquidation order, confirmed exactly."""

from perps.events import CloseReason, PositionReduced
from perps.market.position import Position, is_liquidatable
from perps.market.state import Market
from perps.market.triggers import is_stop_due
from perps.refusals import Rejected
from perps.rules.closing import house_cannot_pay, reduce
from perps.units import Ticks


def due(market: Market) -> Position | None:
    """As ``next_due``, at the present mark."""
    return next_due(market, market.mark)


def next_due(market: Market, mark: Ticks) -> Position | None:
    """The most endangered position whose equity is at or below its maintenance; None when there is none.

    Whatever the market's mode. A candidate that κ's rounding put forward too early is skipped, not stopped at.
    """
    params, index = market.params, market.funding_index
    if not market.order.may_be_due(mark, params, index):
        return None
    for number in market.order.candidates(mark, params, index):
        position = market.positions[number]
        if is_liquidatable(position, mark, params, index):
            return position
    return None


def decide_liquidation(market: Market, position: Position) -> PositionReduced | Rejected:
    """Close the whole position at the present quote. Refused, halting the market, only if the house cannot pay.

    If its stop-loss is due at this mark too, it leaves in this turn as a stop: its owner asked for that. The fee is
    the same, or everybody would set a stop at the price of their liquidation.
    """
    reason = CloseReason.STOP_LOSS if is_stop_due(position, market.mark) else CloseReason.LIQUIDATION
    reduced = reduce(market, position, abs(position.lots), reason, is_endangered=True)
    return house_cannot_pay(market, reduced) or reduced
