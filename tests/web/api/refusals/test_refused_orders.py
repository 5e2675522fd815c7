"""Refused for what is ordered, closed or taken out: the numbers compared, and that nothing changes."""

from __future__ import annotations

import pytest

from tests.web.refused import OPEN, open_body, refused
from tests.web.shapes import amount
from tests.web.venue import Json, Running

STEEP = {
    "maxLeverage": 10,
    "maintenanceRate": "0.09",
    "takerFee": "0",
    "liquidationFee": "0",
    "skewScale": "100",
    "maxSkew": "5",
    "maxOpenInterest": "5",
    "lotSize": "0.001",
}
"""A market so shallow that the largest order at full leverage is born due."""


async def test_a_closed_position_cannot_be_closed_again(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    (await ann.close("BTC-PERP-1", clientOrderId="one")).ok()

    details = await refused(venue, ann, "/api/markets/perps/BTC-PERP-1/close", {}, 409, "position_closed")

    assert details == {"position": "BTC-PERP-1"}


async def test_an_order_below_the_minimum_is_too_small(venue: Running) -> None:
    ann = await venue.user("ann")

    details = await refused(venue, ann, OPEN, open_body(size="9.99"), 422, "position_size_too_small")

    assert details == {"size": "9.99", "minOrderSize": "10.00"}
    await ann.opened(size="10")


async def test_an_order_below_one_lot_is_too_small(venue: Running) -> None:
    await venue.market("COARSE", "50000", lotSize="1")
    ann = await venue.user("ann")

    details = await refused(venue, ann, OPEN, open_body("COARSE", "49999"), 422, "position_size_too_small")

    assert details["size"] == "49999.00"
    assert amount(details["oneLot"]) > 50000


async def test_an_order_above_a_whole_side_is_too_large(venue: Running) -> None:
    ann = await venue.user("ann")

    details = await refused(venue, ann, OPEN, open_body(size="21000000"), 422, "position_size_too_large")

    assert amount(details["quantity"]) > amount(details["maxOpenInterest"]) == 400


async def test_more_leverage_than_the_market_allows_is_refused(venue: Running) -> None:
    ann = await venue.user("ann")

    details = await refused(venue, ann, OPEN, open_body(leverage=101), 422, "leverage_too_high")

    assert details == {"leverage": 101, "maxLeverage": 100}
    await ann.opened(leverage=100)


async def test_an_order_that_tilts_the_market_too_far_is_refused(venue: Running) -> None:
    ann = await venue.user("ann", "2000000")
    await ann.opened(size="6000000")

    details = await refused(venue, ann, OPEN, open_body(size="6000000"), 422, "max_skew_exceeded")

    assert amount(details["skew"]) > amount(details["maxSkew"]) == 200
    await ann.opened(size="9000000", side="short")


async def test_an_order_that_fills_a_side_beyond_its_cap_is_refused(venue: Running) -> None:
    await venue.market("SMALL", "100", skewScale="1000000", maxSkew="1000", maxOpenInterest="10")
    ann = await venue.user("ann")
    await ann.opened("SMALL", "600")

    details = await refused(venue, ann, OPEN, open_body("SMALL", "600"), 422, "open_interest_exceeded")

    assert amount(details["openInterest"]) > amount(details["maxOpenInterest"]) == 10
    await ann.opened("SMALL", "600", side="short")


async def test_an_order_that_would_be_due_at_once_is_refused(venue: Running) -> None:
    await venue.market("STEEP", "100", **STEEP)
    ann = await venue.user("ann")

    details = await refused(venue, ann, OPEN, open_body("STEEP", "500"), 422, "would_be_liquidated")

    assert amount(details["equity"]) <= amount(details["maintenance"])
    await ann.opened("STEEP", "500", leverage=5)


@pytest.mark.parametrize(
    ("side", "limit"),
    [
        ("long", {"acceptablePrice": "49999.99"}),
        ("short", {"acceptablePrice": "50000.01"}),
        ("long", {"maxSlippageBps": 0}),
        ("short", {"maxSlippageBps": 0}),
    ],
)
async def test_a_fill_beyond_the_callers_limit_is_refused(venue: Running, side: str, limit: Json) -> None:
    ann = await venue.user("ann", "1000000")

    body = open_body(size="100000", side=side, **limit)
    details = await refused(venue, ann, OPEN, body, 422, "price_beyond_limit")

    paid, accepted = amount(details["paid"]), amount(details["accepted"])
    assert (paid > accepted) if side == "long" else (paid < accepted)
    price, acceptable = amount(details["price"]), amount(details["acceptablePrice"])
    assert details["acceptablePrice"] == limit.get("acceptablePrice", "50000.00")
    assert (price > acceptable) if side == "long" else (price < acceptable)


@pytest.mark.parametrize("limit", [{"acceptablePrice": "50000.01"}, {"maxSlippageBps": 0}])
async def test_a_close_beyond_the_callers_limit_is_refused(venue: Running, limit: Json) -> None:
    ann = await venue.user("ann", "1000000")
    await ann.opened(size="100000")
    await venue.price("49999")

    details = await refused(venue, ann, "/api/markets/perps/BTC-PERP-1/close", limit, 422, "price_beyond_limit")

    assert amount(details["paid"]) < amount(details["accepted"])


async def test_a_fill_within_the_callers_limit_is_taken(venue: Running) -> None:
    ann = await venue.user("ann", "1000000")

    await ann.opened(size="100000", acceptablePrice="50001", maxSlippageBps=1)
    (await ann.close("BTC-PERP-1", acceptablePrice="49999", maxSlippageBps=1)).ok()


async def test_a_wallet_must_hold_margin_and_fee(venue: Running) -> None:
    ann = await venue.user("ann", "100")
    body = open_body(size="1000.01")

    details = await refused(venue, ann, OPEN, body, 422, "insufficient_funds")

    assert details["available"] == "100.00"
    missing = amount(details["required"]) - 100
    assert missing == amount("1.000006"), "a tenth of 0.02 at 50,000.0025 and a thousandth as fee, less 100"
    (await venue.admin.post("/api/admin/users/ann/deposit", {"amount": str(missing)})).ok()
    assert (await ann.opened(size="1000.01"))["newBalance"] == "0.00"


async def test_a_refused_open_holds_nothing_back(venue: Running) -> None:
    ann = await venue.user("ann", "200")
    for _ in range(5):
        (await ann.open(size="1500", acceptablePrice="1")).refused(422, "price_beyond_limit")

    (await venue.admin.post("/api/admin/users/ann/withdraw", {"amount": "200"})).ok()


async def test_a_withdrawal_takes_no_more_than_there_is(venue: Running) -> None:
    await venue.user("ann", "100")
    path, body = "/api/admin/users/ann/withdraw", {"amount": "100.000001"}

    details = await refused(venue, venue.admin, path, body, 422, "insufficient_funds")

    assert details == {"required": "100.000001", "available": "100.00"}
