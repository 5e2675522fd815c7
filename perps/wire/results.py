"""How users do: what they own over time, and who does best."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from msgspec import Meta

from perps.wire.base import ALLOWED, Answer, Cursor, Money, Offset, Time, UserId
from perps.wire.errors import ErrorCode as Code
from perps.wire.lists import Page
from perps.wire.operation import NOTHING, Operation

Window = Literal["24h", "7d", "all"]
RankedBy = Literal["lifetimePnL", "equity", "volume"]

_WINDOW: Final = Meta(description="How far back.", extra={ALLOWED: get_args(Window)})


class EquityQuery(Page):
    """Which points."""

    window: Annotated[Window, _WINDOW] = "all"


class LeaderboardQuery(Page):
    """Which leaderboard, and which page of it."""

    by: Annotated[
        RankedBy,
        Meta(
            description="`lifetimePnL`: by `realizedPnL`; `equity`: by `gain`; `volume`: by `volume`.",
            extra={ALLOWED: get_args(RankedBy)},
        ),
    ] = "lifetimePnL"
    window: Annotated[Window, _WINDOW] = "all"


class EquityPoint(Answer):
    """What a user had at a moment."""

    at: Time
    equity: Annotated[Money, Meta(description="Wallet, margin and unrealised PnL.")]
    paid_in: Annotated[Money, Meta(description="All deposits so far, less all withdrawals.")]


class EquityHistory(Answer):
    """What a user had, newest first. The first page begins with the present."""

    points: list[EquityPoint]
    offset: Offset
    next_cursor: Cursor | None


class Leader(Answer):
    """One user in the leaderboard."""

    rank: int
    user_id: UserId
    equity: Annotated[Money, Meta(description="Wallet, margin and unrealised PnL, now.")]
    gain: Annotated[Money, Meta(description="What `equity` has gained in the window, beyond what was paid in.")]
    realized_pnl: Annotated[Money, Meta(description="In the window, before fees.")]
    volume: Annotated[Money, Meta(description="The notional of the user's trades in the window.")]


class Leaderboard(Answer):
    """Who does best, the best first."""

    leaders: list[Leader]
    by: RankedBy
    window: Window
    since: Annotated[Time | None, Meta(description="The sample that the window begins with. Null: the beginning.")]
    at: Annotated[Time, Meta(description="When it was made.")]
    offset: Offset
    next_cursor: Cursor | None


EQUITY: Final = Operation(
    name="listEquity",
    tag="Users",
    method="GET",
    path="/api/users/{userId}/equity",
    summary="What a user had over time, newest first, beside what was paid in",
    scope="read",
    own=True,
    query=EquityQuery,
    answers={200: EquityHistory},
    refusals=(Code.USER_NOT_FOUND, Code.RATE_LIMITED),
)
LEADERBOARD: Final = Operation(
    name="getLeaderboard",
    tag="Users",
    method="GET",
    path="/api/users/leaderboard",
    summary="Who does best, the best first",
    description="With `perps serve --public-leaderboard` anybody may ask, without a key.",
    scope="admin",
    may_be_public=True,
    query=LeaderboardQuery,
    answers={200: Leaderboard, 304: NOTHING},
)
