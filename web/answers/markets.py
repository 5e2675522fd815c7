"""Markets as the API shows them."""

from __future__ import annotations

from perps.events import HouseFunded
from perps.journal import Entry
from web.answers import Json, decimals
from web.answers.rows import own_event
from web.answers.times import rfc3339
from web.readside.history import DAY_MS
from web.readside.model import MarketView


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


def funded(entry: Entry) -> Json:
    """The answer to money in or out of a market's account. A function of its journal row alone."""
    row, event = entry.row, own_event(entry, HouseFunded)
    return {
        "ticker": row.stream,
        "account": event.account,
        "amount": decimals.money(event.amount),
        "newBalance": decimals.money(event.balance),
        "clientOrderId": row.client_order_id,
        "offset": row.offset,
    }
