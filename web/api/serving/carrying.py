"""What all requests have in common once they are read, whatever brought them: HTTP, or an agent's channel."""

from __future__ import annotations

from typing import Any

import structlog
from aiohttp import web

from perps.journal import JournalUnavailable
from perps.wire.base import Answer
from web.answers.errors import RequestError
from web.api.call import Call, Reply, Route

log = structlog.get_logger()


async def carry_out(call: Call[Any, Any], route: Route) -> Answer | Reply | web.StreamResponse:
    """See that the caller may ask what has been read, and let the handler answer. Raises ``RequestError``."""
    operation = route.operation
    if route.reads is None:
        call.authorise(operation)
        return await route.handler(call)
    asked = route.reads(call)
    call.authorise(operation)
    return await route.handler(call, asked)


def refusal_of(call: Call[Any, Any], what: str, error: Exception) -> RequestError:
    """What the caller is told of an error. One of the venue itself is logged. ``what``: what was asked for."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, JournalUnavailable):
        log.warning("database_unavailable", trace=call.request_id, path=what, error=str(error))
        return RequestError("unavailable", "The database does not answer. Retry in 1 s.")
    log.exception("request.failed", trace=call.request_id, path=what, error=repr(error))
    if call.is_done:
        return RequestError(
            "outcome_unknown",
            "The command was done, but the venue failed to answer. Send it again with the same clientOrderId.",
        )
    return RequestError("internal_error", "The venue failed on this request. Nothing was done.")


def note(call: Call[Any, Any], refusal: RequestError, *, method: str, path: str) -> None:
    """Count and log a refusal."""
    call.context.metrics.refusals.labels(refusal.code).inc()
    log.info(
        "refused",
        trace=call.request_id,
        method=method,
        path=path,
        user=getattr(call.command, "user", None),
        ticker=getattr(call.command, "ticker", None),
        code=refusal.code,
        details=refusal.details,
    )
