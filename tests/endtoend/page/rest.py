"""The venue that a page shows, asked over HTTP."""

from __future__ import annotations

from typing import Any

import aiohttp

from tests.endtoend.venue_process import ADMIN_KEY

Json = dict[str, Any]


class Rest:
    """The same venue, asked over HTTP."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def ask(self, method: str, path: str, body: Json | None = None, key: str = ADMIN_KEY) -> Json:
        """One request that must succeed."""
        headers = {"Authorization": f"Bearer {key}"}
        async with self._session.request(method, self._url + path, json=body, headers=headers) as answer:
            found: Json = await answer.json()
            assert answer.status < 300, found
            return found

    async def price(self, price: str) -> None:
        """A new index price."""
        await self.ask("POST", "/api/markets/perps/BTC-PERP/price", {"price": price})

    async def position(self, user: str) -> Json:
        """A user's only position."""
        found = await self.ask("GET", f"/api/markets/positions/{user}")
        (position,) = found["perpetuals"]["positions"]
        return dict(position)

    async def begin(self, terms: Json | None = None) -> str:
        """A market at 10,000, with further ``terms`` of its listing, and a user with 1,000: the user's key."""
        market = {"ticker": "BTC-PERP", "organizationId": "btc", "name": "Bitcoin", "price": "10000"}
        terms = {"maxLeverage": 20, "houseDeposit": "100000"} | (terms or {})
        await self.ask("POST", "/api/admin/markets", market | terms)
        await self.ask("POST", "/api/admin/users", {"userId": "ann", "deposit": "1000"})
        made = await self.ask("POST", "/api/admin/keys", {"userId": "ann", "scopes": ["read", "trade"]})
        return str(made["key"])
