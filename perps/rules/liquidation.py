"""Who is liquidated now: the head of the liquidation order, confirmed exactly."""

from perps.events import CloseReason, PositionReduced
from perps.market.position import Position, is_liquidatable
from perps.market.state import Market
from perps.params import Mode
from perps.refusals import Rejected
from perps.rules.closing import house_cannot_pay, reduce


def next_due(market: Market) -> Position | None:
    """The most endangered position whose equity is at or below its maintenance; None when there is none.

    A halted market liquidates nobody.
    """
    return None if market.mode is Mode.HALTED else due(market)


def due(market: Market) -> Position | None:
    """As ``next_due``, whatever the market's mode.

    A candidate that κ's rounding put forward too early is skipped, not stopped at.
    """
    mark, scale = market.exact_mark(market.skew)
    params, index = market.params, market.funding_index
    if not market.order.may_be_due(mark, params, index, scale):
        return None
    for number in market.order.candidates(mark, params, index, scale):
        position = market.positions[number]
        if is_liquidatable(position, mark, params, index, scale):
            return position
    return None


def decide_liquidation(market: Market, position: Position) -> PositionReduced | Rejected:
    """Close the whole position at the present quote. Refused, halting the market, only if the house cannot pay."""
    reduced = reduce(market, position, abs(position.lots), CloseReason.LIQUIDATION)
    return house_cannot_pay(market, reduced) or reduced
