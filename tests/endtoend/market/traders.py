"""Scripted traders. What one does follows from his seed, the prices and the answers he got, and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Final

from tests.endtoend.api import Answer, Json

TOP_UP: Final = "500"
CLOSE_REFUSALS: Final = frozenset({"position_closed", "would_be_liquidated"})
OPEN_REFUSALS: Final = frozenset(
    {
        "insufficient_funds",
        "max_skew_exceeded",
        "open_interest_exceeded",
        "position_size_too_large",
        "would_be_liquidated",
        "price_beyond_limit",
    }
)
SHARES: Final = ("0.5", "0.333333333", "0.1", "0.75", "0.000000001", "0.9")
"""Of partial closes: even ones, ones that do not divide, and one that is less than a lot."""


class Strategy(StrEnum):
    """What a trader believes in."""

    TREND = "trend"
    CONTRARIAN = "contrarian"
    GAMBLER = "gambler"
    SCALER = "scaler"
    """Low leverage, in and out by parts."""
    WHALE = "whale"
    """Trades in every market, and is never short of money."""


LEVERAGES: Final = {
    Strategy.TREND: (3, 30),
    Strategy.CONTRARIAN: (2, 20),
    Strategy.GAMBLER: (50, 100),
    Strategy.SCALER: (1, 5),
    Strategy.WHALE: (1, 10),
}
EVERY_HOURS: Final = {
    Strategy.TREND: (6, 14),
    Strategy.CONTRARIAN: (8, 20),
    Strategy.GAMBLER: (8, 24),
    Strategy.SCALER: (4, 12),
    Strategy.WHALE: (12, 30),
}
POSITIONS_MAX: Final = {Strategy.SCALER: 3, Strategy.WHALE: 2}


@dataclass(frozen=True)
class Request:
    """One POST."""

    path: str
    body: Json


@dataclass
class Trader:
    """One user's doings in one market."""

    user: str
    ticker: str
    strategy: Strategy
    key: str
    random: Random
    positions: list[str] = field(default_factory=list)
    """His open ones, as far as he knows."""
    orders: int = 0
    is_broke: bool = False
    every: int = 1
    """Hours between his requests."""
    first: int = 0
    """The half hour of the first."""

    def __post_init__(self) -> None:
        self.every = self.random.randint(*EVERY_HOURS[self.strategy])
        self.first = self.random.randrange(2 * self.every)

    def next_request(self, step: int, prices: Sequence[int]) -> Request | None:
        """What to do at this half hour, if anything. ``prices``: closes so far, cents."""
        if step % (2 * self.every) != self.first:
            return None
        if self.is_broke:
            self.is_broke = False
            return Request(f"/api/admin/users/{self.user}/deposit", {"amount": TOP_UP, **self._order_id()})
        if self.positions and (
            len(self.positions) >= POSITIONS_MAX.get(self.strategy, 1) or self.random.random() < 0.3
        ):
            return self._close(self.random.choice(self.positions))
        return self._open(self._side(prices))

    def learn(self, request: Request, answer: Answer) -> None:
        """Take in an answer. A refusal that no honest script can meet fails the test."""
        if request.path.endswith("/close"):
            position = request.path.split("/")[-2]
            if answer.status == 200:
                if answer.json["position"]["status"] == "closed":
                    self.positions.remove(position)
                return
            assert answer.code in CLOSE_REFUSALS, answer.body
            if answer.code == "position_closed":
                self.positions.remove(position)
        elif request.path.endswith("/open"):
            if answer.status == 201:
                self.positions.append(answer.json["position"]["id"])
                return
            assert answer.code in OPEN_REFUSALS, answer.body
            self.is_broke = answer.code == "insufficient_funds"
            assert not (self.is_broke and self.strategy is Strategy.WHALE), "a whale must never be short of money"
        else:
            assert answer.status == 200, answer.body

    def last_requests(self) -> list[Request]:
        """Out of everything."""
        return [self._close(position, whole=True) for position in self.positions]

    def _open(self, side: str) -> Request:
        low, high = LEVERAGES[self.strategy]
        leverage = self.random.randint(low, high)
        stake = self.random.randint(5_000, 40_000) if self.strategy is Strategy.WHALE else self.random.randint(15, 400)
        size = f"{stake * leverage}.{self.random.randrange(100):02d}"
        body: Json = {"ticker": self.ticker, "side": side, "size": size, "leverage": leverage, **self._order_id()}
        if self.random.random() < 0.2:
            body["maxSlippageBps"] = self.random.randint(1, 50)
        return Request("/api/markets/perps/open", body)

    def _close(self, position: str, *, whole: bool = False) -> Request:
        body = self._order_id()
        parts = 0.6 if self.strategy is Strategy.SCALER else 0.25
        if not whole and self.random.random() < parts:
            body["percentage"] = self.random.choice(SHARES)
        return Request(f"/api/markets/perps/{position}/close", body)

    def _side(self, prices: Sequence[int]) -> str:
        then = prices[-self.every] if len(prices) >= self.every else prices[0]
        rising = prices[-1] >= then
        match self.strategy:
            case Strategy.TREND:
                is_long = rising
            case Strategy.CONTRARIAN:
                is_long = not rising
            case _:
                is_long = self.random.random() < 0.55
        return "long" if is_long else "short"

    def _order_id(self) -> Json:
        self.orders += 1
        return {"clientOrderId": f"{self.user}/{self.ticker}/{self.orders}"}
