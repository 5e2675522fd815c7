"""A small REST client, with which every tool speaks to the venue.

It sends a request again only if that cannot do anything twice: after a 503 or 429 that says that nothing was done, and,
if the request is idempotent (a GET, or a command with a client id or a sequence), also when the outcome is unknown.
It tries a few times, and longer where the caller has ``Patience``.

It follows no redirect: the key, the command and the trust in the answer are for the address that the caller named.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import Final, Self, TypeVar
from urllib.parse import quote
from uuid import uuid4

import aiohttp
import msgspec
from msgspec import Struct

from tools.addresses import without_password
from tools.errors import ApiError, BadAnswer, VenueUnreachable

ATTEMPTS_MAX: Final = 5
RETRY_AFTER_S: Final = 0.5
"""How long to wait where the venue does not say."""
RETRY_AFTER_S_MAX: Final = 5.0
TIMEOUT_S: Final = 15.0
ANSWER_BYTES_MAX: Final = 64 << 20
"""The largest answer that is read. A venue's are far smaller."""
NO_VENUE: Final = "That is not an answer of a perps venue: check the address"
QUOTED_CHARACTERS: Final = 60
"""How much an error message quotes of an answer that cannot be understood."""

T = TypeVar("T")


class _Answer(Struct, frozen=True, rename="camel"):
    """A part of an answer: fields that no tool needs are skipped."""


class MarketAnswer(_Answer, frozen=True):
    """One market. Prices are exact."""

    ticker: str
    status: str
    index_price: Decimal
    mark_price: Decimal
    tick_size: Decimal
    max_leverage: int
    min_order_size: Decimal


class PositionView(_Answer, frozen=True):
    """One open position."""

    id: str
    ticker: str
    side: str


class Balance(_Answer, frozen=True):
    """A wallet; ``available`` can be spent."""

    balance: Decimal
    available: Decimal


class NewKey(_Answer, frozen=True):
    """A key, shown this once."""

    key_id: str
    key: str


class Opened(_Answer, frozen=True):
    """An open that was done."""

    position: PositionView


class _Market(_Answer, frozen=True):
    market: MarketAnswer


class _Priced(_Answer, frozen=True):
    liquidations: int


class _Positions(_Answer, frozen=True):
    positions: list[PositionView]


class _UserPositions(_Answer, frozen=True):
    perpetuals: _Positions


class _Error(Struct, frozen=True):
    code: str
    message: str = ""
    details: Mapping[str, object] = {}


class _ErrorBody(Struct, frozen=True):
    error: _Error


@dataclass(frozen=True)
class Patience:
    """For how long a request is sent again if it may be; ``tell`` gets a line for people when that begins."""

    seconds: float = 0.0
    tell: Callable[[str], None] = lambda _: None


class _Reply(Struct, frozen=True):
    """One answer as it came."""

    status: int
    retry_after_s: float
    content_type: str
    location: str
    body: bytes

    def described(self) -> str:
        """What came, for an error message."""
        begin = self.body[:QUOTED_CHARACTERS].decode(errors="replace")
        if not begin:
            return f"{self.status} and no text"
        cut = "…" if len(self.body) > QUOTED_CHARACTERS else ""
        return f"{self.status} and {self.content_type or 'a text of no named type'}: {begin!r}{cut}"


