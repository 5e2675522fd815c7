"""Open, close, and what an open would do."""

from __future__ import annotations

from aiohttp import web

from perps.market.position import equity
from perps.refusals import Rejected
from perps.rules.opening import decide_open
from perps.rules.rule import Given
from perps.units import AMOUNT_MAX
from web.answers import decimals, errors, positions, trades
from web.api.bodies import body
from web.api.commands import done, response
from web.api.context import COMMAND, CONTEXT
from web.api.requests import CloseBody, OpenBody, client_order_id, close_command, open_command, user_id
from web.api.responses import json_response
from web.gateway import in_name_of

routes = web.RouteTableDef()


@routes.post("/api/markets/perps/open")
async def open_position(request: web.Request) -> web.Response:
    """Open a position: 201 and what it became, or a refusal."""
    context = request.app[CONTEXT]
    asked = await body(request, OpenBody)
    order_id = client_order_id(asked.client_order_id)
    named = None if asked.user_id is None else user_id(asked.user_id)
    command = open_command(asked, named or "")
    principal = context.keys.principal(request)
    request[COMMAND] = command = in_name_of(principal, command)
    params = context.market(command.ticker).market.params
    answer = await done(request, principal, command, order_id)
    return response(positions.opened(answer.entry, params), answer, 201)


@routes.post("/api/markets/perps/quote")
async def quote(request: web.Request) -> web.Response:
    """What an open would do now, from committed state; nothing changes and no money is looked at."""
    context = request.app[CONTEXT]
    asked = await body(request, OpenBody)
    client_order_id(asked.client_order_id)
    named = None if asked.user_id is None else user_id(asked.user_id)
    command = open_command(asked, named or "")
    principal = context.keys.principal(request)
    request[COMMAND] = command = in_name_of(principal, command)
    view = context.market(command.ticker)
    market = view.market
    user = context.model.users.get(command.user)
    if user is None:
        raise errors.not_found("user", userId=command.user)
    now_ms = context.clock.now_ms()
    given = Given(now_ms, market.price_age_ms(now_ms, view.price_in_doubt), held=AMOUNT_MAX, referrer=user.referrer)
    outcome = decide_open(market, command, given)
    if isinstance(outcome, Rejected):
        raise errors.of_rejected(outcome, market.params)
    (event,) = outcome
    position, fill = event.position, event.fill
    shown = positions.open_position(position, market.params, fill.mark_price, fill.funding_index)
    return json_response(
        {
            "fill": trades.fill_view(fill, market.params),
            "marginRequired": decimals.money(position.margin),
            "fee": trades.fee(event.fee, event.referral),
            "totalRequired": decimals.money(position.margin + event.fee),
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
    command = close_command(asked, request.match_info["position_id"], "", any_owner=False)
    principal = context.keys.principal(request)
    answer = await done(request, principal, in_name_of(principal, command), order_id)
    return response(positions.reduced(answer.entry, context.market(command.ticker).market.params), answer)
