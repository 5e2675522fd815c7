"""Connections: how many there may be, how long one may be silent, and the answer to bytes that are not HTTP.

``aiohttp`` serves them and bounds none of this: with the usual 1,024 descriptors, as many silent connections keep
everybody out. A connection that waits for a request (none yet, a head that does not end, or nothing after an answer) is
closed after ``KEEP_ALIVE_S``, one whose client does not read after ``READ_S``; when all places are taken, the one that
has waited longest is closed for the next. What comes in is parsed a part at a time, and a body that is too long is not
parsed any further: a chunk may be one byte, and each costs. It uses public methods of ``aiohttp``, three attributes and
one hook.
"""

from __future__ import annotations

import asyncio
import resource
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast

import structlog
from aiohttp import StreamReader, web
from aiohttp.http import HttpProcessingError, RawRequestMessage

from web.answers.errors import RequestError
from web.api.serving import error_responses
from web.auth import HasHeaders
from web.limits.budgets import Spent
from web.metrics import Metrics

log = structlog.get_logger()

CONNECTIONS_MAX: Final = 16_384
"""Open connections: more than there may be streams."""

DESCRIPTORS_KEPT: Final = 128
"""Of those the process may have, for everything else: the database, the disk."""

KEEP_ALIVE_S: Final = 75.0
"""How long a connection may be without a request: longer than the proxies in front of it keep theirs."""

READ_S: Final = 15.0
"""How long a client may take to make room again, once 64 KiB wait here behind what the system keeps for it."""

PART_BYTES: Final = 2 * 1024
"""What is parsed before the next look. In chunks of one byte it takes 0.2 ms. A command fits in."""

WRAPPED: Final = 2
"""A body may take so many times its size on the line: chunks have heads."""


class Request(web.BaseRequest):
    """A request that says which headers its answer gets, whatever that is: a stream or a refusal too."""

    __slots__ = ("answer_headers", "spent")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.answer_headers: Mapping[str, str] = {}
        self.spent: Spent | None = None
        """What is left of the caller's budget, for the headers; None: nothing is said of it."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        """``aiohttp`` calls it before an answer's head is sent; where it does not, the headers are missing."""
        if self.answer_headers:
            response.headers.update(self.answer_headers)
        if self.spent is not None:
            response.headers.update(self.spent.headers)


Handler = Callable[[Request], Awaitable[web.StreamResponse]]


