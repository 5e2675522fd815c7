"""Event streams: who may follow what, from where."""

from __future__ import annotations

from aiohttp import web

from perps.wire import streams as wire
from perps.wire.streams import StreamQuery
from web.answers.errors import RequestError
from web.api import reading
from web.api.call import Call, Route
from web.streams import sse
from web.streams.hub import SUBSCRIBERS_MAX


async def market_stream(call: Call[None, StreamQuery]) -> web.StreamResponse:
    """Prices, trades, liquidations and modes of all markets, or of those named in ``tickers`` (or ``ticker``)."""
    context, query, request = call.context, call.query, call.request
    names = query.ticker if query.tickers is None else query.tickers
    tickers = None if names is None else frozenset(name for name in names.split(",") if name)
    reading.check_path(("ticker", name) for name in tickers or ())
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
        request.headers.get("Last-Event-ID") or query.since,
        hub.resume_turns.of(context.keys.payer(request), request.remote or ""),
        request_id=call.request_id,
        heartbeat_s=context.heartbeat_s,
    )


ROUTES = (Route(wire.MARKET_STREAM, market_stream),)
