"""One market's feed: prices put on its tick, in their source's order, with the time that they are of."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from perps.client import Refused, Venue
from perps.client.rounding import on_tick
from perps.wire.markets import Market
from perps.wire.prices import PriceResult
from tools.errors import ToolError
from tools.output import show_line
from tools.times import rfc3339

FAR_AHEAD_US: Final = 60_000_000
"""A sequence this far ahead of now will not be reached: its feed is shut out."""
FUTURE_RULE: Final = "at is not in the future"


def next_sequence(last: int) -> int:
    """The number of a feed's next price: microseconds since 1970, or one more than ``last`` if that is not newer.

    So a later run continues after an earlier one, and if two feeds send to one market the newer price counts.
    """
    return max(last + 1, time.time_ns() // 1000)


class RefusedPrice(ToolError):
    """The market refuses one of many prices. ``at``: its place among them; those before it were sent."""

    def __init__(self, at: int, problem: str) -> None:
        super().__init__(problem)
        self.at = at


@dataclass
class PriceFeed:
    """One market's prices in order, each rounded to the tick, with a sequence that grows and the time it is sent.

    ``overtaken`` counts prices that came too late: another feed had sent the market a newer one. A feed that can never
    catch up with that is told so by a ``ToolError``.
    """

    venue: Venue
    ticker: str
    tick_size: Decimal
    sequence: int = 0
    source: str = "oracle"
    has_sequence: bool = True
    has_time: bool = True
    sent: int = 0
    overtaken: int = 0
    liquidations: int = 0
    last: Decimal | None = None
    _at_ms: int = 0

    @classmethod
    async def of(
        cls, venue: Venue, ticker: str, source: str = "oracle", *, has_sequence: bool = True
    ) -> tuple[PriceFeed, Market]:
        """The feed of a market, and the market as it is now."""
        market = (await venue.get_market(ticker)).market
        return cls(venue, ticker, Decimal(market.tick_size), source=source, has_sequence=has_sequence), market

    async def send(self, price: Decimal, *, reason: str | None = None, at_ms: int | None = None) -> None:
        """Set the market's index to the tick nearest to ``price``. Errors: VenueError, ToolError.

        ``at_ms``: when the price was made, in ms since 1970; None: now.
        """
        await self._send(on_tick(price, self.tick_size), None, reason, at_ms)

    async def send_change(self, change: Decimal, *, reason: str | None = None) -> None:
        """Move the market's index by a fraction of itself: 0.03 is 3 % up. Errors: VenueError, ToolError."""
        await self._send(None, change, reason, None)

    async def _send(self, price: Decimal | None, change: Decimal | None, reason: str | None, at_ms: int | None) -> None:
        try:
            answer = await self.venue.set_price(
                self.ticker, price, change=change, source=self.source, reason=reason, **self._marks(at_ms)
            )
            self.liquidations += answer.liquidations
            price = price or Decimal(answer.market.index_price)
        except Refused as error:
            if self._goes_on_without_time(error.code, error.details):
                await self._send(price, change, reason, None)
                return
            if error.code != "price_stale":
                raise
            if not error.is_repeated:  # else an earlier try may have been taken
                self._refuse_if_shut_out(error.details)
                self.overtaken += 1
                return
        self.sent += 1
        self.last = price or self.last

    async def send_many(self, prices: Sequence[Decimal]) -> None:
        """As ``send``, for prices that are all due, in one request. Errors: VenueError, ToolError, RefusedPrice."""
        if len(prices) == 1:
            await self.send(prices[0])
            return
        items = [
            {"ticker": self.ticker, "price": on_tick(price, self.tick_size), "source": self.source, **self._marks(None)}
            for price in prices
        ]
        answer = await self.venue.set_prices(items)
        refused: RefusedPrice | None = None
        for at, (item, result) in enumerate(zip(items, answer.results, strict=True)):
            try:
                is_taken = self._is_taken(result, items)
            except ToolError as error:
                refused = refused or RefusedPrice(at, str(error))
                continue
            if is_taken is None:
                await self.send_many(prices[at:])
                return
            if is_taken:
                self.sent += 1
                self.liquidations += result.liquidations or 0
                self.last = item["price"]
            else:
                self.overtaken += 1
        if refused is not None:
            raise refused

    async def send_float(self, price: float, *, reason: str | None = None) -> None:
        """As ``send``, for a simulated price: its shortest decimal is sent exactly."""
        await self.send(Decimal(repr(price)), reason=reason)

    def _marks(self, at_ms: int | None) -> dict[str, Any]:
        """What says which price is the newer one."""
        marks: dict[str, Any] = {}
        if self.has_sequence:
            marks["sequence"] = self.sequence = next_sequence(self.sequence)
        if self.has_time:
            self._at_ms = max(self._at_ms, time.time_ns() // 1_000_000 if at_ms is None else at_ms)
            marks["at"] = rfc3339(self._at_ms)
        return marks

    def _is_taken(self, result: PriceResult, items: Sequence[dict[str, Any]]) -> bool | None:
        """Whether one of many prices was taken. None: it is to be sent again, without a time. Errors: ToolError."""
        if not (error := result.error):
            return True
        if self._goes_on_without_time(error.code, error.details):
            return None
        if error.code != "price_stale":
            raise ToolError(f"{error.code}: {error.message}")
        known = error.details.get("knownSequence")
        if isinstance(known, int) and items[0].get("sequence", known + 1) <= known <= items[-1].get("sequence", 0):
            return True  # an earlier try of this request was carried out
        self._refuse_if_shut_out(error.details)
        return False

    def _goes_on_without_time(self, code: str, details: Any) -> bool:
        """Whether the venue's clock is behind this machine's. From then on the venue says when a price has come."""
        if code != "validation_error" or details.get("rule") != FUTURE_RULE or not self.has_time:
            return False
        self.has_time = False
        show_line("the venue's clock is behind this machine's: prices go on without a time of their own", err=True)
        return True

    def _refuse_if_shut_out(self, details: Any) -> None:
        """Errors: ToolError if the market knows a sequence or a time of this source that will not come soon."""
        known, known_ms = details.get("knownSequence"), details.get("knownAtMs")
        now_us = time.time_ns() // 1000
        if isinstance(known, int) and known > now_us + FAR_AHEAD_US:
            what = f"a price with the sequence {known}, and this feed has come to {self.sequence}"
        elif isinstance(known_ms, int) and known_ms * 1000 > now_us + FAR_AHEAD_US:
            what = f"a price of the time {rfc3339(known_ms)}, which has not come yet"
        else:
            return
        others = " or ".join(each for each in ("oracle", "system", "agent") if each != self.source)
        without = ", or without a sequence: --no-sequence" if known else ""
        raise ToolError(
            f"{self.ticker} takes no price of this feed: its source {self.source} has already sent {what}. "
            f"Go on as another source: --source {others}{without}"
        )
