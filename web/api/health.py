"""Is it alive, is it ready, what does it measure."""

from __future__ import annotations

from aiohttp import web

from actors.timer import BEHIND_MS
from web.answers.times import rfc3339
from web.api.context import CONTEXT
from web.api.responses import json_response
from web.process.watchdog import Problem

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
    warnings = {}
    if context.snapshots.problem is not None:
        warnings["snapshots"] = context.snapshots.problem.why
    behind_ms = context.clock.ahead_ms()
    if behind_ms > BEHIND_MS:
        warnings["clock"] = (
            f"the system's clock is {behind_ms / 1000:.0f} s behind the newest row: set it right. "
            "Until it has caught up, rows get times that go on from that row."
        )
    if warnings:
        body["warnings"] = warnings
    return json_response(body, 503 if problems else 200)


@routes.get("/metrics")
async def metrics(request: web.Request) -> web.Response:
    """Prometheus exposition. What has been answered has been counted."""
    context = request.app[CONTEXT]
    context.recorder.flush()
    return web.Response(
        body=context.metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
    )
