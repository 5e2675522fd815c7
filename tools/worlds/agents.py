"""The agents of a world: who they are, and how one runs. Strategies are known by name here, and nowhere else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from random import Random
from secrets import randbits
from typing import TYPE_CHECKING, Final

from perps.client import Venue
from perps.client.requests import Exact
from tools.times import rfc3339
from tools.worlds.agent import Agent, AgentPlan, Style
from tools.worlds.waiting import LOG

if TYPE_CHECKING:
    from tools.worlds.world import World

STRATEGIES: Final[Mapping[str, Style]] = {
    "noise": Style.NOISE,
    "momentum": Style.MOMENTUM,
    "meanreversion": Style.REVERSION,
}
"""What an agent's ``strategy`` may be."""

TRY_S: Final = 2.0
"""How long a request is sent again, before the agent that asked is begun anew."""
SEED_BITS: Final = 128
"""Nobody finds out what comes next."""
KEY_LIFE_S: Final = 24 * 3600
"""An agent's key expires by itself, so that a killed world leaves none behind for long. The agent asks for another."""


def agents_of(world: World) -> Iterator[tuple[AgentPlan, Exact]]:
    """Every agent of a world, and what it begins with: ``agent-noise-1``, ``agent-noise-2``, …"""
    numbers: dict[str, int] = {}
    for agents in world.agents:
        tickers = agents.markets or world.tickers
        for at in range(agents.count):
            number = numbers[agents.strategy] = numbers.get(agents.strategy, 0) + 1
            plan = AgentPlan(
                user=f"agent-{agents.strategy}-{number}",
                ticker=tickers[at % len(tickers)],
                style=STRATEGIES[agents.strategy],
                size=agents.size,
                leverages=tuple(agents.leverage),
                pause_s=agents.pause,
                positions_max=agents.positions,
            )
            yield plan, agents.deposit


def users_of(world: World) -> Mapping[str, Exact]:
    """The agents' users, and the first deposit of each."""
    return {plan.user: deposit for plan, deposit in agents_of(world)}


async def run_agent(
    admin: Venue, plan: AgentPlan, deposit: Exact, stop: asyncio.Event, begun: Callable[[str], None]
) -> None:
    """Run one agent with its own key, until ``stop`` or until the key is no longer valid.

    An agent that has lost everything gets its first deposit again. Errors: VenueError.
    """
    expiry = rfc3339(int((time.time() + KEY_LIFE_S) * 1000))
    made = await admin.create_key(["read", "trade"], user_id=plan.user, label="agent", expires_at=expiry)
    begun(plan.user)
    async with Venue(admin.url, made.key, retry_s=TRY_S) as venue:

        async def top_up() -> None:
            await admin.deposit(plan.user, deposit)
            LOG.info("world.agent_topped_up", agent=plan.user, amount=str(deposit))

        await Agent(plan, venue, Random(randbits(SEED_BITS)), top_up).run(stop)
