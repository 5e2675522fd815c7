"""A user's own data: for that user to read, and for an administrator."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from perps.money.accounts import user_account
from web.answers import decimals
from web.answers import positions as position_answers
from web.answers import users as user_answers
from web.answers.errors import not_found, not_one_of
from web.answers.times import rfc3339
from web.answers.trades import trade
from web.api.context import CONTEXT, Context
from web.api.requests import cursor, limit, ticker, user_id
from web.api.responses import json_response, page

STATUSES: Final = ("open", "closed", "all")
"""Which positions a list may be asked for; ``closed`` has the liquidated ones too."""

routes = web.RouteTableDef()


@routes.get("/api/users/{user_id}/balance")
async def balance(request: web.Request) -> web.Response:
    """Wallet, margin and lifetime sums."""
    context, user = _own(request)
    return json_response(user_answers.balance(context.model, user))


@routes.get("/api/markets/positions/{user_id}")
async def positions(request: web.Request) -> web.Response:
    """Positions, newest first: the open ones from memory when they fit on a page, else from the query tables."""
    status = request.query.get("status", "open")
    if status not in STATUSES:
        raise not_one_of("status", STATUSES)
    only = request.query.get("ticker")
    if only is not None:
        ticker(only)
    count, before = limit(request), cursor(request)
    context, user = _own(request)
    model, next_cursor = context.model, None
    found = [entry for entry in model.open_positions(user) if only in (None, entry[0])]
    if status == "open" and before is None and len(found) <= count:
        valued = [position_answers.valued(position, model.markets[name].market) for name, position in found]
    else:
        async with context.looking_up(request):
            records = await context.queries.positions(user, status=status, ticker=only, before=before, limit=count)
        valued = [position_answers.recorded(record, model.markets[record.ticker].market) for record in records]
        next_cursor = f"{records[-1].opened_offset}-0" if len(records) == count else None
    return json_response(
        {
            "perpetuals": {
                "positions": [item.shown for item in valued],
                "stats": {
                    "totalPositions": len(valued),
                    "totalPnL": decimals.money(sum(item.pnl for item in valued)),
                    "totalFunding": decimals.money(sum(item.funding for item in valued)),
                },
            },
            "timestamp": rfc3339(context.clock.now_ms()),
            "offset": model.offset,
            "nextCursor": next_cursor,
        }
    )


@routes.get("/api/users/{user_id}/transactions")
async def transactions(request: web.Request) -> web.Response:
    """Movements of the wallet, newest first."""
    count, before = limit(request), cursor(request)
    context, user = _own(request)
    async with context.looking_up(request):
        records = await context.queries.transactions(user, before=before, limit=count)
    account = user_account(user)
    shown = [user_answers.transaction(record, account) for record in records]
    return json_response(page("transactions", shown, records, count))


@routes.get("/api/users/{user_id}/trades")
async def trades(request: web.Request) -> web.Response:
    """The user's own trades, newest first."""
    count, before = limit(request), cursor(request)
    context, user = _own(request)
    async with context.looking_up(request):
        records = await context.queries.fills(user=user, before=before, limit=count)
    markets = context.model.markets
    shown = [trade(record, markets[record.ticker].market.params, private=True) for record in records]
    return json_response(page("trades", shown, records, count))


def _own(request: web.Request) -> tuple[Context, str]:
    """The user in the path, whom the key must belong to (or to an administrator), and who must exist."""
    context = request.app[CONTEXT]
    user = user_id(request.match_info["user_id"])
    context.keys.require_self(request, user)
    if user not in context.model.users:
        raise not_found("user", userId=user)
    return context, user
