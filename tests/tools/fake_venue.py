"""A tiny venue over HTTP, in memory: enough of the contract's routes and codes to try the tools against."""

import asyncio
import json
import re
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Refusal = tuple[int, str]

ADMIN_KEY = "admin-key"
API = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
SAMPLES = re.findall(r"```json\n(.*?)```", API, re.DOTALL)


def sample(*fields: str) -> dict[str, Any]:
    """The sample answer in the API's page that has these fields."""
    blocks = (block for block in map(json.loads, SAMPLES) if isinstance(block, dict))
    found: dict[str, Any] = next(block for block in blocks if block.keys() >= set(fields))
    return found


class FakeVenue:
    """Markets, users, keys, prices and positions. ``refusals`` are answered first, by route, each once."""

    def __init__(self) -> None:
        self.markets: dict[str, dict[str, Any]] = {}
        self.users: dict[str, Decimal] = {}
        self.keys: dict[str, str | None] = {ADMIN_KEY: None}
        self.prices: list[dict[str, Any]] = []
        self.positions: dict[str, dict[str, Any]] = {}
        self.seen: Counter[str] = Counter()
        self.bodies: list[tuple[str, dict[str, Any]]] = []
        self.refusals: dict[str, deque[Refusal]] = {}
        self.retry_after = "0"
        self.is_behind = False
        """Whether the venue's clock is behind everybody's."""
        self.limit: Decimal | None = None
        """The largest price that a market takes."""
        self.hang_ups: Counter[str] = Counter()
        """How often the line is cut instead of an answer, by route."""
        self.changed = asyncio.Condition()
        self._numbers = count(1)

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application(middlewares=[self._middleware])
        app.add_routes(
            [
                web.get("/api/markets/perps", self._list, name="markets"),
                web.get("/api/markets/perps/{ticker}", self._market, name="market"),
                web.post("/api/markets/perps/open", self._open, name="open"),
                web.post("/api/markets/perps/{id}/close", self._close, name="close"),
                web.post("/api/markets/perps/{ticker}/price", self._price, name="price"),
                web.post("/api/markets/prices", self._prices, name="prices"),
                web.get("/api/markets/positions/{user}", self._positions, name="positions"),
                web.get("/api/users/{user}/balance", self._balance, name="balance"),
                web.get("/api/me", self._me, name="me"),
                web.post("/api/admin/markets", self._create_market, name="create_market"),
                web.post("/api/admin/users", self._create_user, name="create_user"),
                web.post("/api/admin/users/{user}/deposit", self._deposit, name="deposit"),
                web.post("/api/admin/keys", self._create_key, name="create_key"),
                web.get("/api/admin/keys", self._list_keys, name="list_keys"),
                web.delete("/api/admin/keys/{key}", self._revoke_key, name="revoke_key"),
                web.get("/api/admin/users", self._list_users, name="list_users"),
                web.post("/api/admin/markets/{ticker}/mode", self._mode, name="mode"),
                web.get("/api/admin/stats", self._stats, name="stats"),
                web.get("/api/sse/markets", self._stream_markets, name="stream_markets"),
                web.get("/api/sse/users/{user}", self._stream_user, name="stream_user"),
            ]
        )
        return app

    def add_market(self, ticker: str, price: str = "100.00", tick_size: str = "0.01") -> None:
        """List a market without asking."""
        self.markets[ticker] = {
            **sample("market", "offset")["market"],
            "ticker": ticker,
            "name": ticker.title(),
            "status": "enabled",
            "indexPrice": price,
            "markPrice": price,
            "tickSize": tick_size,
            "maxLeverage": 50,
            "minOrderSize": "10.00",
            "openInterest": {"long": "0.00", "short": "0.00"},
        }

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something asked of the venue has made ``condition`` true."""
        async with self.changed:
            await self.changed.wait_for(condition)

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        name = request.match_info.route.name or ""
        self.seen[name] += 1
        queued = self.refusals.get(name)
        if self.hang_ups[name] and request.transport is not None:
            self.hang_ups[name] -= 1
            request.transport.abort()
        try:
            if queued:
                status, code = queued.popleft()
                return self._refuse(status, code)
            if name not in ("markets", "market") and self._key(request) not in self.keys:
                return self._refuse(401, "unauthorized")
            if request.method == "POST":
                self.bodies.append((name, await request.json()))
            return await handler(request)
        finally:
            async with self.changed:
                self.changed.notify_all()

    def _refuse(self, status: int, code: str, details: dict[str, Any] | None = None) -> web.Response:
        details = {"required": "2.00"} if details is None else details
        body = {"error": {"code": code, "message": "No.", "details": details, "requestId": "r"}}
        headers = {"Retry-After": self.retry_after} if status == 503 else {}
        return web.json_response(body, status=status, headers=headers)

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response({"markets": list(self.markets.values()), "count": len(self.markets), "offset": 1})

    async def _market(self, request: web.Request) -> web.Response:
        found = self.markets.get(request.match_info["ticker"])
        return web.json_response({"market": found, "offset": 1}) if found else self._refuse(404, "market_not_found")

    async def _create_market(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["ticker"] in self.markets:
            return self._refuse(409, "market_exists")
        self.add_market(body["ticker"], str(body["price"]), body.get("tickSize", "0.01"))
        self.markets[body["ticker"]].update({name: body[name] for name in ("organizationId", "name") if name in body})
        largest = {"maxSkew": "1.00", "maxOpenInterest": "1.00"}
        answer = {"market": self.markets[body["ticker"]], "offset": 1, "largest": largest, "warnings": []}
        return web.json_response(answer, status=201)

    async def _price(self, request: web.Request) -> web.Response:
        taken = self._take({"ticker": request.match_info["ticker"], **await request.json()})
        if (error := taken.get("error")) is not None:
            return self._refuse(409 if error["code"] == "price_stale" else 400, error["code"], error["details"])
        return web.json_response(taken)

    async def _prices(self, request: web.Request) -> web.Response:
        results = []
        for item in await request.json():
            results.append(self._take(item))
        return web.json_response({"results": results, "offset": len(self.prices)})

    def _take(self, item: dict[str, Any]) -> dict[str, Any]:
        """The market after a price, or why it is refused."""
        of_source = (
            price["sequence"]
            for price in reversed(self.prices)
            if (price["ticker"], price["source"]) == (item["ticker"], item["source"]) and "sequence" in price
        )
        newest = next(of_source, -1)
        if item.get("sequence", newest + 1) <= newest:
            details = {"sequence": item["sequence"], "knownSequence": newest}
            return {"error": {"code": "price_stale", "message": "No.", "details": details}}
        if self.is_behind and "at" in item:
            details = {"rule": "at is not in the future"}
            return {"error": {"code": "validation_error", "message": "No.", "details": details}}
        market = self.markets[item["ticker"]]
        if "change" in item:
            item["price"] = f"{Decimal(market['indexPrice']) * (1 + Decimal(item['change'])):.2f}"
        if self.limit is not None and Decimal(item["price"]) > self.limit:
            return {"error": {"code": "validation_error", "message": "No.", "details": {}}}
        self.prices.append(item)
        market["indexPrice"] = market["markPrice"] = item["price"]
        return {"market": market, "liquidations": 0, "offset": len(self.prices)}

    async def _create_user(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["userId"] in self.users:
            return self._refuse(409, "user_exists")
        self.users[body["userId"]] = Decimal(body.get("deposit", "0"))
        return web.json_response({**self._wallet(body["userId"]), "referrer": None}, status=201)

    async def _deposit(self, request: web.Request) -> web.Response:
        user, body = request.match_info["user"], await request.json()
        self.users[user] += Decimal(body["amount"])
        moved = {"amount": f"{Decimal(body['amount']):.2f}", "newBalance": f"{self.users[user]:.2f}"}
        return web.json_response({"userId": user, **moved, "clientOrderId": body["clientOrderId"], "offset": 1})

    async def _balance(self, request: web.Request) -> web.Response:
        return web.json_response(self._wallet(request.match_info["user"]))

    def _wallet(self, user: str) -> dict[str, Any]:
        amount = f"{self.users[user]:.2f}"
        sums = {"balance": amount, "available": amount, "totalDeposited": amount}
        return {**sample("balance", "available"), "userId": user, **sums}

    async def _me(self, request: web.Request) -> web.Response:
        key = self._key(request)
        scopes = ["admin"] if key == ADMIN_KEY else ["read", "trade"]
        me = {"userId": self.keys[key], "scopes": scopes, "keyId": "key", "label": "", "expiresAt": None}
        return web.json_response(me)

    async def _create_key(self, request: web.Request) -> web.Response:
        number = next(self._numbers)
        body = await request.json()
        self.keys[f"secret-{number}"] = body.get("userId")
        made = {"keyId": f"key-{number}", "key": f"secret-{number}"}
        return web.json_response({**made, "userId": body.get("userId"), "scopes": body["scopes"]}, status=201)

    async def _list_keys(self, request: web.Request) -> web.Response:
        made = [(name, body) for name, body in self.bodies if name == "create_key"]
        last = int(request.query.get("cursor", len(made) + 1))
        shown = range(last - 1, max(0, last - 1 - int(request.query.get("limit", 100))), -1)
        keys = [
            {
                "keyId": f"key-{number}",
                "userId": made[number - 1][1].get("userId"),
                "scopes": made[number - 1][1]["scopes"],
                "label": made[number - 1][1].get("label", ""),
                "createdAt": "2026-01-01T00:00:00.000Z",
                "expiresAt": None,
                "revokedAt": None,
            }
            for number in shown
        ]
        return web.json_response({"keys": keys, "nextCursor": str(shown[-1]) if shown and shown[-1] > 1 else None})

    async def _revoke_key(self, request: web.Request) -> web.Response:
        return web.json_response({"keyId": request.match_info["key"], "revoked": True})

    async def _list_users(self, request: web.Request) -> web.Response:
        users = [{**self._wallet(user), "referrer": None, "openPositions": 0} for user in reversed(self.users)]
        return web.json_response({"users": users, "offset": 1, "nextCursor": None})

    async def _mode(self, request: web.Request) -> web.Response:
        market = self.markets[request.match_info["ticker"]]
        market["status"] = (await request.json())["mode"]
        return web.json_response({"market": market, "offset": 1})

    async def _stats(self, request: web.Request) -> web.Response:
        stats = sample("accounts", "inFlight")
        markets = [{**stats["markets"][0], "ticker": name} for name in self.markets]
        return web.json_response({**stats, "users": len(self.users), "markets": markets})

    async def _stream_markets(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, {"markets": list(self.markets.values()), "offset": 1})

    async def _stream_user(self, request: web.Request) -> web.StreamResponse:
        user = request.match_info["user"]
        nothing: dict[str, Any] = {"positions": [], "openPositions": 0, "orders": []}
        return await self._stream(request, {"userId": user, "balance": self._wallet(user), **nothing, "offset": 1})

    async def _stream(self, request: web.Request, now: dict[str, Any]) -> web.StreamResponse:
        """A snapshot, and then nothing but comments until the reader goes."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        with suppress(ConnectionError):
            await response.write(f"event: snapshot\nid: 1-1\ndata: {json.dumps(now)}\n\n".encode())
            while True:
                await asyncio.sleep(0.05)
                await response.write(b":\n\n")
        return response

    async def _open(self, request: web.Request) -> web.Response:
        body = await request.json()
        opened = sample("position", "marginPaid")
        position = opened["position"] | {
            "id": f"{body['ticker']}-{next(self._numbers)}",
            "ticker": body["ticker"],
            "side": body["side"],
            "userId": self.keys[self._key(request)] or "admin",
        }
        self.positions[position["id"]] = position
        return web.json_response({**opened, "position": position}, status=201)

    async def _close(self, request: web.Request) -> web.Response:
        body, name = await request.json(), request.match_info["id"]
        if name not in self.positions:
            return self._refuse(409, "position_closed")
        position = self.positions[name] if "percentage" in body else self.positions.pop(name)
        return web.json_response({**sample("position", "netSettlement"), "position": position})

    async def _positions(self, request: web.Request) -> web.Response:
        user, ticker = request.match_info["user"], request.query["ticker"]
        mine = [p for p in self.positions.values() if (p["userId"], p["ticker"]) == (user, ticker)]
        answer = sample("perpetuals")
        answer["perpetuals"]["positions"] = mine
        return web.json_response(answer)

    @staticmethod
    def _key(request: web.Request) -> str:
        return request.headers.get("Authorization", "").removeprefix("Bearer ")


async def started(venue: FakeVenue) -> TestServer:
    """The venue on a port of its own; close it."""
    server = TestServer(venue.app())
    await server.start_server()
    return server
