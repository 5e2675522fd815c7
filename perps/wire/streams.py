"""Event streams."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from perps.wire.base import Answer, Offset, Query
from perps.wire.errors import ErrorCode as Code
from perps.wire.markets import Market
from perps.wire.operation import EVENTS, Operation


class StreamQuery(Query):
    """Which markets to follow, and from where."""

    tickers: Annotated[str | None, Meta(description="Tickers with commas between; without it, all markets.")] = None
    ticker: Annotated[str | None, Meta(description="The same.")] = None
    since: Annotated[str | None, Meta(description="The last id that you saw; also the header `Last-Event-ID`.")] = None


class MarketsNow(Answer):
    """``snapshot``: the state now. All later events happened after it."""

    markets: list[Market]
    offset: Offset


MARKET_STREAM: Final = Operation(
    name="streamMarkets",
    tag="Streams",
    method="GET",
    path="/api/sse/markets",
    summary="Prices, trades, liquidations and modes, as server-sent events",
    query=StreamQuery,
    answers={200: EVENTS},
    refusals=(Code.MARKET_NOT_FOUND, Code.OVERLOADED),
)
