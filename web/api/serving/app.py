"""The one function that every request passes: found, read, authorised, answered, refused, counted."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import chain
from typing import Any, Final

from aiohttp import web

from perps.wire import venue as wire
from perps.wire.base import Answer, encode
from perps.wire.contract.weights import WEIGHT
from web.answers.errors import RequestError
from web.api import (
    agents,
    clock,
    history,
    keys,
    markets,
    net,
    orders,
    page,
    prices,
    reference,
    results,
    streams,
    trading,
    users,
    venue,
)
from web.api.bodies import reading
from web.api.call import Call, Reply, Route
from web.api.context import Context
from web.api.serving import error_responses
from web.api.serving.carrying import carry_out, note, refusal_of
from web.api.serving.request_ids import request_ids
from web.api.serving.responses import JsonResponse, json_response
from web.api.serving.routing import Routes
from web.api.serving.shared import SharedAnswers
from web.limits.connections import Request
from web.limits.origins import PREFLIGHT

MODULES: Final = (
    trading,
    net,
    orders,
    markets,
    clock,
    history,
    prices,
    users,
    results,
    keys,
    streams,
    agents,
    venue,
    reference,
    page,
)
"""Where the handlers are."""

LINGER_S: Final = 0.5
"""How long a client may send on that has been answered before its body was there."""


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
        except ConnectionError:
            response = web.Response(status=400)  # the client is gone: nobody reads this
        except Exception as error:  # noqa: BLE001 - logged there
            refusal = refusal_of(call, request.path, error)
            if refusal.code == "rate_limited":
                await context.admission.hold_back(call.caller, request.remote or "")
            note(call, refusal, method=request.method, path=request.path)
            response = error_responses.response(refusal, request_id)
        if not request.content.is_eof() and (context.draining or _is_endless(request)):
            await _close_behind(request, response)
        return response

    async def _answer(self, call: Call[Any, Any]) -> web.StreamResponse:
        context, request = self._context, call.request
        request.answer_headers = context.sites.headers(request)
        if context.started:
            call.caller = context.admission.caller(request)
        try:
            route = self._found(call)
        except RequestError:
            await self._pay(call, WEIGHT)
            raise
        if route is None:
            await self._pay(call, WEIGHT)
            return web.Response(status=204, headers={"X-Request-Id": call.request_id, **PREFLIGHT})
        if not context.started and route.operation.path.startswith("/api/"):
            raise RequestError("unavailable", "The venue is starting. Retry in 1 s.")
        await self._pay(call, route.weight)
        if not route.is_read:
            return await self._made(call, route)
        if route.is_stream:
            with context.admission.stream(call.caller):
                return await self._made(call, route)
        response = await self._shared_answer(call, route) if route.is_shared else await self._made(call, route)
        await context.admission.pace(call.caller, size=_size(response))
        return response

    def _found(self, call: Call[Any, Any]) -> Route | None:
        """Who answers a request; None: a browser only asks whether it may send one.

        Raises ``forbidden``, ``not_found``, ``method_not_allowed``.
        """
        sites, request = self._context.sites, call.request
        path = request.rel_url.raw_path
        if path != wire.HEALTH.path:
            sites.check_host(request)
        if sites.is_preflight(request):
            return None
        route, call.path = self._routes.find(request.method, path)
        return route

    async def _pay(self, call: Call[Any, Any], points: int) -> None:
        """Take points out of the caller's budget, before anything of the request is read. Raises ``rate_limited``."""
        admission, request = self._context.admission, call.request
        request.spent = admission.spend(call.caller, points)
        if not points:
            await admission.probe(call.caller, request.remote or "")
        elif call.caller.principal is None:
            await admission.pace(call.caller, points=points)

    async def _shared_answer(self, call: Call[Any, Any], route: Route) -> web.StreamResponse:
        """An answer that is the same for all: made by whoever asks first."""
        shared, request, operation = self._shared, call.request, route.operation
        found = shared.find(operation, request, call.request_id)
        if found is not None:
            return found
        begun = shared.stamp()
        answer = await self._answer_of(call, route)
        if isinstance(answer, Answer):
            return shared.keep(operation, request, answer, begun, call.request_id)
        return _response(call, route, answer)

    async def _made(self, call: Call[Any, Any], route: Route) -> web.StreamResponse:
        """The answer of the operation itself."""
        return _response(call, route, await self._answer_of(call, route))

    async def _answer_of(self, call: Call[Any, Any], route: Route) -> Answer | Reply | web.StreamResponse:
        """Read what is asked, see that the caller may ask it, and let the handler answer."""
        request, operation = call.request, route.operation
        if operation.body is not None:
            call.body = await reading.body(call, operation)
        if call.path:
            reading.check_path(call.path.items())
        call.query = reading.query(request, operation)
        return await carry_out(call, route)


def _size(response: web.StreamResponse) -> int:
    if isinstance(response, JsonResponse):
        return response.size
    return len(response.body) if isinstance(response, web.Response) and isinstance(response.body, bytes) else 0


def _response(call: Call[Any, Any], route: Route, answer: Answer | Reply | web.StreamResponse) -> web.StreamResponse:
    if isinstance(answer, Answer):
        return json_response(call.request, route.status, encode(answer), call.request_id)
    if isinstance(answer, Reply):
        status = answer.status or route.status
        return json_response(call.request, status, encode(answer.body), call.request_id, answer.headers)
    if not answer.prepared:
        answer.headers["X-Request-Id"] = call.request_id
    return answer


def _is_endless(request: web.BaseRequest) -> bool:
    """Whether nobody knows how much of a body is still to come, or nobody will take it."""
    return request.content_length is None or request.content.exception() is not None


async def _close_behind(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Answer while the body still comes, and close the connection without waiting for the rest.

    What arrives within ``LINGER_S`` is thrown away, or the client's system could lose the answer over it.
    """
    response.force_close()
    await response.prepare(request)
    await response.write_eof()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            try:
                while not request.content.at_eof():
                    await request.content.readany()
            except (web.RequestPayloadError, web.HTTPException):
                await asyncio.sleep(LINGER_S)
    request.protocol.force_close()
