"""Resting orders as the outside sees them: placed, filled, replaced, cancelled, expired."""

from __future__ import annotations

from typing import Any

from tests.web.venue import Client, Running

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
