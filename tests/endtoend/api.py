"""REST as a client sees it: answers with their bytes, pages to the last, and the retry that resolves any doubt."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import aiohttp
import msgspec

from tests.endtoend.venue_process import ADMIN_KEY

Json = dict[str, Any]

TIMEOUT_S: Final = 20.0
"""Longest wait for one answer."""
VERDICT_S: Final = 30.0
"""Longest wait for a verdict, through a crash and a restart."""
PAUSE_S: Final = 0.02
PAGES_MAX: Final = 200
PAGE: Final = 500


@dataclass(frozen=True)
class Answer:
    """One answer; ``attempts`` says how often the request was sent until it came."""

    status: int
    body: bytes
    request_id: str
    is_replay: bool = False
    attempts: int = 1

    @property
    def json(self) -> Json:
        """The body. Numbers are text."""
        decoded: Json = msgspec.json.decode(self.body)
        return decoded

    @property
    def code(self) -> str:
        """The error's code; empty on success."""
        return str(self.json["error"]["code"]) if self.status >= 400 else ""


class NoVerdict(Exception):
    """No answer but doubt, for too long."""


class Api:
    """A client of one venue. Acts as the administrator unless a key is given."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def send(self, method: str, path: str, body: object = None, *, key: str = ADMIN_KEY) -> Answer:
        """One request, one answer. Raises ``aiohttp.ClientError`` or ``TimeoutError`` when there is none."""
        data = None if body is None else msgspec.json.encode(body)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        url = self._url + path
        async with self._session.request(method, url, data=data, headers=headers, trace_request_ctx=body) as response:
            replay = response.headers.get("Idempotent-Replay") == "true"
            return Answer(response.status, await response.read(), response.headers["X-Request-Id"], replay)

    async def verdict(self, method: str, path: str, body: object = None, *, key: str = ADMIN_KEY) -> Answer:
        """Send the same again until it is done or refused. Raises ``NoVerdict``."""
        deadline = time.monotonic() + VERDICT_S
        attempts = 0
        last = ""
        while time.monotonic() < deadline:
            attempts += 1
            try:
                answer = await self.send(method, path, body, key=key)
            except (aiohttp.ClientError, TimeoutError) as error:
                last = repr(error)
            else:
                if answer.status != 503:
                    return replace(answer, attempts=attempts)
                last = answer.body.decode()
            await asyncio.sleep(PAUSE_S)
        raise NoVerdict(f"{method} {path} {body}: {attempts} attempts, the last: {last}")

    async def done(self, method: str, path: str, body: object = None, *, key: str = ADMIN_KEY) -> Json:
        """A request that must succeed at its first attempt: the body of its answer."""
        answer = await self.send(method, path, body, key=key)
        assert answer.status in (200, 201), f"{method} {path} {body}: {answer.status} {answer.body.decode()}"
        return answer.json

    async def get(self, path: str, *, key: str = ADMIN_KEY) -> Json:
        """A GET that must succeed."""
        return await self.done("GET", path, key=key)

    async def pages(self, path: str, name: str) -> list[Json]:
        """A whole list, all its pages by cursor."""
        found: list[Json] = []
        cursor = ""
        mark = "&" if "?" in path else "?"
        for _ in range(PAGES_MAX):
            page = await self.get(f"{path}{mark}limit={PAGE}{cursor}")
            if name == "positions":
                found += page["perpetuals"]["positions"]
            else:
                found += page[name]
            if page["nextCursor"] is None:
                return found
            cursor = f"&cursor={page['nextCursor']}"
        raise AssertionError(f"{path} has more than {PAGES_MAX} pages")

    async def add_user(self, user: str, deposit: str, referrer: str | None = None) -> str:
        """Create a user with money; his key."""
        more = {} if referrer is None else {"referrer": referrer}
        await self.done("POST", "/api/admin/users", {"userId": user, "deposit": deposit, **more})
        made = await self.done("POST", "/api/admin/keys", {"userId": user, "scopes": ["read", "trade"]})
        return str(made["key"])

    async def list_market(self, ticker: str, price: str, **parameters: object) -> None:
        """List a market."""
        body = {"ticker": ticker, "organizationId": "org", "name": ticker, "price": price, **parameters}
        await self.done("POST", "/api/admin/markets", body)


@asynccontextmanager
async def client(url: str, *traces: aiohttp.TraceConfig) -> AsyncIterator[Api]:
    """A client with as many connections as it has requests in flight. ``traces`` are given each request's body."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, trace_configs=[*traces]) as session:
        yield Api(session, url)
