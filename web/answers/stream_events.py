"""What a committed row tells the public: its events by name, each as JSON. Nobody's name or position is in them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import assert_never

import msgspec
from msgspec import to_builtins

from perps.effects import Effect, Funded, FundingHour, Joined, Paid, Priced, Status, Traded, TradeKind
from perps.journal import Entry
from perps.params import MarketParams
from web.answers import Json, decimals
from web.answers.funding import funding_hour
from web.answers.times import rfc3339

_encode = msgspec.json.Encoder().encode


def public_events(entry: Entry, params: MarketParams) -> list[tuple[str, bytes]]:
    """A market row's public events, in order: (name, JSON). An effect that is not public is left out."""
    row = entry.row
    events: list[tuple[str, bytes]] = []
    for effect in chain.from_iterable(entry.effects):
        for name, data in _public(effect, params):
            data = {"at": rfc3339(row.at), **data, "ticker": params.ticker, "offset": row.offset}
            events.append((name, _encode(data)))
    return events


def _public(effect: Effect, params: MarketParams) -> Iterator[tuple[str, Json]]:
    """What everybody may see of an effect: events by name, with their fields."""
    match effect:
        case Priced() if not effect.is_first:
            yield "price", _price(effect, params)
        case Traded():
            yield "trade", _trade(effect, params)
            if effect.kind is TradeKind.LIQUIDATION:
                yield "liquidation", _trade(effect, params)
        case Status():
            named = {} if effect.name is None else {"name": effect.name}
            yield "market", {"status": effect.mode, **named, "reason": effect.reason}
        case FundingHour():
            yield "funding", to_builtins(funding_hour(effect, params))
        case Priced() | Joined() | Paid() | Funded():
            pass
        case _:
            assert_never(effect)


def _price(price: Priced, params: MarketParams) -> Json:
    tick = params.tick_size
    return {
        "indexPrice": decimals.price(price.index, tick),
        "markPrice": decimals.price(price.mark, tick),
        "quotePrice": decimals.price(price.quote, tick),
        "source": price.source,
    }


def _trade(trade: Traded, params: MarketParams) -> Json:
    tick, fill = params.tick_size, trade.fill
    data: Json = {
        "kind": trade.kind,
        "side": "long" if trade.is_long else "short",
        "price": decimals.average_price(fill.cost, fill.lots, params),
        "size": decimals.money(abs(fill.cost)),
        "quantity": decimals.quantity(abs(fill.lots), params.lot_size),
        "markPrice": decimals.price(fill.mark_price, tick),
        "quotePrice": decimals.price(fill.quote_after, tick),
    }
    if not trade.adds:
        data["realizedPnL"] = decimals.money(trade.pnl)
    return data
