"""What placing an order would do, and what becomes of it at its price. Decided by the rules themselves, on a copy.

So a quote cannot disagree with the placement: ``decide`` and the fill are those of the engine. The copy is shallow and
costs the same however much a market holds, as deciding changes nothing.
"""

from __future__ import annotations

from copy import copy

from msgspec import Struct

from perps.commands import OrderKind, PlaceExit, PlaceOrder, PlaceTwap
from perps.effects import OrderStatus
from perps.engine import apply, decide
from perps.events import OrderCancelled, OrderPlaced, PositionIncreased, PositionOpened, PositionReduced
from perps.market.order import Order
from perps.market.orders import KEY_SCALE, limit_key, quote_key
from perps.market.state import Market
from perps.params import MarkSource
from perps.refusals import InvariantViolated, RejectCode, Rejected
from perps.rules.funding import accrue
from perps.rules.orders.exits import decide_exit_fill
from perps.rules.orders.resting import decide_fill
from perps.rules.orders.twap import decide_at_once
from perps.rules.rule import Given
from perps.units import Ticks, div_ceil, div_floor

Ended = PositionOpened | PositionReduced | OrderCancelled


class OrderQuote(Struct, frozen=True):
    """What an order would do."""

    order: Order
    """As it would be placed."""
    status: OrderStatus
    """What the placement's own row would leave of it: resting, filled or ended."""
    outcome: Ended | Rejected | None
    """What becomes of it: now, or while it rests at the first index price at which it is due. Rejected: it waits on.
    None: the house could not pay an exit's gain, or no price was found."""
    index: Ticks
    """The index price of that moment."""


def quote_order(market: Market, command: PlaceOrder | PlaceExit | PlaceTwap, given: Given) -> OrderQuote | Rejected:
    """What placing it now would do. ``given`` as at a placement, with all the money that it may take.

    Where the market executes at the next price, an order rests whatever the present price is; it may be filled at a
    price that is the same. Of a TWAP the outcome is that of all its slices at the present price, taken at once.
    """
    market = _accrued(market, given)
    decided = decide(market, command, given)
    if isinstance(decided, Rejected):
        return decided
    placed = decided[0]
    if not isinstance(placed, OrderPlaced):
        raise InvariantViolated(f"{type(command).__name__} led to {type(placed).__name__}")
    order = placed.order
    if order.twap is not None:
        return OrderQuote(order, OrderStatus.OPEN, decide_at_once(market, order, given), market.index_price)
    if order.kind is OrderKind.LIMIT:
        now = _tried(market, order, given)
        if not isinstance(now, Rejected):
            status = OrderStatus.FILLED if isinstance(now, PositionOpened) else OrderStatus.CANCELLED
            if market.params.executes_later:
                status = OrderStatus.OPEN
            return OrderQuote(order, status, now, market.index_price)
        if now.code is not RejectCode.PRICE_BEYOND_LIMIT:
            return OrderQuote(order, OrderStatus.OPEN, now, market.index_price)
        index = _limit_index(market, order, given)
    else:
        index = _mark_index(market, order)
    return OrderQuote(order, OrderStatus.OPEN, _fired(market, order, given, index), index)


def _accrued(market: Market, given: Given) -> Market:
    """The market with its funding up to now, as a command finds it."""
    events = accrue(market, given) if market.funding_at else ()
    if events:
        market = copy(market)
        for event in events:
            apply(market, event)
    return market


def _at(market: Market, index: int) -> Market:
    there = copy(market)
    there.index_price = Ticks(max(index, 1))
    return there


def _fired(market: Market, order: Order, given: Given, index: int) -> Ended | Rejected | None:
    there = _at(market, index)
    if order.is_exit:
        return decide_exit_fill(there, order, given)
    return _tried(there, order, given) if order.kind is OrderKind.LIMIT else _entered(there, order, given)


def _tried(market: Market, order: Order, given: Given) -> PositionOpened | OrderCancelled | Rejected:
    """What becomes of a limit now. It is tried once the quote has come to its level, and not before."""
    quote = quote_key(market.index_price, market.skew, market.params.skew_scale)
    level = limit_key(order, market.params)
    if quote > level if order.falls else quote < level:
        return Rejected(code=RejectCode.PRICE_BEYOND_LIMIT)
    return _entered(market, order, given)


def _entered(market: Market, order: Order, given: Given) -> PositionOpened | OrderCancelled | Rejected:
    outcome = decide_fill(market, order, given)
    if isinstance(outcome, PositionIncreased):
        raise InvariantViolated(f"order {order.number} of {market.ticker} begins no position")
    return outcome


def _mark_index(market: Market, order: Order) -> Ticks:
    """The first index price on the way there at which the mark, as it is shown, has reached the order's price."""
    if market.params.mark_source is MarkSource.INDEX:
        return order.price
    scale, tilted = market.params.skew_scale, market.params.skew_scale + market.skew
    if order.falls:
        return Ticks(max(div_ceil((order.price + 1) * scale, tilted) - 1, 1))
    return Ticks(div_ceil(order.price * scale, tilted))


def _limit_index(market: Market, order: Order, given: Given) -> Ticks:
    """The index price nearest to the present one at which a limit fills: up to a lot's rounding, by halving.

    Its level is not far from there, and no fill is nearer: so some ten tries are enough.
    """

    def fills(index: int) -> bool:
        outcome = _tried(_at(market, index), order, given)
        return not isinstance(outcome, Rejected) or outcome.code is not RejectCode.PRICE_BEYOND_LIMIT

    scale, toward = market.params.skew_scale, -1 if order.falls else 1
    level = div_floor(limit_key(order, market.params) * scale, KEY_SCALE * (scale + market.skew))
    near = min(level + 1, market.index_price) if order.falls else max(level - 1, market.index_price)
    step, far = 1, near + toward
    while far > 1 and not fills(far):
        near, step = far, 2 * step
        far = max(near + toward * step, 1)
    while abs(near - far) > 1:
        middle = (near + far) >> 1
        if fills(middle):
            far = middle
        else:
            near = middle
    return Ticks(max(far, 1))
