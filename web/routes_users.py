"""A user's own data: his to read, and an administrator's."""

from __future__ import annotations

from aiohttp import web

from perps.market import user_account
from web import decimals, views
from web.context import CONTEXT, Context
from web.errors import invalid, not_found
from web.requests import cursor, limit, rfc3339, ticker, user_id
from web.responses import json_response, page

routes = web.RouteTableDef()


@routes.get("/api/users/{user_id}/balance")
async def balance(request: web.Request) -> web.Response:
    """Wallet, margin and lifetime sums."""
    context, user = _own(request)
    return json_response(views.balance(context.model, user))


@routes.get("/api/markets/positions/{user_id}")
async def positions(request: web.Request) -> web.Response:
    """Open positions from memory; past ones from the query tables."""
    status = request.query.get("status", "open")
    if status not in ("open", "closed", "all"):
        raise invalid("status must be open, closed or all.", field="status")
    only = request.query.get("ticker")
    if only is not None:
        ticker(only)
    count, before = limit(request), cursor(request)
    context, user = _own(request)
    model = context.model
    shown = []
    total_pnl = total_funding = 0
    if status in ("open", "all") and before is None:
        for name, position in model.open_positions(user):
            if only is not None and name != only:
                continue
            market = model.markets[name].market
            shown.append(views.open_position(position, market.params, market.mark, market.funding_index))
            total_pnl += views.unrealized_pnl(position, market)
            total_funding += position.funding_paid
    next_cursor = None
    if status in ("closed", "all"):
        records = await context.queries.positions(user, status="closed", ticker=only, before=before, limit=count)
        shown += [views.past_position(record, model.markets[record.ticker].market.params) for record in records]
        total_pnl += sum(record.realized_pnl for record in records)
        total_funding += sum(record.funding_paid for record in records)
        if len(records) == count:
            next_cursor = f"{records[-1].opened_offset}-0"
    return json_response(
        {
            "perpetuals": {
                "positions": shown,
                "stats": {
                    "totalPositions": len(shown),
                    "totalPnL": decimals.money(total_pnl),
                    "totalFunding": decimals.money(total_funding),
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
    records = await context.queries.transactions(user, before=before, limit=count)
    account = user_account(user)
    shown = [views.transaction(record, account) for record in records]
    return json_response(page("transactions", shown, records, count))


@routes.get("/api/users/{user_id}/trades")
async def trades(request: web.Request) -> web.Response:
    """The user's own trades, newest first."""
    count, before = limit(request), cursor(request)
    context, user = _own(request)
    records = await context.queries.fills(user=user, before=before, limit=count)
    markets = context.model.markets
    shown = [views.trade(record, markets[record.ticker].market.params, private=True) for record in records]
    return json_response(page("trades", shown, records, count))


def _own(request: web.Request) -> tuple[Context, str]:
    """The user in the path, whom the key must belong to (or to an administrator), and who must exist."""
    context = request.app[CONTEXT]
    user = user_id(request.match_info["user_id"])
    context.keys.require_self(request, user)
    if user not in context.model.users:
        raise not_found("user", userId=user)
    return context, user
