"""Resting orders as the outside sees them: placed, filled, replaced, cancelled, expired."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from msgspec import structs

import web.api.orders
from perps.commands import ReplaceOrder
from perps.market.order import Order
from perps.params import MarketParams
from perps.units import Micros
from perps.wire.orders.placing import ReplaceBody
from tests.web.events import following
from tests.web.venue import Client, Running
from web.api.bodies.orders import replacement

PATH = "/api/orders"


async def place(client: Client, price: str, **more: object) -> Any:
    body = {"ticker": "BTC-PERP", "type": "limit", "side": "long", "size": "1000", "leverage": 10, "price": price}
    return await client.post(PATH, {**body, **more})


async def placed(client: Client, price: str, **more: object) -> dict[str, Any]:
    answer: dict[str, Any] = (await place(client, price, **more)).ok(201)
    return answer


async def orders(client: Client, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"{PATH}{query}")).ok()["orders"]
    return found


async def test_a_limit_rests_fills_at_its_price_and_begins_a_position(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    made = await placed(ann, "49000", takeProfit="51000")
    assert (made["order"]["id"], made["order"]["status"], made["order"]["reserve"]) == ("BTC-PERP-o1", "open", "101.00")
    assert "position" not in made
    assert made["newBalance"] == "899.00"
    balance = await ann.balance()
    money = {name: balance[name] for name in ("balance", "held", "available", "total")}
    assert money == {"balance": "899.00", "held": "101.00", "available": "899.00", "total": "1000.00"}
    assert await orders(ann) == [made["order"]]

    await venue.price("49001")
    assert await orders(ann) == [made["order"]]
    await venue.price("48990")

    assert await orders(ann) == []
    (filled,) = await orders(ann, "?status=closed")
    (position,) = await ann.positions()
    assert (filled["status"], filled["positionId"]) == ("filled", position["id"])
    assert float(filled["averagePrice"]) <= 49000
    assert filled["averagePrice"] == position["entryPrice"]
    (trade,) = (await ann.get(f"{PATH}/{filled['id']}")).ok()["fills"]
    assert (trade["orderId"], trade["kind"], trade["positionId"]) == (filled["id"], "open", position["id"])
    assert position["takeProfit"] == "51000.00"
    assert (await ann.balance())["held"] == "0.00"


async def test_a_limit_that_can_fill_does_so_at_once(venue: Running) -> None:
    ann = await venue.user("ann")
    made = await placed(ann, "50100")
    assert made["order"]["status"] == "filled"
    assert made["position"]["id"] == made["order"]["positionId"]
    assert made["fill"]["quantity"] == made["position"]["quantity"]
    assert made["newBalance"] == (await ann.balance())["balance"]


async def test_a_cancelled_order_gives_its_money_back(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    name = (await placed(ann, "49000"))["order"]["id"]
    ended = (await ann.delete(f"{PATH}/{name}")).ok()["order"]
    assert (ended["status"], ended["reason"]) == ("cancelled", "owner")
    assert (await ann.balance())["balance"] == "1000.00"
    assert (await ann.get(f"{PATH}/{name}")).ok()["order"] == ended
    (await ann.delete(f"{PATH}/{name}")).refused(409, "order_closed")
    await venue.price("40000")
    assert await ann.positions() == []


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"ticker": "NONE"}, 404, "market_not_found"),
        ({"price": "49000.001"}, 400, "validation_error"),
        ({"price": "NaN"}, 400, "validation_error"),
        ({"price": "Infinity"}, 400, "validation_error"),
        ({"price": "-1"}, 400, "validation_error"),
        ({"price": "1e30"}, 400, "validation_error"),
        ({"size": "0"}, 400, "validation_error"),
        ({"size": "1e13"}, 400, "validation_error"),
        ({"type": "market"}, 400, "validation_error"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, 400, "validation_error"),
        ({"expiresAt": "tomorrow"}, 400, "validation_error"),
        ({"acceptablePrice": "50000"}, 400, "validation_error"),
        ({"takeProfit": "0"}, 400, "validation_error"),
        ({"stopLoss": "1.001"}, 400, "validation_error"),
        ({"leverage": 101}, 422, "leverage_too_high"),
        ({"size": "1"}, 422, "position_size_too_small"),
        ({"size": "10000000000"}, 422, "position_size_too_large"),
        ({"type": "stop", "price": "49000"}, 422, "order_would_trigger"),
        ({"size": "200000", "leverage": 1}, 422, "insufficient_funds"),
        ({"userId": "bob"}, 403, "forbidden"),
    ],
)
async def test_what_cannot_rest_is_refused_and_changes_nothing(
    venue: Running, changes: dict[str, Any], status: int, code: str
) -> None:
    ann = await venue.user("ann")
    await venue.user("bob")
    async with venue.unchanged():
        (await place(ann, **{"price": "49000", **changes})).refused(status, code)
    assert await orders(ann, "?status=all") == []


async def test_the_same_id_gets_the_same_answer_and_another_body_none(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    first = await placed(ann, "49000", clientOrderId="one")
    again = await place(ann, "49000", clientOrderId="one")
    assert (again.ok(201), again.headers["Idempotent-Replay"]) == (first, "true")
    (await place(ann, "49001", clientOrderId="one")).refused(409, "client_order_id_reused")
    assert len(await orders(ann)) == 1
    assert (await ann.balance())["held"] == "101.00"


async def test_a_replacement_keeps_what_it_does_not_name(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    first = (await placed(ann, "49000", takeProfit="51000"))["order"]
    second = (await ann.ask("PATCH", f"{PATH}/{first['id']}", data=b'{"price": "48000", "size": "500"}')).ok()
    changed = {"price": "48000.00", "size": "500.00", "reserve": "50.50", "placedAt": second["order"]["placedAt"]}
    assert second["order"] == {**first, **changed}
    assert second["newBalance"] == "949.50"
    assert await orders(ann, "?status=all") == [second["order"]]
    for body, code in ((b'{"price": "0"}', 400), (b'{"size": "-1"}', 400), (b'{"side": "short"}', 400)):
        (await ann.ask("PATCH", f"{PATH}/{first['id']}", data=body)).refused(code, "validation_error")
    await venue.price("40000")
    (await ann.ask("PATCH", f"{PATH}/{first['id']}", data=b'{"price": "1000"}')).refused(409, "order_closed")


async def test_orders_are_for_their_owner_and_administrators(venue: Running) -> None:
    ann, bob = await venue.user("ann"), await venue.user("bob")
    name = (await placed(ann, "49000"))["order"]["id"]
    (await bob.get(f"{PATH}/{name}")).refused(403, "forbidden")
    (await bob.get(f"{PATH}?userId=ann")).refused(403, "forbidden")
    (await bob.delete(f"{PATH}/{name}")).refused(403, "forbidden")
    (await bob.delete(f"{PATH}?userId=ann")).refused(403, "forbidden")
    (await bob.ask("PATCH", f"{PATH}/{name}", data=b'{"price": "1000"}')).refused(403, "forbidden")
    assert (await venue.admin.get(f"{PATH}/{name}")).ok()["order"]["status"] == "open"
    assert len(await orders(venue.admin, "?userId=ann")) == 1
    (await venue.admin.delete(f"{PATH}/{name}")).ok()
    (await bob.delete(f"{PATH}/{name}")).refused(403, "forbidden")
    for unknown in ("BTC-PERP-o9", "NONE-o1", "junk"):
        (await ann.get(f"{PATH}/{unknown}")).refused(404, "order_not_found")
        (await ann.delete(f"{PATH}/{unknown}")).refused(404, "order_not_found")
        (await ann.ask("PATCH", f"{PATH}/{unknown}", data=b"{}")).refused(404, "order_not_found")


async def test_all_are_cancelled_in_one_market_or_in_all(venue: Running) -> None:
    await venue.market("OTHER", "100")
    ann, bob = await venue.user("ann"), await venue.user("bob")
    for ticker, price in (("BTC-PERP", "49000"), ("OTHER", "90"), ("BTC-PERP", "48000")):
        await placed(ann, price, ticker=ticker)
    kept = await placed(bob, "49000")
    ended = (await ann.delete(f"{PATH}?ticker=BTC-PERP")).ok()["orders"]
    assert [(order["id"], order["status"]) for order in ended] == [
        ("BTC-PERP-o1", "cancelled"),
        ("BTC-PERP-o2", "cancelled"),
    ]
    assert [order["ticker"] for order in (await venue.admin.delete(f"{PATH}?userId=ann")).ok()["orders"]] == ["OTHER"]
    assert (await ann.delete(PATH)).ok()["orders"] == []
    (await ann.delete(f"{PATH}?ticker=NONE")).refused(404, "market_not_found")
    assert await orders(bob) == [kept["order"]]
    assert (await ann.balance())["held"] == "0.00"


async def test_a_user_has_a_hundred_resting_orders_in_a_market_at_most(venue: Running) -> None:
    ann = await venue.user("ann", "100000")
    order = {"ticker": "BTC-PERP", "type": "limit", "side": "long", "size": "100", "leverage": 10, "price": "40000"}
    for _ in range(5):
        await ann.post(f"{PATH}/batch", [order] * 20)
    details = (await ann.post(PATH, order)).refused(422, "too_many_open_orders")
    assert details == {"openOrders": 100, "maximum": 100}


async def test_a_batch_takes_or_refuses_each_for_itself(venue: Running) -> None:
    ann = await venue.user("ann")
    order = {"ticker": "BTC-PERP", "type": "limit", "side": "long", "size": "100", "leverage": 10, "price": "49000"}
    items = [{**order, "clientOrderId": "a"}, {**order, "leverage": 101}, {**order, "price": "50100"}]
    results = (await ann.post(f"{PATH}/batch", items)).ok()["results"]
    assert [result.get("error", {}).get("code") or result["order"]["status"] for result in results] == [
        "open",
        "leverage_too_high",
        "filled",
    ]
    assert results[0]["clientOrderId"] == "a"
    (await ann.post(f"{PATH}/batch", [order] * 21)).refused(400, "validation_error")
    (await ann.post(f"{PATH}/batch", [])).refused(400, "validation_error")
    details = (await ann.post(f"{PATH}/batch", [order, {**order, "price": "0"}])).refused(400, "validation_error")
    assert details["index"] == 1


async def test_a_list_has_pages(venue: Running) -> None:
    ann = await venue.user("ann")
    names = [(await placed(ann, "49000"))["order"]["id"] for _ in range(3)]
    first = (await ann.get(f"{PATH}?limit=2")).ok()
    rest = (await ann.get(f"{PATH}?limit=2&cursor={first['nextCursor']}")).ok()
    assert [order["id"] for order in (*first["orders"], *rest["orders"])] == names[::-1]
    assert rest["nextCursor"] is None
    assert await orders(ann, "?ticker=NONE") == []


async def test_the_owners_stream_tells_what_becomes_of_orders(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    resting = await placed(ann, "49000")
    async with following(venue, "/api/sse/users/me", ann) as stream:
        now = await stream.next()
        assert now.data["orders"] == [resting["order"]]
        assert now.data["balance"]["held"] == "101.00"
        second = await placed(ann, "48000")
        heard = await stream.until_offset(second["offset"])
        await venue.price("48990")
        filled = await stream.until_offset(second["offset"] + 1)

    assert [(event.name, event.data.get("status")) for event in heard] == [("order", "open"), ("balance", None)]
    assert heard[0].data == {**second["order"], "offset": second["offset"]}
    assert heard[1].data["held"] == "202.00"
    assert [event.name for event in filled] == ["trade", "position", "order", "balance"]
    assert (filled[2].data["status"], filled[2].data["positionId"]) == ("filled", filled[1].data["id"])
    assert {**filled[3].data, "userId": None} == {**await ann.balance(), "userId": None}


async def test_an_order_expires(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    made = await placed(ann, "49000", expiresAt="2100-01-01T00:00:00Z")
    assert made["order"]["expiresAt"] == "2100-01-01T00:00:00.000Z"


async def test_a_repeated_replacement_of_an_order_that_has_ended_gets_its_answer(venue: Running) -> None:
    """Whoever lost the answer asks again, and the order may have filled by then."""
    ann = await venue.user("ann", "1000")
    name = (await placed(ann, "49000", takeProfit="51000"))["order"]["id"]
    terms = {"price": "48000", "clientOrderId": "o-2"}
    first = (await ann.ask("PATCH", f"{PATH}/{name}", data=json.dumps(terms).encode())).ok()
    await venue.price("47990")
    assert await orders(ann) == []

    again = await ann.ask("PATCH", f"{PATH}/{name}", data=json.dumps(terms).encode())

    assert (again.ok(), again.headers["Idempotent-Replay"]) == (first, "true")
    (await ann.ask("PATCH", f"{PATH}/{name}", data=json.dumps({**terms, "price": "48001"}).encode())).refused(
        409, "client_order_id_reused"
    )
    (await ann.ask("PATCH", f"{PATH}/{name}", data=b'{"price": "48001"}')).refused(409, "order_closed")


async def patched(client: Client, name: str, body: dict[str, Any]) -> Any:
    return await client.ask("PATCH", f"{PATH}/{name}", data=json.dumps(body).encode())


async def test_replacements_at_the_same_time_keep_what_each_of_them_names(venue: Running) -> None:
    ann = await venue.user("ann", "100000")
    name = (await placed(ann, "49000"))["order"]["id"]
    for step in range(1, 11):
        terms = {"price": f"{49000 - step}.00", "size": f"{1000 + step}.00", "leverage": 10 + step}
        terms["takeProfit"] = f"{51000 + step}.00"
        answers = await asyncio.gather(*(patched(ann, name, {field: value}) for field, value in terms.items()))
        assert [answer.status for answer in answers] == [200] * len(terms)
        (order,) = await orders(ann)
        assert {field: order[field] for field in terms} == terms
        assert (await ann.balance())["held"] == order["reserve"]


async def test_a_replacement_that_never_sees_the_last_size_is_refused(
    venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if somebody else changed the size before each of its attempts."""
    seen = list[str]()

    def late(body: ReplaceBody, name: str, order: Order | None, params: MarketParams) -> ReplaceOrder:
        seen.append(name)
        return structs.replace(replacement(body, name, order, params), known_size=Micros(1))

    monkeypatch.setattr("web.api.orders.replacement", late)
    ann = await venue.user("ann", "1000")
    name = (await placed(ann, "49000"))["order"]["id"]
    async with venue.unchanged():
        (await patched(ann, name, {"leverage": 5})).refused(409, "order_changed")
    assert len(seen) == web.api.orders.REPLACES_MAX
    (await patched(ann, name, {"leverage": 5, "size": "900"})).ok()


