"""A listing: what it answers when it can be, and the rule it breaks when it cannot."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from tests.web.venue import Running


async def test_a_market_takes_commands_as_soon_as_its_listing_is_answered(venue: Running) -> None:
    for number in range(100):
        body = {"ticker": f"M{number}", "organizationId": "acme", "name": "M", "price": "100"}
        (await venue.admin.post("/api/admin/markets", body)).ok(201)

        (await venue.admin.post(f"/api/markets/perps/M{number}/price", {"price": "101"})).ok()


LISTING = {"ticker": "NEW", "organizationId": "acme", "name": "New", "price": "100"}

RULES: list[tuple[str, dict[str, object], str]] = [
    ("a tick and a lot make less than a micro", {"tickSize": "0.001", "lotSize": "0.0001"}, "whole number of micros"),
    ("a tick and a lot make a broken micro", {"tickSize": "0.03", "lotSize": "0.00005", "price": "99"}, "whole number"),
    ("the skew cap reaches the scale", {"skewScale": "1000", "maxSkew": "1000"}, "maxSkew < skewScale"),
    ("one side is worth too much", {"maxOpenInterest": "10000000001"}, "10^12 at this price"),
    ("more leverage than any market has", {"maxLeverage": 1001}, "maxLeverage"),
    ("no maintenance at all", {"maintenanceRate": "0"}, "maintenanceRate"),
    ("maintenance as high as the first margin", {"maintenanceRate": "0.01"}, "maintenanceRate < 1/maxLeverage"),
    ("a liquidation cheaper than a close", {"takerFee": "0.002", "liquidationFee": "0.0019"}, "takerFee"),
    ("fees above the maintenance", {"liquidationFee": "0.0045"}, "worst exit impact"),
    ("a tick of a hundredth of the price", {"tickSize": "1"}, "10 × tickSize"),
    ("more leverage than the step allows", {"maxStep": "0.011"}, "maxLeverage × maxStep"),
    ("a step of nothing", {"maxStep": "0"}, "0 < maxStep"),
    ("too shallow", {"skewScale": "1000", "maxSkew": "10", "maxOpenInterest": "10"}, "worst exit impact"),
]


@pytest.mark.parametrize(
    ("changes", "rule"), [(changes, rule) for _, changes, rule in RULES], ids=[r[0] for r in RULES]
)
async def test_parameters_that_do_not_fit_together_name_their_rule(
    venue: Running, changes: dict[str, object], rule: str
) -> None:
    async with venue.unchanged():
        answer = await venue.admin.post("/api/admin/markets", {**LISTING, **changes})
        details = answer.refused(422, "parameters_inconsistent")

    assert rule in details["rule"]
    await venue.market("NEW", "100")


MALFORMED: list[tuple[str, object]] = [
    ("ticker", ""),
    ("ticker", "lower"),
    ("ticker", "A" * 33),
    ("ticker", "-A"),
    ("ticker", "A/B"),
    ("ticker", "A\n"),
    ("ticker", "@ledger"),
    ("price", "0"),
    ("price", "-1"),
    ("price", "100.001"),
    ("price", "1e20"),
    ("tickSize", "0"),
    ("tickSize", "-0.01"),
    ("tickSize", "1e-13"),
    ("lotSize", "0"),
    ("lotSize", "-1"),
    ("markSource", "oracle"),
    ("skewScale", "0"),
    ("skewScale", "0.00001"),
    ("skewScale", "1e29"),
    ("maxSkew", "0"),
    ("maxOpenInterest", "-5"),
    ("maxLeverage", 0),
    ("maxLeverage", 1.5),
    ("maxLeverage", "10"),
    ("maxLeverage", 10**30),
    ("minOrderSize", "0"),
    ("minOrderSize", "-10"),
    ("makerFee", "-0.001"),
    ("takerFee", "1.1"),
    ("takerFee", "0.0000000001"),
    ("referralShare", "1.000000001"),
    ("maintenanceRate", "-0.1"),
    ("liquidationFee", "-0.1"),
    ("houseDeposit", "-1"),
    ("houseDeposit", "1000000000001"),
    ("houseCreditLimit", "-1"),
    ("houseCreditLimit", "some"),
    ("houseCreditLimit", None),
    ("houseCreditLimit", True),
    ("houseCreditLimit", ["none"]),
    ("houseCreditLimit", {"none": 1}),
    ("houseCreditLimit", "1_0"),
    ("houseCreditLimit", "NaN"),
    ("maxPriceAge", "0"),
    ("maxPriceAge", "-1"),
    ("maxPriceAge", "0.0001"),
    ("maxPriceAge", "1e29"),
    ("maxPriceAge", " 1"),
    ("name", "x" * 257),
    ("name", "a\u0000b"),
    ("organizationId", "a\nb"),
    ("preset", "stocks"),
    ("preset", 1),
    ("depth", "0"),
    ("depth", "-1"),
    ("maxStep", "1.1"),
    ("maxStep", "-0.1"),
    ("unknown", 1),
]


@pytest.mark.parametrize(("field", "value"), MALFORMED)
async def test_a_malformed_parameter_is_refused(venue: Running, field: str, value: object) -> None:
    async with venue.unchanged():
        (await venue.admin.post("/api/admin/markets", {**LISTING, field: value})).refused(400, "validation_error")


@pytest.mark.parametrize("field", ["ticker", "price"])
async def test_a_ticker_and_a_price_are_required(venue: Running, field: str) -> None:
    listing = {name: value for name, value in LISTING.items() if name != field}
    (await venue.admin.post("/api/admin/markets", listing)).refused(400, "validation_error")


async def test_two_listings_of_one_ticker_at_once_make_one_market(venue: Running) -> None:
    answers = await asyncio.gather(*(venue.admin.post("/api/admin/markets", LISTING) for _ in range(10)))

    assert sorted(answer.status for answer in answers) == [201] + [409] * 9


async def test_a_ticker_a_price_and_a_preset_are_a_whole_listing(venue: Running) -> None:
    listed = (await venue.admin.post("/api/admin/markets", {"ticker": "NOVA", "price": "120", "preset": "game"})).ok(
        201
    )
    market = listed["market"]

    assert (market["organizationId"], market["name"], market["markSource"]) == ("NOVA", "NOVA", "quote")
    assert (market["maxLeverage"], market["maxStep"], market["exactMark"]) == (3, "0.05", True)
    assert market["tradingRange"] == {"byOpens": "0.06499993", "byCloses": "0.06499993"}
    assert float(listed["largest"]["maxOpenInterest"]) > float(market["maxOpenInterest"])


@pytest.mark.parametrize("preset", [None, "crypto", "game", "volatile"])
async def test_the_largest_caps_that_a_listing_names_fit_and_no_larger_ones(venue: Running, preset: str | None) -> None:
    body = {"price": "120", "preset": preset}
    listed = (await venue.admin.post("/api/admin/markets", {"ticker": "A", **body})).ok(201)
    lot = Decimal(listed["market"]["lotSize"])
    for number, (field, largest) in enumerate(listed["largest"].items()):
        fitting = {"ticker": f"B{number}", **body, field: largest}
        (await venue.admin.post("/api/admin/markets", fitting)).ok(201)
        above = {"ticker": f"C{number}", **body, field: str(Decimal(largest) + lot)}
        details = (await venue.admin.post("/api/admin/markets", above)).refused(422, "parameters_inconsistent")
        named = {"maxSkew": "largestSkew", "maxOpenInterest": "largestOpenInterest"}[field]
        assert Decimal(details[named]) == Decimal(largest)
        assert 0 < float(details["tradingRange"]) < 1


async def test_a_quote_and_a_refusal_name_the_largest_size_that_fits(venue: Running) -> None:
    (await venue.admin.post("/api/admin/markets", {"ticker": "NOVA", "price": "120", "preset": "game"})).ok(201)
    ann = await venue.user("ann", "100000")
    order = {"ticker": "NOVA", "side": "long", "leverage": 3}
    quoted = (await ann.post("/api/markets/perps/quote", {**order, "size": "1000"})).ok()

    too_much = await ann.post("/api/markets/perps/open", {**order, "size": str(Decimal(quoted["largestSize"]) + 1)})
    assert too_much.json["error"]["details"]["largestSize"] == quoted["largestSize"]
    (await ann.post("/api/markets/perps/open", {**order, "size": quoted["largestSize"]})).ok(201)
    nothing = (await ann.post("/api/markets/perps/open", {**order, "size": "100"})).refused(422, "max_skew_exceeded")
    assert nothing["largestSize"] == "0.00"
    assert nothing["tradingRange"] == quoted["tradingRange"]["byOpens"]


async def test_a_price_moves_by_a_fraction(venue: Running) -> None:
    (await venue.admin.post("/api/admin/markets", {"ticker": "NOVA", "price": "120", "preset": "game"})).ok(201)
    path = "/api/markets/perps/NOVA/price"
    moved = (await venue.admin.post(path, {"change": "0.03", "source": "event", "reason": "a launch"})).ok()
    assert moved["market"]["indexPrice"] == "123.60"
    many = [{"ticker": "NOVA", "change": "-0.03"}, {"ticker": "NOVA", "change": "0.34"}]
    results = (await venue.admin.post("/api/markets/prices", many)).ok()["results"]
    assert results[0]["market"]["indexPrice"] == "120.00"
    assert results[1]["error"]["details"]["largestChange"] == "0.333333333"


@pytest.mark.parametrize(
    "body", [{}, {"price": "1", "change": "0.1"}, {"change": "1.1"}, {"change": "x"}, {"change": "0.0000000001"}]
)
async def test_a_price_that_names_neither_or_both_or_no_fraction_is_refused(
    venue: Running, body: dict[str, object]
) -> None:
    (await venue.admin.post("/api/admin/markets", {"ticker": "NOVA", "price": "120", "preset": "game"})).ok(201)

    (await venue.admin.post("/api/markets/perps/NOVA/price", body)).refused(400, "validation_error")


@pytest.mark.parametrize(
    ("fields", "codes", "step"),
    [
        ({}, ["max_step_undeclared", "executes_at_last_price"], "0.003"),
        ({"preset": "crypto"}, ["executes_at_last_price"], "0.0005"),
        ({"preset": "crypto", "maxLeverage": 50}, ["gap_risk", "executes_at_last_price"], "0.008"),
        ({"preset": "game"}, ["executes_at_last_price"], "0.0005"),
        ({"preset": "volatile", "referralShare": "0"}, ["executes_at_last_price"], "0.002"),
    ],
)
async def test_a_listing_warns_of_what_its_parameters_leave_open(
    venue: Running, fields: dict[str, object], codes: list[str], step: str
) -> None:
    body = {"ticker": "NEW", "price": "100", **fields}
    warnings = (await venue.admin.post("/api/admin/markets", body)).ok(201)["warnings"]

    assert [warning["code"] for warning in warnings] == codes
    assert f"more than {step} " in warnings[0]["message"]
