"""Opens, closes and withdrawals of margin where a market executes at the next price: orders that wait for it.

Such an order is decided, first in first out, at the first price that is stamped after it was placed. Until then it
cannot be taken back, and it does not wait for ever. So nobody trades at a price that they know to be old: whoever sees
a move before the market does pays the price behind it, like everybody else.

In every other market these commands are decided at once, by the rules next door.
"""

from typing import Any, Final

from msgspec.structs import replace

from perps.commands import ChangeMargin, ClosePosition, OpenPosition, OrderKind, Side, limit_price
from perps.events import (
    OrderCancelled,
    OrderPlaced,
    PositionChanged,
    PositionIncreased,
    PositionOpened,
    PositionReduced,
)
from perps.market.order import EXPIRED, POSITION_CLOSED, Order, order_id
from perps.market.position import Position, position_id, split_position_id
from perps.market.state import Market
from perps.refusals import InvariantViolated, RejectCode, Rejected
from perps.rules import closing, margin, opening
from perps.rules.checks import first_of, reject
from perps.rules.closing import close_of, to_close
from perps.rules.orders.resting import cancelled, decide_fill, reserved
from perps.rules.orders.terms import reserve, too_many
from perps.rules.rule import CommandRule, Given
from perps.units import BPS, INTEGER_MAX, Micros, Millis, Nano, Pico, Ppb, div_ceil, div_floor

PENDING_PER_POSITION_MAX: Final = 10
"""Closes and withdrawals of one position that wait. They do not count as open orders: who wants out gets out."""


Filled = PositionOpened | PositionIncreased | PositionReduced | PositionChanged | OrderCancelled


def decide_open(
    market: Market, command: OpenPosition, given: Given
) -> tuple[PositionOpened | PositionIncreased | OrderPlaced] | Rejected:
    """Open at once, or place the order to; it keeps the most that its fill can take.

    An order passes all checks of an open at the present price but the bound of its own price: what would be refused
    anyhow is refused now.
    """
    if not market.params.executes_later:
        return opening.decide_open(market, command, given)
    params = market.params
    kept = reserve(command.size, command.leverage, params.taker_fee)
    outcome = opening.open_at(market, unbounded(command), replace(given, held=kept), params.taker_fee)
    refused = first_of(outcome if isinstance(outcome, Rejected) else None, too_many(market, command.user))
    if refused:
        return refused
    if kept > given.held:
        return reject(RejectCode.INSUFFICIENT_FUNDS, required_micros=kept, available_micros=given.held)
    parts = None if command.position is None else split_position_id(command.position)
    order = _order(
        market,
        given,
        user=command.user,
        side=command.side,
        size=command.size,
        leverage=command.leverage,
        reserve=kept,
        take_profit=command.take_profit,
        stop_loss=command.stop_loss,
        referrer=given.referrer,
        position=None if parts is None else parts[1],
        **_bound(market, command, buys=command.side is Side.LONG),
    )
    return (OrderPlaced(order, reserved(market, order.user, kept)),)


def decide_close(
    market: Market, command: ClosePosition, given: Given
) -> tuple[PositionReduced | OrderPlaced] | Rejected:
    """Close at once, or place the order to, which reserves nothing and is in no cap of orders."""
    if not market.params.executes_later:
        return closing.decide_close(market, command, given)
    asked = to_close(market, command, given)
    if isinstance(asked, Rejected):
        return asked
    position, is_long = asked.position, asked.position.lots > 0
    refused = _too_many_about(market, position)
    if refused:
        return refused
    worth = abs(market.cost(-asked.size if is_long else asked.size))
    by_share = not command.lots and not command.size
    order = _order(
        market,
        given,
        user=position.user,
        side=Side.LONG if is_long else Side.SHORT,
        size=command.size or Micros(max(worth, 1)),
        leverage=position.leverage,
        referrer=position.referrer,
        position=position.number,
        reduces=True,
        share=command.share if by_share else Ppb(0),
        lots=command.lots,
        **_bound(market, command, buys=not is_long),
    )
    return (OrderPlaced(order, ()),)


