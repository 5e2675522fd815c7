"""A long replay does not keep a venue from stopping."""

from __future__ import annotations

import pytest

from actors.clock import VenueClock
from tests.actors.venue import FixedClock, running
from tests.support.memory import MemoryQueries, MemoryStore
from web.metrics import Metrics
from web.process.host import Host, StartAborted
from web.readside.model import ReadModel
from web.streams.hub import Hub


async def test_a_start_that_is_called_off_gives_the_shard_back() -> None:
    store = MemoryStore()
    async with running(store) as venue:
        await venue.add_user("ann")
    model = ReadModel()
    host = Host(
        store.acquire, store, VenueClock(FixedClock()), model, Hub(model, MemoryQueries(store).rows_after), Metrics()
    )

    host.abort()
    with pytest.raises(StartAborted):
        await host.start()

    await host.stop()
    assert model.offset == 0
    async with running(store) as again:
        assert again.model.wallet("ann") == 1_000_000_000
