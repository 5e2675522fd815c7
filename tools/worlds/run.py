"""Runs a world: sets it up, then keeps its feeds, stories and agents going.

Nothing here can stop a server that it runs beside. What fails is logged and tried again; a part that ends by a bug is
logged and left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from perps.agents.crowd import Crowd
from perps.client import Venue
from tools.worlds.agents import TRY_S, agents_of, run_agent
from tools.worlds.feeds import works_of
from tools.worlds.places import WorldError
from tools.worlds.plan import plan
from tools.worlds.waiting import LOG, Work, keep, until_stopped
from tools.worlds.world import World

Ready = Callable[[Mapping[str, str]], None]
"""Gets the keys of the world, by the names of their files, when all agents trade."""


async def run_world(
    base_url: str,
    admin_key: str,
    stop: asyncio.Event,
    world: World,
    *,
    keys_in: Path,
    ready: Ready,
    pace: float = 1.0,
) -> None:
    """Set a world up and keep it moving until ``stop``.

    ``keys_in``: the folder of its key files. ``pace``: how much faster than usual everything happens.

    Errors: WorldError if the venue has something that can never become what the file says.
    """
    keys: dict[str, str] = {}
    wrong: list[WorldError] = []

    async def set_up() -> None:
        try:
            keys.update(await applied(admin, world, keys_in))
        except WorldError as error:  # it would be wrong for ever
            wrong.append(error)

    async with Venue(base_url, admin_key, retry_s=TRY_S) as admin:
        await until_stopped([keep("setup", set_up, stop, pace, once=True)], stop)
        if wrong:
            raise wrong[0]
        if not stop.is_set():
            await keep_going(admin, world, stop, ready=lambda: ready(keys), pace=pace)


async def applied(admin: Venue, world: World, keys_in: Path) -> Mapping[str, str]:
    """Do what the venue lacks of a world; the keys by their files' names. Errors: VenueError, ToolError."""
    found = await plan(admin, world, keys_in)
    for step in found.steps:
        await step.do()
    return found.keys


async def keep_going(
    admin: Venue, world: World, stop: asyncio.Event, *, ready: Callable[[], None], pace: float = 1.0
) -> None:
    """Keep the feeds, stories and agents of a world that is set up going, until ``stop``."""
    agents, crowd = list(agents_of(world)), Crowd()
    silent = {agent.user for agent in agents}
    parts: dict[str, Work] = dict(works_of(admin, world, stop, pace))

    def begun(user: str) -> None:
        if user in silent:
            silent.discard(user)
            if not silent:
                ready()

    for agent in agents:
        parts[agent.user] = partial(run_agent, crowd, admin, world, agent, stop, begun=begun, pace=pace)
    if agents:
        parts["the agents' markets"] = partial(crowd.hear, admin, {agent.ticker for agent in agents})
    else:
        ready()
    LOG.debug("world.ready", world=world.name, agents=len(agents))
    await until_stopped([keep(name, part, stop, pace) for name, part in parts.items()], stop)
