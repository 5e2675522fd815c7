"""A listing: what it answers when it can be, and the rule it breaks when it cannot."""

from __future__ import annotations

import asyncio

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
    ("unknown", 1),
]


@pytest.mark.parametrize(("field", "value"), MALFORMED)
async def test_a_malformed_parameter_is_refused(venue: Running, field: str, value: object) -> None:
    async with venue.unchanged():
        (await venue.admin.post("/api/admin/markets", {**LISTING, field: value})).refused(400, "validation_error")


@pytest.mark.parametrize("field", ["ticker", "organizationId", "name", "price"])
async def test_the_first_four_parameters_are_required(venue: Running, field: str) -> None:
    listing = {name: value for name, value in LISTING.items() if name != field}
    (await venue.admin.post("/api/admin/markets", listing)).refused(400, "validation_error")


async def test_two_listings_of_one_ticker_at_once_make_one_market(venue: Running) -> None:
    answers = await asyncio.gather(*(venue.admin.post("/api/admin/markets", LISTING) for _ in range(10)))

    assert sorted(answer.status for answer in answers) == [201] + [409] * 9
