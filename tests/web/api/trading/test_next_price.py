"""A market that executes at the next price, over HTTP: orders that wait, their fills, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.conftest import Starter
from tests.web.events import following
from tests.web.venue import Answer, Backend, Client, ManualClock, Running
from web.answers.times import rfc3339

ORDERS = "/api/orders"
POSITION = "BTC-PERP-1"


@pytest.fixture
async def venue(starter: Starter, clock: ManualClock) -> Running:
    """A market at 50,000 that executes at the next price, and nobody in it."""
    running = await starter(clock=clock)
    await running.market(execution="next_price")
    return running


@pytest.fixture
async def stored(starter: Starter, backend: Backend, clock: ManualClock) -> Running:
    """The same, on either store."""
    running = await starter(backend, clock=clock)
    await running.market(execution="next_price")
    return running


async def feed(venue: Running, clock: ManualClock, price: str = "50000") -> None:
    """The price that decides what waits."""
    clock.advance(1)
    await venue.price(price, source="oracle", at=rfc3339(clock.now_ms()))


async def order(client: Client, name: str) -> Any:
    return (await client.get(f"{ORDERS}/{name}")).ok()["order"]


async def hold(venue: Running, clock: ManualClock, client: Client, **more: int) -> None:
    (await client.open("BTC-PERP", "1000", **more)).ok(202)
    await feed(venue, clock)


async def test_an_open_answers_with_an_order_and_the_next_price_fills_it(stored: Running, clock: ManualClock) -> None:
    ann = await stored.user("ann", "1000")
    made = (await ann.open(clientOrderId="one", maxSlippageBps=100)).ok(202)
    assert set(made) == {"order", "newBalance", "clientOrderId", "offset"}
    waiting = made["order"]
    assert (waiting["type"], waiting["status"], waiting["reserve"]) == ("market", "open", "101.00")
    assert (waiting["acceptablePrice"], waiting["positionId"]) == ("50500.00", None)
    assert made["newBalance"] == "899.00"
    assert (await ann.balance())["held"] == "101.00"
    assert (await ann.get(ORDERS)).ok()["orders"] == [waiting]
    assert await ann.positions() == []

    again = await ann.open(clientOrderId="one", maxSlippageBps=100)
    assert (again.ok(202), again.headers["Idempotent-Replay"]) == (made, "true")
    (await ann.delete(f"{ORDERS}/{waiting['id']}")).refused(409, "order_pending")
    (await ann.patch(f"{ORDERS}/{waiting['id']}", {"size": "20"})).refused(409, "order_pending")
    assert (await ann.delete(ORDERS)).ok()["orders"] == []
    await feed(stored, clock, "50100")

    filled = await order(ann, waiting["id"])
    (position,) = await ann.positions()
    assert (filled["status"], filled["positionId"]) == ("filled", position["id"])
    assert filled["averagePrice"] == position["entryPrice"] >= "50100"
    assert (await ann.balance())["held"] == "0.00"
    assert (await ann.open(clientOrderId="one", maxSlippageBps=100)).ok(202) == made


async def test_a_close_and_a_withdrawal_wait_too(stored: Running, clock: ManualClock) -> None:
    ann = await stored.user("ann", "1000")
    await hold(stored, clock, ann, leverage=2)
    half = (await ann.close(POSITION, percentage="0.5")).ok(202)["order"]
    assert (half["reduceOnly"], half["percentage"], half["positionId"], half["reserve"]) == (
        True,
        "0.5",
        POSITION,
        "0.00",
    )
    some = (await ann.close(POSITION, quantity="0.001")).ok(202)["order"]
    assert (some["quantity"], some["percentage"], some["side"]) == ("0.001", None, "long")
    margin = f"/api/markets/perps/{POSITION}/margin"
    out = (await ann.post(margin, {"amount": "-10"})).ok(202)["order"]
    assert (out["type"], out["size"], out["reduceOnly"]) == ("withdrawal", "10.00", True)
    assert (await ann.post(margin, {"amount": "10"})).ok(200)["amount"] == "10.00"
    before = [half, some, out]
    assert [await order(ann, each["id"]) for each in before] == before

    await feed(stored, clock, "50100")

    after = [await order(ann, each["id"]) for each in before]
    assert [each["status"] for each in after] == ["filled"] * 3
    changed = ("status", "closedAt", "averagePrice")
    kept = [{name: value for name, value in each.items() if name not in changed} for each in after]
    assert kept == [{name: value for name, value in each.items() if name not in changed} for each in before]
    assert after[2]["averagePrice"] is None
    assert len((await ann.get("/api/users/ann/trades")).ok()["trades"]) == 3


async def test_close_all_places_an_order_for_each(venue: Running, clock: ManualClock) -> None:
    ann = await venue.user("ann")
    await hold(venue, clock, ann)
    await hold(venue, clock, ann)
    results = (await ann.post("/api/positions/close-all", {})).ok()["results"]
    assert [(each["positionId"], each["order"]["positionId"]) for each in results] == [
        ("BTC-PERP-2", "BTC-PERP-2"),
        (POSITION, POSITION),
    ]
    await feed(venue, clock)
    assert await ann.positions() == []


async def test_an_order_whose_position_goes_ends_with_it_and_one_without_a_price_expires(
    venue: Running, clock: ManualClock
) -> None:
    ann = await venue.user("ann")
    await hold(venue, clock, ann)
    names = [(await ann.close(POSITION)).ok(202)["order"]["id"] for _ in range(2)]
    grown = (await ann.open(positionId=POSITION)).ok(202)["order"]
    assert grown["positionId"] == POSITION
    await feed(venue, clock)
    ended = [await order(ann, name) for name in (*names, grown["id"])]
    reasons = [(each["status"], each["reason"]) for each in ended]
    assert reasons == [("filled", None), ("cancelled", "position_closed"), ("cancelled", "position_closed")]

    late = (await ann.open()).ok(202)["order"]
    assert late["expiresAt"] == rfc3339(clock.now_ms() + 30_000)
    clock.advance(31)
    await feed(venue, clock)
    assert (await order(ann, late["id"]))["status"] == "expired"


async def test_limits_and_stops_are_filled_at_a_price_after_them(venue: Running, clock: ManualClock) -> None:
    ann = await venue.user("ann")
    body = {"ticker": "BTC-PERP", "type": "limit", "side": "long", "size": "1000", "leverage": 10, "price": "60000"}
    made = (await ann.post(ORDERS, body)).ok(201)
    assert made["order"]["status"] == "open"
    assert "position" not in made
    (await ann.delete(f"{ORDERS}/{made['order']['id']}")).refused(409, "order_pending")
    await feed(venue, clock)
    assert (await order(ann, made["order"]["id"]))["status"] == "filled"


async def test_a_quote_says_that_it_is_one_of_the_last_price_and_what_would_be_kept(venue: Running) -> None:
    ann = await venue.user("ann")
    body = {"ticker": "BTC-PERP", "side": "long", "size": "1000", "leverage": 10, "acceptablePrice": "1"}
    quoted = (await ann.post("/api/markets/perps/quote", body)).ok()
    assert (quoted["execution"], quoted["reserve"]) == ("next_price", "101.00")
    await venue.market("NOW-PERP")
    now = (await ann.post("/api/markets/perps/quote", {**body, "ticker": "NOW-PERP", "acceptablePrice": "60000"})).ok()
    assert now["execution"] == "immediate"
    assert "reserve" not in now


async def test_a_feeds_price_needs_its_time_and_a_storys_does_not(venue: Running, clock: ManualClock) -> None:
    path = "/api/markets/perps/BTC-PERP/price"

    async def say(**more: object) -> Answer:
        return await venue.admin.post(path, {"price": "50001", **more})

    for source in ("oracle", "agent"):
        answer = await say(source=source)
        answer.refused(400, "validation_error")
        assert "at, its own time" in answer.error()["message"]
    (await say(source="event")).ok()
    (await say(source="oracle", at=rfc3339(clock.now_ms()))).ok()


async def test_too_many_closes_of_one_position_are_refused(venue: Running, clock: ManualClock) -> None:
    ann = await venue.user("ann", "5000")
    await hold(venue, clock, ann, leverage=2)
    for _ in range(10):
        (await ann.close(POSITION, percentage="0.01")).ok(202)
    assert (await ann.close(POSITION)).refused(422, "too_many_open_orders")["maximum"] == 10
    margin = {"amount": "-1"}
    (await ann.post(f"/api/markets/perps/{POSITION}/margin", margin)).refused(422, "too_many_open_orders")


async def test_too_many_orders_of_one_user_are_refused(venue: Running, clock: ManualClock) -> None:
    ann = await venue.user("ann", "50000")
    for _ in range(100):
        (await ann.open(size="20")).ok(202)
    assert (await ann.open(size="20")).refused(422, "too_many_open_orders")["maximum"] == 100
    async with venue.unchanged():
        (await ann.open(size="900000", leverage=100)).refused(422, "too_many_open_orders")


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        ({"execution": "later"}, 400, "validation_error"),
        ({"pendingLimit": "-1"}, 400, "validation_error"),
        ({"clockSkew": "0.0001"}, 400, "validation_error"),
        ({"clockSkew": "5.001"}, 422, "parameters_inconsistent"),
        ({"pendingLimit": "1", "clockSkew": "0.5"}, 422, "parameters_inconsistent"),
        ({"pendingLimit": "3601"}, 422, "parameters_inconsistent"),
    ],
)
async def test_parameters_that_do_not_fit_are_refused(
    venue: Running, parameters: dict[str, str], status: int, code: str
) -> None:
    body = {"ticker": "ETH-PERP", "price": "3000", **parameters}
    (await venue.admin.post("/api/admin/markets", body)).refused(status, code)
    (await venue.admin.patch("/api/admin/markets/BTC-PERP", parameters)).refused(status, code)


async def test_the_execution_changes_only_while_nothing_waits(venue: Running, clock: ManualClock) -> None:
    path, ann = "/api/admin/markets/BTC-PERP", await venue.user("ann")
    (await ann.open()).ok(202)
    answer = await venue.admin.patch(path, {"execution": "immediate"})
    assert answer.refused(422, "parameters_inconsistent")["pendingOrders"] == 1
    await feed(venue, clock)
    changed = (await venue.admin.patch(path, {"execution": "immediate", "pendingLimit": "12.5"})).ok()["market"]
    assert (changed["execution"], changed["pendingLimit"], changed["clockSkew"]) == ("immediate", "12.5", "0.2")
    await ann.opened()


async def test_a_listing_warns_of_immediate_execution_alone(venue: Running) -> None:
    warned = {
        execution: [
            each["code"] for each in (await venue.market(f"{execution[:3].upper()}", execution=execution))["warnings"]
        ]
        for execution in ("immediate", "next_price")
    }
    assert warned == {
        "immediate": ["max_step_undeclared", "executes_at_last_price"],
        "next_price": ["max_step_undeclared"],
    }


async def test_the_users_stream_tells_the_order_and_its_fill(venue: Running, clock: ManualClock) -> None:
    ann = await venue.user("ann")
    async with following(venue, "/api/sse/users/ann", ann) as stream:
        (await ann.open()).ok(202)
        await feed(venue, clock)
        offset = (await ann.get(ORDERS)).ok()["offset"]
        told = [event.data["status"] for event in await stream.until_offset(offset) if event.name == "order"]
    assert told == ["open", "filled"]


async def test_what_waits_outlasts_a_restart(starter: Starter, stored: Running, clock: ManualClock) -> None:
    ann = await stored.user("ann")
    await hold(stored, clock, ann)
    made = [(await ann.close(POSITION)).ok(202)["order"], (await ann.open()).ok(202)["order"]]
    (await stored.admin.post("/api/admin/snapshots", {})).ok(201)
    again = await starter.restart(stored)
    ann = again.client("ann")
    assert [await order(ann, each["id"]) for each in made] == made
    await feed(again, clock, "50100")
    assert [(await order(ann, each["id"]))["status"] for each in made] == ["filled", "filled"]
