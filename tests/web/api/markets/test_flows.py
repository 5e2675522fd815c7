"""Flows: what was traded lately, on the real venue, over restarts and on the stream."""

from __future__ import annotations

import pytest

from tests.web.conftest import Starter
from tests.web.events import listening
from tests.web.venue import Backend, Json, ManualClock, OnMemory, Running

PATH = "/api/markets/perps/BTC-PERP/flows"


async def flows(venue: Running, window: str = "1h") -> Json:
    """The answer for a window."""
    return (await venue.anybody.get(f"{PATH}?window={window}")).ok()


async def trading(venue: Running) -> None:
    """Ann opens a long, Bob a short and closes half of it, a fall liquidates Ann."""
    ann, bob = await venue.user("ann", "1000"), await venue.user("bob", "1000")
    await ann.opened(size="1000", leverage=100)
    opened = await bob.opened(size="500", side="short", leverage=10)
    (await bob.close(opened["position"]["id"], percentage="0.5")).ok()
    assert (await venue.price("48000"))["liquidations"] == 1


async def test_it_says_what_was_bought_sold_opened_closed_and_liquidated(venue: Running) -> None:
    await trading(venue)
    trades = (await venue.anybody.get("/api/markets/perps/BTC-PERP/trades")).ok()["trades"]
    size = {(trade["kind"], trade["side"]): float(trade["size"]) for trade in trades}
    told = await flows(venue)
    assert (told["opens"], told["closes"], told["liquidations"], told["traders"]) == (2, 1, 1, 2)
    bought = size["open", "long"] + size["close", "short"]
    sold = size["open", "short"] + size["liquidation", "long"]
    assert float(told["longVolume"]) == pytest.approx(bought, abs=1e-5)
    assert float(told["shortVolume"]) == pytest.approx(sold, abs=1e-5)
    assert float(told["liquidatedVolume"]) == pytest.approx(size["liquidation", "long"], abs=1e-5)
    assert float(told["netSentiment"]) == pytest.approx((bought - sold) / (bought + sold), abs=1e-8)


async def test_windows_end_one_after_another(venue: Running, clock: ManualClock) -> None:
    await trading(venue)
    for seconds, windows in ((0, 4), (60, 3), (240, 2), (55 * 60, 1), (23 * 3600, 0)):
        clock.advance(seconds)
        traders = [(await flows(venue, window))["traders"] for window in ("1m", "5m", "1h", "24h")]
        assert traders == [0] * (4 - windows) + [2] * windows, seconds
    assert (await flows(venue))["netSentiment"] == "0"


async def test_without_a_window_it_is_an_hour_and_another_is_refused(venue: Running) -> None:
    assert (await venue.anybody.get(PATH)).ok()["window"] == "1h"
    refused = (await venue.admin.get(f"{PATH}?window=2h")).refused(400, "validation_error")
    assert refused == {"field": "window", "allowed": ["1m", "5m", "1h", "24h"]}
    (await venue.anybody.get("/api/markets/perps/NO/flows")).refused(404, "market_not_found")


@pytest.mark.parametrize("with_snapshot", [True, False])
async def test_they_are_the_same_after_a_restart(starter: Starter, backend: Backend, with_snapshot: bool) -> None:
    venue = await starter(backend)
    await venue.market()
    await trading(venue)
    if with_snapshot:
        (await venue.admin.post("/api/admin/snapshots")).ok(201)
    await venue.client("bob").opened()
    before = [await flows(venue, window) for window in ("1m", "5m", "1h", "24h")]
    again = await starter.restart(venue)
    assert [await flows(again, window) for window in ("1m", "5m", "1h", "24h")] == before


async def test_a_minute_that_is_over_is_told_once_and_the_same_to_who_comes_back(
    starter: Starter, clock: ManualClock
) -> None:
    venue = await starter(OnMemory(), clock=clock)
    await venue.market()
    async with listening(venue) as stream:
        await stream.next()
        await trading(venue)
        minute = await flows(venue, "1m")
        clock.advance(60)
        row = await venue.price("48001")
        await venue.price("48002")
        clock.advance(60)
        last = await venue.price("48003")
        live = await stream.until_offset(last["offset"])
    (told,) = [event for event in live if event.name == "flow"]
    assert told.data == {**minute, "offset": row["offset"]}

    again = await starter.restart(venue)
    async with listening(again, f"?since={live[0].id}") as stream:
        assert await stream.until_offset(last["offset"]) == live[1:]


async def test_who_has_the_newest_gets_no_body(venue: Running) -> None:
    tag = (await venue.anybody.get(PATH)).headers["ETag"]
    assert (await venue.anybody.ask("GET", PATH, headers={"If-None-Match": tag})).status == 304
