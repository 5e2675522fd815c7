"""Answers that are the same for all callers: made once for each journal row or minute, then served as bytes.

What the markets are depends on the newest row, on the minute (24 hours end with it, and so does a candle) and on
which markets are up. A caller who names the ``ETag`` that it got last gets 304 while none of these has changed.
"""

from __future__ import annotations

import secrets
from typing import Final

from aiohttp import web

from perps.candles import MINUTE_MS
from perps.wire.base import Answer, encode
from perps.wire.operation import NoQuery, Operation
from web.api.context import Context
from web.api.serving.responses import tagged

KEPT_MAX: Final = 256
"""Answers kept at a time. The largest list of candles has some 45 KB."""

Stamp = tuple[int, int, int]


def stamp(context: Context) -> Stamp:
    """What an answer that is made now, and is the same for all, depends on."""
    return context.model.offset, context.clock.now_ms() // MINUTE_MS, context.model.health_changes


class SharedAnswers:
    """The answers made for the present row and minute. On one event loop."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._run = secrets.token_hex(4)
        self._stamp: Stamp = (0, 0, 0)
        self._kept: dict[str, bytes] = {}

    def stamp(self) -> Stamp:
        """What an answer that is made now depends on."""
        return stamp(self._context)

    def find(self, operation: Operation, request: web.BaseRequest, request_id: str) -> web.Response | None:
        """The answer, if it has been made since the last row."""
        if self.stamp() != self._stamp:
            return None
        body = self._kept.get(_name(operation, request))
        return None if body is None else self._response(request, body, request_id)

    def keep(
        self, operation: Operation, request: web.BaseRequest, answer: Answer, begun: Stamp, request_id: str
    ) -> web.Response:
        """An answer that has just been made, and was begun at ``begun``: others get it too if it is the present one."""
        body = encode(answer)
        if self.stamp() != begun:  # rows came while it was looked up: it may be of either side of them
            return web.Response(body=body, content_type="application/json", headers={"X-Request-Id": request_id})
        if begun != self._stamp or len(self._kept) >= KEPT_MAX:
            self._kept.clear()
            self._stamp = begun
        self._kept[_name(operation, request)] = body
        return self._response(request, body, request_id)

    def _response(self, request: web.BaseRequest, body: bytes, request_id: str) -> web.Response:
        offset, minute, health = self._stamp
        tag = f'"{self._run}-{offset}-{minute}-{health}"'
        return tagged(request, body, tag, request_id)


def _name(operation: Operation, request: web.BaseRequest) -> str:
    """What was asked for. Where an operation has no parameters, those in the URL make no difference."""
    url = request.rel_url
    return url.raw_path if operation.query is NoQuery else url.raw_path_qs
