"""Prices that come in."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from perps.commands import PriceSource
from perps.wire.base import Answer, Body, Number, Offset, Text, Ticker
from perps.wire.errors import ErrorCode as Code
from perps.wire.errors import ItemRefused
from perps.wire.markets import Market
from perps.wire.operation import COMMAND, Operation


class PriceBody(Body):
    """A new index price."""

    price: Annotated[
        Number | None, Meta(description="A multiple of the market's `tickSize`. Or give `change`.", examples=["10500"])
    ] = None
    source: PriceSource = PriceSource.SYSTEM
    reason: Annotated[Text | None, Meta(description="For the history.")] = None
    sequence: Annotated[
        Annotated[int, Meta(ge=0, le=2**63 - 1)] | None,
        Meta(description="Must grow from price to price of the same source."),
    ] = None
    at: Annotated[
        str | None,
        Meta(description="The source's own time, RFC 3339; must not fall.", extra_json_schema={"format": "date-time"}),
    ] = None
    change: Annotated[
        Number | None,
        Meta(
            description="Instead of `price`: moves it by this fraction of itself, 0.03 up by 3 %; -0.03 divides it by "
            "1.03. At most 1/`maxLeverage` either way. With a `sequence` it is safe to send again.",
            examples=["0.03"],
        ),
    ] = None


class PriceItem(PriceBody, kw_only=True):
    """A new index price of one of many markets."""

    ticker: Ticker


class PriceAnswer(Answer):
    """The market after a price."""

    market: Market
    liquidations: Annotated[int, Meta(ge=0, description="Positions that this price liquidated.")]
    offset: Offset


class PriceRefused(ItemRefused):
    """Why one of many prices was not taken."""


class PriceResult(Answer):
    """What became of one of many prices: the market after it, or an error."""

    market: Market | UnsetType = UNSET
    liquidations: int | UnsetType = UNSET
    offset: Offset | UnsetType = UNSET
    error: PriceRefused | UnsetType = UNSET


class PriceResults(Answer):
    """What became of each price, in the order of the request."""

    results: list[PriceResult]
    offset: Offset


SET_PRICE: Final = Operation(
    name="setPrice",
    tag="Prices in",
    method="POST",
    path="/api/markets/perps/{ticker}/price",
    summary="Set a market's index price",
    description="The positions that it liquidates are in the same journal row, so no trade comes between. For each "
    "source, `sequence` must grow from price to price and `at` must not fall, else `price_stale`. A price beyond the "
    "market's `priceBand` is held until it is confirmed: `market.heldPrice` shows it.",
    scope="price",
    body=PriceBody,
    answers={200: PriceAnswer},
    refusals=(Code.MARKET_NOT_FOUND, Code.PRICE_STALE, *COMMAND),
)
SET_PRICES: Final = Operation(
    name="setPrices",
    tag="Prices in",
    method="POST",
    path="/api/markets/prices",
    summary="Set many index prices: each is taken or refused by itself",
    scope="price",
    body=list[PriceItem],
    answers={200: PriceResults},
    refusals=COMMAND,
)
