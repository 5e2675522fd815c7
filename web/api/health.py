"""Is it alive, is it ready, what does it measure; and the market stream."""

from __future__ import annotations

from aiohttp import web
from aiohttp_sse import EventSourceResponse

from web.answers import markets
from web.answers.errors import RequestError
from web.answers.times import rfc3339
from web.api.context import CONTEXT, REQUEST_ID
from web.api.requests import ticker
from web.api.responses import json_response
from web.process.watchdog import Problem
from web.streams.sse import READERS_MAX, MarketStream, Reader

routes = web.RouteTableDef()


@routes.get("/healthz")
async def healthz(request: web.Request) -> web.Response:
    """The process answers."""
    return json_response({"status": "ok"})


@routes.get("/readyz")
async def readyz(request: web.Request) -> web.Response:
    """200 when every part takes commands; else 503 with what does not, and why. A warning stops no command."""
    context = request.app[CONTEXT]
    problems = dict(context.problems())
    if context.draining:
        problems["venue"] = Problem("stopping", None)
    elif not context.started:
        problems["venue"] = Problem("starting", None)
    body = {
        "status": "not_ready" if problems else "ready",
        "problems": {part: problem.why for part, problem in problems.items()},
        "since": {part: rfc3339(problem.since) for part, problem in problems.items() if problem.since},
        "offset": context.model.offset,
    }
    if context.snapshots.problem is not None:
        body["warnings"] = {"snapshots": context.snapshots.problem.why}
    return json_response(body, 503 if problems else 200)


@routes.get("/metrics")
async def metrics(request: web.Request) -> web.Response:
    """Prometheus exposition. What has been answered has been counted."""
    context = request.app[CONTEXT]
    context.recorder.flush()
    return web.Response(
        body=context.metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
    )


@routes.get("/api/sse/markets")
async def market_stream(request: web.Request) -> EventSourceResponse:
    """Prices, trades, liquidations and modes of all markets, or of those named in ``tickers`` (or ``ticker``)."""
    context = request.app[CONTEXT]
    names = request.query.get("tickers", request.query.get("ticker"))
    tickers = None if names is None else frozenset(ticker(name) for name in names.split(",") if name)
    for name in tickers or ():
        context.market(name)
    if context.streams.readers >= READERS_MAX or context.streams.closing:
        raise RequestError("overloaded", f"{READERS_MAX} streams are open.")
    since = request.headers.get("Last-Event-ID") or request.query.get("since")
    reader = Reader(tickers, behind_bytes_max=context.streams.behind_bytes_max)

    def snapshot() -> dict[str, object]:
        now_ms = context.clock.now_ms()
        wanted = [view for name, view in context.model.markets.items() if reader.wants(name)]
        return {"markets": [markets.market(view, now_ms) for view in wanted], "offset": context.model.offset}

    turn = context.streams.resume_turns.of(context.keys.payer(request), request.remote or "")
    stream = MarketStream(context.streams, context.model, context.queries.rows_after, turn)
    return await stream.serve(request, reader, since, snapshot, request_id=request[REQUEST_ID])