def decide_margin(
    market: Market, command: ChangeMargin, given: Given
) -> tuple[PositionChanged | OrderPlaced] | Rejected:
    """Margin goes in at once. It comes out at once, or by an order: nobody takes it away from a loss that they know."""
    outcome = margin.decide_margin(market, command, given)
    if command.amount > 0 or not market.params.executes_later or isinstance(outcome, Rejected):
        return outcome
    position = outcome[0].position
    refused = _too_many_about(market, position)
    if refused:
        return refused
    order = _order(
        market,
        given,
        kind=OrderKind.WITHDRAWAL,
        user=position.user,
        side=Side.LONG if position.lots > 0 else Side.SHORT,
        size=Micros(-command.amount),
        leverage=position.leverage,
        referrer=position.referrer,
        position=position.number,
        reduces=True,
    )
    return (OrderPlaced(order, ()),)


def unbounded(command: OpenPosition) -> OpenPosition:
    """An open at any price: what its order is checked as when it is placed."""
    return replace(command, acceptable_price=None, acceptable_price_pico=0, max_slippage_bps=None)


def is_pending_due(market: Market) -> bool:
    """Whether the present price decides an order, or one has lost its position."""
    orders = market.orders
    if orders.orphans:
        return True
    return bool(orders.pending) and orders.by_number[orders.pending[0]].placed_at < market.decided_before


def next_orphan(market: Market) -> OrderCancelled | None:
    """The end of the first order whose position is gone: an exit of it, or what was pending about it."""
    orders = market.orders
    return cancelled(market, orders.by_number[min(orders.orphans)], POSITION_CLOSED) if orders.orphans else None


def next_pending(market: Market, given: Given) -> Filled | None:
    """What the first order that the present price decides leads to: its fill, or its end. None: it decides none."""
    orders = market.orders
    if not orders.pending:
        return None
    order = orders.by_number[orders.pending[0]]
    if order.placed_at >= market.decided_before:
        return None
    if order.is_over(given.at):
        return cancelled(market, order, EXPIRED)
    if not order.reduces:
        outcome = decide_fill(market, order, given)
        if isinstance(outcome, Rejected):
            raise InvariantViolated(f"order {order_id(market.ticker, order.number)} neither fills nor ends")
        return outcome
    taken: tuple[PositionReduced | PositionChanged] | Rejected
    if order.kind is OrderKind.WITHDRAWAL:
        taken = margin.decide_margin(market, _withdrawal_of(market, order), given)
    else:
        taken = closing.decide_close(market, close_of(market, order), given)
    return cancelled(market, order, taken.code) if isinstance(taken, Rejected) else replace(taken[0], order=order)


COMMANDS = (
    CommandRule(OpenPosition, decide_open),
    CommandRule(ClosePosition, decide_close),
    CommandRule(ChangeMargin, decide_margin),
)
EVENTS = ()


def _order(market: Market, given: Given, **fields: Any) -> Order:
    """An order that waits for the next price; what it says of the present one is for people."""
    plain: dict[str, Any] = {"kind": OrderKind.MARKET, "reserve": Micros(0), "price": market.quote, **fields}
    return Order(
        number=market.next_order,
        taker_fee=market.params.taker_fee,
        placed_at=given.at,
        expires_at=Millis(given.at + market.params.pending_limit),
        **plain,
    )


def _bound(market: Market, command: OpenPosition | ClosePosition, *, buys: bool) -> dict[str, Any]:
    """The worst average price: the one that is named, or the one that the slippage leads to from the present quote.

    Of both the stricter; p·(1 ± s) is rounded against the trade.
    """
    limits = [] if (named := limit_price(command)) is None else [int(named)]
    if command.max_slippage_bps is not None:
        params, sign = market.params, 1 if buys else -1
        over = market.index_price * params.tick_size * (params.skew_scale + market.skew)
        over *= BPS + sign * command.max_slippage_bps
        under = params.skew_scale * BPS
        limits.append(div_floor(over, under) if buys else div_ceil(over, under))
    if not limits:
        return {}
    limit = Pico(min((min if buys else max)(limits), 1000 * INTEGER_MAX))
    return {"acceptable_price": Nano(div_floor(limit, 1000)), "acceptable_price_pico": limit % 1000}


def _withdrawal_of(market: Market, order: Order) -> ChangeMargin:
    name = position_id(market.ticker, order.position or 0)
    return ChangeMargin(ticker=market.ticker, user=order.user, position_id=name, amount=Micros(-order.size))


def _too_many_about(market: Market, position: Position) -> Rejected | None:
    count = sum(order.reduces and order.is_pending for order in market.orders.about(position.number))
    if count < PENDING_PER_POSITION_MAX:
        return None
    return reject(RejectCode.TOO_MANY_OPEN_ORDERS, pending_orders=count, maximum=PENDING_PER_POSITION_MAX)
