"""One trading agent. It watches one market, opens and closes positions, and carries on after a refusal."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from perps.client import OutcomeUnknown, Refused, Unavailable, Venue
from perps.wire.markets import Market
from perps.wire.trading import Opened
from tools.worlds.waiting import LOG, pause

MEMORY: Final = 40
"""How many marks an agent remembers."""
MOMENTUM_LOOKBACK: Final = 10
SIGNAL: Final = 0.0002
"""The least move that counts, as a fraction of the price."""
NOISE_CHANCE: Final = 0.5
CLOSE_CHANCE: Final = 0.06
"""The chance in each step to close the oldest position for no reason."""
PART_CHANCE: Final = 0.25
"""The chance that a close closes only half."""
SIZE_SPREAD: Final = 0.7
"""Spread of the lognormal sizes."""
SIZE_PARTS_MAX: Final = 6.0
"""The largest size, as a multiple of the typical one."""
PAUSE_S_MAX: Final = 30.0


class Style(StrEnum):
    """How an agent decides what to do."""

    MOMENTUM = "momentum"
    """Follows the last move."""
    REVERSION = "reversion"
    """Expects a return to the mean."""
    NOISE = "noise"
    """Tosses a coin."""


@dataclass(frozen=True)
class AgentPlan:
    """One agent: who, where and how. Sizes are USD notional."""

    user: str
    ticker: str
    style: Style
    size: float
    leverages: tuple[int, ...]
    pause_s: float
    positions_max: int = 4


class Agent:
    """One agent in its market, with its own key. ``top_up`` gives it money when it has none left."""

    def __init__(self, plan: AgentPlan, venue: Venue, random: Random, top_up: Callable[[], Awaitable[object]]) -> None:
        self.plan = plan
        self.positions: deque[str] = deque()
        self.failures = 0
        self._venue, self._random, self._top_up = venue, random, top_up
        self._marks: deque[float] = deque(maxlen=MEMORY)
        self._must_close = False

    async def run(self, stop: asyncio.Event) -> None:
        """Trade until ``stop``. Errors: Refused if the key is no longer valid."""
        await self._attempt(self._refresh)
        while not stop.is_set():
            await self._attempt(self.step)
            await pause(stop, self.next_pause())

    async def step(self) -> None:
        """Look at the market once and do at most one thing. Errors: VenueError."""
        market = (await self._venue.get_market(self.plan.ticker)).market
        self._marks.append(float(market.mark_price))
        is_full = len(self.positions) >= self.plan.positions_max
        if self.positions and (self._must_close or is_full or self._random.random() < CLOSE_CHANCE):
            await self._close_oldest()
            return
        side = wish(self.plan.style, self._marks, self._random)
        if side is not None:
            await self._open(side, market)

    def next_pause(self) -> float:
        """Seconds to the next step: about the plan's, doubled for each failure in a row, at most ``PAUSE_S_MAX``."""
        usual = self.plan.pause_s * self._random.uniform(0.5, 1.5)
        return min(usual * float(1 << min(self.failures, 10)), PAUSE_S_MAX)

    async def refused(self, error: Refused) -> None:
        """Decide what to do after a refusal. Errors: the refusal itself, if the key is no longer valid."""
        match error.code:
            case "unauthorized" | "forbidden":
                raise error
            case "insufficient_funds" if not self.positions:
                await self._top_up()
            case "insufficient_funds" | "max_skew_exceeded" | "open_interest_exceeded" | "would_be_liquidated":
                self._must_close = bool(self.positions)
            case "position_closed" | "position_not_found":
                await self._refresh()
            case "market_halted" | "market_reduce_only" | "price_stale" | "price_unconfirmed":
                pass
            case "rate_limited" | "price_beyond_limit" | "house_cannot_pay":
                pass
            case _:
                LOG.warning("world.agent_refused", agent=self.plan.user, code=error.code, reason=str(error))
        LOG.debug("world.agent_refused", agent=self.plan.user, code=error.code)

    async def _attempt(self, what: Callable[[], Awaitable[None]]) -> None:
        try:
            await what()
            self.failures = 0
        except Refused as error:
            self.failures += 1
            try:
                await self.refused(error)
            except (Unavailable, OutcomeUnknown):
                LOG.debug("world.agent_cut_off", agent=self.plan.user)
        except (Unavailable, OutcomeUnknown) as error:
            self.failures += 1
            LOG.debug("world.agent_cut_off", agent=self.plan.user, reason=str(error))

    async def _refresh(self) -> None:
        """Ask which positions are open: after a restart, or when one is gone."""
        found = self._venue.list_positions(self.plan.user, ticker=self.plan.ticker)
        self.positions = deque([position.id async for position in found])

    async def _open(self, side: str, market: Market) -> None:
        parts = min(self._random.lognormvariate(0.0, SIZE_SPREAD), SIZE_PARTS_MAX)
        size = max(self.plan.size * parts, 2 * float(market.min_order_size))
        leverage = min(self._random.choice(self.plan.leverages), market.max_leverage)
        opened = await self._venue.open(self.plan.ticker, side, f"{size:.2f}", leverage)
        if isinstance(opened, Opened):  # an order that waits for the next price has no position yet
            self.positions.append(opened.position.id)

    async def _close_oldest(self) -> None:
        is_part = not self._must_close and self._random.random() < PART_CHANCE
        await self._venue.close(self.positions[0], "0.5" if is_part else None)
        if not is_part:
            self.positions.popleft()
        self._must_close = False


def wish(style: Style, marks: Sequence[float], random: Random) -> str | None:
    """The side an agent of this style wants now, if any."""
    if style is Style.NOISE:
        return random.choice(("long", "short")) if random.random() < NOISE_CHANCE else None
    if len(marks) <= MOMENTUM_LOOKBACK:
        return None
    now = marks[-1]
    is_momentum = style is Style.MOMENTUM
    move = now / marks[-1 - MOMENTUM_LOOKBACK] - 1 if is_momentum else sum(marks) / len(marks) / now - 1
    if abs(move) < SIGNAL:
        return None
    return "long" if move > 0 else "short"
