"""Open, close, and what an open would do."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from msgspec.structs import replace

from actors.messages import Outcome, Repeated, Settled
from perps.commands import Command
from perps.events import decode_events
from perps.journal import Entry
from perps.market.position import equity, split_position_id
from perps.params import MarketParams
from perps.refusals import Rejected
from perps.rules.trading import decide_open
from perps.units import AMOUNT_MAX
from web.answers import decimals, errors, positions, trades
from web.answers.errors import RequestError
from web.api.bodies import body
from web.api.context import COMMAND, CONTEXT, IS_DONE, REQUEST_ID, Context
from web.api.requests import CloseBody, OpenBody, client_order_id, close_command, open_command, user_id
from web.api.responses import json_response
from web.auth import Principal
from web.readside.model import MarketView

routes = web.RouteTableDef()


@routes.post("/api/markets/perps/open")
async def open_position(request: web.Request) -> web.Response:
    """Open a position: 201 and what it became, or a refusal."""
    context = request.app[CONTEXT]
    asked = await body(request, OpenBody)
    order_id = client_order_id(asked.client_order_id)
    named = None if asked.user_id is None else user_id(asked.user_id)
    command = open_command(asked, named or "")
    principal = context.keys.require(request, "trade")
    request[COMMAND] = command = replace(command, user=trader(principal, named))
    params = context.market(command.ticker).market.params
    sender = principal_sender(principal, command.user)
    entry, repeated = await done(context, request, command, principal, order_id, params, sender=sender)
    return answer(positions.opened(entry, params), 201, repeated=repeated)


@routes.post("/api/markets/perps/quote")
async def quote(request: web.Request) -> web.Response:
    """What an open would do now, from committed state; nothing changes and no money is looked at."""
    context = request.app[CONTEXT]
    asked = await body(request, OpenBody)
    client_order_id(asked.client_order_id)
    named = None if asked.user_id is None else user_id(asked.user_id)
    command = open_command(asked, named or "")
    principal = context.keys.require(request, "trade")
    request[COMMAND] = command = replace(command, user=trader(principal, named))
    market = context.market(command.ticker).market
    user = context.model.users.get(command.user)
    if user is None:
        raise errors.not_found("user", userId=command.user)
    outcome = decide_open(market, command, context.clock.now_ms(), held=AMOUNT_MAX, referrer=user.referrer)
    if isinstance(outcome, Rejected):
        raise errors.of_rejected(outcome, market.params)
    position, fill = outcome.position, outcome.fill
    shown = positions.open_position(position, market.params, fill.mark_price, fill.funding_index)
    return json_response(
        {
            "fill": trades.fill_view(fill, market.params),
            "marginRequired": decimals.money(position.margin),
            "fee": trades.fee(outcome.fee, outcome.referral),
            "totalRequired": decimals.money(position.margin + outcome.fee),
            "equity": decimals.money(equity(position, fill.mark_price, market.params.unit, fill.funding_index)),
            "liquidationPrice": shown["liquidationPrice"],
            "bankruptcyPrice": shown["bankruptcyPrice"],
            "offset": context.model.offset,
        }
    )


@routes.post("/api/markets/perps/{position_id}/close")
async def close_position(request: web.Request) -> web.Response:
    """Close a position or a share of it: 200 and what was paid out, or a refusal."""
    context = request.app[CONTEXT]
    asked = await body(request, CloseBody, optional=True)
    order_id = client_order_id(asked.client_order_id)
    position_id = request.match_info["position_id"]
    command = close_command(asked, position_id, "", any_owner=False)
    principal = context.keys.require(request, "trade")
    request[COMMAND] = command = replace(command, user=principal.user or "", any_owner=principal.is_admin)
    view = context.model.markets.get(command.ticker)
    parts = split_position_id(position_id)
    if view is None or parts is None or not 0 < parts[1] < view.market.next_number:
        raise errors.not_found("position", position=position_id[:64])
    if not principal.is_admin and await _owner(request, view, position_id, parts[1]) != principal.user:
        raise RequestError("forbidden", "This position belongs to somebody else.", {"position": position_id})
    params = view.market.params
    entry, repeated = await done(context, request, command, principal, order_id, params)
    return answer(positions.reduced(entry, params), 200, repeated=repeated)


async def _owner(request: web.Request, view: MarketView, position_id: str, number: int) -> str | None:
    """Whose a committed position is, also when it is closed: a stranger must not learn which it is."""
    position, context = view.market.positions.get(number), request.app[CONTEXT]
    if position is not None:
        return position.user
    async with context.looking_up(request):
        return await context.queries.owner(position_id)


def trader(principal: Principal, named: str | None) -> str:
    """Whose wallet an open takes from: the key's user; an administrator may name another."""
    if named is not None and named != principal.user and not principal.is_admin:
        raise RequestError("forbidden", "Only an administrator may name another user.", {"userId": named})
    user = named or principal.user
    if user is None and principal.is_admin:
        raise errors.invalid("This key is bound to no user: name one in userId.", field="userId")
    if user is None:
        raise errors.invalid(
            "This key is bound to no user and cannot trade: an administrator can make one with a userId.",
            field="userId",
        )
    return user


def principal_sender(principal: Principal, user: str) -> str:
    """Whose client order ids an open lives under: the wallet's owner, whoever sends it."""
    return user if principal.is_admin else principal.sender


async def send(
    context: Context,
    request: web.Request,
    command: Command,
    principal: Principal,
    order_id: str | None,
    *,
    sender: str | None = None,
    keyed: bool = True,
) -> Outcome:
    """Send a principal's command through the bridge under the request's id.

    ``sender``: whose client order ids it lives under, if not the principal's own. ``keyed``: give it a client order id
    if it has none.
    """
    request[COMMAND], request_id = command, request[REQUEST_ID]
    fresh = order_id is None
    if order_id is None and keyed:
        order_id = f"req-{request_id}"
    began_ns = context.clock.monotonic_ns()
    outcome = await context.bridge.send(
        command,
        sender=sender or principal.sender,
        client_order_id=order_id,
        fresh=fresh,
        trace_id=request_id,
        payer=principal.payer,
    )
    if isinstance(outcome, Settled):
        request[IS_DONE] = True
        context.metrics.done(began_ns, context.clock.monotonic_ns())
    return outcome


async def done(
    context: Context,
    request: web.Request,
    command: Command,
    principal: Principal,
    order_id: str | None,
    params: MarketParams | None,
    *,
    sender: str | None = None,
    keyed: bool = True,
) -> tuple[Entry, bool]:
    """The command's durable row, and whether it was answered before. Raises what the outside sees of anything else."""
    outcome = await send(context, request, command, principal, order_id, sender=sender, keyed=keyed)
    if isinstance(outcome, Settled):
        return outcome.entry, False
    if isinstance(outcome, Repeated):
        return await stored_entry(context, request, outcome.offset), True
    raise errors.unsuccessful(outcome, params)


async def stored_entry(context: Context, request: web.Request, offset: int) -> Entry:
    """A row that was answered before, from memory or from the journal."""
    row = context.model.row(offset)
    if row is None:
        async with context.looking_up(request):
            row = await context.queries.row(offset)
    if row is None:
        message = "This clientOrderId was answered so long ago that the answer has been archived."
        raise RequestError("client_order_id_reused", message, {"offset": offset})
    return Entry(row, decode_events(row.payload), ())


def answer(payload: dict[str, Any], status: int, *, repeated: bool) -> web.Response:
    """The command's answer, marked when it is the stored one."""
    response = json_response(payload, status)
    if repeated:
        response.headers["Idempotent-Replay"] = "true"
    return response
