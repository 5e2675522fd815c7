"""Event streams: who may follow what, from where."""

from __future__ import annotations

from aiohttp import web
from aiohttp_sse import EventSourceResponse

from web.answers.errors import RequestError
from web.api.context import CONTEXT, REQUEST_ID
from web.api.requests import ticker
from web.streams import sse
from web.streams.hub import SUBSCRIBERS_MAX

routes = web.RouteTableDef()


@routes.get("/api/sse/markets")
async def market_stream(request: web.Request) -> EventSourceResponse:
    """Prices, trades, liquidations and modes of all markets, or of those named in ``tickers`` (or ``ticker``)."""
    context = request.app[CONTEXT]
    names = request.query.get("tickers", request.query.get("ticker"))
    tickers = None if names is None else frozenset(ticker(name) for name in names.split(",") if name)
    for name in tickers or ():
        context.market(name)
    hub = context.streams
    if hub.is_full:
        raise RequestError(
            "overloaded", f"The venue has no free stream of its {SUBSCRIBERS_MAX}, or is stopping. Retry in 1 s."
        )
    return await sse.serve(
        request,
        hub,
        hub.subscriber(context.market_sse, tickers),
        request.headers.get("Last-Event-ID") or request.query.get("since"),
        hub.resume_turns.of(context.keys.payer(request), request.remote or ""),
        request_id=request[REQUEST_ID],
        heartbeat_s=context.heartbeat_s,
    )
