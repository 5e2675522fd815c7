"""Users who open small positions, each under an id of its own, and remember what they were told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from tests.endtoend.api import Answer, Api, Json

TICKER: Final = "AAA"
STORM_S: Final = 20.0
"""Longest wait for a storm to have brought enough."""


@dataclass
class Opens:
    """Who opens, what was answered by id, and what is still in doubt."""

    api: Api
    keys: dict[str, str]
    answers: dict[str, Answer] = field(default_factory=dict)
    in_doubt: dict[str, str] = field(default_factory=dict)
    """Who sent an open that has no verdict, by its id."""
    _sent: int = 0

    @classmethod
    async def prepare(cls, api: Api, users: int) -> Opens:
        """A market, and users with money."""
        await api.list_market(TICKER, "100.00")
        return cls(api, {f"user-{number}": await api.add_user(f"user-{number}", "100000") for number in range(users)})

    async def one(self, user: str) -> Answer:
        """Send one open, once. Raises ``aiohttp.ClientError`` when nothing is answered."""
        self._sent += 1
        order_id = f"{user}-{self._sent}"
        self.in_doubt[order_id] = user
        answer = await self.api.send("POST", "/api/markets/perps/open", self.body(order_id), key=self.keys[user])
        if answer.code != "outcome_unknown":
            del self.in_doubt[order_id]
            self.answers[order_id] = answer
        return answer

    async def until_refused(self, user: str) -> None:
        """One after the other, until the venue refuses or is gone."""
        while True:
            try:
                answer = await self.one(user)
            except aiohttp.ClientError:
                return
            assert answer.status in (201, 503), answer.body
            if answer.status == 503:
                return

    async def storm(self, enough: Callable[[], bool]) -> asyncio.Future[list[None]]:
        """Let everybody open without end. Returns when it is ``enough``, the storm still going on, to be awaited."""
        tasks = [asyncio.ensure_future(self.until_refused(user)) for user in self.keys]
        deadline = time.monotonic() + STORM_S
        while not enough():
            ended, _ = await asyncio.wait(tasks, timeout=0.001, return_when=asyncio.FIRST_COMPLETED)
            assert not ended, f"somebody was refused before his time: {[task.result() for task in ended]}"
            assert time.monotonic() < deadline, f"{len(self.answers)} answers in {STORM_S} s"
        return asyncio.gather(*tasks)

    async def resolve(self) -> None:
        """Send what is in doubt again, until it has a verdict."""
        for order_id, user in list(self.in_doubt.items()):
            body = self.body(order_id)
            answer = await self.api.verdict("POST", "/api/markets/perps/open", body, key=self.keys[user])
            assert answer.status == 201, answer.body
            del self.in_doubt[order_id]
            self.answers[order_id] = answer

    async def check(self) -> None:
        """What is open is what was acknowledged: nothing is missing, nothing is there twice or unasked."""
        for user, key in self.keys.items():
            shown = await self.api.get(f"/api/markets/positions/{user}", key=key)
            there = sorted(position["id"] for position in shown["perpetuals"]["positions"])
            assert there == sorted(self.acknowledged(user)), user
        stats = await self.api.get("/api/admin/stats")
        assert stats["accounts"]["total"] == "0.00"

    def acknowledged(self, user: str) -> list[str]:
        """The positions he was told of."""
        answers = [answer for name, answer in self.answers.items() if name.rpartition("-")[0] == user]
        return [answer.json["position"]["id"] for answer in answers if answer.status == 201]

    @staticmethod
    def body(order_id: str) -> Json:
        """An open too small ever to fail."""
        return {"ticker": TICKER, "side": "long", "size": "12", "leverage": 2, "clientOrderId": order_id}
