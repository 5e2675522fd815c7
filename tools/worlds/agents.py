"""The agents of a world: strategies of ``perps.agents`` in this process, each with a user, money and a key."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from secrets import randbits
from typing import Final

from perps.agents.catalogue import short_name, strategy_of
from perps.agents.crowd import Crowd
from perps.client import Venue
from perps.client.requests import Exact
from tools.errors import ToolError
from tools.feeds.price_process import SEED_BITS
from tools.times import rfc3339
from tools.worlds.waiting import LOG
from tools.worlds.world import Agents, World

TRY_S: Final = 2.0
"""How long a request is sent again, before the agent that asked is begun anew."""
KEY_LIFE_S: Final = 24 * 3600
"""An agent's key expires by itself, so that a killed world leaves none behind for long. The agent asks for another."""


@dataclass(frozen=True)
class AgentPlan:
    """One agent: who, where, and the table of the file that says how. ``number``: which of its strategy it is."""

    user: str
    ticker: str
    number: int
    table: Agents


def agents_of(world: World) -> Iterator[AgentPlan]:
    """Every agent of a world: ``agent-noise-1``, ``agent-noise-2``, … A table that names no markets goes on with the
    one behind the last of the table before, so that the last markets of the file are not left without agents.
    """
    numbers: Counter[str] = Counter()
    everywhere = itertools.cycle(world.tickers)
    for table in world.agents:
        name = short_name(table.strategy)
        tickers = itertools.cycle(table.markets) if table.markets else everywhere
        for ticker in itertools.islice(tickers, table.count):
            numbers[name] += 1
            yield AgentPlan(f"agent-{name}-{numbers[name]}", ticker, numbers[name], table)


def users_of(world: World) -> Mapping[str, Exact]:
    """The agents' users, and the first deposit of each."""
    return {plan.user: plan.table.deposit for plan in agents_of(world)}


async def run_agent(
    crowd: Crowd,
    admin: Venue,
    world: World,
    plan: AgentPlan,
    stop: asyncio.Event,
    *,
    begun: Callable[[str], None],
    pace: float,
) -> None:
    """Run one agent with its own key, until ``stop`` or until the key is no longer valid.

    An agent that has lost everything gets its first deposit again. One whose strategy raises an exception ends, and the
    others go on. ``pace``: how much faster than usual it decides.

    Errors: VenueError; ToolError if it cannot go on.
    """
    table = plan.table
    kind = await asyncio.to_thread(strategy_of, world.strategy(table))
    expiry = rfc3339(int((time.time() + KEY_LIFE_S) * 1000))
    made = await admin.create_key(["read", "trade"], user_id=plan.user, label="agent", expires_at=expiry)
    begun(plan.user)
    async with Venue(admin.url, made.key, retry_s=TRY_S) as venue:

        async def top_up() -> None:
            await admin.deposit(plan.user, table.deposit)
            LOG.info("world.agent_topped_up", agent=plan.user, amount=str(table.deposit))

        trader = crowd.add(
            venue,
            kind,
            user=plan.user,
            ticker=plan.ticker,
            random=Random(randbits(SEED_BITS) if table.seed is None else f"{table.seed}:{plan.number}"),
            size=table.size,
            leverage=table.leverage,
            pace=pace * (kind.every_s / table.pause if table.pause else 1.0),
            top_up=top_up,
        )
        try:
            await trader.run(stop)
        finally:
            crowd.remove(trader)
    if trader.state == "crashed":
        LOG.error("world.agent_crashed", agent=plan.user, reason=trader.problem)
        await stop.wait()
    elif trader.problem:
        raise ToolError(trader.problem)
