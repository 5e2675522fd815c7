"""Administration: users, money in and out, keys, markets, modes, and how the venue is doing."""

from __future__ import annotations

from decimal import Decimal
from itertools import islice
from typing import Any

from aiohttp import web

from perps.commands import CreateUser, Deposit, FundMarket, SetMode, Withdraw
from perps.units import Micros
from web.answers import decimals, keys, markets
from web.answers import users as user_answers
from web.answers.errors import RequestError, invalid, not_found
from web.answers.times import rfc3339
from web.api.bodies import body
from web.api.commands import done, response
from web.api.context import CONTEXT, Context
from web.api.market_requests import MarketBody, list_command
from web.api.requests import (
    KEY_ID,
    AmountBody,
    FundBody,
    KeyBody,
    ModeBody,
    UserBody,
    client_order_id,
    cursor,
    key_cursor,
    limit,
    plain_text,
    positive_money,
    signed_money,
    ticker,
    time_ms,
    user_id,
)
from web.api.responses import json_response
from web.auth import SCOPES

routes = web.RouteTableDef()


@routes.post("/api/admin/users")
async def create_user(request: web.Request) -> web.Response:
    """Create a user, with a first deposit and a referrer if wanted: 201."""
    context = request.app[CONTEXT]
    asked = await body(request, UserBody)
    user = user_id(asked.user_id)
    referrer = None if asked.referrer is None else user_id(asked.referrer, "referrer")
    nothing = asked.deposit is None or asked.deposit == 0
    deposit = Micros(0) if nothing else positive_money(asked.deposit or Decimal(0), "deposit")
    principal = context.keys.require(request, "admin")
    answer = await done(request, principal, CreateUser(user=user, deposit=deposit, referrer=referrer))
    offset = answer.entry.row.offset
    return json_response(
        {"userId": user, "referrer": referrer, **user_answers.balance(context.model, user), "offset": offset}, 201
    )


@routes.get("/api/admin/users")
async def list_users(request: web.Request) -> web.Response:
    """Every user with what they have, the newest first."""
    context = request.app[CONTEXT]
    count, before = limit(request), cursor(request)
    context.keys.require(request, "admin")
    users = context.model.users
    left = len(users) if before is None else min(before[0], len(users))
    names = list(islice(reversed(users), len(users) - left, len(users) - left + count))
    return json_response(
        {
            "users": [user_answers.user(context.model, name) for name in names],
            "offset": context.model.offset,
            "nextCursor": f"{left - count}-0" if left > count else None,
        }
    )


@routes.post("/api/admin/users/{user_id}/deposit")
async def deposit(request: web.Request) -> web.Response:
    """Money in."""
    return await _move(request, Deposit)


@routes.post("/api/admin/users/{user_id}/withdraw")
async def withdraw(request: web.Request) -> web.Response:
    """Money out, if the wallet has it."""
    return await _move(request, Withdraw)


@routes.get("/api/admin/keys")
async def list_keys(request: web.Request) -> web.Response:
    """Every key ever made, the newest first: whose it is and what it may, never the key itself."""
    context = request.app[CONTEXT]
    count, before = limit(request), key_cursor(request)
    context.keys.require(request, "admin")
    records = await context.keys.newest(before=before, limit=count)
    last = records[-1] if len(records) == count else None
    return json_response(
        {
            "keys": [keys.key(record) for record in records],
            "nextCursor": None if last is None else f"{last.created_at}-{last.key_id}",
        }
    )


@routes.post("/api/admin/keys")
async def create_key(request: web.Request) -> web.Response:
    """Make a key: 201 and, this once, the key itself."""
    context = request.app[CONTEXT]
    asked = await body(request, KeyBody)
    user = None if asked.user_id is None else user_id(asked.user_id)
    label = plain_text(asked.label, "label")
    expires = None if asked.expires_at is None else time_ms(asked.expires_at, "expiresAt")
    if not asked.scopes or not set(asked.scopes) <= set(SCOPES):
        raise invalid(f"scopes must be one or more of {', '.join(SCOPES)}.", field="scopes", allowed=list(SCOPES))
    if user is None and "trade" in asked.scopes and "admin" not in asked.scopes:
        raise invalid("A key with the scope trade needs a userId: the user whose wallet pays.", field="userId")
    now_ms = context.clock.now_ms()
    if expires is not None and expires <= now_ms:
        raise invalid("expiresAt must be in the future.", field="expiresAt", now=rfc3339(now_ms))
    context.keys.require(request, "admin")
    if user is not None and user not in context.model.users:
        raise not_found("user", userId=user)
    scopes = sorted(set(asked.scopes))
    key_id, key = await context.keys.create(user=user, scopes=scopes, label=label, expires_at=expires)
    return json_response({"keyId": key_id, "key": key, "userId": user, "scopes": scopes}, 201)


