"""The one function that every request passes: found, read, authorised, answered, refused, counted."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import chain
from typing import Any, Final

import structlog
from aiohttp import web

from perps.journal import JournalUnavailable
from perps.wire import venue as wire
from perps.wire.base import Answer, encode
from perps.wire.operation import EVENTS, Operation
from perps.wire.weights import WEIGHT, WEIGHTS
from web.answers.errors import RequestError
from web.api import (
    clock,
    error_responses,
    history,
    keys,
    markets,
    orders,
    prices,
    reading,
    reference,
    streams,
    trading,
    users,
    venue,
)
from web.api.call import Call, Reply, Route
from web.api.context import Context
from web.api.request_ids import request_ids
from web.api.responses import JsonResponse, json_response
from web.api.routing import Routes
from web.api.shared import SHARED, SharedAnswers
from web.limits.connections import Request
from web.limits.origins import PREFLIGHT

log = structlog.get_logger()

MODULES: Final = (trading, orders, markets, clock, history, prices, users, keys, streams, venue, reference)
"""Where the handlers are."""

LINGER_S: Final = 0.5
"""How long a stop reads on from a client it has answered before its body was there."""


class Api:
    """Answers requests for a running venue. It is ``aiohttp``'s request handler: there is nothing between the two."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ids = request_ids()
        self._shared = SharedAnswers(context)
        self._routes = Routes(chain.from_iterable(module.ROUTES for module in MODULES))

    async def __call__(self, request: Request) -> web.StreamResponse:
        """Give the request its id, turn every error into its body, and count it."""
        context, request_id = self._context, next(self._ids)
        call: Call[Any, Any] = Call(context, request, request_id)
        try:
            response = await self._answer(call)
        except RequestError as error:
            response = self._refuse(call, error)
        except JournalUnavailable as error:
            log.warning("database_unavailable", trace=request_id, path=request.path, error=str(error))
            response = self._refuse(call, RequestError("unavailable", "The database does not answer. Retry in 1 s."))
        except ConnectionError:
            response = web.Response(status=400)  # the client is gone: nobody reads this
        except Exception as error:
            log.exception("request.failed", trace=request_id, path=request.path, error=repr(error))
            response = self._refuse(call, _fault_of_ours(is_done=call.is_done))
        if (context.draining or call.closes) and not request.content.is_eof():
            await _close_behind(request, response)
        return response

    async def _answer(self, call: Call[Any, Any]) -> web.StreamResponse:
        context, request = self._context, call.request
        request.answer_headers = cors = context.sites.headers(request)
        if request.rel_url.raw_path != wire.HEALTH.path:
            context.sites.check_host(request)
        if context.sites.is_preflight(request):
            return web.Response(status=204, headers={"X-Request-Id": call.request_id, **PREFLIGHT})
        if context.started:
            call.caller = context.admission.caller(request)
        try:
            route, call.path = self._routes.find(request.method, request.rel_url.raw_path)
        except RequestError:
            request.answer_headers = {**cors, **context.admission.spend(call.caller, WEIGHT)}
            await context.admission.pace(call.caller, points=WEIGHT)
            raise
        operation = route.operation
        if not context.started and operation.path.startswith("/api/"):
            raise RequestError("unavailable", "The venue is starting. Retry in 1 s.")
        weight = WEIGHTS.get(operation.name, WEIGHT)
        left = context.admission.spend(call.caller, weight)
        request.answer_headers = {**cors, **left} if cors else left
        await context.admission.pace(call.caller, points=weight)
        if operation.answers[operation.status] == EVENTS:
            with context.admission.stream(call.caller):
                return await self._made(call, route)
        response = self._shared.find(operation, request, call.request_id) or await self._made(call, route)
        if operation.method == "GET":
            await context.admission.pace(call.caller, size=_size(response))
        return response

    async def _made(self, call: Call[Any, Any], route: Route) -> web.StreamResponse:
        """The answer of the operation itself."""
        request, operation = call.request, route.operation
        begun = self._shared.stamp()
        if operation.body is not None:
            call.body = await reading.body(call, operation)
        if call.path:
            reading.check_path(call.path.items())
        call.query = reading.query(request, operation)
        if route.reads is None:
            call.authorise(operation)
            answer = await route.handler(call)
        else:
            asked = route.reads(call)
            call.authorise(operation)
            answer = await route.handler(call, asked)
        if operation.name in SHARED and isinstance(answer, Answer):
            return self._shared.keep(operation, request, answer, begun, call.request_id)
        return _response(call, operation, answer)

    def _refuse(self, call: Call[Any, Any], error: RequestError) -> web.Response:
        self._context.metrics.refusals.labels(error.code).inc()
        log.info(
            "refused",
            trace=call.request_id,
            method=call.request.method,
            path=call.request.path,
            user=getattr(call.command, "user", None),
            ticker=getattr(call.command, "ticker", None),
            code=error.code,
            details=error.details,
        )
        return error_responses.response(error, call.request_id)


def _size(response: web.StreamResponse) -> int:
    if isinstance(response, JsonResponse):
        return response.size
    return len(response.body) if isinstance(response, web.Response) and isinstance(response.body, bytes) else 0


def _response(
    call: Call[Any, Any], operation: Operation, answer: Answer | Reply | web.StreamResponse
) -> web.StreamResponse:
    if isinstance(answer, web.StreamResponse):
        if not answer.prepared:
            answer.headers["X-Request-Id"] = call.request_id
        return answer
    status, headers = operation.status, {"X-Request-Id": call.request_id}
    if isinstance(answer, Reply):
        status, headers = answer.status or status, headers | dict(answer.headers)
        answer = answer.body
    return json_response(call.request, status, encode(answer), headers)


async def _close_behind(request: web.BaseRequest, response: web.StreamResponse) -> None:
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


def _fault_of_ours(*, is_done: bool) -> RequestError:
    if is_done:
        return RequestError(
            "outcome_unknown",
            "The command was done, but the venue failed to answer. Send it again with the same clientOrderId.",
        )
    return RequestError("internal_error", "The venue failed on this request. Nothing was done.")
