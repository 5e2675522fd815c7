"""A story in which everything happens that a user can be told."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.web.events import Event
from tests.web.venue import Running


def of_kind(events: list[Event], name: str) -> list[Any]:
    return [event.data for event in events if event.name == name]


async def story(venue: Running) -> int:
    """Two traders and a referrer in two markets: everything that can touch a wallet. The offset of the last row."""
    await venue.market("OTHER", "100")
    await venue.user("rita", "100")
    ann, bob = await venue.user("ann", referrer="rita"), await venue.user("bob")
    await ann.opened(leverage=100)
    await bob.opened(side="short", leverage=20)
    await ann.opened("OTHER", "500", side="short")
    await asyncio.gather(*(trader.opened(size="50") for trader in (ann, bob) for _ in range(4)))
    (await ann.close("OTHER-1", percentage="0.3")).ok()
    (await bob.close("BTC-PERP-2", percentage="0.5")).ok()
    for moved in ("3", "-1"):
        (await ann.post("/api/markets/perps/OTHER-1/margin", {"amount": moved})).ok()
    await bob.opened(side="short", size="50", positionId="BTC-PERP-2")
    await venue.price("45000")
    (await ann.close("OTHER-1")).ok()
    (await venue.admin.post("/api/admin/users/ann/deposit", {"amount": "5"})).ok()
    last = await venue.admin.post("/api/admin/users/bob/withdraw", {"amount": "7"})
    offset: int = last.ok()["offset"]
    return offset
