"""Event streams: what can be followed, and each event as a type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from perps.commands import PriceSource
from perps.params import Mode
from perps.wire.base import Answer, Offset, Price, Query, Ticker, Time, UserId
from perps.wire.errors import ErrorCode as Code
from perps.wire.flows import FlowEvent
from perps.wire.history import FundingHour, Trade, UserTrade
from perps.wire.markets import HeldPrice, Market, Parameters
from perps.wire.operation import EVENTS, Operation
from perps.wire.orders.order import Order
from perps.wire.trading import Position
from perps.wire.users import Balance

Tickers = Annotated[str | None, Meta(description="Tickers with commas between; without it, all markets.")]
Since = Annotated[str | None, Meta(description="The last id that you saw; also the header `Last-Event-ID`.")]
UsedTicket = Annotated[
    str | None, Meta(description="A ticket instead of a key, for a reader that cannot send a header.")
]
Heartbeat = Annotated[
    Annotated[int, Meta(ge=1, le=15)] | None,
    Meta(description="Seconds between comments on a quiet stream, to notice a dead line: 1 to 15, by default 15."),
]


class StreamQuery(Query):
    """Which markets to follow, and from where."""

    tickers: Tickers = None
    ticker: Annotated[str | None, Meta(description="The same.")] = None
    since: Since = None
    heartbeat: Heartbeat = None


class UserStreamQuery(Query):
    """Of a user, or of all: which markets, and from where."""

    tickers: Tickers = None
    since: Since = None
    ticket: UsedTicket = None
    heartbeat: Heartbeat = None


class MixedStreamQuery(UserStreamQuery):
    """Which markets, which user, and from where."""

    user: Annotated[UserId | None, Meta(description="Also this user's events, of all markets. `me`: the key's.")] = None


class PriceEvent(Answer):
    """``price``: a market took a price from outside."""

    ticker: Ticker
    index_price: Price
    mark_price: Price
    quote_price: Price
    source: PriceSource
    reason: str | None
    sequence: int | None
    offset: Offset
    at: Time


class HoldEvent(Answer):
    """``hold``: a price beyond the market's band waits, or waits no more without having been taken."""

    ticker: Ticker
    held_price: HeldPrice | None
    offset: Offset
    at: Time


class ParametersEvent(Parameters, kw_only=True):
    """``parameters``: a market's parameters have changed to these."""

    offset: Offset
    at: Time


class MarketEvent(Answer):
    """``market``: a market was listed, or its mode changed."""

    ticker: Ticker
    status: Mode
    reason: str
    offset: Offset
    at: Time
    name: Annotated[str | UnsetType, Meta(description="Of a new market.")] = UNSET


class FundingEvent(FundingHour, kw_only=True):
    """``funding``: an hour of funding is over."""

    ticker: Ticker
    offset: Offset


class OrderEvent(Order, kw_only=True):
    """``order``: an order was placed or replaced, or it ended."""

    offset: Offset


class PositionEvent(Position, kw_only=True):
    """``position``: as a trade or a change of its margin left it, at the mark price of that moment."""

    offset: Offset


class BalanceEvent(Balance, kw_only=True):
    """``balance``: a user's money after a row that touched it."""

    user_id: UserId


class Reset(Answer):
    """``reset``: the stream cannot go on from the place that was asked for. A ``snapshot`` follows."""

    since: str
    offset: Offset


class MarketsNow(Answer):
    """``snapshot`` of markets: the state now. All later events happened after it."""

    markets: list[Market]
    offset: Offset


class UserNow(Answer):
    """``snapshot`` of a user."""

    user_id: UserId
    balance: Balance
    positions: Annotated[list[Position], Meta(description="Open ones, the newest first, at most 500.")]
    open_positions: Annotated[int, Meta(description="How many are open.")]
    orders: Annotated[list[Order], Meta(description="Resting ones, those placed last first, at most 500.")]
    offset: Offset


class EverybodyNow(Answer):
    """``snapshot`` of all users: where the stream begins. Their state is in the lists of users and positions."""

    users: Annotated[int, Meta(description="How many there are.")]
    offset: Offset


class MixedNow(MarketsNow, kw_only=True):
    """``snapshot`` of markets and a user."""

    user: UserNow


MARKET_EVENTS: Final[Mapping[str, type[Answer]]] = {
    "snapshot": MarketsNow,
    "price": PriceEvent,
    "trade": Trade,
    "liquidation": Trade,
    "funding": FundingEvent,
    "flow": FlowEvent,
    "market": MarketEvent,
    "hold": HoldEvent,
    "parameters": ParametersEvent,
    "reset": Reset,
}
"""What comes on the markets' stream, by name."""

USER_EVENTS: Final[Mapping[str, type[Answer]]] = {
    "snapshot": UserNow,
    "trade": UserTrade,
    "liquidation": UserTrade,
    "position": PositionEvent,
    "order": OrderEvent,
    "balance": BalanceEvent,
    "reset": Reset,
}
"""What comes on a user's stream, by name."""


class TicketMade(Answer):
    """Opens one stream, once, instead of a key."""

    ticket: str
    expires_at: Time


MARKET_STREAM: Final = Operation(
    name="streamMarkets",
    tag="Streams",
    method="GET",
    path="/api/sse/markets",
    summary="Prices, trades, liquidations, funding and modes, as server-sent events",
    description="Each event comes once, in order, after its commit. The last event of a journal row carries "
    "`id: <epoch>-<offset>`: send it as `Last-Event-ID` or `since` to continue after it. A comment every 15 s keeps "
    "the connection open.",
    query=StreamQuery,
    answers={200: EVENTS},
    events=MARKET_EVENTS,
    refusals=(Code.MARKET_NOT_FOUND, Code.OVERLOADED),
)
USER_STREAM: Final = Operation(
    name="streamUser",
    tag="Streams",
    method="GET",
    path="/api/sse/users/{userId}",
    summary="A user's trades, liquidations, positions and balance, as server-sent events",
    scope="read",
    own=True,
    query=UserStreamQuery,
    answers={200: EVENTS},
    events=USER_EVENTS,
    refusals=(Code.MARKET_NOT_FOUND, Code.USER_NOT_FOUND, Code.OVERLOADED),
)
ALL_USERS_STREAM: Final = Operation(
    name="streamUsers",
    tag="Streams",
    method="GET",
    path="/api/sse/users",
    summary="The same of all users, each event with its userId",
    scope="admin",
    query=UserStreamQuery,
    answers={200: EVENTS},
    events={**USER_EVENTS, "snapshot": EverybodyNow},
    refusals=(Code.MARKET_NOT_FOUND, Code.OVERLOADED),
)
MIXED_STREAM: Final = Operation(
    name="stream",
    tag="Streams",
    method="GET",
    path="/api/sse",
    summary="Markets and one user on one connection; without `user`, as streamMarkets",
    query=MixedStreamQuery,
    answers={200: EVENTS},
    events={**USER_EVENTS, **MARKET_EVENTS, "snapshot": MixedNow},
    refusals=(Code.UNAUTHORIZED, Code.FORBIDDEN, Code.MARKET_NOT_FOUND, Code.USER_NOT_FOUND, Code.OVERLOADED),
)
MAKE_TICKET: Final = Operation(
    name="makeStreamTicket",
    tag="Streams",
    method="POST",
    path="/api/streams/ticket",
    summary="A ticket that opens one stream within 60 s, for a reader that cannot send a header",
    scope="read",
    answers={200: TicketMade},
    refusals=(Code.RATE_LIMITED, Code.OVERLOADED),
)
