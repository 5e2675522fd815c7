"""What an order would do, as the API shows it."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import UNSET

from perps.commands import OrderKind
from perps.effects import OrderStatus
from perps.events import OrderCancelled, PositionOpened, PositionReduced
from perps.market.order import Order
from perps.market.position import bankruptcy_price, liquidation_price
from perps.market.state import Market
from perps.order_quotes import OrderQuote
from perps.refusals import Rejected
from perps.units import PPB, div_ceil
from perps.wire.orders.placing import Expected, OrderQuoted
from web.answers import decimals
from web.answers.positions import stop_warning
from web.answers.trades import fee, fill
from web.answers.twap import slices_of

_WITHOUT_TRIGGER: Final = (OrderKind.LIMIT, OrderKind.TWAP)
"""No mark sets these off."""


def quoted(quote: OrderQuote, market: Market, offset: int) -> OrderQuoted:
    """The answer to a quote."""
    order, outcome, params = quote.order, quote.outcome, market.params
    reason = outcome.reason if isinstance(outcome, OrderCancelled) else None
    return OrderQuoted(
        status=quote.status.value,
        reason=None if quote.status is OrderStatus.OPEN else reason,
        reserve=decimals.money(order.reserve),
        max_fee=None if order.is_exit else decimals.money(_most_fee(order)),
        mark_price=decimals.price(market.mark, params.tick_size),
        expected=_expected(quote, market),
        warnings=_warnings(quote, market),
        offset=offset,
        execution=params.execution,
        twap=slices_of(order, is_open=True),
        trigger_price=None if order.kind in _WITHOUT_TRIGGER else decimals.price(order.price, params.tick_size),
    )


def _most_fee(order: Order) -> int:
    """Of the whole size; each slice of a TWAP rounds its own fee up."""
    slices = 0 if order.twap is None else order.twap.slices
    return div_ceil(order.size * order.taker_fee, PPB) + slices


def _expected(quote: OrderQuote, market: Market) -> Expected:
    """What becomes of it at its price."""
    outcome, params = quote.outcome, market.params
    shown = Expected(status="open", index_price=decimals.price(quote.index, params.tick_size))
    if isinstance(outcome, Rejected):
        shown.reason = outcome.code.value
    elif isinstance(outcome, OrderCancelled):
        shown.status, shown.reason = "cancelled", outcome.reason
    elif outcome is None:
        shown.reason = "house_cannot_pay"
    else:
        shown.status = "filled"
        shown.fill, shown.fee = fill(outcome.fill, params), fee(outcome.fee, outcome.referral)
        if isinstance(outcome, PositionOpened):
            shown.margin_required = decimals.money(outcome.position.margin)
        else:
            shown.pnl = decimals.money(outcome.pnl)
            shown.net_settlement = decimals.money(outcome.settlement - outcome.fee)
        _add_edges(shown, outcome, market)
    return shown


def _add_edges(shown: Expected, outcome: PositionOpened | PositionReduced, market: Market) -> None:
    """Where what is open afterwards is liquidated."""
    position, params, index = outcome.position, market.params, outcome.fill.funding_index
    if position.lots:
        shown.liquidation_price = decimals.price(liquidation_price(position, params, index), params.tick_size)
        shown.bankruptcy_price = decimals.price(bankruptcy_price(position, params, index), params.tick_size)


def _warnings(quote: OrderQuote, market: Market) -> list[Literal["stop_beyond_liquidation"]]:
    """A stop that the mark reaches no sooner than the liquidation: of an exit, or of the position that begins."""
    order, outcome, params = quote.order, quote.outcome, market.params
    if order.position is not None:
        if order.kind is OrderKind.TAKE_PROFIT:
            return []
        position = market.positions[order.position]
        due = liquidation_price(position, params, market.funding_index)
        is_beyond = order.price <= due if position.lots > 0 else order.price >= due
        return ["stop_beyond_liquidation"] if is_beyond else []
    if isinstance(outcome, PositionOpened):
        warning = stop_warning(outcome.position, params, outcome.fill.funding_index)
        return [] if warning is UNSET else ["stop_beyond_liquidation"]
    return []
