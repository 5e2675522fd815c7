"""Busy days, all that can be read of them, and snapshots of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from tests.web.venue import Json, ManualClock, Running
from web.process.snapshots import SnapshotPolicy

NEVER: Final = SnapshotPolicy(rows=10**9, seconds=10**9)
"""None is taken by itself."""


async def busy_days(venue: Running) -> None:
    """A little of everything, over two days."""
    clock = venue.clock
    assert isinstance(clock, ManualClock)
    await venue.market()
    await venue.market("STORY", price="10", markSource="quote", maxLeverage=5, tickSize="0.01", lotSize="0.01")
    await venue.user("bob")
    ann = await venue.user("ann", referrer="bob")
    bob = venue.client("bob")
    for hour in range(30):
        clock.advance(3_600)
        await venue.price(str(50_000 + 13 * hour))
    await ann.opened(clientOrderId="kept")
    await bob.opened(side="short", leverage=100)
    opened = await bob.opened("STORY", "100", leverage=2)
    await ann.opened("STORY", "50", leverage=3)
    clock.advance(61)
    (await bob.close(opened["position"]["id"], percentage=0.4)).ok()
    await venue.price("52000", source="event", reason="news")
    (await venue.admin.post("/api/admin/users/ann/withdraw", {"amount": "7"})).ok()
    await venue.mode("reduce_only", "STORY")


async def all_that_can_be_read(venue: Running) -> Json:
    """All that can be read."""
    seen = await venue.footprint()
    for ticker in [market["ticker"] for market in seen["stats"]["markets"]]:
        for path in ("candles?interval=1h", "candles?interval=1m", "trades", "prices"):
            seen[f"{ticker} {path}"] = (await venue.anybody.get(f"/api/markets/perps/{ticker}/{path}")).ok()
    return seen


async def snapshot_taken(venue: Running) -> Json:
    """One that an administrator asks for, as it is answered."""
    return (await venue.admin.post("/api/admin/snapshots")).ok(201)


async def until_true(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a plain value that a background task sets
            await asyncio.sleep(0.02)
