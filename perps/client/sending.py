"""One request, sent until there is a verdict.

A try is no verdict if the line was cut, nothing came in time, or the venue said ``outcome_unknown``, ``overloaded``,
``unavailable`` or ``rate_limited``. Then the same bytes go out again, after ``Retry-After`` or a pause that grows. A
request that must not be done twice goes out again only if nothing can have been done.

No redirect is followed: the key, the command and the trust in the answer are for the address that the caller named.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from perps.client.errors import BadAnswer, OutcomeUnknown, Refused, Unavailable, VenueError
from perps.client.requests import Request
from perps.wire.errors import SEND_AGAIN, ErrorCode

PAUSE_S: Final = 0.1
"""The first pause between two tries where the venue does not name one. It doubles with each try."""
PAUSE_S_MIN: Final = 0.02
PAUSE_S_MAX: Final = 5.0
CONNECT_S_MAX: Final = 10.0
CONNECTIONS_MAX: Final = 100
ANSWER_BYTES_MAX: Final = 64 << 20
"""The largest answer, and the largest row of a stream, that is read. A venue's are far smaller."""
NO_VENUE: Final = "That is not an answer of a perps venue: check the address"
QUOTED_CHARACTERS: Final = 60
"""How much an error message quotes of an answer that cannot be understood."""
NOT_BEGUN: Final = SEND_AGAIN - {ErrorCode.OUTCOME_UNKNOWN}
"""Codes that say that nothing was done."""

T = TypeVar("T")
R = TypeVar("R", bound=Request)


class Retry(Struct, frozen=True):
    """A try that was no verdict; another follows."""

    tries: int
    pause_s: float
    why: str


class NoVerdict(Exception):
    """One try failed without a verdict. ``may_be_done``: the venue may have carried it out."""

    def __init__(
        self,
        why: str,
        code: str = "venue_unreachable",
        *,
        may_be_done: bool = True,
        is_connected: bool = True,
        pause_s: float | None = None,
    ) -> None:
        super().__init__(why)
        self.code, self.may_be_done, self.is_connected, self.pause_s = code, may_be_done, is_connected, pause_s


class _Error(Struct, frozen=True):
    code: str
    message: str = ""
    details: Mapping[str, Any] = {}


class _ErrorBody(Struct, frozen=True):
    error: _Error


