"""Errors as HTTP responses: the one JSON body that every refusal has, with its status and headers."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from perps.wire.base import encode
from perps.wire.errors import STATUS, ErrorAnswer, ErrorCode, ErrorDetail
from web.answers.errors import RequestError

RETRY_AFTER_S: Final = "1"


def response(error: RequestError, request_id: str) -> web.Response:
    """The error as a response: ``{"error": {code, message, details, requestId}}``."""
    code = ErrorCode(error.code)
    status = STATUS[code]
    body = ErrorAnswer(
        error=ErrorDetail(code=code, message=error.message, details=dict(error.details), request_id=request_id)
    )
    headers = {"X-Request-Id": request_id}
    if status in (429, 503):
        headers["Retry-After"] = RETRY_AFTER_S
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.allow:
        headers["Allow"] = ", ".join(error.allow)
    headers.update(error.headers)
    return web.Response(status=status, body=encode(body), content_type="application/json", headers=headers)
