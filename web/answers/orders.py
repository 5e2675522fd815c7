"""Orders as the API shows them."""

from __future__ import annotations

from typing import cast

from msgspec.structs import asdict

from perps.commands import OrderKind, Side
from perps.effects import Ordered, OrderStatus
from perps.events import OrderCancelled, OrderPlaced, OrderReplaced, PositionOpened, own_of
from perps.journal import Entry, Row
from perps.market.order import PENDING, order_id, split_order_id
from perps.market.order import Order as DomainOrder
from perps.market.position import position_id
from perps.market.state import Market
from perps.params import MarketParams
from perps.query_rows import STATUS_OPEN, OrderRecord
from perps.wire.orders.order import Order, Pending, Status
from perps.wire.orders.placing import OrderResult, Placed
from perps.wire.streams import OrderEvent
from web.answers import decimals
from web.answers.positions import open_position
from web.answers.times import rfc3339
from web.answers.trades import fill
from web.answers.twap import recorded_slices, slices_of


def resting(order: DomainOrder, params: MarketParams) -> Order:
    """An order while it rests."""
    return _shown(order, params, OrderStatus.OPEN)


def ordered(row: Row, effect: Ordered, params: MarketParams) -> Order:
    """An order as a row left it."""
    shown = _shown(effect.order, params, effect.status, effect.reason)
    if effect.status is not OrderStatus.OPEN:
        shown.closed_at = rfc3339(row.at)
    if effect.position is not None:
        shown.position_id = position_id(params.ticker, effect.position)
    if effect.fill is not None and effect.order.twap is None:
        shown.average_price = decimals.average_price(effect.fill.cost, effect.fill.lots, params)
    return shown


def order_event(row: Row, effect: Ordered, params: MarketParams) -> OrderEvent:
    """The event ``order``."""
    return OrderEvent(**asdict(ordered(row, effect, params)), offset=row.offset)


def recorded(record: OrderRecord, market: Market) -> Order:
    """An order from the query tables. A trailing stop that rests is as far as the mark has brought it since."""
    params, filled, kind = market.params, record.filled_lots, OrderKind(record.kind)
    price, extreme = record.price, record.extreme
    if kind is OrderKind.TRAILING_STOP and record.status == STATUS_OPEN:
        parts = split_order_id(record.id)
        order = market.orders.by_number.get(parts[1]) if parts else None
        if order is not None:
            order = market.orders.present(order)
            price, extreme = order.price, order.extreme
    return Order(
        id=record.id,
        user_id=record.user_id,
        ticker=record.ticker,
        type=kind,
        side=Side(record.side),
        size=None if record.reduces and kind not in PENDING else decimals.money(record.size),
        leverage=record.leverage,
        price=decimals.price(price, params.tick_size),
        reserve=decimals.money(record.reserve),
        acceptable_price=_acceptable(record.acceptable_price, record.acceptable_price_pico),
        take_profit=decimals.price_or_none(record.take_profit, params.tick_size),
        stop_loss=decimals.price_or_none(record.stop_loss, params.tick_size),
        status=cast(Status, record.status),
        reason=record.reason,
        position_id=record.position_id,
        average_price=None if filled is None else decimals.average_price(record.filled_cost or 0, filled, params),
        placed_at=rfc3339(record.placed_at),
        expires_at=None if record.expires_at is None else rfc3339(record.expires_at),
        closed_at=None if record.closed_at is None else rfc3339(record.closed_at),
        reduce_only=record.reduces,
        percentage=decimals.text(record.share, 9, 0) if record.share else None,
        quantity=decimals.quantity(record.lots, params.lot_size) if record.lots else None,
        callback=decimals.text(record.callback, 9, 0) if record.callback else None,
        extreme_price=decimals.price(extreme, params.tick_size) if extreme else None,
        twap=recorded_slices(record),
    )


def pending(entry: Entry, params: MarketParams) -> Pending | None:
    """The answer to an open, a close or a withdrawal that waits for the next price; None: it was done at once."""
    row, event = entry.row, own_of(entry.events)
    if not isinstance(event, OrderPlaced):
        return None
    return Pending(
        order=resting(event.order, params),
        new_balance=decimals.money(row.user_balance or 0),
        client_order_id=row.client_order_id,
        offset=row.offset,
    )


def placed(entry: Entry, params: MarketParams) -> Placed:
    """The answer to a placement or a replacement: what its own row did. A function of that row alone."""
    row, event = entry.row, own_of(entry.events)
    if not isinstance(event, OrderPlaced | OrderReplaced):
        raise TypeError(f"row {row.offset} is of {type(event).__name__}")
    number = event.order.number
    last = [effect for effects in entry.effects for effect in effects if isinstance(effect, Ordered)]
    shown = next(effect for effect in reversed(last) if effect.order.number == number)
    answer = Placed(
        order=ordered(row, shown, params),
        new_balance=decimals.money(row.user_balance or 0),
        client_order_id=row.client_order_id,
        offset=row.offset,
    )
    for filled in entry.events:
        if isinstance(filled, PositionOpened) and filled.order is not None and filled.order.number == number:
            answer.fill = fill(filled.fill, params)
            answer.position = open_position(filled.position, params, filled.fill.mark_price, filled.fill.funding_index)
    return answer


def result(answer: Placed) -> OrderResult:
    """A placement's answer as one of several."""
    return OrderResult(**asdict(answer))


def cancelled(entry: Entry, params: MarketParams, reason: str, user: str) -> list[Order]:
    """The orders of a user that a row cancelled for a reason."""
    ended = []
    for event, effects in zip(entry.events, entry.effects, strict=True):
        if isinstance(event, OrderCancelled) and (event.reason, event.order.user) == (reason, user):
            ended += [ordered(entry.row, effect, params) for effect in effects if isinstance(effect, Ordered)]
    return ended


def _shown(order: DomainOrder, params: MarketParams, status: OrderStatus, reason: str | None = None) -> Order:
    twap = order.twap
    return Order(
        id=order_id(params.ticker, order.number),
        user_id=order.user,
        ticker=params.ticker,
        type=order.kind,
        side=order.side,
        size=None if order.is_exit else decimals.money(order.size if twap is None else twap.size),
        leverage=order.leverage,
        price=decimals.price(order.price, params.tick_size),
        reserve=decimals.money(order.reserve),
        acceptable_price=_acceptable(order.acceptable_price, order.acceptable_price_pico),
        take_profit=decimals.price_or_none(order.take_profit, params.tick_size),
        stop_loss=decimals.price_or_none(order.stop_loss, params.tick_size),
        status=status.value,
        reason=reason,
        position_id=None if order.position is None else position_id(params.ticker, order.position),
        average_price=decimals.average_price(twap.cost, twap.lots, params) if twap is not None and twap.lots else None,
        placed_at=rfc3339(order.placed_at),
        expires_at=None if order.expires_at is None else rfc3339(order.expires_at),
        closed_at=None,
        reduce_only=order.reduces,
        percentage=decimals.text(order.share, 9, 0) if order.share else None,
        quantity=decimals.quantity(order.lots, params.lot_size) if order.lots else None,
        callback=decimals.text(order.callback, 9, 0) if order.trails else None,
        extreme_price=decimals.price(order.extreme, params.tick_size) if order.trails else None,
        twap=slices_of(order, is_open=status is OrderStatus.OPEN),
    )


def _acceptable(nano: int | None, pico: int) -> str | None:
    return None if nano is None else decimals.price(nano * 1000 + pico, 1)