class Reply(Struct, frozen=True):
    """One answer as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def decoded(self, kind: type[T]) -> T:
        """The body in this form. Raises what msgspec does, ``UnicodeDecodeError`` or ``RecursionError``."""
        if kind is msgspec.Raw:
            msgspec.json.decode(self.body)
        return msgspec.json.decode(self.body, type=kind)

    def described(self) -> str:
        """What came, for an error message."""
        begin = self.body[:QUOTED_CHARACTERS].decode(errors="replace")
        if not begin:
            return f"{self.status} and no text"
        kind = self.headers.get("Content-Type", "").partition(";")[0] or "a text of no named type"
        return f"{self.status} and {kind}: {begin!r}{'…' if len(self.body) > QUOTED_CHARACTERS else ''}"


class Sender:
    """The connections to one venue, and the patience with it. See ``Venue``."""

    def __init__(
        self,
        url: str,
        key: str | None,
        *,
        timeout_s: float,
        retry_s: float,
        on_retry: Callable[[Retry], object],
        trust_env: bool,
    ) -> None:
        self.url, self.shown_url = url.rstrip("/"), without_password(url.rstrip("/"))
        self.timeout_s, self.retry_s, self.on_retry = timeout_s, retry_s, on_retry
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._trust_env = trust_env
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Get ready to send."""
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=self._trust_env,
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def send(self, request: Request) -> Reply:
        """The venue's answer, if it is one of the statuses that the request accepts.

        No try begins later than ``retry_s`` after the first; each lasts at most ``timeout_s``. Raises ``VenueError``.
        """
        return await self.until_verdict(request, self.once)

    async def until_verdict(self, request: R, once: Callable[[R], Awaitable[Reply]]) -> Reply:
        """As ``send``; ``once`` is one try, which raises ``NoVerdict`` if it was in vain."""
        begun, tries, in_doubt = time.monotonic(), 0, False
        while True:
            tries += 1
            try:
                return await once(request)
            except Refused as refused:
                refused.is_repeated, refused.client_order_id = in_doubt, request.client_order_id
                raise
            except BadAnswer as bad:
                bad.client_order_id = request.client_order_id
                raise
            except NoVerdict as failed:
                in_doubt = in_doubt or (failed.may_be_done and request.has_effect)
                pause_s = pause_after(tries, failed)
                must_end = in_doubt and not request.is_repeatable
                if must_end or time.monotonic() - begun + pause_s > self.retry_s:
                    raise _given_up(request, failed, in_doubt=in_doubt) from failed
                self.on_retry(Retry(tries, pause_s, str(failed)))
            await asyncio.sleep(pause_s)

    @asynccontextmanager
    async def answering(
        self, request: Request, limits: aiohttp.ClientTimeout, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One try, as far as the answer's head. Raises ``NoVerdict``, also for what fails inside."""
        sent = {**(headers or {}), **({} if request.body is None else {"Content-Type": "application/json"})}
        with self.failing(limits):
            url = URL(self.url + request.target, encoded=True)
            async with self.session.request(
                request.method, url, data=request.body, headers=sent, timeout=limits, allow_redirects=False
            ) as answer:
                yield answer

    @property
    def session(self) -> aiohttp.ClientSession:
        """The connections. Raises ``RuntimeError`` before ``open``."""
        if self._session is None:
            raise RuntimeError("use the venue as an async context manager: async with Venue(…) as venue")
        return self._session

    @contextmanager
    def failing(self, limits: aiohttp.ClientTimeout) -> Iterator[None]:
        """While a try goes on: what fails there is ``NoVerdict``."""
        try:
            yield
        except aiohttp.ClientConnectorError as error:
            number = error.os_error.errno or 0
            why = os.strerror(number) if number > 0 else error.os_error.strerror or error
            raise self._unreachable(why, may_be_done=False, is_connected=False) from error
        except aiohttp.ConnectionTimeoutError as error:
            raise self._unreachable("no connection in time", may_be_done=False, is_connected=False) from error
        except TimeoutError as error:
            seconds = limits.total or limits.sock_read or 0
            raise NoVerdict(f"{self.shown_url} did not answer within {seconds:g} s") from error
        except (aiohttp.InvalidURL, UnicodeError) as error:  # a host name that cannot be one
            raise self._unreachable(error, may_be_done=False, is_connected=False) from error
        except aiohttp.ClientError as error:
            raise self._unreachable(error) from error

    async def read(self, answer: aiohttp.ClientResponse) -> Reply:
        """An answer with its whole body. Raises ``BadAnswer`` if that is too large."""
        body = bytearray()
        async for part in answer.content.iter_any():
            body += part
            if len(body) > ANSWER_BYTES_MAX:
                place = without_password(str(answer.url))
                raise BadAnswer(f"{answer.method} {place} answered with more than {ANSWER_BYTES_MAX} bytes")
        return Reply(answer.status, answer.headers, bytes(body))

    def checked(self, request: Request, reply: Reply) -> Reply:
        """An answer that is no failure. Raises ``Refused``, ``BadAnswer`` or ``NoVerdict`` for one that is."""
        if 200 <= reply.status < 300 or reply.status in request.accepts:
            return reply
        said = f"{request.method} {self.shown_url}{request.target}"
        if 300 <= reply.status < 400:
            where = f" to {without_password(reply.headers['Location'])}" if "Location" in reply.headers else ""
            raise BadAnswer(
                f"{said} was redirected ({reply.status}){where}. Redirects are not followed:"
                " give the venue's own address"
            )
        try:
            error = reply.decoded(_ErrorBody).error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            problem = f"{said} answered {reply.described()}. {NO_VENUE}"
            if reply.status < 500:
                raise BadAnswer(problem) from None
            raise NoVerdict(problem, pause_s=_retry_after(reply)) from None  # a proxy whose venue is gone
        refused = Refused(error.code, error.message, error.details, reply.status)
        if error.code in SEND_AGAIN or reply.status in (429, 503):
            may_be_done = error.code not in NOT_BEGUN and reply.status != 429
            raise NoVerdict(str(refused), error.code, may_be_done=may_be_done, pause_s=_retry_after(reply))
        if reply.status > 500:
            raise NoVerdict(str(refused), error.code, pause_s=_retry_after(reply))
        raise refused

    def decoded(self, request: Request, reply: Reply, kind: type[T]) -> T:
        """The answer in this form. ``msgspec.Raw`` is any JSON, as it came. Raises ``BadAnswer``."""
        try:
            return reply.decoded(kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            if isinstance(error, msgspec.ValidationError) and _is_readable(reply):
                said = f"{self.shown_url} gave an answer that this version of perps does not know: {error}"
            else:
                said = f"{request.method} {self.shown_url}{request.target} answered {reply.described()}. {NO_VENUE}"
        bad = BadAnswer(said)
        bad.client_order_id = request.client_order_id
        raise bad

    async def once(self, request: Request) -> Reply:
        """One try. Raises ``NoVerdict``, ``Refused``, ``BadAnswer``."""
        limits = aiohttp.ClientTimeout(total=self.timeout_s, sock_connect=min(self.timeout_s, CONNECT_S_MAX))
        async with self.answering(request, limits) as answer:
            reply = await self.read(answer)
        return self.checked(request, reply)

    def _unreachable(self, why: object, *, may_be_done: bool = True, is_connected: bool = True) -> NoVerdict:
        text = f"{self.shown_url} cannot be reached: {without_password(str(why))}"
        return NoVerdict(text, may_be_done=may_be_done, is_connected=is_connected)


def pause_after(tries: int, failed: NoVerdict) -> float:
    """Seconds to wait after so many failures in a row: what the venue asks for and a little more, or a growing time."""
    if failed.pause_s is not None:
        return max(failed.pause_s, PAUSE_S_MIN) * random.uniform(1.0, 1.2)
    return min(PAUSE_S * float(1 << min(tries - 1, 10)), PAUSE_S_MAX) * random.uniform(0.5, 1.0)


def without_password(url: str) -> str:
    """A URL that may be shown: ``…`` stands for its password."""
    return re.sub(r"(//[^/:@]*):[^@]*@", r"\1:…@", url)


def _is_readable(reply: Reply) -> bool:
    try:
        reply.decoded(object)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _given_up(request: Request, failed: NoVerdict, *, in_doubt: bool) -> VenueError:
    if in_doubt:
        return OutcomeUnknown(str(failed), request.client_order_id)
    error = Unavailable(str(failed), failed.code, is_connected=failed.is_connected)
    error.client_order_id = request.client_order_id
    return error


def _retry_after(reply: Reply) -> float | None:
    """What ``Retry-After`` says, in seconds. None if it says nothing, or a date."""
    text = reply.headers.get("Retry-After", "")
    return float(text) if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII) else None
