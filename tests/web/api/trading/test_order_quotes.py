"""What the outside is told of an order before it places it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.venue import Client, Running

PATH, QUOTE = "/api/orders", "/api/orders/quote"
ENTRY: dict[str, Any] = {"ticker": "BTC-PERP", "type": "limit", "side": "long", "size": "1000", "leverage": 10}
EXIT: dict[str, Any] = {"positionId": "BTC-PERP-1", "type": "stop", "percentage": "0.5"}


async def quoted(client: Client, body: dict[str, Any], **more: object) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.post(QUOTE, {**body, **more})).ok()
    return answer


async def test_an_order_that_rests_is_quoted_with_its_fill_at_its_price(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    async with venue.unchanged():
        quote = await quoted(ann, ENTRY, type="stop", price="51000", stopLoss="45000")
    assert (quote["status"], quote["reserve"], quote["maxFee"]) == ("open", "101.00", "1.00")
    assert (quote["expected"]["status"], quote["expected"]["indexPrice"]) == ("filled", "51000.00")
    assert quote["warnings"] == ["stop_beyond_liquidation"]
    made = (await ann.post(PATH, {**ENTRY, "type": "stop", "price": "51000", "stopLoss": "45000"})).ok(201)
    assert (made["order"]["reserve"], made["order"]["status"]) == (quote["reserve"], quote["status"])
    await venue.price("51000")
    (position,), (trade, *_) = await ann.positions(), (await ann.get("/api/users/me/trades")).ok()["trades"]
    expected = quote["expected"]
    assert (position["margin"], position["liquidationPrice"]) == (
        expected["marginRequired"],
        expected["liquidationPrice"],
    )
    assert (trade["price"], trade["quantity"], trade["fee"]) == (
        expected["fill"]["price"],
        expected["fill"]["quantity"],
        expected["fee"],
    )


async def test_an_order_that_fills_at_once_is_quoted_so(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    quote = await quoted(ann, ENTRY, price="50100")
    made = (await ann.post(PATH, {**ENTRY, "price": "50100"})).ok(201)
    assert (quote["status"], quote["reason"], quote["expected"]["fill"]) == ("filled", None, made["fill"])


async def test_an_exit_is_quoted_with_what_it_brings(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    await ann.opened(size="1000", leverage=10)
    quote = await quoted(ann, EXIT, price="49000")
    assert (quote["reserve"], quote["maxFee"], quote["warnings"]) == ("0.00", None, [])
    (await ann.post(PATH, {**EXIT, "price": "49000"})).ok(201)
    before = (await ann.balance())["balance"]
    await venue.price("49000")
    trade = (await ann.get("/api/users/me/trades")).ok()["trades"][0]
    assert trade["realizedPnL"] == quote["expected"]["pnl"]
    got = float((await ann.balance())["balance"]) - float(before)
    assert got == pytest.approx(float(quote["expected"]["netSettlement"]))
    deep = await quoted(ann, EXIT, price="30000")
    assert deep["warnings"] == ["stop_beyond_liquidation"]


async def test_an_order_that_its_bound_ends_is_quoted_as_cancelled(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    quote = await quoted(ann, ENTRY, type="stop", price="51000", acceptablePrice="50500")
    assert (quote["expected"]["status"], quote["expected"]["reason"]) == ("cancelled", "price_beyond_limit")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({**ENTRY, "price": "0"}, 400, "validation_error"),
        ({**ENTRY, "price": "49000", "ticker": "NONE"}, 404, "market_not_found"),
        ({**ENTRY, "price": "49000", "leverage": 101}, 422, "leverage_too_high"),
        ({**ENTRY, "price": "49000", "size": "1"}, 422, "position_size_too_small"),
        ({**ENTRY, "price": "49000", "type": "stop"}, 422, "order_would_trigger"),
        ({**ENTRY, "price": "49000", "userId": "bob"}, 403, "forbidden"),
        ({**EXIT, "price": "49000"}, 403, "forbidden"),
        ({**EXIT, "price": "49000", "positionId": "BTC-PERP-9"}, 404, "position_not_found"),
    ],
)
async def test_a_quote_is_refused_as_the_placement_is(
    venue: Running, body: dict[str, Any], status: int, code: str
) -> None:
    ann, bob = await venue.user("ann"), await venue.user("bob")
    await bob.opened()
    details = (await ann.post(QUOTE, body)).refused(status, code)
    assert (await ann.post(PATH, body)).refused(status, code) == details


async def test_a_quote_needs_no_money(venue: Running) -> None:
    poor = await venue.user("poor", "1")
    assert (await quoted(poor, ENTRY, price="49000"))["status"] == "open"
    (await poor.post(PATH, {**ENTRY, "price": "49000"})).refused(422, "insufficient_funds")
