"""Where an agent's commands leave: each is counted and timed, and what its answer tells is noted at once."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Awaitable
from typing import Final, TypeVar

from msgspec import Struct, field

from perps.agents.line import Line
from perps.agents.views import Account
from perps.client import Listing, OutcomeUnknown, Refused, Unavailable
from perps.client.orders import OrderCalls
from perps.client.positions import PositionCalls
from perps.wire import history, markets, trading, users
from perps.wire.close_all import ClosedAll
from perps.wire.margin import MarginChanged
from perps.wire.net import NetTraded
from perps.wire.operation import Operation
from perps.wire.orders import cancelling, placing, reading
from perps.wire.orders.order import Pending
from perps.wire.triggers import TriggersSet

T = TypeVar("T")

LEAST_MS: Final = 0.1
"""The first bucket of waits ends here …"""
GROWTH: Final = 1.2
"""… and each next one so much later: a percentile is at most 20 % too large."""
BUCKETS_MAX: Final = 120


class Waits(Struct):
    """How long commands took, in buckets, so that the waits of many agents can be added."""

    counts: dict[int, int] = field(default_factory=dict)

    def add(self, milliseconds: float) -> None:
        """One more."""
        at = 0 if milliseconds <= LEAST_MS else math.ceil(math.log(milliseconds / LEAST_MS, GROWTH))
        at = min(at, BUCKETS_MAX)
        self.counts[at] = self.counts.get(at, 0) + 1

    def merge(self, other: Waits) -> None:
        """Those of somebody else too."""
        for at, count in other.counts.items():
            self.counts[at] = self.counts.get(at, 0) + count

    @property
    def total(self) -> int:
        """How many commands."""
        return sum(self.counts.values())

    def percentile(self, share: float) -> float | None:
        """Milliseconds that this share of the commands took at most. None: there was none."""
        left = math.ceil(self.total * share)
        for at in sorted(self.counts):
            left -= self.counts[at]
            if left <= 0:
                return LEAST_MS * GROWTH**at
        return None


class Desk(PositionCalls, OrderCalls):
    """All that a strategy can ask: the methods of ``perps.client.Venue`` for positions and orders, and a few to read.

    Errors: Refused (counted by code), Unavailable and OutcomeUnknown (counted as lost), BadAnswer.
    """

    def __init__(self, line: Line, account: Account) -> None:
        self.refusals: Counter[str] = Counter()
        self.lost = 0
        """Commands without a verdict, although they were sent again and again."""
        self.waits = Waits()
        self.offset = 0
        """The last row that an answer to a command told of."""
        self._line, self._account = line, account

    async def call(self, operation: Operation, kind: type[T], /, **values: object) -> T:
        """Any operation, in the agent's name."""
        return await self._counted(operation, self._line.call(operation, kind, **values))

    async def call_or_wait(self, operation: Operation, kind: type[T], /, **values: object) -> T | Pending:
        """As ``call``, of an operation that may wait for the next price: then its order."""
        return await self._counted(operation, self._line.call_or_wait(operation, kind, **values))

    async def get_market(self, ticker: str) -> markets.MarketAnswer:
        """One market with everything that it says of itself."""
        return await self.call(markets.GET_MARKET, markets.MarketAnswer, ticker=ticker)

    async def get_balance(self, user_id: str = users.ME) -> users.Balance:
        """One's own money."""
        return await self.call(users.BALANCE, users.Balance, user_id=user_id)

    def list_candles(
        self, ticker: str, interval: str | None = None, *, limit: int | None = None
    ) -> Listing[history.Candles, history.CandleRow]:
        """A market's newest candles, oldest first. ``interval``: ``1m`` (the default) to ``1d``."""
        given = {"ticker": ticker, "interval": interval, "limit": limit, "cursor": None}
        return self._list(history.CANDLES, history.Candles, lambda page: page.candles, given)

    async def _counted(self, operation: Operation, answering: Awaitable[T]) -> T:
        begun = time.monotonic()
        try:
            answer = await answering
        except Refused as error:
            self.refusals[error.code] += 1
            raise
        except (Unavailable, OutcomeUnknown):
            self.lost += 1
            raise
        finally:
            if operation.has_effect:
                self.waits.add((time.monotonic() - begun) * 1000)
        self._note(answer)
        return answer

    def _note(self, answer: object) -> None:
        if getattr(answer, "offset", 0) <= self._account.offset:
            return  # the stream has told it, and perhaps what became of it in the same row
        match answer:
            case trading.Opened() | trading.Closed() | MarginChanged() | TriggersSet():
                self._account.note_position(answer.position, answer.offset)
                self.offset = max(self.offset, answer.offset)
            case placing.Placed() | Pending():
                self._account.note_order(answer.order, answer.offset)
                self.offset = max(self.offset, answer.offset)
            case reading.OrderAnswer():
                self._account.note_order(answer.order, answer.offset)
            case cancelling.OrdersCancelled():
                for order in answer.orders:
                    self._account.note_order(order, answer.offset)
            case placing.OrderResults():
                for placed in answer.results:
                    if placed.order:
                        self._account.note_order(placed.order, answer.offset)
                    if placed.position:
                        self._account.note_position(placed.position, answer.offset)
            case NetTraded():
                for part in (*answer.closed, answer.opened, answer.increased):
                    if part is not None:
                        self._account.note_position(part.position, answer.offset)
                self.offset = max(self.offset, answer.offset)
            case ClosedAll():
                for result in answer.results:
                    if result.closed:
                        self._note(result.closed)
                    if result.order:
                        self._account.note_order(result.order, answer.offset)
            case _:
                pass