class Connection(web.RequestHandler):
    """One connection, and the requests it brings."""

    __slots__ = (
        "_body",
        "_body_bytes_left",
        "_connections",
        "_giving_up",
        "_is_deaf",
        "_is_socket",
        "_unparsed",
        "known_caller",
        "known_host",
    )

    def __init__(self, connections: Connections, **options: Any) -> None:
        super().__init__(connections, **options)
        self._connections = connections
        self._giving_up: asyncio.TimerHandle | None = None
        self._unparsed = b""
        """What has come while ``aiohttp`` wanted nothing more: it asks with ``b""`` when it does again."""
        self._body: StreamReader | None = None
        """Of the last request, while it has not ended."""
        self._body_bytes_left = 0
        self._is_deaf = False
        """What comes now is thrown away: nobody will read this body, or it is not HTTP."""
        self._is_socket = False
        """It has become a WebSocket, whose parser bounds what it keeps by itself."""
        self.known_host: str | None = None
        """The ``Host`` that the venue was asked under last, and that it goes by."""
        self.known_caller: object = None
        """What ``Admission`` remembers of who asked last."""

    def data_received(self, data: bytes) -> None:
        """Take what has come, part by part; do not keep it if it is not HTTP.

        What is queued, and whether ``aiohttp`` wants more, can be seen in private attributes only.
        """
        if self._is_socket:
            super().data_received(data)
            return
        data, self._unparsed, begin = self._unparsed + data, b"", 0
        while not self._is_deaf:
            part = data[begin : begin + PART_BYTES]
            super().data_received(part)
            self._look_at_last(len(part))
            begin += PART_BYTES
            if begin >= len(data):
                return
            if self._buffer_paused or self._reading_paused:
                self._unparsed = data[begin:]
                return

    def become_a_socket(self) -> None:
        """From now on, all that comes goes to the parser of the WebSocket, without a pause between its parts."""
        self._is_socket, data, self._unparsed = True, self._unparsed, b""
        super().data_received(data)

    def _look_at_last(self, size: int) -> None:
        """Look at the last request after ``size`` bytes more: is it HTTP, and is its body as long as it may be?

        ``aiohttp`` queues a fault behind the request under way. Its traceback leads back to the connection and
        to what was received: that would be kept as long as the request lasts, and then until garbage is collected.
        """
        if self._messages:
            message, body = self._messages[-1]
            if not isinstance(message, RawRequestMessage):
                self._is_deaf = True
                if message.exc is not None:
                    message.exc.__traceback__ = None
            elif body is not self._body and not body.is_eof():
                self._body, self._body_bytes_left = body, self._connections.body_bytes_max(message)
        if self._body is None or self._body.is_eof():
            self._body = None
            return
        self._body_bytes_left -= size
        if self._body_bytes_left <= 0:
            self._is_deaf = True
            self._body.set_exception(self._connections.too_large())

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The answer to bytes that are not HTTP; faults of the venue itself are left to ``aiohttp``."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        said = f"This is not a valid HTTP/1.1 request: {type(exc).__name__}."
        response = self._connections.refuse(RequestError("validation_error", said))
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer, and then wait for the next request."""
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._connections.waits(self)

    def pause_writing(self) -> None:
        """The client does not take what is written as fast as it is: begin to count."""
        super().pause_writing()
        self._giving_up = asyncio.get_running_loop().call_later(READ_S, self._give_up)

    def resume_writing(self) -> None:
        """It has taken it."""
        super().resume_writing()
        self._take_time()

    def connection_lost(self, exc: BaseException | None) -> None:
        """It has gone."""
        self._take_time()
        super().connection_lost(exc)

    def _take_time(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    def _give_up(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class Connections(web.Server):
    """All connections, each request of which ``handler`` answers; ``aiohttp``'s own server does not limit them."""

    def __init__(
        self,
        handler: Handler,
        metrics: Metrics,
        *,
        knows: Callable[[HasHeaders], bool],
        body_bytes_max: int,
        most: int = CONNECTIONS_MAX,
        **options: Any,
    ) -> None:
        super().__init__(cast(Any, handler), request_factory=self._begin, handler_cancellation=True)
        self._metrics, self._most, self._options = metrics, most, options
        self._knows, self._body_bytes_max = knows, body_bytes_max
        self._waiting: dict[web.RequestHandler, asyncio.Transport] = {}
        """Those without a request, since when: the longest first."""
        self._open: dict[web.RequestHandler, asyncio.Transport] = {}

    def __call__(self) -> Connection:
        """A connection that is about to be made."""
        return Connection(self, loop=asyncio.get_running_loop(), **self._options)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """One more; if it is one too many, the one that has waited longest goes, which may be itself."""
        super().connection_made(handler, transport)
        self._open[handler] = self._waiting[handler] = transport
        if len(self._open) > self._most:
            longest = next(iter(self._waiting))
            self._metrics.connections_cut.inc()
            self._forget(longest).abort()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """One less."""
        super().connection_lost(handler, exc)
        if handler in self._open:
            self._forget(handler)

    def waits(self, handler: web.RequestHandler) -> None:
        """It has been answered, and waits for its next request."""
        if handler in self._open:
            self._waiting[handler] = self._open[handler]

    def body_bytes_max(self, message: RawRequestMessage) -> int:
        """How many bytes a request's body may take on the line. 0: none beside those that came with its head."""
        is_refused = message.chunked and not self._knows(message)
        is_refused = is_refused or int(message.headers.get("Content-Length", 0)) > self._body_bytes_max
        return 0 if is_refused else WRAPPED * self._body_bytes_max

    def too_large(self) -> web.HTTPException:
        """What reading a body ends with, if it is too long."""
        return web.HTTPRequestEntityTooLarge(self._body_bytes_max, self._body_bytes_max + 1)

    def refuse(self, error: RequestError) -> web.Response:
        """The answer to what has not become a request."""
        request_id = secrets.token_hex(12)
        self._metrics.refusals.labels(error.code).inc()
        log.info("refused", trace=request_id, code=error.code, message=error.message)
        return error_responses.response(error, request_id)

    def _begin(self, message: Any, payload: Any, protocol: web.RequestHandler, writer: Any, task: Any) -> Request:
        """A request whose head is there."""
        self._waiting.pop(protocol, None)
        loop = asyncio.get_running_loop()
        return Request(message, payload, protocol, writer, task, loop, client_max_size=self._body_bytes_max)

    def _forget(self, handler: web.RequestHandler) -> asyncio.Transport:
        self._waiting.pop(handler, None)
        return self._open.pop(handler)


def connections_max() -> int:
    """``CONNECTIONS_MAX``, or fewer where the process may not have so many descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    return max(1, min(CONNECTIONS_MAX, soft - DESCRIPTORS_KEPT))
