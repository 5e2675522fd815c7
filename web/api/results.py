"""How users do: what they had over time, and who does best."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from perps.wire import results as wire
from perps.wire.base import encode
from perps.wire.results import EquityHistory, EquityQuery, LeaderboardQuery
from web.answers import results
from web.api.call import Call, Route
from web.api.paging import before
from web.api.serving.responses import tagged
from web.readside.leaderboard import LISTED_MAX, WINDOWS
from web.readside.standings import standing


async def equity(call: Call[None, EquityQuery]) -> EquityHistory:
    """What a user had, newest first; the first page begins with the present."""
    context, query, user = call.context, call.query, call.path["userId"]
    context.user(user)
    now_ms, span, after = context.clock.now_ms(), WINDOWS[query.window], before(query)
    points, offset = [], context.model.offset
    if after is None:
        now = await standing(context.model, user)
        points.append(results.point(now_ms, now.equity, now.paid_in))
    end = now_ms + 1 if after is None else after[0]
    left = query.limit - len(points)
    async with call.looking_up():
        records = await context.queries.equity(
            user,
            since=0 if span is None else now_ms - span,
            before=end,
            limit=left + 1,
        )
    points += [results.point(record.at, record.equity, record.paid_in) for record in records[:left]]
    cursor = None
    if len(records) > left:
        cursor = f"{records[left - 1].at if left else end}-0"
    return EquityHistory(points=points, offset=offset, next_cursor=cursor)


async def leaderboard(call: Call[None, LeaderboardQuery]) -> web.Response:
    """Who does best, from the leaderboard that all see for some seconds."""
    context, query, after = call.context, call.query, before(call.query)
    board = await context.leaderboards.board(query.window)
    first = 0 if after is None else min(after[0], LISTED_MAX)
    answer = results.leaderboard(board, query.by, query.window, first, query.limit)
    return tagged(call.request, encode(answer), board.tag, call.request_id)


ROUTES: Final = (
    Route(wire.EQUITY, equity),
    Route(wire.LEADERBOARD, leaderboard),
)
