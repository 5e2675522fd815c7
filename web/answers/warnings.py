"""What an administrator should know about a market before anything goes wrong. Shown to anybody, so without figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from perps.market.state import Market
from perps.rules.deleveraging import is_near


def market_warnings(markets: Iterable[Market]) -> dict[str, str]:
    """By ticker: what stops no command yet."""
    found = ((market.ticker, "; ".join(_warnings_of(market))) for market in markets)
    return {ticker: text for ticker, text in found if text}


def _warnings_of(market: Market) -> Iterator[str]:
    if market.held_price is not None:
        yield "a price beyond its priceBand waits to be confirmed: nothing trades"
    if market.liability > max(market.can_pay, 0):
        yield "its house could not pay everybody if they all left now: fund it"
    elif is_near(market):
        yield "its house could hardly pay everybody: fund it, or winners must leave at one of the next prices"
