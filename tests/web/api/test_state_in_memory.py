"""What the actors hold, asked of them: digests that a replay has too."""

from __future__ import annotations

from perps.snapshot.images import digest
from perps.venue import VenueState
from tests.web.conftest import Starter
from tests.web.snapshotting import busy_days
from tests.web.venue import OnMemory, Running


async def test_the_state_in_memory_has_the_digests_of_a_replay(starter: Starter) -> None:
    """I6, live."""
    memory = OnMemory()
    venue = await starter(memory)
    await busy_days(venue)

    told = (await venue.admin.get("/api/admin/state")).ok()

    state = VenueState()
    for row in memory.store.rows():
        state.apply(row)
    assert told["ledger"] == {
        "offset": state.offset,
        "seq": state.ledger.seq,
        "hash": digest(state.ledger.image(state.offset).chunks()).hex(),
    }
    assert told["markets"] == [
        {
            "ticker": ticker,
            "seq": state.markets[ticker].seq,
            "positions": len(state.markets[ticker].positions),
            "hash": digest(state.markets[ticker].image().chunks()).hex(),
        }
        for ticker in ("BTC-PERP", "STORY")
    ]


async def test_only_an_administrator_sees_the_state(venue: Running) -> None:
    ann = await venue.user("ann")
    (await ann.get("/api/admin/state")).refused(403, "forbidden")
    (await venue.anybody.get("/api/admin/state")).refused(401, "unauthorized")
