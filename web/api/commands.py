"""From a request to the gateway and back: what every handler that sends a command does."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from actors.messages import Unchanged
from perps.commands import Command, ListMarket, MarketCommand
from perps.params import MarketParams
from web.answers import errors
from web.api.context import COMMAND, CONTEXT, IS_DONE, REQUEST_ID, Context
from web.api.responses import json_response
from web.auth import Principal
from web.gateway import Done


async def done(
    request: web.Request, principal: Principal, command: Command, client_order_id: str | None = None
) -> Done:
    """The command, carried out. Raises ``RequestError`` for whatever else came of it."""
    context = request.app[CONTEXT]
    request[COMMAND] = command
    answer = await context.gateway.send(principal, command, client_order_id, trace_id=request[REQUEST_ID])
    if isinstance(answer, Done):
        request[IS_DONE] = True
        return answer
    if isinstance(answer, Unchanged):
        raise TypeError(f"{type(command).__name__} has no route")
    raise errors.unsuccessful(answer, _params(context, command))


def response(payload: dict[str, Any], answer: Done, status: int = 200) -> web.Response:
    """A command's answer, marked when it is the stored one."""
    made = json_response(payload, status)
    if answer.repeated:
        made.headers["Idempotent-Replay"] = "true"
    return made


def _params(context: Context, command: Command) -> MarketParams | None:
    """The parameters of a command's market: the units of what a refusal compared."""
    if isinstance(command, ListMarket):
        return command.params
    view = context.model.markets.get(command.ticker) if isinstance(command, MarketCommand) else None
    return None if view is None else view.market.params
