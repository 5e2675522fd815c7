"""The aiohttp application: routes, and the one middleware every request passes."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import web

from perps.journal import JournalUnavailable
from web.answers.errors import RequestError
from web.api import admin as routes_admin
from web.api import error_responses
from web.api import health as routes_operations
from web.api import index as routes_index
from web.api import markets as routes_markets
from web.api import snapshots as routes_snapshots
from web.api import streams as routes_streams
from web.api import trading as routes_trading
from web.api import users as routes_users
from web.api.bodies import BODY_BYTES_MAX
from web.api.context import COMMAND, CONTEXT, IS_DONE, REQUEST_ID, Context

log = structlog.get_logger()

MODULES: Final = (
    routes_markets,
    routes_trading,
    routes_users,
    routes_admin,
    routes_snapshots,
    routes_operations,
    routes_streams,
    routes_index,
)
"""Where the routes are."""

LINGER_S: Final = 0.5
"""How long a stop reads on from a client it has answered before its body was there."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build(context: Context) -> web.Application:
    """The application around a running venue."""
    app = web.Application(middlewares=[_outermost], client_max_size=BODY_BYTES_MAX)
    app[CONTEXT] = context
    for module in MODULES:
        app.add_routes(module.routes)
    return app


@web.middleware
async def _outermost(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request its id, turn every error into its body, and count it."""
    request_id = secrets.token_hex(12)
    request[REQUEST_ID] = request_id
    try:
        if not request.app[CONTEXT].started and request.path.startswith("/api/"):
            raise RequestError("unavailable", "The venue is starting. Retry in 1 s.")
        response = await handler(request)
    except RequestError as error:
        response = _refuse(request, error)
    except web.HTTPException as error:
        response = _refuse(request, error_responses.of_http(error))
    except JournalUnavailable as error:
        log.warning("database_unavailable", trace=request_id, path=request.path, error=str(error))
        response = _refuse(request, RequestError("unavailable", "The database does not answer. Retry in 1 s."))
    except ConnectionError:
        response = web.Response(status=400)  # the client is gone: nobody reads this
    except Exception as error:
        log.exception("request.failed", trace=request_id, path=request.path, error=repr(error))
        response = _refuse(request, _fault_of_ours(is_done=request.get(IS_DONE, False)))
    else:
        if not response.prepared:
            response.headers["X-Request-Id"] = request_id
    if request.app[CONTEXT].draining and not request.content.is_eof():
        await _close_behind(request, response)
    return response


async def _close_behind(request: web.Request, response: web.StreamResponse) -> None:
    """Answer while the body still comes, and close the connection: a stop does not wait for the rest.

    What arrives within ``LINGER_S`` is read and thrown away, or the client's system could lose the answer over it.
    """
    response.force_close()
    await response.prepare(request)
    await response.write_eof()
    with contextlib.suppress(TimeoutError, web.RequestPayloadError):
        async with asyncio.timeout(LINGER_S):
            while not request.content.at_eof():
                await request.content.readany()
    request.protocol.force_close()


def _refuse(request: web.Request, error: RequestError) -> web.Response:
    context = request.app[CONTEXT]
    context.metrics.refusals.labels(error.code).inc()
    command = request.get(COMMAND)
    log.info(
        "refused",
        trace=request[REQUEST_ID],
        method=request.method,
        path=request.path,
        user=getattr(command, "user", None),
        ticker=getattr(command, "ticker", None),
        code=error.code,
        details=error.details,
    )
    return error_responses.response(error, request[REQUEST_ID])


def _fault_of_ours(*, is_done: bool) -> RequestError:
    if is_done:
        return RequestError(
            "outcome_unknown",
            "The command was done, but the venue failed to answer. Send it again with the same clientOrderId.",
        )
    return RequestError("internal_error", "The venue failed on this request. Nothing was done.")
