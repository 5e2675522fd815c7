"""Flows: what trades did to a market lately."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from msgspec import Meta

from perps.wire.base import ALLOWED, Answer, Money, Offset, Query, Rate, Ticker, Time
from perps.wire.errors import ErrorCode as Code
from perps.wire.operation import NOTHING, Operation

Window = Literal["1m", "5m", "1h", "24h"]


class FlowsQuery(Query):
    """How far back."""

    window: Annotated[Window, Meta(extra={ALLOWED: get_args(Window)})] = "1h"


class Flows(Answer):
    """What was traded in a market in a window: the present minute and those before it."""

    ticker: Ticker
    window: Window
    start: Annotated[Time, Meta(description="When the window begins: at a full minute.")]
    long_volume: Annotated[Money, Meta(description="Notional of what was bought: longs opened, shorts closed.")]
    short_volume: Annotated[Money, Meta(description="Notional of what was sold: shorts opened, longs closed.")]
    net_sentiment: Annotated[
        Rate,
        Meta(
            description="(`longVolume` − `shortVolume`)/(`longVolume` + `shortVolume`), -1 to 1, rounded toward 0. "
            "0 without a trade."
        ),
    ]
    opens: Annotated[int, Meta(ge=0)]
    closes: Annotated[int, Meta(ge=0, description="Whole or in part, and settlements.")]
    liquidations: Annotated[int, Meta(ge=0)]
    liquidated_volume: Annotated[Money, Meta(description="Notional of the liquidations. It is in the volumes too.")]
    traders: Annotated[int, Meta(ge=0, description="How many users traded, those who were liquidated included.")]
    offset: Offset


class FlowEvent(Flows):
    """``flow``: a minute in which a market traded is over. ``window`` is ``1m``."""


FLOWS: Final = Operation(
    name="getFlows",
    tag="Market data",
    method="GET",
    path="/api/markets/perps/{ticker}/flows",
    summary="What was bought, sold, opened, closed and liquidated in the last minute, five, hour or day",
    query=FlowsQuery,
    answers={200: Flows, 304: NOTHING},
    refusals=(Code.MARKET_NOT_FOUND,),
)
