"""Trades and their fees as the API shows them."""

from __future__ import annotations

from perps.events import Fill
from perps.params import MarketParams
from perps.query_rows import OPEN, FillRecord
from web.answers import Json, decimals
from web.answers.times import rfc3339


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
