"""Live prices: JSON that is asked for over HTTP, one number in it, and the middle of what several sources say.

What comes is a stranger's: it may be late, endless, broken or no number. Whatever it is, it costs one source one round,
and the round one line of text.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from perps.client import without_password
from tools.output import counted
from tools.times import parse_time_ms

if TYPE_CHECKING:
    from jsonpath import CompoundJSONPath, JSONPath

BODY_MAX: Final = 1 << 20
"""Bytes of an answer, unpacked."""
BACKOFF_S_MAX: Final = 60.0
AHEAD_MS_MAX: Final = 5_000
"""How far a price's own time may be ahead of this machine's."""
SHOWN: Final = 80
DIGITS_MAX: Final = 18
"""Of a price, before and behind the point: beyond, it is no market's."""

_NUMBER = re.compile(r"\d{1,18}(\.\d{1,30})?([eE][+-]?\d{1,2})?")


class NoPrice(Exception):
    """A source has no price for now. The text says why, after its address."""

    def __init__(self, why: str, retry_after_s: float = 0.0) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Quote:
    """One source's price, and the time in ms since 1970 that it is of."""

    price: Decimal
    at_ms: int


@dataclass
class HttpSource:
    """An address with a price. ``time_path``: where its own time is; None: it is of the moment it was asked for."""

    url: str
    path: JSONPath | CompoundJSONPath
    time_path: JSONPath | CompoundJSONPath | None
    timeout_s: float
    quote: Quote | None = None
    failures: int = 0
    due: float = 0.0

    @property
    def name(self) -> str:
        """Its address without a password."""
        return without_password(self.url)

    async def ask(self, session: aiohttp.ClientSession, now_ms: int) -> Quote:
        """Its price now. Errors: NoPrice."""
        try:
            timeout = aiohttp.ClientTimeout(total=self.timeout_s)
            async with session.get(self.url, allow_redirects=False, timeout=timeout) as response:
                return self._quote(_checked(response, await _body(response)), now_ms)
        except TimeoutError:
            raise NoPrice(f"no whole answer within {self.timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoPrice(str(error) or type(error).__name__) from error

    def _quote(self, body: bytes, now_ms: int) -> Quote:
        try:
            data = json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise NoPrice(f"the answer is not JSON ({error}): {body[:SHOWN]!r}") from None
        price = _price(_only(self.path, data, body))
        if self.time_path is None:
            return Quote(price, now_ms)
        text = str(_only(self.time_path, data, body))
        if len(text) > SHOWN:
            raise NoPrice(f"{text[:SHOWN]!r}… is not a time")
        try:
            at_ms = parse_time_ms(text)
        except ValueError as error:
            raise NoPrice(str(error)) from None
        if at_ms > now_ms + AHEAD_MS_MAX + self.timeout_s * 1000:
            raise NoPrice(f"its time {text} is {(at_ms - now_ms) / 1000:.0f} s ahead of this machine's clock")
        return Quote(price, at_ms)


@dataclass
class Poll:
    """Several sources as one price: the middle of those that are fresh and agree.

    ``quorum``: how many must be. ``max_age_s``: how old a price may be. ``max_spread``: how far from the middle, as a
    fraction; who is further away does not count. ``interval_s``: between two questions; a source that fails is asked
    later and later, at most ``BACKOFF_S_MAX`` apart. ``tell`` is called with a line for people.
    """

    sources: Sequence[HttpSource]
    quorum: int
    max_age_s: float
    max_spread: float
    interval_s: float
    tell: Callable[[str], object]
    now: Callable[[], float] = time.monotonic
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    _random: Random = field(default_factory=Random)
    _is_silent: bool = False

    async def round(self, session: aiohttp.ClientSession) -> Quote | None:
        """Ask whoever is due, and say the price; None: there is none to rely on."""
        await asyncio.gather(*(self._ask(source, session) for source in self.sources if source.due <= self.now()))
        oldest_ms = self.now_ms() - int(self.max_age_s * 1000)
        fresh = [source.quote for source in self.sources if source.quote and source.quote.at_ms >= oldest_ms]
        middle = median(quote.price for quote in fresh) if fresh else Decimal(0)
        agreed = [quote for quote in fresh if abs(quote.price - middle) <= middle * Decimal(repr(self.max_spread))]
        if len(agreed) < self.quorum:
            if not self._is_silent:
                self._is_silent = True
                old = f"{len(agreed)} of {counted(len(self.sources), 'source')} fresh and in agreement"
                self.tell(f"no price is sent: {old}, {self.quorum} needed{self._ages()}")
            return None
        if self._is_silent:
            self._is_silent = False
            self.tell("prices are sent again")
        return Quote(median(quote.price for quote in agreed), min(quote.at_ms for quote in agreed))

    async def _ask(self, source: HttpSource, session: aiohttp.ClientSession) -> None:
        try:
            source.quote = await source.ask(session, self.now_ms())
        except NoPrice as error:
            source.failures += 1
            pause = min(self.interval_s * 2.0 ** min(source.failures, 20), BACKOFF_S_MAX)
            pause = min(max(pause * self._random.uniform(0.5, 1.0), error.retry_after_s), BACKOFF_S_MAX)
            source.due = self.now() + pause
            if source.failures == 1:
                self.tell(f"{source.name}: {error}; trying again")
            return
        if source.failures:
            self.tell(f"{source.name} answers again")
        source.failures, source.due = 0, 0.0

    def _ages(self) -> str:
        now_ms = self.now_ms()
        old = [
            f"{source.name} is {(now_ms - source.quote.at_ms) / 1000:.0f} s old"
            for source in self.sources
            if source.quote and now_ms - source.quote.at_ms > self.max_age_s * 1000
        ]
        return f" ({'; '.join(old)})" if old else ""


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """All of an answer, if it is not too long. Errors: NoPrice."""
    body = b""
    while chunk := await response.content.read(BODY_MAX):
        body += chunk
        if len(body) > BODY_MAX:
            raise NoPrice(f"the answer is longer than {BODY_MAX >> 20} MiB")
    return body


def _checked(response: aiohttp.ClientResponse, body: bytes) -> bytes:
    if 300 <= response.status < 400:
        target = response.headers.get("Location", "nowhere")[:SHOWN]
        raise NoPrice(f"it leads to {target!r}, and no redirect is followed; give the address itself")
    if response.status != 200:
        after = response.headers.get("Retry-After", "")
        wait = float(after) if re.fullmatch(r"\d{1,6}", after) else 0.0
        raise NoPrice(f"status {response.status}: {body[:SHOWN]!r}", wait)
    return body


def _only(path: JSONPath | CompoundJSONPath, data: Any, body: bytes) -> Any:
    """The one value at a path. Errors: NoPrice."""
    try:
        found = path.findall(data)
    except Exception as error:  # noqa: BLE001 - a stranger's data in a library's query: whatever it is, it is no price
        raise NoPrice(f"{path} cannot be looked up: {error}") from None
    if len(found) != 1:
        what = f"{len(found)} values" if found else "nothing"
        raise NoPrice(f"there is {what} at {path}, one is needed; the answer begins {body[:SHOWN]!r}")
    return found[0]


def _price(value: object) -> Decimal:
    """A JSON number or a text of one. Errors: NoPrice."""
    text = "" if isinstance(value, bool) else str(value)
    if _NUMBER.fullmatch(text) is None or not (price := Decimal(text)) or abs(price.adjusted()) > DIGITS_MAX:
        raise NoPrice(f"the price must be a number above 0; it is {text[:SHOWN] or value!r}")
    return price


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")