async def test_null_takes_away_what_an_order_can_be_without(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    more = {"takeProfit": "60000", "stopLoss": "40000", "expiresAt": "2100-01-01T00:00:00Z"}
    first = (await placed(ann, "51000", type="stop", acceptablePrice="51500", **more))["order"]
    body = {"takeProfit": None, "expiresAt": None, "acceptablePrice": None, "price": None, "size": None}
    second = (await patched(ann, first["id"], body)).ok()["order"]
    gone = {"takeProfit": None, "expiresAt": None, "acceptablePrice": None, "placedAt": second["placedAt"]}
    assert second == {**first, **gone}
    (await patched(ann, first["id"], {"stopLoss": "0"})).refused(400, "validation_error")


async def test_the_price_of_a_limit_is_its_bound_also_when_it_is_replaced(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    name = (await placed(ann, "49000"))["order"]["id"]
    details = (await patched(ann, name, {"acceptablePrice": "50000"})).refused(400, "validation_error")
    assert details == {"rule": "acceptablePrice is for stops: the price of a limit is its bound"}
    (await patched(ann, name, {"acceptablePrice": None})).ok()


async def test_a_repeated_replacement_gets_its_answer_after_others_have_followed(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    name = (await placed(ann, "49000"))["order"]["id"]
    first = (await patched(ann, name, {"price": "48000", "clientOrderId": "a"})).ok()
    (await patched(ann, name, {"size": "500", "clientOrderId": "b"})).ok()
    again = await patched(ann, name, {"price": "48000", "clientOrderId": "a"})
    assert (again.ok(), again.headers["Idempotent-Replay"]) == (first, "true")
    assert (await orders(ann))[0]["size"] == "500.00"
