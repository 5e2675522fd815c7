"""Trades, their fees and prices as the API shows them."""

from __future__ import annotations

from typing import cast

from msgspec import UNSET
from msgspec.structs import asdict

from perps.commands import PriceSource, Side
from perps.effects import Traded, TradeKind
from perps.events import Fill as DomainFill
from perps.journal import Row
from perps.market.order import order_id
from perps.market.position import position_id
from perps.params import MarketParams
from perps.query_rows import OPEN, FillRecord, PriceRecord
from perps.wire.history import ExitReason, PriceTaken, Trade, UserTrade
from perps.wire.trading import Fee, Fill
from web.answers import decimals
from web.answers.times import rfc3339


def fill(filled: DomainFill, params: MarketParams) -> Fill:
    """One trade against the house; the impact is a fraction of the quote before it."""
    paid = abs(filled.cost)
    quoted = abs(filled.lots) * filled.quote_before * params.unit
    return Fill(
        price=decimals.average_price(filled.cost, filled.lots, params),
        quantity=decimals.quantity(abs(filled.lots), params.lot_size),
        notional=decimals.money(paid),
        price_impact=decimals.share(abs(paid - quoted), quoted),
    )


def fee(amount: int, referral: int) -> Fee:
    """A fee and its parts, which sum to it."""
    return Fee(
        amount=decimals.money(amount),
        platform_paid=decimals.money(amount - referral),
        referrer_paid=decimals.money(referral),
    )


def trade(record: FillRecord, params: MarketParams) -> Trade:
    """A trade as everybody sees it: without its user and position."""
    return Trade(
        id=f"{record.offset}-{record.n}",
        ticker=record.ticker,
        kind=TradeKind(record.kind),
        side=Side.LONG if record.is_long else Side.SHORT,
        price=decimals.average_price(record.cost, record.lots, params),
        quantity=decimals.quantity(abs(record.lots), params.lot_size),
        size=decimals.money(abs(record.cost)),
        mark_price=decimals.price(record.mark_price, params.tick_size),
        quote_price=decimals.price(record.quote_after, params.tick_size),
        at=rfc3339(record.at),
        offset=record.offset,
        realized_pnl=UNSET if record.kind == OPEN else decimals.money(record.pnl),
        reason=UNSET if record.reason is None else cast(ExitReason, record.reason),
        order_id=UNSET if record.order_number is None else order_id(record.ticker, record.order_number),
    )


def user_trade(record: FillRecord, params: MarketParams) -> UserTrade:
    """A trade as its owner sees it: an open has a realised pnl too, of 0."""
    public = asdict(trade(record, params))
    return UserTrade(
        **{**public, "realized_pnl": decimals.money(record.pnl)},
        position_id=record.position_id,
        user_id=record.user_id,
        index_price=decimals.price(record.index_price, params.tick_size),
        funding=decimals.money(record.funding),
        bad_debt=decimals.money(record.bad_debt),
        fee=fee(record.fee, record.referral),
    )


def fill_record(row: Row, n: int, trade: Traded) -> FillRecord:
    """A trade, event ``n`` of its row, as the query tables have it."""
    filled = trade.fill
    return FillRecord(
        offset=row.offset,
        n=n,
        at=row.at,
        ticker=row.stream,
        position_id=position_id(row.stream, trade.position.number),
        user_id=trade.position.user,
        kind=trade.kind.value,
        lots=filled.lots,
        cost=filled.cost,
        quote_after=filled.quote_after,
        index_price=filled.index_price,
        mark_price=filled.mark_price,
        pnl=trade.pnl,
        funding=trade.funding,
        fee=trade.fee,
        referral=trade.referral,
        bad_debt=trade.bad_debt,
        reason=None if trade.reason is None else trade.reason.value,
        order_number=trade.order,
    )


def price(record: PriceRecord, params: MarketParams) -> PriceTaken:
    """A price that a market took."""
    tick = params.tick_size
    return PriceTaken(
        index_price=decimals.price(record.index_price, tick),
        mark_price=decimals.price(record.mark_price, tick),
        quote_price=decimals.price(record.quote_price, tick),
        source=PriceSource(record.source),
        reason=record.reason,
        sequence=record.sequence,
        at=rfc3339(record.at),
        offset=record.offset,
    )
