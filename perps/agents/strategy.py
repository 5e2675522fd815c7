"""What a strategy is: a class that looks at what an agent knows and sends what it decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import ClassVar, Final

from perps.agents.desk import Desk
from perps.agents.views import Account, Markets, MarketView
from perps.client import Event, Exact, Refused
from perps.client.rounding import on_tick
from perps.commands import OrderKind
from perps.wire.orders.order import Order, Pending
from perps.wire.orders.placing import Placed
from perps.wire.trading import Closed, Opened, Position

FULL: Final = frozenset(
    (
        "insufficient_funds",
        "max_skew_exceeded",
        "open_interest_exceeded",
        "user_limit_exceeded",
        "would_be_liquidated",
        "too_many_open_orders",
    )
)
"""Refusals of an open that leaving a position may help against."""


def _nothing() -> None:
    """Nobody waits."""


@dataclass
class Seat:
    """One agent's place: who it is, where it trades, and with what means."""

    user: str
    ticker: str
    desk: Desk
    markets: Markets
    account: Account
    random: Random
    """Its own chance: the run's seed and the agent's number decide all that comes out of it."""
    size: float = 500.0
    """USD of notional that an open usually takes."""
    leverage: int = 5
    wake: Callable[[], None] = field(default=_nothing)
    """Lets the next decision be made at once."""


class Strategy:
    """Decides for one agent. Write a subclass with ``decide``; the runner makes one object for each agent.

    All methods run on one event loop with other agents: wait with ``await``, never with ``time.sleep``. Take chance
    from ``self.random``, so that a seed repeats what you decide. An exception that is no ``VenueError`` ends this agent
    and no other.
    """

    every_s: ClassVar[float] = 1.0
    """Seconds between two decisions. Each pause is drawn from between half of it and one and a half of it."""
    positions_max: ClassVar[int] = 3
    """``enter`` is for a strategy that has fewer positions than this: see ``is_full``."""

    def __init__(self, seat: Seat) -> None:
        self.user = seat.user
        self.ticker = seat.ticker
        """The market of this agent."""
        self.venue = seat.desk
        """The client, in the agent's name: ``await self.venue.open(…)``, ``place_order``, ``set_triggers`` …"""
        self.account = seat.account
        self.random = seat.random
        self.size, self.leverage = seat.size, seat.leverage
        self._seat = seat

    async def decide(self) -> None:
        """Look, and send what you want; or nothing. Called again and again, never twice at once."""
        raise NotImplementedError

    def see(self, event: Event) -> None:
        """Hear of something: every event of this agent's market and account, as docs/streams.md describes them."""

    async def refused(self, error: Refused) -> None:
        """A refusal that ``decide`` did not catch. By default an agent that is full closes its oldest position."""
        if error.code in FULL and self.positions:
            await self.leave(self.positions[0])

    @property
    def market(self) -> MarketView:
        """The agent's market now."""
        return self._seat.markets[self.ticker]

    @property
    def positions(self) -> tuple[Position, ...]:
        """The agent's open positions in this market, the oldest first, without those whose close waits."""
        leaving = {order.position_id for order in self.waiting if order.reduce_only}
        return tuple(one for one in self._all_positions if one.id not in leaving)

    @property
    def waiting(self) -> tuple[Order, ...]:
        """The agent's opens and closes in this market that wait for the next price, the oldest first."""
        return tuple(one for one in self.account.orders if one.ticker == self.ticker and one.type is OrderKind.MARKET)

    @property
    def is_full(self) -> bool:
        """Whether it has all the positions that it may have. An open that waits for the next price counts as one."""
        opens = sum(one.position_id is None for one in self.waiting)
        return len(self._all_positions) + opens >= self.positions_max

    @property
    def _all_positions(self) -> list[Position]:
        return [one for one in self.account.positions if one.ticker == self.ticker]

    def now(self) -> None:
        """Decide at once: from ``see``, when something cannot wait for the next turn."""
        self._seat.wake()

    def dollars(self, scale: float = 1.0) -> str:
        """USD for an order of ``scale`` times the usual size, and at least twice the market's smallest."""
        return f"{max(self.size * scale, 2 * self.market.min_order_size):.2f}"

    def price(self, value: float) -> str:
        """A price as an exact text: the multiple of the market's tick size nearest to ``value``, at least one tick."""
        return f"{on_tick(Decimal(str(value)), Decimal(self.market.tick_size)):f}"

    async def enter(
        self,
        side: str,
        scale: float = 1.0,
        *,
        take_profit: Exact | None = None,
        stop_loss: Exact | None = None,
        max_slippage_bps: int | None = None,
    ) -> Opened | Pending:
        """Open a position at market: ``long`` or ``short``. The answer is an order where that waits for the next price.

        Errors: VenueError.
        """
        return await self.venue.open(
            self.ticker,
            side,
            self.dollars(scale),
            min(self.leverage, self.market.max_leverage),
            take_profit=take_profit,
            stop_loss=stop_loss,
            max_slippage_bps=max_slippage_bps,
        )

    async def leave(self, position: Position, share: Exact | None = None) -> Closed | Pending:
        """Close a position, or a share of it: ``"0.5"`` is half. Errors: VenueError."""
        return await self.venue.close(position.id, share)

    async def wait_at(self, side: str, price: float, scale: float = 1.0) -> Placed:
        """Place a limit order. Errors: VenueError."""
        leverage = min(self.leverage, self.market.max_leverage)
        return await self.venue.place_order(
            self.ticker, "limit", side, self.dollars(scale), leverage, self.price(price)
        )
