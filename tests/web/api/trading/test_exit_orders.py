"""Exit orders as the outside sees them: a share of a position that leaves at a price."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.web.events import following
from tests.web.venue import Client, Running

PATH = "/api/orders"


async def leave(client: Client, at: str, **more: object) -> Any:
    body = {"positionId": "BTC-PERP-1", "type": "take_profit", "percentage": "0.5", "price": at}
    return await client.post(PATH, {name: value for name, value in {**body, **more}.items() if value is not None})


async def holding(venue: Running) -> Client:
    ann = await venue.user("ann", "1000")
    await ann.opened(size="1000", leverage=10)
    return ann


async def test_an_exit_rests_without_money_and_closes_its_share(venue: Running) -> None:
    ann = await holding(venue)
    before = (await ann.balance())["balance"]
    made = (await leave(ann, "51000", clientOrderId="x")).ok(201)
    order = made["order"]
    shown = {name: order[name] for name in ("type", "side", "size", "leverage", "reserve", "percentage", "positionId")}
    assert shown == {
        "type": "take_profit", "side": "long", "size": None, "leverage": 10, "reserve": "0.00",
        "percentage": "0.5", "positionId": "BTC-PERP-1",
    }  # fmt: skip
    assert (order["status"], made["newBalance"], (await ann.balance())["balance"]) == ("open", before, before)
    assert (await ann.get(PATH)).ok()["orders"] == [order]
    assert (await ann.get(f"{PATH}/{order['id']}")).ok()["order"] == order
    (position,) = await ann.positions()

    await venue.price("51000")

    (left,) = await ann.positions()
    assert float(left["quantity"]) == pytest.approx(float(position["quantity"]) / 2, abs=1e-4)
    (filled,) = (await ann.get(f"{PATH}?status=closed")).ok()["orders"]
    assert (filled["status"], filled["positionId"], filled["percentage"]) == ("filled", "BTC-PERP-1", "0.5")
    assert float(filled["averagePrice"]) == pytest.approx(51000, rel=1e-3)
    assert (await leave(ann, "51000", clientOrderId="x")).ok(201) == made
    (trade, *_) = (await ann.get("/api/users/me/trades")).ok()["trades"]
    assert (trade["orderId"], trade["reason"]) == (order["id"], "take_profit")
    shown = (await ann.get(f"{PATH}/{order['id']}")).ok()
    assert (shown["fills"], shown["order"]["averagePrice"]) == ([trade], trade["price"])
    (public, *_) = (await ann.get("/api/markets/perps/BTC-PERP/trades")).ok()["trades"]
    assert public["orderId"] == order["id"]


async def test_of_two_exits_the_one_that_closes_cancels_the_other(venue: Running) -> None:
    ann = await holding(venue)
    await leave(ann, "51000", percentage=None)
    await leave(ann, "49000", percentage=None, type="stop")
    await venue.price("51000")
    assert await ann.positions() == []
    orders = (await ann.get(f"{PATH}?status=all")).ok()["orders"]
    assert [(order["status"], order["reason"]) for order in orders] == [
        ("cancelled", "position_closed"),
        ("filled", None),
    ]


async def test_the_owners_stream_tells_of_exits_that_end_with_their_position(venue: Running) -> None:
    ann = await holding(venue)
    await leave(ann, "51000")
    async with following(venue, "/api/sse/users/me", ann) as stream:
        assert len((await stream.next()).data["orders"]) == 1
        closed = (await ann.close("BTC-PERP-1")).ok()
        heard = await stream.until_offset(closed["offset"])
    assert [event.name for event in heard] == ["trade", "position", "order", "balance"]
    assert (heard[2].data["status"], heard[2].data["reason"]) == ("cancelled", "position_closed")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"positionId": "BTC-PERP-9"}, 404, "position_not_found"),
        ({"positionId": "NONE-1"}, 404, "position_not_found"),
        ({"positionId": "junk"}, 404, "position_not_found"),
        ({"type": "limit"}, 400, "validation_error"),
        ({"type": "market"}, 400, "validation_error"),
        ({"side": "long"}, 400, "validation_error"),
        ({"size": "5"}, 400, "validation_error"),
        ({"leverage": 5}, 400, "validation_error"),
        ({"takeProfit": "60000"}, 400, "validation_error"),
        ({"ticker": "OTHER"}, 400, "validation_error"),
        ({"percentage": "0"}, 400, "validation_error"),
        ({"percentage": "50"}, 400, "validation_error"),
        ({"price": "0"}, 400, "validation_error"),
        ({"price": "51000.001"}, 400, "validation_error"),
        ({"price": "49000"}, 422, "order_would_trigger"),
        ({"type": "stop"}, 422, "order_would_trigger"),
        ({"positionId": None}, 400, "validation_error"),
        (
            {"positionId": None, "ticker": "BTC-PERP", "side": "long", "size": "100", "leverage": 1},
            400,
            "validation_error",
        ),
    ],
)
async def test_what_can_be_no_exit_is_refused(venue: Running, changes: dict[str, Any], status: int, code: str) -> None:
    ann = await holding(venue)
    await venue.market("OTHER", "100")
    async with venue.unchanged():
        (await leave(ann, "51000", **changes)).refused(status, code)


async def test_a_take_profit_begins_no_position_and_an_entry_has_no_percentage(venue: Running) -> None:
    ann = await venue.user("ann")
    entry = {"positionId": None, "ticker": "BTC-PERP", "side": "long", "size": "100", "leverage": 1}
    details = (await leave(ann, "51000", **entry, percentage=None)).refused(400, "validation_error")
    assert details == {"field": "type"}
    details = (await leave(ann, "51000", **entry, type="stop")).refused(400, "validation_error")
    assert details == {"field": "percentage"}


async def test_exits_are_for_the_positions_owner_and_administrators(venue: Running) -> None:
    ann, bob = await holding(venue), await venue.user("bob")
    (await leave(bob, "51000")).refused(403, "forbidden")
    (await leave(venue.admin, "51000", userId="bob")).refused(403, "forbidden")
    assert (await leave(venue.admin, "51000", userId="ann")).ok(201)["order"]["userId"] == "ann"
    (await ann.close("BTC-PERP-1")).ok()
    (await leave(ann, "51000")).refused(409, "position_closed")


async def test_a_position_has_ten_exits_and_a_batch_takes_them_too(venue: Running) -> None:
    ann = await holding(venue)
    item = {"positionId": "BTC-PERP-1", "type": "stop", "percentage": "0.1", "price": "49000"}
    results = (await ann.post(f"{PATH}/batch", [item] * 11)).ok()["results"]
    codes = [result.get("error", {}).get("code", result.get("order", {}).get("status")) for result in results]
    assert codes == ["open"] * 10 + ["too_many_open_orders"]
    assert results[10]["error"]["details"] == {"exitsOfThePosition": 10, "maximum": 10}
    assert len((await ann.delete(PATH)).ok()["orders"]) == 10


async def test_an_exit_is_replaced_by_its_own_terms(venue: Running) -> None:
    ann = await holding(venue)
    first = (await leave(ann, "51000")).ok(201)["order"]

    async def patched(**terms: object) -> Any:
        return await ann.ask("PATCH", f"{PATH}/{first['id']}", data=json.dumps(terms).encode())

    second = (await patched(price="52000", percentage="0.25", acceptablePrice="51500")).ok()["order"]
    changed = {"price": "52000.00", "percentage": "0.25", "acceptablePrice": "51500.00"}
    assert second == {**first, **changed, "placedAt": second["placedAt"]}
    for foreign in ({"size": "5"}, {"leverage": 2}, {"takeProfit": "9"}, {"stopLoss": None}, {"percentage": "2"}):
        (await patched(**foreign)).refused(400, "validation_error")
    (await patched(price="49000")).refused(422, "order_would_trigger")
    entry = {"ticker": "BTC-PERP", "type": "limit", "side": "long", "size": "100", "leverage": 2, "price": "40000"}
    name = (await ann.post(PATH, entry)).ok(201)["order"]["id"]
    details = (await ann.ask("PATCH", f"{PATH}/{name}", data=b'{"percentage": "0.5"}')).refused(400, "validation_error")
    assert "percentage is for an exit" in details["rule"]