class Venue:
    """One venue, asked with one key. An async context manager.

    Every method raises ``ApiError`` (the venue refused), ``VenueUnreachable`` (no answer) or ``BadAnswer`` (the answer
    is not a venue's).
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        attempts_max: int = ATTEMPTS_MAX,
        timeout_s: float = TIMEOUT_S,
        key_from: str = "",
    ) -> None:
        """``key_from``: where the key was found; the error says so if the venue does not accept the key."""
        self.url = url.rstrip("/")
        self._shown_url = without_password(self.url)
        self.patience = Patience()
        self._key_from = key_from
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._attempts_max = attempts_max
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=self._timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str) -> bytes:
        """The JSON of a GET."""
        return await self.call("GET", path, None, idempotent=True)

    async def get_as(self, path: str, kind: type[T]) -> T:
        """The answer to a GET in this form."""
        return self.decoded(await self.get(path), kind)

    def decoded(self, answer: bytes, kind: type[T]) -> T:
        """An answer of this venue in this form."""
        return decode_answer(answer, kind, self.url)

    async def call(self, method: str, path: str, body: Mapping[str, object] | None, *, idempotent: bool) -> bytes:
        """Send a request until it is answered; the JSON of the answer, empty for a 204.

        It gives up after ``attempts_max`` tries, or later when ``patience`` is over. A value None in ``body`` is left
        out.
        """
        sent = None if body is None else {name: value for name, value in body.items() if value is not None}
        is_repeated = False
        begun, attempt = time.monotonic(), 0
        while True:
            attempt += 1
            is_last = attempt >= self._attempts_max and time.monotonic() - begun >= self.patience.seconds
            if attempt == self._attempts_max and not is_last:
                self.patience.tell(f"{self._shown_url} does not answer; trying again for {self.patience.seconds:g} s")
            try:
                reply = await self._once(method, path, sent)
            except VenueUnreachable:
                if not idempotent or is_last:
                    raise
                is_repeated = True
                await asyncio.sleep(RETRY_AFTER_S)
                continue
            if reply.status < 400:
                return self._checked(f"{method} {self._shown_url}{path}", reply)
            error = self._error(f"{method} {self._shown_url}{path}", reply, is_repeated=is_repeated)
            unknown = error.code == "outcome_unknown" or (reply.status >= 500 and reply.status != 503)
            may_repeat = idempotent if unknown else reply.status in (429, 503)
            if not may_repeat or is_last:
                raise error
            is_repeated = is_repeated or unknown
            await asyncio.sleep(reply.retry_after_s)

    async def markets(self) -> bytes:
        """``GET /api/markets/perps``."""
        return await self.get("/api/markets/perps")

    async def market(self, ticker: str) -> MarketAnswer:
        """One market as it stands."""
        return (await self.get_as(f"/api/markets/perps/{ticker}", _Market)).market

    async def create_market(self, parameters: Mapping[str, object]) -> bytes:
        """Create a market. Not sent again when in doubt: if the first did it, the second is ``market_exists``."""
        return await self.call("POST", "/api/admin/markets", parameters, idempotent=False)

    async def set_mode(self, ticker: str, mode: str) -> bytes:
        """``enabled``, ``reduce_only`` or ``halted``."""
        return await self.call("POST", f"/api/admin/markets/{ticker}/mode", {"mode": mode}, idempotent=True)

    async def create_user(self, user: str, *, deposit: str | None = None, referrer: str | None = None) -> bytes:
        """Create a user, with money if there is a deposit."""
        body = {"userId": user, "deposit": deposit, "referrer": referrer}
        return await self.call("POST", "/api/admin/users", body, idempotent=False)

    async def deposit(self, user: str, amount: str, *, client_order_id: str | None = None) -> bytes:
        """Add money to a wallet; once, however often it is sent."""
        return await self._move("deposit", user, amount, client_order_id)

    async def withdraw(self, user: str, amount: str, *, client_order_id: str | None = None) -> bytes:
        """Take money from a wallet; once, however often it is sent."""
        return await self._move("withdraw", user, amount, client_order_id)

    async def balance(self, user: str) -> Balance:
        """A user's wallet."""
        return await self.get_as(f"/api/users/{user}/balance", Balance)

    async def create_key(
        self, scopes: Sequence[str], *, user: str | None = None, label: str | None = None, expires_at: str | None = None
    ) -> NewKey:
        """As ``make_key``: the key and its id."""
        return self.decoded(await self.make_key(scopes, user=user, label=label, expires_at=expires_at), NewKey)

    async def make_key(
        self, scopes: Sequence[str], *, user: str | None = None, label: str | None = None, expires_at: str | None = None
    ) -> bytes:
        """Create a key; what the venue answers. Not sent again when in doubt: the first key would be lost."""
        body = {"userId": user, "scopes": list(scopes), "label": label, "expiresAt": expires_at}
        return await self.call("POST", "/api/admin/keys", body, idempotent=False)

    async def keys(self, limit: int, cursor: str | None = None) -> bytes:
        """``GET /api/admin/keys``: a page."""
        return await self.get(_page("/api/admin/keys", limit, cursor))

    async def users(self, limit: int, cursor: str | None = None) -> bytes:
        """``GET /api/admin/users``: a page."""
        return await self.get(_page("/api/admin/users", limit, cursor))

    async def revoke_key(self, key_id: str) -> bytes:
        """End a key."""
        return await self.call("DELETE", f"/api/admin/keys/{key_id}", None, idempotent=True)

    async def set_price(
        self, ticker: str, price: Decimal, *, sequence: int, source: str = "oracle", reason: str | None = None
    ) -> int:
        """Set an index price; how many positions that liquidated.

        0 as well if it was sent twice because the first outcome was unknown, and the first had done it.
        """
        body = {"price": f"{price:f}", "source": source, "sequence": sequence, "reason": reason}
        try:
            answer = await self.call("POST", f"/api/markets/perps/{ticker}/price", body, idempotent=True)
        except ApiError as error:
            if error.code == "price_stale" and error.is_repeated:
                return 0
            raise
        return self.decoded(answer, _Priced).liquidations

    async def open(self, ticker: str, side: str, size: str, leverage: int) -> PositionView:
        """Open a position for the key's user, of at most ``size`` of notional."""
        body = {"ticker": ticker, "side": side, "size": size, "leverage": leverage, "clientOrderId": uuid4().hex}
        answer = await self.call("POST", "/api/markets/perps/open", body, idempotent=True)
        return self.decoded(answer, Opened).position

    async def close(self, position_id: str, percentage: str | None = None) -> bytes:
        """Close a share of a position, or all of it."""
        body = {"percentage": percentage, "clientOrderId": uuid4().hex}
        return await self.call("POST", f"/api/markets/perps/{position_id}/close", body, idempotent=True)

    async def open_positions(self, user: str, ticker: str) -> list[PositionView]:
        """A user's open positions in one market: the first page."""
        path = f"/api/markets/positions/{user}?status=open&ticker={ticker}"
        return (await self.get_as(path, _UserPositions)).perpetuals.positions

    async def _move(self, way: str, user: str, amount: str, client_order_id: str | None) -> bytes:
        body = {"amount": amount, "clientOrderId": client_order_id or uuid4().hex}
        return await self.call("POST", f"/api/admin/users/{user}/{way}", body, idempotent=True)

    async def _once(self, method: str, path: str, body: Mapping[str, object] | None) -> _Reply:
        """One round trip."""
        if self._session is None:
            raise RuntimeError("use the venue as an async context manager")
        data, headers = None, {}
        if body is not None:
            data, headers = msgspec.json.encode(body), {"Content-Type": "application/json"}
        try:
            async with self._session.request(
                method, self.url + path, data=data, headers=headers, allow_redirects=False
            ) as answer:
                return _Reply(
                    answer.status,
                    _retry_after(answer.headers.get("Retry-After")),
                    answer.headers.get("Content-Type", "").partition(";")[0],
                    answer.headers.get("Location", ""),
                    await self._body(answer),
                )
        except TimeoutError:
            raise VenueUnreachable(f"{self._shown_url} did not answer within {self._timeout.total:g} s") from None
        except aiohttp.ClientConnectorError as error:
            number = error.os_error.errno or 0
            why = os.strerror(number) if number > 0 else error.os_error.strerror or error
            what_to_do = "Is the venue running? Give its address with --url"
            raise VenueUnreachable(f"{self._shown_url} cannot be reached: {why}. {what_to_do}") from error
        except (aiohttp.ClientError, UnicodeError) as error:  # a host name that cannot be one
            raise VenueUnreachable(f"{self._shown_url} cannot be reached: {without_password(str(error))}") from error

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for part in answer.content.iter_any():
            body += part
            if len(body) > ANSWER_BYTES_MAX:
                place = without_password(str(answer.url))
                raise BadAnswer(f"{answer.method} {place} answered with more than {ANSWER_BYTES_MAX} bytes")
        return bytes(body)

    def _checked(self, request: str, reply: _Reply) -> bytes:
        """The JSON of an answer that is no error. Raises ``BadAnswer`` for anything else."""
        if reply.status >= 300:
            where = f" to {without_password(reply.location)}" if reply.location else ""
            raise BadAnswer(
                f"{request} was redirected ({reply.status}){where}. Redirects are not followed:"
                " give the venue's own address"
            )
        if reply.status == 204:
            return b""
        try:
            msgspec.json.decode(reply.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise BadAnswer(f"{request} answered {reply.described()}. {NO_VENUE}") from None
        return reply.body

    def _error(self, request: str, reply: _Reply, *, is_repeated: bool) -> ApiError:
        status = reply.status
        try:
            error = msgspec.json.decode(reply.body, type=_ErrorBody).error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            error = _Error(f"http_{status}", f"{request} answered {reply.described()}. {NO_VENUE}")
        hint = f"the key came from {self._key_from}" if status == 401 and self._key_from else ""
        return ApiError(error.code, error.message, error.details, status, is_repeated=is_repeated, hint=hint)


def _page(path: str, limit: int, cursor: str | None) -> str:
    return f"{path}?limit={limit}" + ("" if cursor is None else f"&cursor={quote(cursor, safe='')}")


def decode_answer(answer: bytes, kind: type[T], url: str) -> T:
    """What the venue at ``url`` answered, in this form. Raises ``BadAnswer``."""
    try:
        return msgspec.json.decode(answer, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        place = without_password(url)
        raise BadAnswer(f"{place} gave an answer that this version of perps does not know: {error}") from error


def _retry_after(header: str | None) -> float:
    try:
        wait = float(header) if header else RETRY_AFTER_S
    except ValueError:
        wait = RETRY_AFTER_S
    return min(max(wait, 0.0), RETRY_AFTER_S_MAX)
