"""Take-profit and stop-loss as the outside sees them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.events import following
from tests.web.shapes import POSITION, fits
from tests.web.venue import Client, Running

PATH = "/api/markets/perps/BTC-PERP-1/triggers"


async def set_exits(client: Client, profit: object, stop: object, **more: object) -> dict[str, Any]:
    return (await client.post(PATH, {"takeProfit": profit, "stopLoss": stop, **more})).ok()


def exits_of(position: dict[str, Any]) -> tuple[object, object]:
    return position["takeProfit"], position["stopLoss"]


async def test_an_open_with_exits_leaves_by_them(venue: Running) -> None:
    ann = await venue.user("ann")
    made = await ann.opened(takeProfit="51000", stopLoss="49000.5")
    assert exits_of(made["position"]) == ("51000.00", "49000.50")
    assert exits_of((await ann.positions())[0]) == ("51000.00", "49000.50")

    await venue.price("51000")

    assert await ann.positions() == []
    (past,) = await ann.positions("closed")
    assert (past["status"], *exits_of(past)) == ("closed", "51000.00", "49000.50")
    (left, opened) = (await ann.get("/api/users/ann/trades")).ok()["trades"]
    assert (left["kind"], left["reason"]) == ("close", "take_profit")
    assert "reason" not in opened
    (shown, _) = (await venue.anybody.get("/api/markets/perps/BTC-PERP/trades")).ok()["trades"]
    assert shown["reason"] == "take_profit"


async def test_exits_are_set_anew_and_taken_away_and_a_repeated_request_gets_the_stored_answer(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    first = await set_exits(ann, "51000", "49000", clientOrderId="one")
    fits(first["position"], POSITION)
    assert exits_of(first["position"]) == ("51000.00", "49000.00")
    assert exits_of((await set_exits(ann, None, "49100"))["position"]) == (None, "49100.00")
    assert exits_of((await ann.positions())[0]) == (None, "49100.00")

    assert await set_exits(ann, "51000", "49000", clientOrderId="one") == first
    (await ann.post(PATH, {"takeProfit": "51001", "clientOrderId": "one"})).refused(409, "client_order_id_reused")
    assert exits_of((await ann.post(PATH, {})).ok()["position"]) == (None, None)
    await venue.price("1000000")
    assert len(await ann.positions()) == 1


@pytest.mark.parametrize("path", ["/api/markets/perps/open", "/api/markets/perps/quote"])
async def test_a_stop_beyond_the_liquidation_price_is_allowed_with_a_warning(venue: Running, path: str) -> None:
    ann = await venue.user("ann")
    body = {"ticker": "BTC-PERP", "side": "long", "size": "1000", "leverage": 10}
    status = 201 if path.endswith("open") else 200
    near = (await ann.post(path, {**body, "stopLoss": "49000"})).ok(status)
    beyond = (await ann.post(path, {**body, "stopLoss": "40000"})).ok(status)
    assert "warning" not in near
    assert beyond["warning"] == "stop_beyond_liquidation"


@pytest.mark.parametrize("side", ["long", "short"])
async def test_a_stop_at_the_liquidation_price_is_too_late(venue: Running, side: str) -> None:
    ann = await venue.user("ann")
    limit = (await ann.opened(side=side))["position"]["liquidationPrice"]
    step = 1 if side == "long" else -1
    warned = await set_exits(ann, None, limit)
    assert warned["warning"] == "stop_beyond_liquidation"
    one_before = f"{float(limit) + step * 0.01:.2f}"
    assert "warning" not in await set_exits(ann, None, one_before)


@pytest.mark.parametrize("exits", [{"takeProfit": "50000"}, {"stopLoss": "50000"}, {"stopLoss": "60000"}])
async def test_an_exit_that_is_due_at_once_is_refused_with_the_prices(venue: Running, exits: dict[str, str]) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    for path, more in ((PATH, {}), ("/api/markets/perps/open", {"ticker": "BTC-PERP", "side": "long", "size": "100"})):
        asked = {**more, **({"leverage": 2} if more else {}), **exits}
        (name,) = exits
        details = (await ann.post(path, asked)).refused(422, "order_would_trigger")
        assert details == {name: f"{exits[name]}.00", "markPrice": "50000.00"}


@pytest.mark.parametrize(
    "price", ["NaN", "Infinity", "-Infinity", "-1", "0", "50000.001", "1e30", "9e18", True, [], ""]
)
async def test_what_is_no_price_on_the_tick_is_refused(venue: Running, price: object) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    async with venue.unchanged():
        for field in ("takeProfit", "stopLoss"):
            assert (await ann.post(PATH, {field: price})).refused(400, "validation_error")["field"] == field
            assert (await ann.open("BTC-PERP", "1000", **{field: price})).refused(400, "validation_error")[
                "field"
            ] == field


async def test_exits_are_for_the_owner_and_administrators(venue: Running) -> None:
    ann, bob = await venue.user("ann"), await venue.user("bob")
    await ann.opened()
    (await bob.post(PATH, {"takeProfit": "51000"})).refused(403, "forbidden")
    assert exits_of((await set_exits(venue.admin, "51000", None))["position"]) == ("51000.00", None)
    (await ann.close("BTC-PERP-1")).ok()
    (await ann.post(PATH, {"takeProfit": "51000"})).refused(409, "position_closed")
    (await bob.post(PATH, {"takeProfit": "51000"})).refused(403, "forbidden")


async def test_the_owners_stream_tells_new_exits(venue: Running) -> None:
    ann, bob = await venue.user("ann"), await venue.user("bob")
    await ann.opened()
    async with following(venue, "/api/sse/users/me", ann) as own, following(venue, "/api/sse/users/me", bob) as other:
        told = await set_exits(ann, "51000", "49000")
        (_, event) = await own.until_offset(told["offset"])
        last = (await venue.admin.post("/api/admin/users/bob/deposit", {"amount": "1"})).ok()["offset"]
        heard = await other.until_offset(last)

    assert (event.name, event.data) == ("position", {**told["position"], "offset": told["offset"]})
    assert [each.name for each in heard] == ["snapshot", "balance"]
