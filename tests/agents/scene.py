"""An agent on a line that is made up: what it hears is said here, what it sends is kept, and every open is filled."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from itertools import count
from random import Random
from typing import Any, TypeVar

import msgspec

from perps.agents.desk import Desk
from perps.agents.strategy import Seat, Strategy
from perps.agents.trader import Trader
from perps.agents.views import Account, Markets
from perps.client import Event, Refused, Row
from perps.wire.contract.examples import EXAMPLES
from perps.wire.operation import Operation
from perps.wire.orders.order import Pending

T = TypeVar("T")

TICKER = "BTC-PERP"
USER = "ann"
Sent = tuple[str, dict[str, Any]]

MARKET = {
    **EXAMPLES["getMarket"].answer["market"],
    "ticker": TICKER,
    "indexPrice": "10000.00",
    "markPrice": "10000.00",
    "currentPrice": "10000.00",
    "maxSkew": "100.00",
    "takerFee": "0.001",
}
BALANCE = {
    **{name: value for name, value in EXAMPLES["getBalance"].answer.items() if name != "offset"},
    "balance": "1000.00",
    "total": "1000.00",
    "totalDeposited": "1000.00",
    "totalWithdrawn": "0.00",
}


def refusal(code: str, status: int = 422) -> Refused:
    """The venue's no."""
    return Refused(code, "No.", {}, status)


class FakeLine:
    """Answers as a venue does whose price never moves. ``failures`` come first, one for each command.

    ``waits``: what it opens and closes waits for the next price.
    """

    def __init__(self) -> None:
        self.waits = False
        self.sent: list[Sent] = []
        self.failures: deque[Exception | None] = deque()
        self.rows: asyncio.Queue[Row | Exception] = asyncio.Queue()
        """What the own stream says."""
        self.told: dict[str, dict[str, Any]] = {}
        """What an answer has in place of the contract's example, by the operation."""
        self.offset = 1
        self._numbers = count(1)
        self._positions: dict[str, dict[str, Any]] = {}

    async def call(self, operation: Operation, kind: type[T], /, **values: object) -> T:
        """Keep the command, and do it."""
        self.sent.append((operation.name, {name: value for name, value in values.items() if value is not None}))
        if self.failures and (failure := self.failures.popleft()) is not None:
            raise failure
        self.offset += 1
        return msgspec.convert(self._answer(operation.name, values), kind)

    async def call_or_wait(self, operation: Operation, kind: type[T], /, **values: object) -> T | Pending:
        """The same, or its order."""
        if not self.waits:
            return await self.call(operation, kind, **values)
        self.sent.append((operation.name, dict(values)))
        self.offset += 1
        order = {
            **EXAMPLES["placeOrder"].answer["order"],
            "id": f"{TICKER}-o{next(self._numbers)}",
            "type": "market",
            "reduceOnly": operation.name == "closePosition",
            "positionId": values.get("position_id"),
        }
        answer = {"order": order, "newBalance": "900.00", "clientOrderId": None, "offset": self.offset}
        return msgspec.convert(answer, Pending)

    async def stream(
        self, tickers: Iterable[str] | None = None, *, user: str | None = None, since: str | None = None
    ) -> AsyncGenerator[Row, None]:
        """What the test says."""
        while True:
            row = await self.rows.get()
            if isinstance(row, Exception):
                raise row
            yield row

    def _answer(self, name: str, values: dict[str, Any]) -> dict[str, Any]:
        answer = {**EXAMPLES[name].answer, **self.told.get(name, {}), "offset": self.offset}
        if name == "openPosition":
            number = next(self._numbers)
            position = {
                **answer["position"],
                "id": f"{TICKER}-{number}",
                "side": values["side"],
                "stopLoss": values.get("stop_loss"),
            }
            answer["position"] = self._positions[position["id"]] = position
        if name == "closePosition":
            position = self._positions.pop(values["position_id"])
            answer["position"] = {**answer["position"], **position, "status": "closed"}
        if name == "setTriggers":
            position = self._positions[values["position_id"]]
            position["stopLoss"] = values.get("stop_loss")
            answer["position"] = position
        if name == "closeAllPositions":
            answer |= {"results": [], "remaining": 0}
            self._positions.clear()
        return answer


class Scene:
    """One agent, its market, and time that stands still."""

    def __init__(self, kind: type[Strategy], *, seed: int = 7, **given: Any) -> None:
        self.line, account = FakeLine(), Account()
        self.seat = Seat(USER, TICKER, Desk(self.line, account), Markets(), account, Random(seed))
        self.trader = Trader(self.seat, kind, self.line, **given)
        self.hear("snapshot", markets=[MARKET], offset=1)
        self.trader.take_own(own("snapshot", **account_now()))

    def hear(self, name: str, **data: Any) -> None:
        """An event of the markets' stream."""
        row = Row(f"1-{data.get('offset', 1)}", (Event(name, data),))
        self.seat.markets.take(row)
        self.trader.take_market(row)

    def price(
        self, mark: float, *, index: float | None = None, quote: float | None = None, reason: str | None = None
    ) -> None:
        """The market takes a price."""
        prices = {
            "markPrice": f"{mark:.2f}",
            "indexPrice": f"{index or mark:.2f}",
            "quotePrice": f"{quote or mark:.2f}",
        }
        self.hear("price", ticker=TICKER, reason=reason, **prices)

    def trade(self, side: str, quantity: float, kind: str = "open", name: str = "trade") -> None:
        """Somebody trades."""
        view = self.seat.markets[TICKER]
        prices = {"markPrice": f"{view.mark:.2f}", "quotePrice": f"{view.quote:.2f}"}
        self.hear(name, ticker=TICKER, kind=kind, side=side, quantity=f"{quantity:.4f}", **prices)

    async def decide(self, times: int = 1) -> list[Sent]:
        """Let it decide so often; what it sent."""
        begun = len(self.line.sent)
        for _ in range(times):
            await self.trader.step()
        return self.line.sent[begun:]


def own(name: str, offset: int = 1, **data: Any) -> Row:
    """A row of the own stream."""
    return Row(f"1-{offset}", (Event(name, {**data, "offset": offset}),))


def account_now(**changed: Any) -> dict[str, Any]:
    """The snapshot of an account with 1,000 USD and nothing open."""
    return {
        "userId": USER,
        "balance": {**BALANCE, "offset": 1},
        "positions": [],
        "openPositions": 0,
        "orders": [],
        **changed,
    }


def position(number: int = 1, **changed: Any) -> dict[str, Any]:
    """An open position."""
    return {**EXAMPLES["openPosition"].answer["position"], "id": f"{TICKER}-{number}", "userId": USER, **changed}


def names(sent: Iterable[Sent]) -> list[str]:
    """What was sent, by its name."""
    return [name for name, _ in sent]
