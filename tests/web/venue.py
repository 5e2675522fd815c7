"""A whole venue on a loopback port: the real application and the real actors, on a store that outlives a restart."""

from __future__ import annotations

import asyncio
import json
import string
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count
from typing import Any, Protocol
from urllib.parse import quote

import aiohttp
from yarl import URL

from actors.clock import VenueClock
from actors.ports import Clock
from perps.units import Millis
from tests.support.memory import MemoryKeys, MemoryQueries, MemoryStore
from tests.support.memory_equity import MemoryEquity
from tests.web.contract import conformity
from web.compose import Limits, Stores, VenueServer, postgres
from web.process.snapshot_taking import SnapshotTaken, take_snapshot

ADMIN_KEY = "the-administrator"
START_MS = 1_767_225_600_000
"""2026-01-01T00:00:00.000Z."""

Json = dict[str, Any]


class ManualClock:
    """Time stands still unless a test moves it; each look at it takes a nanosecond."""

    def __init__(self, ms: int = START_MS) -> None:
        self.ms = ms
        self._uptime_ms = 0
        self._looks = count(1)

    def now_ms(self) -> Millis:
        """The test's time."""
        return Millis(self.ms)

    def monotonic_ns(self) -> int:
        """Nanoseconds that never fall, whatever is set."""
        return self._uptime_ms * 1_000_000 + next(self._looks)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.ms += int(seconds * 1000)
        self._uptime_ms += int(seconds * 1000)

    def set_back(self, seconds: float) -> None:
        """Set the system's clock to an earlier time. No time passes."""
        self.ms -= int(seconds * 1000)


class Backend(Protocol):
    """What a venue is started on, again and again."""

    def stores(self) -> Stores:
        """The stores of one more venue on the same data."""
        ...


class OnMemory:
    """A memory store."""

    def __init__(self) -> None:
        self.store = MemoryStore()

    def stores(self) -> Stores:
        """The stores of one more venue on the same data."""
        return Stores(
            open_journal=self.store.acquire,
            history=self.store,
            queries=MemoryQueries(self.store),
            keys=MemoryKeys(self.store),
            equity=MemoryEquity(self.store),
            take_snapshot=self._take_snapshot,
        )

    async def _take_snapshot(self) -> SnapshotTaken:
        return await asyncio.to_thread(take_snapshot, self.store, self.store)


READY_S = 30
"""How long the markets of a venue may take to say that they are ready."""


@dataclass(frozen=True)
class OnPostgres:
    """A PostgreSQL database."""

    url: str

    def stores(self) -> Stores:
        """The stores of one more venue on the same data."""
        return postgres(self.url)


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    def ok(self, status: int = 200) -> Json:
        """The body of an answer that must be a success."""
        assert self.status == status, (self.status, self.body[:1000])
        assert self.headers["X-Request-Id"]
        assert self.headers["Content-Type"].startswith("application/json")
        body: Json = self.json
        return body

    def refused(self, status: int, code: str) -> Json:
        """The details of an answer that must be this refusal, in the contract's shape."""
        error = self.error()
        assert (self.status, error["code"]) == (status, code), (self.status, error)
        details: Json = error["details"]
        return details

    def error(self) -> Json:
        """The error of an answer that must be one, in the contract's shape."""
        assert self.status >= 400, (self.status, self.body[:1000])
        assert self.headers["Content-Type"].startswith("application/json"), (self.status, self.headers, self.body)
        body = self.json
        assert set(body) == {"error"}
        error: Json = body["error"]
        assert set(error) == {"code", "message", "details", "requestId"}
        assert error["code"]
        assert error["message"]
        assert isinstance(error["details"], dict)
        assert error["requestId"] == self.headers["X-Request-Id"]
        assert ("Retry-After" in self.headers) == (self.status in (429, 503))
        return error


class Client:
    """Somebody with a key, or without."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str | None, user: str = "") -> None:
        self.session, self.url, self.key, self.user = session, url, key, user

    async def ask(
        self, method: str, path: str, *, data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request. ``path`` is sent as it is, with its query; what a URL cannot hold is percent-encoded."""
        sent = {**({"Authorization": f"Bearer {self.key}"} if self.key else {}), **(headers or {})}
        url = URL(self.url + quote(path, safe=string.punctuation), encoded=True)
        body = BytesIO(data) if data else data
        async with self.session.request(method, url, data=body, headers=sent) as response:
            answer = Answer(response.status, response.headers, await response.read())
        conformity.check(method, path, answer.status, answer.body)
        return answer

    async def get(self, path: str) -> Answer:
        """GET."""
        return await self.ask("GET", path)

    async def post(self, path: str, body: object = None) -> Answer:
        """POST a JSON body; raw bytes go as they are; None sends no body."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return await self.ask("POST", path, data=data)

    async def patch(self, path: str, body: object) -> Answer:
        """PATCH with a JSON body; raw bytes go as they are."""
        return await self.ask("PATCH", path, data=body if isinstance(body, bytes) else json.dumps(body).encode())

    async def delete(self, path: str) -> Answer:
        """DELETE."""
        return await self.ask("DELETE", path)

    async def open(self, ticker: str = "BTC-PERP", size: str = "1000", **more: object) -> Answer:
        """Ask to open a position: long at 10× unless told otherwise."""
        body = {"ticker": ticker, "side": "long", "size": size, "leverage": 10, **more}
        return await self.post("/api/markets/perps/open", body)

    async def opened(self, ticker: str = "BTC-PERP", size: str = "1000", **more: object) -> Json:
        """Open a position that must be opened."""
        return (await self.open(ticker, size, **more)).ok(201)

    async def close(self, position: str, **body: object) -> Answer:
        """Ask to close a position."""
        return await self.post(f"/api/markets/perps/{position}/close", body)

    async def balance(self) -> Json:
        """One's own balance."""
        return (await self.get(f"/api/users/{self.user}/balance")).ok()

    async def positions(self, status: str = "open") -> list[Json]:
        """One's own positions."""
        body = (await self.get(f"/api/markets/positions/{self.user}?status={status}")).ok()
        found: list[Json] = body["perpetuals"]["positions"]
        return found


