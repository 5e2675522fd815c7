"""A TWAP of an hour over HTTP, on a clock that is advanced: killed in the middle, it goes on as if nothing had been."""

from __future__ import annotations

import asyncio
import signal
from typing import Any, Final

import pytest

from tests.endtoend.api import Api, client
from tests.endtoend.conftest import Venues
from tests.endtoend.venue_process import VenueProcess
from tools.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SLICES: Final = 12
INTERVAL_MS: Final = 300_000
MANUAL: Final = {"PERPS_CLOCK": "manual"}


async def begun(api: Api) -> tuple[str, str]:
    """A market with two traders, and a TWAP of one of them: its key and its order's id."""
    await api.list_market("BTC-PERP", "50000", houseDeposit="100000")
    ann, bob = await api.add_user("ann", "5000"), await api.add_user("bob", "5000")
    side = {"ticker": "BTC-PERP", "leverage": 5}
    await api.done("POST", "/api/markets/perps/open", {**side, "side": "short", "size": "2000"}, key=bob)
    terms = {"type": "twap", "side": "long", "size": "12001", "slices": SLICES, "intervalMs": INTERVAL_MS}
    placed = await api.done("POST", "/api/orders", {**side, **terms}, key=ann)
    return ann, str(placed["order"]["id"])


async def pass_half_an_hour(api: Api) -> None:
    await api.done("POST", "/api/admin/clock/advance", {"seconds": "1800"})


async def told(api: Api, key: str, name: str) -> dict[str, Any]:
    """What the venue says of the order, its slices and the money, without the times at which it began."""
    answer = await api.get(f"/api/orders/{name}", key=key)
    stats = await api.get("/api/admin/stats")
    balance = await api.get("/api/users/ann/balance", key=key)
    slices = [(fill["quantity"], fill["price"], fill["fee"]["amount"]) for fill in answer["fills"]]
    kept = ("status", "reason", "averagePrice", "reserve", "size", "positionId")
    order = {field: answer["order"][field] for field in kept}
    accounts = (stats["accounts"], {field: balance[field] for field in ("balance", "held", "margin", "totalFees")})
    return {"order": order, "twap": {**answer["order"]["twap"], "nextAt": None}, "slices": slices, "money": accounts}


async def kill(venue: VenueProcess) -> None:
    venue.signal(signal.SIGKILL)
    assert await asyncio.to_thread(venue.wait_exit) == -signal.SIGKILL
    await asyncio.to_thread(venue.start_whatever_it_takes)


@pytest.mark.parametrize("with_snapshot", [False, True], ids=["by replay", "from a snapshot"])
async def test_a_twap_that_was_killed_in_the_middle_goes_on_exactly(venues: Venues, with_snapshot: bool) -> None:
    killed, other = venues("killed", environment=MANUAL), venues("other", environment=MANUAL)
    await asyncio.to_thread(killed.start)
    await asyncio.to_thread(other.start)
    async with client(killed.url) as api, client(other.url) as beside:
        (ann, name), (ann_beside, _) = await begun(api), await begun(beside)
        await pass_half_an_hour(api)
        half = await told(api, ann, name)
        assert (half["order"]["status"], half["twap"]["done"]) == ("open", 7)
        if with_snapshot:
            await api.done("POST", "/api/admin/snapshots")
        await kill(killed)
        assert await told(api, ann, name) == half

        await pass_half_an_hour(api)
        for _ in range(2):
            await pass_half_an_hour(beside)

        ended = await told(api, ann, name)
        assert ended == await told(beside, ann_beside, name)
        assert (ended["order"]["status"], ended["twap"]["done"], len(ended["slices"])) == ("filled", SLICES, SLICES)
        assert ended["money"][0]["total"] == "0.00"
        assert ended["money"][1]["held"] == "0.00"
        answer = await api.get(f"/api/orders/{name}", key=ann)
        times = [fill["at"] for fill in answer["fills"]]
        assert len(set(times)) == SLICES
        state = await api.get("/api/admin/state")
        await kill(killed)
        again = await api.get("/api/admin/state")
        assert [market["hash"] for market in again["markets"]] == [market["hash"] for market in state["markets"]]
    await asyncio.to_thread(killed.end)
    assert await asyncio.to_thread(main, ["verify", "--data-dir", str(killed.data_dir)]) == 0
