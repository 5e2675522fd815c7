"""Who is liquidated now: the head of the liquidation order, confirmed exactly."""

from collections.abc import Iterator

from msgspec.structs import replace

from perps.events import CloseReason, PositionReduced
from perps.market.order import Order
from perps.market.part import least_part
from perps.market.position import Position, is_liquidatable
from perps.market.state import Market
from perps.market.triggers import is_stop_due
from perps.refusals import Rejected
from perps.rules.checks import beyond_limit
from perps.rules.closing import can_be_paid, close_of, house_cannot_pay, reduce
from perps.rules.orders.exits import due_stop, stop_reason
from perps.rules.triggers import is_young
from perps.units import PPB


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
    """Close a position at the present quote: as much as makes it sound, where the market liquidates in part; else all.

    Refused only if the house cannot pay its gain. If its stop-loss is due at this mark too, or a stop for all of it
    among its exits, all of it leaves in this turn as a stop: its owner asked for that. So it does by a stop for a share
    where no part makes it sound: the rest of a share would be liquidated. The fee is the same, or everybody would set a
    stop at the price of their liquidation. One that its owner has ordered to be closed whole at this price leaves as a
    close. ``at``: an exit whose time is over by then is none.
    """
    mark = market.mark
    is_stopped, order = is_stop_due(position, mark) and not is_young(market, position), None
    if not is_stopped and position.number in market.orders.by_position:
        order = due_stop(market, position, mark, at)
        is_stopped = order is not None and order.share == PPB
    if not is_stopped and market.params.partial_liquidation is not None:
        part = least_part(market, position)
        reduced = reduce(market, position, part, CloseReason.LIQUIDATION, is_kept=True) if part else None
        if reduced is not None and can_be_paid(market, reduced.pnl):
            return reduced
    reason = stop_reason(order) if is_stopped or order is not None else CloseReason.LIQUIDATION
    reduced = replace(reduce(market, position, abs(position.lots), reason, is_endangered=True), order=order)
    own = _own_close(market, position, reduced)
    if own is not None:
        reduced = replace(reduced, reason=CloseReason.OWNER, order=own)
    return house_cannot_pay(market, reduced) or reduced


def _own_close(market: Market, position: Position, reduced: PositionReduced) -> Order | None:
    """Its owner's order to close all of it, which the present price decides, if it is within its bound."""
    for order in market.orders.about(position.number):
        if order.closes_all and order.placed_at < market.decided_before:
            return None if beyond_limit(market, reduced.fill, close_of(market, order)) else order
    return None
