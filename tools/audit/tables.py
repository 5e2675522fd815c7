"""The query tables' prices and open positions, beside what the rows lead to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from perps.market.position import Position, position_id, split_position_id
from perps.market.state import Market
from perps.query_rows import PositionRecord
from perps.venue import VenueState
from persistence.operator.audit import Audit
from tools.audit.live import ABSENT, Difference
from web.answers import decimals

MONEY: Final = ("cash", "margin", "entry_cost", "funding_paid")
"""The fields of a position that are in micros."""


def differences_in_tables(audit: Audit, state: VenueState) -> Iterator[Difference]:
    """Where the tables differ from the state. Both are as of the same row."""
    for ticker, market in state.markets.items():
        yield from _prices(audit, ticker, market, state.offset)
    waiting = {(ticker, number) for ticker, market in state.markets.items() for number in market.positions}
    for record in audit.open_positions():
        place = split_position_id(record.id)
        if place is None or place not in waiting:
            yield Difference("position", ABSENT, state.offset, record.ticker, record.id, tables="open")
            continue
        waiting.discard(place)
        market = state.markets[place[0]]
        yield from _position(record, market, market.positions[place[1]], state.offset)
    for ticker, number in sorted(waiting):
        name = position_id(ticker, number)
        yield Difference("position", "open", state.offset, ticker, name, tables=ABSENT)


def _prices(audit: Audit, ticker: str, market: Market, offset: int) -> Iterator[Difference]:
    """The newest index price of ``prices``, and the newest quote of ``prices`` and ``fills``."""
    tick = market.params.tick_size
    price, fill = audit.newest_price(ticker), audit.newest_fill(ticker)
    if price is None:
        yield Difference("indexPrice", decimals.price(market.index_price, tick), offset, ticker, tables=ABSENT)
        return
    is_traded = fill is not None and (fill.offset, fill.n) > (price.offset, price.n)
    quote = fill.quote_after if fill is not None and is_traded else price.quote_price
    for field, ours, theirs in (
        ("indexPrice", market.index_price, price.index_price),
        ("currentPrice", market.quote, quote),
    ):
        if ours != theirs:
            said = decimals.price(theirs, tick)
            yield Difference(field, decimals.price(ours, tick), offset, ticker, tables=said)


def _position(record: PositionRecord, market: Market, position: Position, offset: int) -> Iterator[Difference]:
    shown = {
        "userId": (position.user, record.user_id),
        "lots": (str(position.lots), str(record.lots)),
        "leverage": (str(position.leverage), str(record.leverage)),
        "ticker": (market.ticker, record.ticker),
        "takeProfit": (str(position.take_profit), str(record.take_profit)),
        "stopLoss": (str(position.stop_loss), str(record.stop_loss)),
    }
    for name in MONEY:
        camel = "".join(word.capitalize() if at else word for at, word in enumerate(name.split("_")))
        shown[camel] = (decimals.money(getattr(position, name)), decimals.money(getattr(record, name)))
    for field, (ours, theirs) in shown.items():
        if ours != theirs:
            yield Difference(field, ours, offset, market.ticker, record.id, tables=theirs)
