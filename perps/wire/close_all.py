"""All positions of a user closed at once, each by itself."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from perps.wire.base import Answer, Body, Offset, PositionId, Ticker, UserId
from perps.wire.errors import ErrorCode as Code
from perps.wire.errors import ItemRefused
from perps.wire.operation import COMMAND, Operation
from perps.wire.orders.order import Order
from perps.wire.trading import Closed

CLOSES_MAX: Final = 100
"""Positions that one request closes."""


class CloseAllBody(Body):
    """Which positions. No body: all of the key's user."""

    ticker: Annotated[Ticker | None, Meta(description="Only those in this market.")] = None
    user_id: Annotated[UserId | None, Meta(description="For administrators: whose positions.")] = None


class CloseRefused(ItemRefused):
    """Why one of many positions was not closed."""


class CloseResult(Answer):
    """What became of one of many positions: its close, the order to close it, or an error."""

    position_id: PositionId
    closed: Closed | UnsetType = UNSET
    order: Annotated[
        Order | UnsetType, Meta(description="With `execution` `next_price`: what will close it at the next price.")
    ] = UNSET
    error: CloseRefused | UnsetType = UNSET


class ClosedAll(Answer):
    """What became of each position, those opened last first."""

    results: list[CloseResult]
    remaining: Annotated[
        int,
        Meta(ge=0, description=f"Positions that were left alone, as a request closes {CLOSES_MAX}: ask again."),
    ]
    offset: Offset


CLOSE_ALL: Final = Operation(
    name="closeAllPositions",
    tag="Trading",
    method="POST",
    path="/api/positions/close-all",
    summary="Close all open positions of a user, or those in one market",
    description="Each position is closed whole, at any price, by a command of its own: one may be refused, the others "
    f"not; a price may come between. The newest {CLOSES_MAX} are closed; `remaining` says how many more there are. "
    "It takes no client order id: ask again, and what is still open is closed.",
    scope="trade",
    body=CloseAllBody,
    body_optional=True,
    answers={200: ClosedAll},
    refusals=(Code.MARKET_NOT_FOUND, Code.USER_NOT_FOUND, *COMMAND),
)
