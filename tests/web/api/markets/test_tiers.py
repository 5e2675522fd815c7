"""Size tiers and liquidations in part, as REST and the streams show them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.conftest import Starter
from tests.web.events import following
from tests.web.venue import Backend, Running

PATH = "/api/admin/markets/BTC-PERP"
TIERS = [
    {"maxQuantity": "0.10", "maintenanceRate": "0.005", "maxLeverage": 100},
    {"maxQuantity": "2000.00", "maintenanceRate": "0.025", "maxLeverage": 20},
]


async def _shown(venue: Running) -> Any:
    return (await venue.anybody.get("/api/markets/perps/BTC-PERP")).ok()["market"]


async def test_tiers_are_listed_shown_changed_and_taken_away(starter: Starter, backend: Backend) -> None:
    venue = await starter(backend)
    body = {"ticker": "BTC-PERP", "price": "10000", "tiers": TIERS, "partialLiquidation": "500"}
    listed = (await venue.admin.post("/api/admin/markets", body)).ok(201)["market"]

    assert listed["tiers"] == TIERS
    assert (listed["maxLeverage"], listed["maintenanceRate"]) == (100, "0.005")
    assert (listed["partialLiquidation"], listed["liquidationBuffer"]) == ("500.00", "0.25")
    again = await starter.restart(venue)
    assert (await _shown(again))["tiers"] == TIERS
    (await again.admin.patch(PATH, {"tiers": [], "partialLiquidation": "none"})).ok()
    shown = await _shown(again)
    assert (shown["tiers"], shown["partialLiquidation"]) == ([], None)


async def test_a_quote_and_a_refusal_go_by_the_size(venue: Running) -> None:
    await venue.price("10000")
    (await venue.admin.patch(PATH, {"tiers": TIERS})).ok()
    ann = await venue.user("ann")
    order: dict[str, Any] = {"ticker": "BTC-PERP", "side": "long", "size": "900", "leverage": 50}
    small = (await ann.post("/api/markets/perps/quote", order)).ok()
    large = (await ann.post("/api/markets/perps/quote", {**order, "size": "5000", "leverage": 5})).ok()

    assert (small["maxLeverage"], small["maintenanceRate"]) == (100, "0.005")
    assert (large["maxLeverage"], large["maintenanceRate"]) == (20, "0.025")
    asked = {**order, "size": "5000"}
    details = (await ann.post("/api/markets/perps/open", asked)).refused(422, "leverage_too_high")
    assert (details["leverage"], details["maxLeverage"], details["largestQuantity"]) == (50, 20, "0.10")
    opened = (await ann.post("/api/markets/perps/open", {**order, "size": details["largestSize"]})).ok(201)
    assert opened["position"]["quantity"] == "0.10"


async def test_a_part_is_told_as_a_liquidation_behind_which_the_position_is_open(venue: Running) -> None:
    await venue.price("10000")
    (await venue.admin.patch(PATH, {"partialLiquidation": "500"})).ok()
    ann = await venue.user("ann")
    order: dict[str, Any] = {"ticker": "BTC-PERP", "side": "long", "size": "1000", "leverage": 100}
    opened = (await ann.post("/api/markets/perps/open", order)).ok(201)
    before = (await ann.get("/api/users/ann/balance")).ok()["balance"]
    async with following(venue, "/api/sse/users/ann", ann) as stream:
        offset = (await venue.price("9940"))["offset"]
        told = {event.name: event.data for event in await stream.until_offset(offset)}

    assert {"trade", "liquidation", "position"} <= set(told)
    assert told["position"]["status"] == "open"
    assert 0 < float(told["position"]["quantity"]) < float(opened["position"]["quantity"])
    (still,) = (await ann.get("/api/markets/positions/ann")).ok()["perpetuals"]["positions"]
    assert (still["quantity"], still["margin"]) == (told["position"]["quantity"], told["position"]["margin"])
    (last, _) = (await ann.get("/api/users/ann/trades")).ok()["trades"]
    assert (last["kind"], last["badDebt"]) == ("liquidation", "0.00")
    assert (await ann.get("/api/users/ann/balance")).ok()["balance"] == before


BAD: list[tuple[Any, str]] = [
    ([{"maxQuantity": "0", "maintenanceRate": "0.005", "maxLeverage": 100}], "tiers[0].maxQuantity"),
    ([{"maxQuantity": "1", "maintenanceRate": "1.5", "maxLeverage": 100}], "tiers[0].maintenanceRate"),
    ([{"maxQuantity": "1", "maintenanceRate": "0.005"}], "tiers[0].maxLeverage"),
    ([TIERS[0], {**TIERS[1], "depth": "1"}], "tiers[1].depth"),
    ([TIERS[0], {**TIERS[1], "maxLeverage": "20"}], "tiers[1].maxLeverage"),
    ([TIERS[0], 7], "tiers[1]"),
    ("many", "tiers"),
    ([TIERS[0]] * 33, "tiers"),
]


@pytest.mark.parametrize(("tiers", "field"), BAD)
async def test_tiers_that_are_none_are_refused_and_the_field_is_named(venue: Running, tiers: Any, field: str) -> None:
    body = {"ticker": "NEW", "price": "10000", "tiers": tiers}
    details = (await venue.admin.post("/api/admin/markets", body)).refused(400, "validation_error")

    assert details["field"] == field


async def test_the_preset_of_an_exchange_is_a_whole_listing(venue: Running) -> None:
    body = {"ticker": "BTC-BIN", "price": "64000", "preset": "binance:BTC"}
    market = (await venue.admin.post("/api/admin/markets", body)).ok(201)["market"]

    assert len(market["tiers"]) == 12
    assert market["tiers"][0] == {"maxQuantity": "4.6875", "maintenanceRate": "0.004", "maxLeverage": 150}
    (await venue.admin.post("/api/admin/markets", {**body, "preset": "binance:NONE"})).refused(400, "validation_error")
