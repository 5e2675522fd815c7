"""Leaving a position at a price: by its take-profit, its stop-loss, or an exit order that closes a share of it.

A trailing stop is an exit order whose price follows the mark.
"""

from typing import Final

from msgspec.structs import replace

from perps.commands import OrderKind, PlaceExit, Side
from perps.events import CloseReason, OrderCancelled, OrderPlaced, PositionReduced
from perps.market.levels import Places
from perps.market.order import EXPIRED, Order
from perps.market.position import Position
from perps.market.state import Market
from perps.market.trailing import trailed
from perps.market.triggers import is_stop_due
from perps.refusals import RejectCode, Rejected
from perps.rules.checks import beyond_limit, find, reject, usable
from perps.rules.closing import can_be_paid, close_of, gain, gain_of_part, leaves_it_endangered, reduce
from perps.rules.orders.terms import due_already, too_many, too_many_exits, too_many_trailing, unfit
from perps.rules.rule import CommandRule, EventRule, Given
from perps.rules.triggers import is_young
from perps.units import PPB, Micros, Ticks, div_floor

KINDS_RULE: Final = "an exit is a stop, a trailing_stop or a take_profit"

_REASONS: Final = {
    OrderKind.STOP: CloseReason.STOP_LOSS,
    OrderKind.TRAILING_STOP: CloseReason.TRAILING_STOP,
    OrderKind.TAKE_PROFIT: CloseReason.TAKE_PROFIT,
}
_STOPS: Final = (OrderKind.STOP, OrderKind.TRAILING_STOP)


def decide_exit(market: Market, command: PlaceExit, given: Given) -> tuple[OrderPlaced] | Rejected:
    """Let an exit of a position rest. It takes no money, so it works in every mode that lets positions leave."""
    if command.order not in _REASONS:
        return reject(RejectCode.VALIDATION_ERROR, rule=KINDS_RULE)
    found = find(market, command.position_id, command.user)
    position = found if isinstance(found, Position) else None
    order = Order(
        number=market.next_order,
        user=command.user,
        kind=command.order,
        side=Side.LONG if position is None or position.lots > 0 else Side.SHORT,
        size=Micros(0),
        leverage=1 if position is None else position.leverage,
        price=command.price,
        reserve=Micros(0),
        taker_fee=market.params.taker_fee,
        placed_at=given.at,
        expires_at=command.expires_at,
        acceptable_price=command.acceptable_price,
        acceptable_price_pico=command.acceptable_price_pico,
        referrer=None if position is None else position.referrer,
        position=0 if position is None else position.number,
        reduces=True,
        share=command.share,
        callback=command.callback,
    )
    if order.trails and not command.price:
        order = trailed(order, market.mark)
    misfit = unfit(market, order, given)
    if misfit is not None and misfit.code is RejectCode.VALIDATION_ERROR:
        return misfit
    found = usable(found, misfit)
    if isinstance(found, Rejected):
        return found
    refused = too_many(market, command.user) or too_many_exits(market, found)
    refused = refused or too_many_trailing(market, order) or due_already(market, order)
    return refused or (OrderPlaced(order, ()),)


class Unpaid(set[int]):
    """Whom a sweep passes over, as the house cannot pay: numbers of positions, and, negative, of exit orders."""

    def __init__(self) -> None:
        super().__init__()
        self.places: Places = [None, None]
        """How far it has gone through the exits, so that it does not pass over the same ones for each that leaves."""


def next_exit(market: Market, mark: Ticks, given: Given, unpaid: Unpaid) -> PositionReduced | OrderCancelled | None:
    """What the exit that is due first leads to: its close, or the end of an exit order that cannot close any more.

    None when there is none. Those whose gain the house cannot pay, or whose exits wait for a younger price, are added
    to ``unpaid``. Whoever is in it is passed over. There may be many of them, in every sweep: a position costs one
    sum, an order without a bound two. It costs closes that come to nothing only where the house could pay for its
    share and not for all, or for all and not for the share, and the rule asks for the other.
    """
    market.orders.show_trailing(mark)
    for number, is_order in market.exits.due_exits(mark, unpaid.places):
        waiting = -number if is_order else number
        if waiting in unpaid:
            continue
        if is_order:
            order = market.orders.by_number[number]
            if not _waits_for_money(market, order, given):
                outcome = decide_exit_fill(market, market.orders.present(order), given)
                if outcome is not None:
                    return outcome
        else:
            position = market.positions[number]
            if not is_young(market, position) and can_be_paid(market, gain(market, position)):
                return exit_of(market, position, mark)
        unpaid.add(waiting)
    return None


def exit_of(market: Market, position: Position, mark: Ticks) -> PositionReduced:
    """The close of the whole position at the present quote, by the exit that is due."""
    reason = CloseReason.STOP_LOSS if is_stop_due(position, mark) else CloseReason.TAKE_PROFIT
    return reduce(market, position, abs(position.lots), reason)


def decide_exit_fill(market: Market, order: Order, given: Given) -> PositionReduced | OrderCancelled | None:
    """Close max(1, floor(|q|·share/10⁹)) lots of the order's position; all, if what is left would be liquidated.

    The order ends instead when its time is over, or when the fill is beyond its bound. None: the house cannot pay.
    """
    if order.is_over(given.at):
        return OrderCancelled(order, EXPIRED, ())
    position = market.positions[order.position or 0]
    size = abs(position.lots)
    reason = _REASONS[order.kind]
    reduced = reduce(market, position, _share_of(position, order), reason)
    if leaves_it_endangered(market, reduced):
        reduced = reduce(market, position, size, reason)
    beyond = beyond_limit(market, reduced.fill, close_of(market, order))
    if beyond is not None:
        return OrderCancelled(order, beyond.code, ())
    return replace(reduced, order=order) if can_be_paid(market, reduced.pnl) else None


def _share_of(position: Position, order: Order) -> int:
    return max(1, div_floor(abs(position.lots) * order.share, PPB))


def _waits_for_money(market: Market, order: Order, given: Given) -> bool:
    """Whether ``decide_exit_fill`` comes to nothing, as the house can pay neither a share nor all: two sums."""
    if order.is_over(given.at) or order.acceptable_price is not None:
        return False
    position = market.positions[order.position or 0]
    if can_be_paid(market, gain_of_part(market, position, _share_of(position, order))):
        return False
    return not can_be_paid(market, gain(market, position))


def stop_reason(order: Order | None) -> CloseReason:
    """Why a position leaves by a stop: one of its exit orders, or its own stop-loss."""
    return CloseReason.STOP_LOSS if order is None else _REASONS[order.kind]


def due_stop(market: Market, position: Position, mark: Ticks, at: int) -> Order | None:
    """The stop that the mark has reached first of a position's exit orders; None when it has reached none."""
    orders = market.orders
    stops = [each for each in orders.exits_of(position.number) if each.kind in _STOPS and orders.is_ready(each)]
    reached = [each for each in stops if each.is_reached(mark) and not each.is_over(at)]
    if not reached:
        return None
    return min(reached, key=lambda order: (-order.price if order.falls else order.price, order.number))


COMMANDS = (CommandRule(PlaceExit, decide_exit),)
EVENTS: tuple[EventRule, ...] = ()
