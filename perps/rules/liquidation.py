"""Who is liquidated now: the head of the liquidation order, confirmed exactly."""

from collections.abc import Iterator

from perps.events import CloseReason, PositionReduced
from perps.market.position import Position, is_liquidatable
from perps.market.state import Market
from perps.refusals import Rejected
from perps.rules.checks import CLOSED
from perps.rules.closing import house_cannot_pay, reduce


def next_liquidation(market: Market, unpaid: set[int]) -> PositionReduced | None:
    """The liquidation of the most endangered position that is due and whose gain, if it has one, the house can pay.

    None when there is none; a market in which nobody trades liquidates nobody. The numbers of those whom the house
    cannot pay are added to ``unpaid``. Whoever is in it is passed over.
    """
    if market.mode in CLOSED:
        return None
    for position in _all_due(market):
        if position.number in unpaid:
            continue
        outcome = decide_liquidation(market, position)
        if isinstance(outcome, PositionReduced):
            return outcome
        unpaid.add(position.number)
    return None


def due(market: Market) -> Position | None:
    """The most endangered position whose equity is at or below its maintenance, whatever the market's mode."""
    return next(_all_due(market), None)


def may_be_due(market: Market) -> bool:
    """Whether there is a candidate at all, whatever the market's mode: one comparison a side."""
    return market.order.may_be_due(market.mark, market.params, market.funding_index)


def _all_due(market: Market) -> Iterator[Position]:
    """A candidate that κ's rounding put forward too early is skipped, not stopped at."""
    if not may_be_due(market):
        return
    mark, params, index = market.mark, market.params, market.funding_index
    for number in market.order.candidates(mark, params, index):
        position = market.positions[number]
        if is_liquidatable(position, mark, params, index):
            yield position


def decide_liquidation(market: Market, position: Position) -> PositionReduced | Rejected:
    """Close the whole position at the present quote. Refused only if the house cannot pay its gain."""
    reduced = reduce(market, position, abs(position.lots), CloseReason.LIQUIDATION)
    return house_cannot_pay(market, reduced) or reduced
