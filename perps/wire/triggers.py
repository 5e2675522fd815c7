"""A position's take-profit and stop-loss, set by themselves."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from perps.wire.base import Answer, Body, ClientOrderId, Offset
from perps.wire.errors import ErrorCode as Code
from perps.wire.operation import COMMAND, Operation
from perps.wire.trading import Position, StopLoss, TakeProfit, Warning_


class TriggersBody(Body):
    """Both exits of a position, anew. One that is null or left out is taken away."""

    take_profit: TakeProfit | None = None
    stop_loss: StopLoss | None = None
    client_order_id: ClientOrderId | None = None


class TriggersSet(Answer):
    """A position with its exits."""

    position: Position
    client_order_id: str | None
    offset: Offset
    warning: Warning_ = UNSET


TRIGGERS: Final = Operation(
    name="setTriggers",
    tag="Trading",
    method="POST",
    path="/api/markets/perps/{positionId}/triggers",
    summary="Set a position's take-profit and stop-loss, or take them away",
    description="Sets both. The venue closes the whole position at market when the mark price reaches one. "
    "A price that is reached already is refused. Taking both away works in every mode of the market.",
    scope="trade",
    body=TriggersBody,
    answers={200: TriggersSet},
    links={"listPositions": {"userId": "/position/userId"}},
    refusals=(
        Code.MARKET_NOT_FOUND,
        Code.POSITION_NOT_FOUND,
        Code.MARKET_HALTED,
        Code.PRICE_STALE,
        Code.PRICE_UNCONFIRMED,
        Code.POSITION_CLOSED,
        Code.ORDER_WOULD_TRIGGER,
        Code.CLIENT_ORDER_ID_REUSED,
        *COMMAND,
    ),
)
