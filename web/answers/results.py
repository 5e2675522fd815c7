"""How users do, as the API shows it."""

from __future__ import annotations

from perps.wire.results import EquityPoint, Leader, Leaderboard, RankedBy, Window
from web.answers import decimals
from web.answers.times import rfc3339
from web.readside.leaderboard import Board


def point(at_ms: int, equity: int, paid_in: int) -> EquityPoint:
    """What a user had at a moment."""
    return EquityPoint(at=rfc3339(at_ms), equity=decimals.money(equity), paid_in=decimals.money(paid_in))


def leaderboard(board: Board, by: RankedBy, window: Window, first: int, limit: int) -> Leaderboard:
    """One page of a leaderboard, from the place ``first`` on."""
    ranked = board.ranked[by]
    shown = ranked[first : first + limit]
    return Leaderboard(
        leaders=[
            Leader(
                rank=rank,
                user_id=place.user,
                equity=decimals.money(place.equity),
                gain=decimals.money(place.gain),
                realized_pnl=decimals.money(place.pnl),
                volume=decimals.money(place.volume),
            )
            for rank, place in enumerate(shown, first + 1)
        ],
        by=by,
        window=window,
        since=None if board.since is None else rfc3339(board.since),
        at=rfc3339(board.at),
        offset=board.offset,
        next_cursor=f"{first + limit}-0" if first + limit < len(ranked) else None,
    )