@routes.delete("/api/admin/keys/{key_id}")
async def revoke_key(request: web.Request) -> web.Response:
    """End a key; one that has ended already stays so."""
    context = request.app[CONTEXT]
    context.keys.require(request, "admin")
    key_id = request.match_info["key_id"]
    if not KEY_ID.fullmatch(key_id) or not await context.keys.revoke(key_id):
        raise RequestError("not_found", "There is no such key.", {"keyId": key_id[:64]})
    return json_response({"keyId": key_id, "revoked": True})


@routes.post("/api/admin/markets")
async def list_market(request: web.Request) -> web.Response:
    """List a market: 201, or the rule its parameters break."""
    context = request.app[CONTEXT]
    command = list_command(await body(request, MarketBody))
    principal = context.keys.require(request, "admin")
    await done(request, principal, command)
    view = context.market(command.ticker)
    return json_response({"market": markets.market(view, context.clock.now_ms()), "offset": view.offset}, 201)


@routes.post("/api/admin/markets/{ticker}/mode")
async def set_mode(request: web.Request) -> web.Response:
    """Enable a market, let it only reduce, or halt it."""
    context = request.app[CONTEXT]
    asked = await body(request, ModeBody)
    name = ticker(request.match_info["ticker"])
    principal = context.keys.require(request, "admin")
    view = context.market(name)
    answer = await done(request, principal, SetMode(ticker=name, mode=asked.mode))
    return json_response({"market": markets.market(view, context.clock.now_ms()), "offset": answer.entry.row.offset})


@routes.post("/api/admin/markets/{ticker}/fund")
async def fund_market(request: web.Request) -> web.Response:
    """Pay money from outside into a market's house or insurance, or take it out."""
    context = request.app[CONTEXT]
    asked = await body(request, FundBody)
    order_id = client_order_id(asked.client_order_id)
    command = FundMarket(
        ticker=ticker(request.match_info["ticker"]),
        account=asked.account,
        amount=signed_money(asked.amount, "amount"),
    )
    principal = context.keys.require(request, "admin")
    context.market(command.ticker)
    answer = await done(request, principal, command, order_id)
    return response(markets.funded(answer.entry), answer)


@routes.get("/api/admin/stats")
async def stats(request: web.Request) -> web.Response:
    """The venue in numbers: order, money, load."""
    context = request.app[CONTEXT]
    context.keys.require(request, "admin")
    model = context.model
    accounts = model.balances
    return json_response(
        {
            "offset": model.offset,
            "epoch": model.serving_epoch,
            "time": rfc3339(context.clock.now_ms()),
            "users": len(model.users),
            "markets": [_market_stats(context, name) for name in model.markets],
            "inFlight": context.bridge.in_flight,
            "streams": context.streams.readers,
            "accounts": {
                "wallets": decimals.money(_sum(accounts, "user:")),
                "margin": decimals.money(_sum(accounts, "margin:")),
                "house": decimals.money(_sum(accounts, "house:")),
                "insurance": decimals.money(_sum(accounts, "insurance:")),
                "fees": decimals.money(accounts.get("fees", 0)),
                "world": decimals.money(accounts.get("world", 0)),
                "total": decimals.money(sum(accounts.values())),
            },
            "health": {part: problem.why for part, problem in context.problems().items()},
        }
    )


def _market_stats(context: Context, name: str) -> dict[str, Any]:
    view = context.model.markets[name]
    state, lot = view.market, view.market.params.lot_size
    return {
        "ticker": name,
        "status": state.mode,
        "reason": state.mode_reason,
        "positions": len(state.positions),
        "margin": decimals.money(state.margin),
        "skew": decimals.quantity(state.skew, lot),
        "house": decimals.money(state.house),
        "insurance": decimals.money(state.insurance),
        "offset": view.offset,
    }


def _sum(accounts: dict[str, int], prefix: str) -> int:
    return sum(amount for account, amount in accounts.items() if account.startswith(prefix))


async def _move(request: web.Request, kind: type[Deposit] | type[Withdraw]) -> web.Response:
    context = request.app[CONTEXT]
    asked = await body(request, AmountBody)
    user = user_id(request.match_info["user_id"])
    amount = positive_money(asked.amount, "amount")
    order_id = client_order_id(asked.client_order_id)
    principal = context.keys.require(request, "admin")
    answer = await done(request, principal, kind(user=user, amount=amount), order_id)
    row = answer.entry.row
    payload = {
        "userId": user,
        "amount": decimals.money(amount),
        "newBalance": decimals.money(row.user_balance or 0),
        "clientOrderId": row.client_order_id,
        "offset": row.offset,
    }
    return response(payload, answer)
