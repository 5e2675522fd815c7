"""What a dead core says late about itself does not reach its successor; the rows it made durable do."""

from __future__ import annotations

import asyncio

from tests.actors.venue import open_long, running


async def test_a_late_death_of_an_old_core_does_not_tear_down_the_new_one() -> None:
    async with running() as venue:
        await venue.list_market("A")
        await venue.add_user("ann")
        bridge = venue.host.bridge
        old = bridge.outlet()
        new = bridge.outlet()

        old.core_failed("an actor that was stuck until now")
        old.market_health("A", "a market of the core before")
        await asyncio.sleep(0)
        await venue.do(open_long("A", "ann"), sender="ann", order_id="1")

        assert not bridge.failed.is_set()
        assert venue.host.health == {}
        assert new is not old
