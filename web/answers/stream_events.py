"""What a committed row tells the public: its events by name, each as JSON. Nobody's name or position is in them."""

from __future__ import annotations

import msgspec

from perps.events import (
    CloseReason,
    Events,
    MarketListed,
    ModeChanged,
    PositionOpened,
    PositionReduced,
    PriceUpdated,
)
from perps.journal import Row
from perps.params import MarketParams
from web.answers import decimals
from web.answers.times import rfc3339

_encode = msgspec.json.Encoder().encode


def public_events(row: Row, happened: Events, params: MarketParams) -> list[tuple[str, bytes]]:
    """A market row's public events, in order: (name, JSON). An event that is not public is left out."""
    events: list[tuple[str, bytes]] = []
    for event in happened:
        public = _public(event, params)
        if public is None:
            continue
        name, data = public
        data |= {"ticker": params.ticker, "offset": row.offset, "at": rfc3339(row.at)}
        events.append((name, _encode(data)))
        if isinstance(event, PositionReduced) and event.reason is CloseReason.LIQUIDATION:
            events.append(("liquidation", _encode(data)))
    return events


def _public(event: object, params: MarketParams) -> tuple[str, dict[str, object]] | None:
    """One event's name and data. None for an event that this does not know: a test holds that no market has one."""
    tick, lot = params.tick_size, params.lot_size
    match event:
        case PriceUpdated():
            return "price", {
                "indexPrice": decimals.price(event.price, tick),
                "markPrice": decimals.price(event.mark, tick),
                "quotePrice": decimals.price(event.quote, tick),
                "source": event.source,
            }
        case PositionOpened(fill=fill) | PositionReduced(fill=fill):
            opened = isinstance(event, PositionOpened)
            data: dict[str, object] = {
                "kind": "open" if opened else "close",
                "side": "long" if (fill.lots > 0) is opened else "short",
                "price": decimals.average_price(fill.cost, fill.lots, lot),
                "size": decimals.money(abs(fill.cost)),
                "quantity": decimals.quantity(abs(fill.lots), lot),
                "markPrice": decimals.price(fill.mark_price, tick),
                "quotePrice": decimals.price(fill.quote_after, tick),
            }
            if isinstance(event, PositionReduced):
                data["realizedPnL"] = decimals.money(event.pnl)
                if event.reason is CloseReason.LIQUIDATION:
                    data["kind"] = "liquidation"
            return "trade", data
        case ModeChanged(mode=mode, reason=reason):
            return "market", {"status": mode, "reason": reason}
        case MarketListed(params=listed):
            return "market", {"status": "enabled", "name": listed.name, "reason": "listed"}
        case _:
            return None
