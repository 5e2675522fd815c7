"""``makerFee``: who brings the skew nearer to 0 pays it."""

from __future__ import annotations

from decimal import Decimal

from tests.web.refused import refused
from tests.web.shapes import amount
from tests.web.venue import Json, Running

MARKETS = "/api/admin/markets"
FEES = {"takerFee": "0.001", "makerFee": "0.0002"}


def _rate(answer: Json) -> Decimal:
    """A fee as a share of its notional, in 1/10,000."""
    return round(amount(answer["fee"]["amount"]) / amount(answer["fill"]["notional"]) * 10_000, 3)


async def test_those_against_the_skew_pay_the_makers_fee_and_a_quote_says_so(venue: Running) -> None:
    listed = (await venue.market("FAIR", "100", **FEES))["market"]
    ann, bob = await venue.user("ann"), await venue.user("bob")
    assert (listed["makerFee"], listed["takerFee"]) == ("0.0002", "0.001")

    crowd = await ann.opened("FAIR", "1000")
    body = {"ticker": "FAIR", "side": "short", "size": "500", "leverage": 10}
    quoted = (await bob.post("/api/markets/perps/quote", body)).ok()
    against = await bob.opened("FAIR", "500", side="short")
    beyond = (await bob.open("FAIR", "1000", side="short")).ok(201)

    assert [_rate(crowd), _rate(against)] == [10, 2]
    assert quoted["fee"] == against["fee"]
    assert 5 < _rate(beyond) < 7, "half of it brings the skew to 0, the other half beyond"
    assert _rate((await bob.close("FAIR-2")).ok()) == 2
    assert (await ann.balance())["totalFees"] == crowd["fee"]["amount"]


async def test_without_one_it_is_the_takers(venue: Running) -> None:
    listed = (await venue.market("PLAIN", "100", takerFee="0.0005"))["market"]

    assert (listed["makerFee"], listed["takerFee"]) == ("0.0005", "0.0005")


async def test_one_above_the_takers_is_refused(venue: Running) -> None:
    body = {"ticker": "ODD", "organizationId": "o", "name": "n", "price": "100", "makerFee": "0.002"}

    details = await refused(venue, venue.admin, MARKETS, body, 422, "parameters_inconsistent")

    assert details == {"rule": "makerFee ≤ takerFee", "makerFee": "0.002", "takerFee": "0.001"}
