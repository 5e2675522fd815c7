"""``PATCH /api/admin/markets/{ticker}``: parameters of a market that runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.conftest import Starter
from tests.web.events import listening
from tests.web.venue import Backend, Running

PATH = "/api/admin/markets/BTC-PERP"


async def _market(venue: Running) -> Any:
    return (await venue.anybody.get("/api/markets/perps/BTC-PERP")).ok()["market"]


EVERYTHING: dict[str, Any] = {
    "organizationId": "acme-2",
    "name": "Bitcoin, slowly",
    "skewScale": "400000",
    "maxSkew": "300",
    "maxOpenInterest": "600",
    "maxLeverage": 20,
    "minOrderSize": "25",
    "takerFee": "0.002",
    "referralShare": "0.25",
    "maintenanceRate": "0.02",
    "liquidationFee": "0.005",
    "maxPriceAge": "90.5",
    "fundingVelocity": "0.03",
    "maxFundingRate": "0.01",
    "priceBand": "0.2",
    "priceConfirmations": 4,
    "maxPositionsPerUser": 3,
    "maxNotionalPerUser": "7500",
    "partialLiquidation": "5000",
    "liquidationBuffer": "0.5",
}


async def test_everything_that_can_change_changes_and_outlives_a_restart(starter: Starter, backend: Backend) -> None:
    venue = await starter(backend)
    await venue.market()
    fees = {"makerFee": "0.0015", "chargesMakerFee": True}
    answer = (await venue.admin.patch(PATH, {**EVERYTHING, **fees, "houseCreditLimit": "5"})).ok()

    shown = answer["market"]
    for name, value in EVERYTHING.items():
        if name in ("organizationId", "name"):
            assert shown[name] == value
        else:
            assert float(shown[name]) == float(value), name
    assert {name: shown[name] for name in fees} == fees
    assert (await _market(venue)) == shown
    stats = (await venue.admin.get("/api/admin/stats")).ok()["markets"][0]
    assert (stats["houseAvailable"], answer["offset"]) == ("5.00", stats["offset"])

    again = await starter.restart(venue)
    assert {**(await _market(again)), "fundingRate": 0} == {**shown, "fundingRate": 0}


async def test_none_takes_a_limit_away_and_null_leaves_it(venue: Running) -> None:
    limits = {"maxPriceAge": "60", "priceBand": "0.1", "maxPositionsPerUser": 2, "maxNotionalPerUser": "900.00"}
    (await venue.admin.patch(PATH, limits)).ok()
    kept = (await venue.admin.patch(PATH, {"name": "B", **dict.fromkeys(limits)})).ok()["market"]
    assert {name: kept[name] for name in limits} == limits

    gone = (await venue.admin.patch(PATH, dict.fromkeys(limits, "none"))).ok()["market"]
    assert [gone[name] for name in limits] == [None] * 4


async def test_a_tightening_says_how_many_it_would_liquidate_and_does_it_if_forced(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened(leverage=100)
    tighter = {"maxLeverage": 40, "maintenanceRate": "0.0125"}

    async with venue.unchanged():
        details = (await venue.admin.patch(PATH, tighter)).refused(422, "would_be_liquidated")
    assert details["positions"] == 1
    (await venue.admin.patch(PATH, {**tighter, "force": True})).ok()
    assert [each["status"] for each in await ann.positions("all")] == ["liquidated"]


async def test_what_does_not_fit_is_refused_with_its_rule(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    for changes, rule in (
        ({"maxLeverage": 1_000}, "maintenanceRate"),
        ({"maxOpenInterest": "0.0001"}, "maxOpenInterest"),
        ({"maxSkew": "0.0001"}, "maxSkew"),
        ({"skewScale": "1000000"}, "skewScale"),
        ({"makerFee": "0.002"}, "makerFee ≤ takerFee"),
        ({"takerFee": "0.0001"}, "makerFee ≤ takerFee"),
    ):
        async with venue.unchanged():
            details = (await venue.admin.patch(PATH, changes)).refused(422, "parameters_inconsistent")
        assert rule in details["rule"]


async def test_a_stream_tells_the_new_parameters(venue: Running) -> None:
    async with listening(venue) as events:
        await events.next()
        (await venue.admin.patch(PATH, {"maxLeverage": 50})).ok()
        told = await events.next()

    assert told.name == "parameters"
    assert (told.data["ticker"], told.data["maxLeverage"], told.data["tickSize"]) == ("BTC-PERP", 50, "0.01")
    assert "houseCreditLimit" not in told.data


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"tickSize": "0.1"}, "tickSize"),
        ({"lotSize": "0.1"}, "lotSize"),
        ({"markSource": "quote"}, "markSource"),
        ({"houseDeposit": "5"}, "houseDeposit"),
        ({"ticker": "ETH-PERP"}, "ticker"),
        ({"price": "1"}, "price"),
        ({"maxLeverage": 0}, "maxLeverage"),
        ({"maxLeverage": "50"}, "maxLeverage"),
        ({"maxLeverage": True}, "maxLeverage"),
        ({"takerFee": "-0.1"}, "takerFee"),
        ({"takerFee": "1.1"}, "takerFee"),
        ({"takerFee": "NaN"}, "takerFee"),
        ({"maintenanceRate": []}, "maintenanceRate"),
        ({"maxSkew": "0"}, "maxSkew"),
        ({"maxSkew": "0.00001"}, "maxSkew"),
        ({"skewScale": "-1"}, "skewScale"),
        ({"minOrderSize": "0"}, "minOrderSize"),
        ({"maxPriceAge": "0"}, "maxPriceAge"),
        ({"maxPriceAge": "soon"}, "maxPriceAge"),
        ({"houseCreditLimit": "-1"}, "houseCreditLimit"),
        ({"priceBand": "2"}, "priceBand"),
        ({"priceConfirmations": 0}, "priceConfirmations"),
        ({"maxPositionsPerUser": 0}, "maxPositionsPerUser"),
        ({"maxPositionsPerUser": "1.5"}, "maxPositionsPerUser"),
        ({"maxNotionalPerUser": "0"}, "maxNotionalPerUser"),
        ({"chargesMakerFee": "yes"}, "chargesMakerFee"),
        ({"fundingVelocity": "-1"}, "fundingVelocity"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "x", "force": "yes"}, "force"),
        ({"name": "x", "force": None}, "force"),
    ],
)
async def test_a_bad_body_changes_nothing_and_names_the_field(venue: Running, body: dict[str, Any], field: str) -> None:
    async with venue.unchanged():
        details = (await venue.admin.patch(PATH, body)).refused(400, "validation_error")

    assert details["field"] == field


@pytest.mark.parametrize("body", [{}, {"force": True}, {"name": None}])
async def test_a_body_that_changes_nothing_is_refused(venue: Running, body: dict[str, Any]) -> None:
    details = (await venue.admin.patch(PATH, body)).refused(400, "validation_error")

    assert "maxLeverage" in details["allowed"]


async def test_only_an_administrator_may_and_only_of_a_market_that_is_there(venue: Running) -> None:
    ann = await venue.user("ann")

    (await ann.patch(PATH, {"name": "x"})).refused(403, "forbidden")
    (await venue.anybody.patch(PATH, {"name": "x"})).refused(401, "unauthorized")
    (await venue.admin.patch("/api/admin/markets/NONE", {"name": "x"})).refused(404, "market_not_found")
    (await venue.admin.patch(PATH, b"{")).refused(400, "invalid_json")
