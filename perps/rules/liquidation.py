"""Who is liquidated now: the head of the liquidation order, confirmed exactly."""

from collections.abc import Iterator

from perps.events import CloseReason, PositionReduced
from perps.market.position import Position, is_liquidatable
from perps.market.state import Market
from perps.market.triggers import is_stop_due
from perps.refusals import Rejected
from perps.rules.closing import house_cannot_pay, reduce
from perps.rules.exits import due_stop


def next_liquidation(market: Market, unpaid: set[int], at: int = 0) -> PositionReduced | None:
    """The liquidation of the most endangered position that is due and whose gain, if it has one, the house can pay.

    None when there is none. The numbers of those whom the house cannot pay are added to ``unpaid``. Whoever is in it is
    passed over.
    """
    for position in _all_due(market):
        if position.number in unpaid:
            continue
        outcome = decide_liquidation(market, position, at)
        if isinstance(outcome, PositionReduced):
            return outcome
        unpaid.add(position.number)
    return None


def due(market: Market) -> Position | None:
    """The most endangered position whose equity is at or below its maintenance, whatever the market's mode."""
    return next(_all_due(market), None)


def _all_due(market: Market) -> Iterator[Position]:
    """A candidate that κ's rounding put forward too early is skipped, not stopped at."""
    mark, scale = market.exact_mark(market.skew)
    params, index = market.params, market.funding_index
    if not market.order.may_be_due(mark, params, index, scale):
        return
    for number in market.order.candidates(mark, params, index, scale):
        position = market.positions[number]
        if is_liquidatable(position, mark, params, index, scale):
            yield position


def decide_liquidation(market: Market, position: Position, at: int = 0) -> PositionReduced | Rejected:
    """Close the whole position at the present quote. Refused only if the house cannot pay its gain.

    If its stop-loss, or a stop among its exit orders, is due at this mark too, it leaves in this turn as a stop: its
    owner asked for that, and a share whose rest would be liquidated is all. The fee is the same, or everybody would
    set a stop at the price of their liquidation. ``at``: an order whose time is over by then is no stop.
    """
    mark = market.mark
    is_stopped, order = is_stop_due(position, mark), None
    if not is_stopped and position.number in market.orders.by_position:
        order = due_stop(market, position, mark, at)
    reason = CloseReason.STOP_LOSS if is_stopped or order is not None else CloseReason.LIQUIDATION
    reduced = reduce(market, position, abs(position.lots), reason, is_endangered=True, order=order)
    return house_cannot_pay(market, reduced) or reduced
