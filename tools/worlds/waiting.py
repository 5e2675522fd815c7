"""Works that go on until they are told to stop, and what becomes of one that fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import structlog

from perps.client import VenueError
from tools.errors import ToolError

LOG: Final = structlog.get_logger("world")

RETRY_S: Final = 2.0
RETRY_S_MAX: Final = 30.0

Work = Callable[[], Awaitable[None]]


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait, but no longer than until ``stop``."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


async def keep(name: str, work: Work, stop: asyncio.Event, pace: float, *, once: bool = False) -> None:
    """Repeat a work until ``stop``, with longer pauses after failures in a row. ``once``: only until it succeeds."""
    wait = RETRY_S
    while not stop.is_set():
        begun = time.monotonic()
        try:
            await work()
            if once:
                return
        except (VenueError, ToolError) as error:
            LOG.warning("world.part_failed", part=name, reason=str(error), retry_s=wait)
        if time.monotonic() - begun > RETRY_S_MAX:
            wait = RETRY_S
        await pause(stop, wait / pace)
        wait = min(wait * 2, RETRY_S_MAX)


async def until_stopped(parts: list[Coroutine[Any, Any, None]], stop: asyncio.Event) -> None:
    """Run all parts until they end or until ``stop``. A part that ends by a bug is logged; the others go on.

    No part outlives this call.
    """
    tasks = {asyncio.create_task(part) for part in parts}
    stopping = asyncio.create_task(stop.wait())
    try:
        pending: set[asyncio.Task[Any]] = {stopping, *tasks}
        while not stopping.done() and len(pending) > 1:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                if not task.cancelled() and (error := task.exception()) is not None:
                    LOG.error("world.part_died", exc_info=error)
    finally:
        for task in (stopping, *tasks):
            task.cancel()
        await asyncio.gather(stopping, *tasks, return_exceptions=True)
