"""Flows as the outside sees them."""

from __future__ import annotations

from typing import Any

from perps.wire.flows import Window
from web.answers import decimals
from web.answers.times import rfc3339
from web.readside.flows import Flow


def flow_fields(ticker: str, window: Window, flow: Flow, offset: int) -> dict[str, Any]:
    """The fields of an answer or an event."""
    return {
        "ticker": ticker,
        "window": window,
        "start": rfc3339(max(flow.start, 0)),
        "long_volume": decimals.money(flow.bought),
        "short_volume": decimals.money(flow.sold),
        "net_sentiment": decimals.text(flow.sentiment, 9, 0),
        "opens": flow.opens,
        "closes": flow.closes,
        "liquidations": flow.liquidations,
        "liquidated_volume": decimals.money(flow.liquidated),
        "traders": flow.traders,
        "offset": offset,
    }
