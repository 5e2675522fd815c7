"""Positions as the API shows them: open, just closed or past; and the answers to an open and a close."""

from __future__ import annotations

from typing import NamedTuple

from perps.events import CloseReason, PositionOpened, PositionReduced
from perps.journal import Entry
from perps.market.position import Position, bankruptcy_price, equity, liquidation_price, position_id, split_position_id
from perps.market.state import Market
from perps.params import MarketParams
from perps.query_rows import STATUS_OPEN, PositionRecord
from perps.units import FundingIndex, Lots, Micros, Millis, Ticks
from web.answers import Json, decimals
from web.answers.rows import own_event
from web.answers.times import rfc3339
from web.answers.trades import fee, fill_view


def open_position(position: Position, params: MarketParams, mark: Ticks, index: FundingIndex) -> Json:
    """``Position`` while it is open, valued at ``mark``."""
    tick = params.tick_size
    pnl = equity(position, mark, params.unit, index) - position.margin
    settled = position.funding_paid
    return {
        "id": position_id(params.ticker, position.number),
        "userId": position.user,
        "ticker": params.ticker,
        "organizationId": params.organization_id,
        "side": "long" if position.lots > 0 else "short",
        "quantity": decimals.quantity(abs(position.lots), params.lot_size),
        "size": decimals.money(position.entry_cost),
        "entryPrice": decimals.average_price(position.entry_cost, position.lots, params),
        "markPrice": decimals.price(mark, tick),
        "leverage": position.leverage,
        "margin": decimals.money(position.margin),
        "liquidationPrice": decimals.price(liquidation_price(position, params, index), tick),
        "bankruptcyPrice": decimals.price(bankruptcy_price(position, params, index), tick),
        "unrealizedPnL": decimals.money(pnl),
        "unrealizedPnLPercent": decimals.share(100 * pnl, position.margin, 4),
        "fundingPaid": decimals.money(settled),
        "takeProfit": None,
        "stopLoss": None,
        "status": "open",
        "openedAt": rfc3339(position.opened_at),
        "closedAt": None,
    }


class Valued(NamedTuple):
    """A position as shown, with the numbers that a list adds up: its pnl (unrealised or realised) and its funding."""

    shown: Json
    pnl: int
    funding: int


def valued(position: Position, market: Market) -> Valued:
    """An open position at the market's present mark."""
    mark, index = market.mark, market.funding_index
    pnl = equity(position, mark, market.unit, index) - position.margin
    return Valued(open_position(position, market.params, mark, index), pnl, position.funding_paid)


def recorded(record: PositionRecord, market: Market) -> Valued:
    """A position from the query tables: at the present mark if it is open, with its exit if it is past."""
    if record.status != STATUS_OPEN:
        return Valued(past_position(record, market.params), record.realized_pnl, record.funding_paid)
    parts = split_position_id(record.id)
    position = Position(
        number=parts[1] if parts else 0,
        user=record.user_id,
        lots=Lots(record.lots),
        cash=Micros(record.cash),
        margin=Micros(record.margin),
        leverage=record.leverage,
        entry_cost=Micros(record.entry_cost),
        funding_paid=Micros(record.funding_paid),
        opened_at=Millis(record.opened_at),
    )
    return valued(position, market)


def closed_position(event: PositionReduced, params: MarketParams, at: int) -> Json:
    """``Position`` as the reduction that ended it left it: the sizes are those of what was closed last."""
    position, fill = event.position, event.fill
    return {
        "id": position_id(params.ticker, position.number),
        "userId": position.user,
        "ticker": params.ticker,
        "organizationId": params.organization_id,
        "side": "long" if fill.lots < 0 else "short",
        "quantity": decimals.quantity(abs(fill.lots), params.lot_size),
        "size": decimals.money(event.entry_released),
        "entryPrice": decimals.average_price(event.entry_released, fill.lots, params),
        "markPrice": decimals.price(fill.mark_price, params.tick_size),
        "leverage": position.leverage,
        "margin": decimals.money(event.margin_released),
        "liquidationPrice": None,
        "bankruptcyPrice": None,
        "unrealizedPnL": "0.00",
        "unrealizedPnLPercent": "0.00",
        "fundingPaid": decimals.money(position.funding_paid),
        "takeProfit": None,
        "stopLoss": None,
        "status": "liquidated" if event.reason is CloseReason.LIQUIDATION else "closed",
        "openedAt": rfc3339(position.opened_at),
        "closedAt": rfc3339(at),
    }


def past_position(record: PositionRecord, params: MarketParams) -> Json:
    """``Position`` from the query tables, with its exit: all that was entered and all that was closed."""
    lot = params.lot_size
    return {
        "id": record.id,
        "userId": record.user_id,
        "ticker": record.ticker,
        "organizationId": params.organization_id,
        "side": "long" if record.entered_lots > 0 else "short",
        "quantity": decimals.quantity(abs(record.entered_lots), lot),
        "size": decimals.money(record.entered_cost),
        "entryPrice": decimals.average_price(record.entered_cost, record.entered_lots, params),
        "exitPrice": decimals.average_price(record.exited_cost, record.exited_lots, params),
        "markPrice": decimals.average_price(record.exited_cost, record.exited_lots, params),
        "leverage": record.leverage,
        "margin": "0.00",
        "liquidationPrice": None,
        "bankruptcyPrice": None,
        "unrealizedPnL": "0.00",
        "unrealizedPnLPercent": "0.00",
        "realizedPnL": decimals.money(record.realized_pnl),
        "fundingPaid": decimals.money(record.funding_paid),
        "takeProfit": None,
        "stopLoss": None,
        "status": record.status,
        "openedAt": rfc3339(record.opened_at),
        "closedAt": None if record.closed_at is None else rfc3339(record.closed_at),
    }


def opened(entry: Entry, params: MarketParams) -> Json:
    """The answer to an open. A function of its journal row alone, so a repeated command gets the same one."""
    row, event = entry.row, own_event(entry, PositionOpened)
    fill = event.fill
    return {
        "position": open_position(event.position, params, fill.mark_price, fill.funding_index),
        "fill": fill_view(fill, params),
        "marginPaid": decimals.money(event.position.margin),
        "fee": fee(event.fee, event.referral),
        "newBalance": decimals.money(row.user_balance or 0),
        "clientOrderId": row.client_order_id,
        "offset": row.offset,
    }


def reduced(entry: Entry, params: MarketParams) -> Json:
    """The answer to a close. A function of its journal row alone."""
    row, event = entry.row, own_event(entry, PositionReduced)
    fill = event.fill
    if event.position.lots:
        position = open_position(event.position, params, fill.mark_price, fill.funding_index)
    else:
        position = closed_position(event, params, row.at)
    position["exitPrice"] = decimals.average_price(fill.cost, fill.lots, params)
    position["realizedPnL"] = decimals.money(event.pnl)
    return {
        "position": position,
        "fill": fill_view(fill, params),
        "grossSettlement": decimals.money(event.settlement),
        "netSettlement": decimals.money(event.settlement - event.fee),
        "marginReturned": decimals.money(min(event.margin_released, max(event.margin_released + event.pnl, 0))),
        "pnl": decimals.money(event.pnl),
        "badDebt": decimals.money(event.bad_debt),
        "fee": fee(event.fee, event.referral),
        "wasLiquidated": event.reason is CloseReason.LIQUIDATION,
        "newBalance": decimals.money(row.user_balance or 0),
        "clientOrderId": row.client_order_id,
        "offset": row.offset,
    }