@dataclass
class Running:
    """A venue that listens, and what a test does with it."""

    backend: Backend
    venue: VenueServer
    url: str
    session: aiohttp.ClientSession
    clock: Clock | VenueClock
    keys: dict[str, str] = field(default_factory=dict)
    """The keys of the users made here, by user."""

    @property
    def admin(self) -> Client:
        """The administrator."""
        return Client(self.session, self.url, ADMIN_KEY)

    @property
    def anybody(self) -> Client:
        """Somebody without a key."""
        return Client(self.session, self.url, None)

    def client(self, user: str) -> Client:
        """A user made by ``user``."""
        return Client(self.session, self.url, self.keys[user], user)

    async def key(self, *scopes: str, **more: object) -> Client:
        """Somebody with a new key."""
        made = (await self.admin.post("/api/admin/keys", {"scopes": scopes, **more})).ok(201)
        return Client(self.session, self.url, made["key"], str(more.get("userId", "")))

    async def user(self, name: str, deposit: str = "10000", referrer: str | None = None) -> Client:
        """A new user with money and a key of their own."""
        body = {"userId": name, "deposit": deposit, **({"referrer": referrer} if referrer else {})}
        (await self.admin.post("/api/admin/users", body)).ok(201)
        client = await self.key("read", "trade", userId=name)
        self.keys[name] = client.key or ""
        return client

    async def market(self, ticker: str = "BTC-PERP", price: str = "50000", **more: object) -> Json:
        """A new market."""
        body = {"ticker": ticker, "organizationId": "acme", "name": ticker, "price": price, **more}
        return (await self.admin.post("/api/admin/markets", body)).ok(201)

    async def price(self, price: object, ticker: str = "BTC-PERP", **more: object) -> Json:
        """Set a price that must be taken."""
        return (await self.admin.post(f"/api/markets/perps/{ticker}/price", {"price": price, **more})).ok()

    async def mode(self, mode: str, ticker: str = "BTC-PERP") -> None:
        """Set a market's mode."""
        (await self.admin.post(f"/api/admin/markets/{ticker}/mode", {"mode": mode})).ok()

    async def footprint(self) -> Json:
        """All that commands can change: the order, every account, every market, every user's positions and sums."""
        stats = (await self.admin.get("/api/admin/stats")).ok()
        markets = (await self.admin.get("/api/markets/perps")).ok()["markets"]
        users = sorted(self.venue.context.model.users)
        balances = [(await self.admin.get(f"/api/users/{user}/balance")).ok() for user in users]
        paths = [f"/api/markets/positions/{user}?status=all" for user in users]
        positions = [(await self.admin.get(path)).ok()["perpetuals"] for path in paths]
        for changing in ("time", "inFlight", "streams", "health"):
            del stats[changing]
        for market in markets:
            del market["fundingRate"]
        return {"stats": stats, "markets": markets, "balances": balances, "positions": positions}

    @asynccontextmanager
    async def unchanged(self) -> AsyncIterator[None]:
        """What happens inside must change nothing."""
        before = await self.footprint()
        yield
        assert await self.footprint() == before


async def start(
    backend: Backend,
    session: aiohttp.ClientSession,
    *,
    clock: Clock | VenueClock | None = None,
    limits: Limits | None = None,
    stores: Stores | None = None,
) -> Running:
    """A venue on ``backend`` (or on ``stores``), ready."""
    clock = clock or ManualClock()
    venue = VenueServer(stores or backend.stores(), ADMIN_KEY, clock=clock, limits=limits)
    port = await venue.listen("127.0.0.1", 0)
    try:
        await venue.start()
        async with asyncio.timeout(READY_S):
            while venue.host.health:  # noqa: ASYNC110 - health is a plain value, polled as /readyz would
                await asyncio.sleep(0.001)
    except BaseException:
        await venue.close()
        raise
    return Running(backend, venue, f"http://127.0.0.1:{port}", session, clock)
