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
    status = STATUS[ErrorCode(error.code)]
    headers = {"X-Request-Id": request_id, **headers_of(error)}
    body = encode(body_of(error, request_id))
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def headers_of(error: RequestError) -> dict[str, str]:
    """What the error's answer has to say besides its body."""
    status, headers = STATUS[ErrorCode(error.code)], dict[str, str]()
    if status in (429, 503):
        headers["Retry-After"] = RETRY_AFTER_S
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.allow:
        headers["Allow"] = ", ".join(error.allow)
    headers.update(error.headers)
    return headers


def body_of(error: RequestError, request_id: str) -> ErrorAnswer:
    """The body that says what was wrong."""
    code = ErrorCode(error.code)
    return ErrorAnswer(
        error=ErrorDetail(code=code, message=error.message, details=dict(error.details), request_id=request_id)
    )
