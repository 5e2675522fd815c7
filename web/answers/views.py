"""Committed state → the JSON of the contract. Every number leaves as decimal text."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

from perps.events import CloseReason, Fill, PositionOpened, PositionReduced
from perps.journal import Entry
from perps.market.position import Position, bankruptcy_price, equity, liquidation_price, position_id, split_position_id
from perps.market.state import Market
from perps.params import MarketParams
from perps.query_rows import OPEN, STATUS_OPEN, FillRecord, KeyRecord, LegRecord, PositionRecord
from perps.units import FundingIndex, Lots, Micros, Millis, Ticks
from web.answers import decimals
from web.answers.times import rfc3339
from web.readside.history import DAY_MS
from web.readside.model import MarketView, ReadModel

Json = dict[str, Any]
E = TypeVar("E", PositionOpened, PositionReduced)


def market(view: MarketView, now_ms: int) -> Json:
    """``Market``."""
    state, params = view.market, view.market.params
    tick, lot = params.tick_size, params.lot_size
    quote = state.quote
    day = view.history.day(now_ms, quote)
    return {
        "ticker": params.ticker,
        "organizationId": params.organization_id,
        "name": params.name,
        "status": state.mode if view.problem is None else "unavailable",
        "currentPrice": decimals.price(quote, tick),
        "indexPrice": decimals.price(state.index_price, tick),
        "markPrice": decimals.price(state.mark, tick),
        "change24h": decimals.price(day.last - day.first, tick),
        "changePercent24h": decimals.share(100 * (day.last - day.first), day.first, 4),
        "high24h": decimals.price(day.high, tick),
        "low24h": decimals.price(day.low, tick),
        "volume24h": decimals.money(day.volume),
        "openInterest": {
            "long": decimals.quantity(state.long_lots, lot),
            "short": decimals.quantity(state.short_lots, lot),
        },
        "skew": decimals.quantity(state.skew, lot),
        "fundingRate": {
            "rate": "0.00",
            "predictedRate": "0.00",
            "nextFundingTime": rfc3339(now_ms - now_ms % DAY_MS + DAY_MS),
        },
        "markSource": params.mark_source,
        "skewScale": decimals.quantity(params.skew_scale, lot),
        "maxSkew": decimals.quantity(params.max_skew, lot),
        "maxOpenInterest": decimals.quantity(params.max_open_interest, lot),
        "maxLeverage": params.max_leverage,
        "minOrderSize": decimals.money(params.min_order_size),
        "tickSize": decimals.pico(tick),
        "lotSize": decimals.pico(lot),
        "takerFee": decimals.text(params.taker_fee, 9, 0),
        "maintenanceRate": decimals.text(params.maintenance_rate, 9, 0),
        "liquidationFee": decimals.text(params.liquidation_fee, 9, 0),
        "referralShare": decimals.text(params.referral_share, 9, 0),
        "priceAt": rfc3339(state.price_at),
    }


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
    row, event = entry.row, _first(entry, PositionOpened)
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
    row, event = entry.row, _first(entry, PositionReduced)
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


def fill_view(fill: Fill, params: MarketParams) -> Json:
    """``{price, quantity, notional, priceImpact}``; the impact is a fraction of the quote before the trade."""
    paid = abs(fill.cost)
    quoted = abs(fill.lots) * fill.quote_before * params.unit
    return {
        "price": decimals.average_price(fill.cost, fill.lots, params),
        "quantity": decimals.quantity(abs(fill.lots), params.lot_size),
        "notional": decimals.money(paid),
        "priceImpact": decimals.share(abs(paid - quoted), quoted),
    }


def fee(amount: int, referral: int) -> Json:
    """``{amount, platformPaid, referrerPaid}``; the parts sum to the amount."""
    return {
        "amount": decimals.money(amount),
        "platformPaid": decimals.money(amount - referral),
        "referrerPaid": decimals.money(referral),
    }


def balance(model: ReadModel, user: str) -> Json:
    """``GET /api/users/{userId}/balance``. The caller has seen that the user exists."""
    view = model.users[user]
    wallet = model.wallet(user)
    return {
        "balance": decimals.money(wallet),
        "held": "0.00",
        "available": decimals.money(wallet),
        "margin": decimals.money(sum(position.margin for position in view.positions.values())),
        "totalDeposited": decimals.money(view.deposited),
        "totalWithdrawn": decimals.money(view.withdrawn),
        "lifetimePnL": decimals.money(view.pnl),
        "totalFees": decimals.money(view.fees),
        "offset": model.offset,
    }


def user(model: ReadModel, name: str) -> Json:
    """A user in the administrator's list. The caller has seen that the user exists."""
    view = model.users[name]
    figures = balance(model, name)
    del figures["offset"]
    return {"userId": name, "referrer": view.referrer, **figures, "openPositions": len(view.positions)}


def key(record: KeyRecord) -> Json:
    """A key in the administrator's list: all but the key itself."""
    return {
        "keyId": record.key_id,
        "userId": record.user_id,
        "scopes": list(record.scopes),
        "label": record.label,
        "createdAt": rfc3339(record.created_at),
        "expiresAt": None if record.expires_at is None else rfc3339(record.expires_at),
        "revokedAt": None if record.revoked_at is None else rfc3339(record.revoked_at),
    }


def trade(record: FillRecord, params: MarketParams, *, private: bool) -> Json:
    """A fill in a list of trades, as streams tell it: public without its user and position, private with them."""
    shown: Json = {
        "id": f"{record.offset}-{record.n}",
        "ticker": record.ticker,
        "kind": record.kind,
        "side": "long" if record.is_long else "short",
        "price": decimals.average_price(record.cost, record.lots, params),
        "quantity": decimals.quantity(abs(record.lots), params.lot_size),
        "size": decimals.money(abs(record.cost)),
        "markPrice": decimals.price(record.mark_price, params.tick_size),
        "quotePrice": decimals.price(record.quote_after, params.tick_size),
        "at": rfc3339(record.at),
        "offset": record.offset,
    }
    if record.kind != OPEN:
        shown["realizedPnL"] = decimals.money(record.pnl)
    if private:
        shown |= {
            "positionId": record.position_id,
            "userId": record.user_id,
            "indexPrice": decimals.price(record.index_price, params.tick_size),
            "realizedPnL": decimals.money(record.pnl),
            "funding": decimals.money(record.funding),
            "badDebt": decimals.money(record.bad_debt),
            "fee": fee(record.fee, record.referral),
        }
    return shown


def transaction(record: LegRecord, account: str) -> Json:
    """One movement of a wallet, as its owner sees it: out is negative."""
    outgoing = record.source == account
    after = record.source_balance if outgoing else record.target_balance
    amount = -record.amount if outgoing else record.amount
    return {
        "id": f"{record.offset}-{record.n}",
        "type": record.kind,
        "amount": decimals.money(amount),
        "balanceBefore": decimals.money(after - amount),
        "balanceAfter": decimals.money(after),
        "relatedId": record.position_id,
        "at": rfc3339(record.at),
    }


def _first(entry: Entry, kind: type[E]) -> E:
    """The event of the row's own command; liquidations it caused follow behind."""
    event = entry.events[0]
    if not isinstance(event, kind):
        raise TypeError(f"row {entry.row.offset} begins with {type(event).__name__}, not {kind.__name__}")
    return event
