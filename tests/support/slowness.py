"""Limits of time on a machine that is slow, or has much else to do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PROGRAM: Final = "import tools.serve, web.compose"
"""Loads what a venue's process loads."""
LOAD_S: Final = 0.5
"""What that takes on a machine of today with nothing else to do."""


def in_time(took_s: float, limit_s: float) -> bool:
    """Whether something took no longer than it may. Where loading a program takes longer it may take longer likewise.

    The machine is measured only when it matters.
    """
    return took_s < limit_s or took_s < limit_s * slowness()


@asynccontextmanager
async def soon(limit_s: float) -> AsyncIterator[None]:
    """What is inside ends within so many seconds, later on a slow machine. Else TimeoutError, as `asyncio.timeout`."""
    async with asyncio.timeout(None) as limit:

        async def expire() -> None:
            await asyncio.sleep(limit_s)
            slower = await asyncio.to_thread(slowness)
            limit.reschedule(began + limit_s * slower)

        began = asyncio.get_running_loop().time()
        expiry = asyncio.create_task(expire())
        try:
            yield
        finally:
            expiry.cancel()


def slowness() -> float:
    """How many times longer than on a machine of today something takes just now, at least 1."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, check=True)
    return max(1.0, (time.monotonic() - began) / LOAD_S)
