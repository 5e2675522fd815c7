"""Trailing stops as the outside sees them: an exit that follows the mark, a callback behind its best."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.web.api.trading.test_exit_orders import holding
from tests.web.conftest import Starter
from tests.web.events import following
from tests.web.venue import Client, OnMemory, Running

PATH = "/api/orders"
TRAIL: dict[str, Any] = {"positionId": "BTC-PERP-1", "type": "trailing_stop", "callback": "0.02"}


async def trail(client: Client, **more: object) -> Any:
    return await client.post(PATH, {name: value for name, value in {**TRAIL, **more}.items() if value is not None})


async def patched(client: Client, name: str, **terms: object) -> Any:
    return await client.ask("PATCH", f"{PATH}/{name}", data=json.dumps(terms).encode())


def place_of(order: dict[str, Any]) -> tuple[str, str]:
    return order["extremePrice"], order["price"]


async def test_a_trailing_stop_follows_the_mark_up_and_closes_its_position_on_the_way_down(venue: Running) -> None:
    ann = await holding(venue)
    before = (await ann.balance())["balance"]
    made = (await trail(ann, clientOrderId="x")).ok(201)
    order = made["order"]
    shown = {name: order[name] for name in ("type", "side", "size", "reserve", "percentage", "callback", "reduceOnly")}
    assert shown == {
        "type": "trailing_stop", "side": "long", "size": None, "reserve": "0.00", "percentage": "1",
        "callback": "0.02", "reduceOnly": True,
    }  # fmt: skip
    assert (place_of(order), made["newBalance"]) == (("50000.00", "49000.00"), before)
    for index, best, stop in (("52000", "52000.00", "50960.00"), ("51000", "52000.00", "50960.00")):
        await venue.price(index)
        (listed,) = (await ann.get(PATH)).ok()["orders"]
        assert place_of(listed) == (best, stop)
        assert (await ann.get(f"{PATH}/{order['id']}")).ok()["order"] == listed
        assert listed == {**order, "extremePrice": best, "price": stop}
    await venue.price("50960.01")
    assert len(await ann.positions()) == 1
    await venue.price("50960")
    assert await ann.positions() == []
    (filled,) = (await ann.get(f"{PATH}?status=closed")).ok()["orders"]
    assert (filled["status"], place_of(filled)) == ("filled", ("52000.00", "50960.00"))
    (trade, *_) = (await ann.get("/api/users/me/trades")).ok()["trades"]
    assert (trade["kind"], trade["orderId"], trade["reason"]) == ("close", order["id"], "trailing_stop")
    (public, *_) = (await ann.get("/api/markets/perps/BTC-PERP/trades")).ok()["trades"]
    assert public["reason"] == "trailing_stop"
    assert (await trail(ann, clientOrderId="x")).ok(201) == made


async def test_the_one_of_a_short_follows_the_mark_down_and_may_be_for_a_share(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    await ann.opened(side="short", size="1000", leverage=10)
    order = (await trail(ann, percentage="0.5")).ok(201)["order"]
    assert (order["side"], place_of(order)) == ("short", ("50000.00", "51000.00"))
    await venue.price("40000")
    (listed,) = (await ann.get(PATH)).ok()["orders"]
    assert place_of(listed) == ("40000.00", "40800.00")
    (before,) = await ann.positions()
    await venue.price("40800")
    (left,) = await ann.positions()
    assert float(left["quantity"]) == pytest.approx(float(before["quantity"]) / 2, abs=1e-4)


@pytest.mark.parametrize("has_snapshot", [False, True])
async def test_a_restart_forgets_no_best_mark(starter: Starter, has_snapshot: bool) -> None:
    backend = OnMemory()
    first = await starter(backend)
    await first.market()
    ann = await holding(first)
    (await trail(ann)).ok(201)
    await first.price("54000")
    await first.price("53500")
    (before,) = (await ann.get(PATH)).ok()["orders"]
    if has_snapshot:
        (await first.admin.post("/api/admin/snapshots")).ok(201)
    await first.venue.close()
    second = await starter(backend)
    (after,) = (await second.admin.get(f"{PATH}?userId=ann")).ok()["orders"]
    assert (after, place_of(after)) == (before, ("54000.00", "52920.00"))
    await second.price("52920")
    assert (await second.admin.get(f"{PATH}?userId=ann")).ok()["orders"] == []


async def test_the_stream_shows_where_a_stop_is_and_tells_its_end(venue: Running) -> None:
    ann = await holding(venue)
    order = (await trail(ann)).ok(201)["order"]
    await venue.price("52000")
    async with following(venue, "/api/sse/users/me", ann) as stream:
        (resting,) = (await stream.next()).data["orders"]
        assert (resting["id"], place_of(resting)) == (order["id"], ("52000.00", "50960.00"))
        await venue.price("50000")
        event = await stream.next()
        while event.name != "order":
            event = await stream.next()
    assert (event.data["status"], event.data["callback"]) == ("filled", "0.02")
    assert place_of(event.data) == ("52000.00", "50960.00")


async def test_a_new_callback_counts_from_the_best_mark_so_far(venue: Running) -> None:
    ann = await holding(venue)
    name = (await trail(ann)).ok(201)["order"]["id"]
    await venue.price("60000")
    await venue.price("59500")
    changed = (await patched(ann, name, callback="0.05", percentage="0.5")).ok()["order"]
    assert (changed["callback"], changed["percentage"], place_of(changed)) == ("0.05", "0.5", ("60000.00", "57000.00"))
    (await patched(ann, name, callback="0.001")).refused(422, "order_would_trigger")
    expiring = (await patched(ann, name, expiresAt="2026-11-23T00:00:00.000Z")).ok()["order"]
    assert place_of(expiring) == ("60000.00", "57000.00")
    for foreign in ({"price": "50000"}, {"size": "5"}, {"callback": "1"}, {"callback": "0"}, {"callback": "-0.1"}):
        (await patched(ann, name, **foreign)).refused(400, "validation_error")
    plain = {"positionId": "BTC-PERP-1", "type": "stop", "price": "40000"}
    other = (await ann.post(PATH, plain)).ok(201)["order"]["id"]
    details = (await patched(ann, other, callback="0.1")).refused(400, "validation_error")
    assert details["rule"].startswith("callback is for a trailing_stop")
    assert (await ann.delete(f"{PATH}/{name}")).ok()["order"]["reason"] == "owner"


async def test_it_is_quoted_with_what_it_brings_where_it_lies_now(venue: Running) -> None:
    ann = await holding(venue)
    async with venue.unchanged():
        quote = (await ann.post(f"{PATH}/quote", TRAIL)).ok()
    assert (quote["status"], quote["triggerPrice"], quote["expected"]["indexPrice"]) == ("open", "49000.00", "49000.00")
    assert (quote["reserve"], quote["maxFee"], quote["warnings"]) == ("0.00", None, [])
    (await trail(ann)).ok(201)
    await venue.price("49000")
    (trade, *_) = (await ann.get("/api/users/me/trades")).ok()["trades"]
    assert trade["realizedPnL"] == quote["expected"]["pnl"]


async def test_one_beyond_the_liquidation_is_warned_of(venue: Running) -> None:
    ann = await holding(venue)
    assert (await ann.post(f"{PATH}/quote", {**TRAIL, "callback": "0.3"})).ok()["warnings"] == [
        "stop_beyond_liquidation"
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"callback": "0"}, "callback"),
        ({"callback": 0}, "callback"),
        ({"callback": "-0.02"}, "callback"),
        ({"callback": "1"}, "callback"),
        ({"callback": "2"}, "callback"),
        ({"callback": "1e30"}, "callback"),
        ({"callback": "0.0000000001"}, "callback"),
        ({"callback": "0.1234567891"}, "callback"),
        ({"callback": "NaN"}, "callback"),
        ({"callback": "Infinity"}, "callback"),
        ({"callback": "two percent"}, "callback"),
        ({"callback": ""}, "callback"),
        ({"callback": None}, "callback"),
        ({"callback": True}, "callback"),
        ({"callback": ["0.02"]}, "callback"),
        ({"price": "49000"}, "price"),
        ({"positionId": None}, "ticker"),
        ({"side": "long"}, "side"),
        ({"size": "5"}, "size"),
        ({"leverage": 5}, "leverage"),
        ({"takeProfit": "60000"}, "takeProfit"),
        ({"percentage": "0"}, "percentage"),
        ({"percentage": "1.5"}, "percentage"),
        ({"ticker": "OTHER"}, "ticker"),
        ({"type": "stop", "price": "49000"}, "callback"),
        ({"type": "stop", "callback": None}, "price"),
        ({"type": "trailing"}, "type"),
        ({"acceptablePrice": "-1"}, "acceptablePrice"),
        ({"expiresAt": "yesterday"}, "expiresAt"),
    ],
)
async def test_what_can_be_no_trailing_stop_is_refused_and_its_field_is_named(
    venue: Running, changes: dict[str, Any], field: str
) -> None:
    ann = await holding(venue)
    await venue.market("OTHER", "100")
    async with venue.unchanged():
        assert (await trail(ann, **changes)).refused(400, "validation_error")["field"] == field


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
async def test_a_callback_that_is_no_number_in_json_is_refused(venue: Running, number: bytes) -> None:
    ann = await holding(venue)
    body = b'{"positionId": "BTC-PERP-1", "type": "trailing_stop", "callback": ' + number + b"}"
    async with venue.unchanged():
        (await ann.ask("POST", PATH, data=body)).refused(400, "invalid_json")


async def test_an_entry_does_not_trail(venue: Running) -> None:
    ann = await venue.user("ann")
    entry = {"ticker": "BTC-PERP", "side": "long", "size": "100", "leverage": 1}
    details = (await trail(ann, positionId=None, **entry)).refused(400, "validation_error")
    assert details == {"field": "type"}
    limit = {**entry, "type": "limit", "price": "40000", "callback": "0.1"}
    assert (await ann.post(PATH, limit)).refused(400, "validation_error") == {"field": "callback"}


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"positionId": "BTC-PERP-9"}, 404, "position_not_found"),
        ({"positionId": "NONE-1"}, 404, "position_not_found"),
        ({"positionId": "junk"}, 404, "position_not_found"),
        ({"expiresAt": "2020-01-01T00:00:00.000Z"}, 400, "validation_error"),
        ({"callback": "0.999999999"}, 400, "validation_error"),
    ],
)
async def test_what_a_market_cannot_take_is_refused(
    venue: Running, changes: dict[str, Any], status: int, code: str
) -> None:
    """A callback of all but 10⁻⁹ would put the stop below one tick."""
    ann = await holding(venue)
    async with venue.unchanged():
        (await trail(ann, **changes)).refused(status, code)


async def test_the_largest_callback_that_fits_is_named(venue: Running) -> None:
    """One tick of 0.01 is 0.0000002 of 50,000."""
    ann = await holding(venue)
    details = (await trail(ann, callback="0.999999999")).refused(400, "validation_error")
    assert details["largestCallback"] == "0.9999998"
    assert (await trail(ann, callback=details["largestCallback"])).ok(201)["order"]["price"] == "0.01"


async def test_a_trailing_stop_is_for_the_positions_owner_and_administrators(venue: Running) -> None:
    ann, bob = await holding(venue), await venue.user("bob")
    async with venue.unchanged():
        (await trail(bob)).refused(403, "forbidden")
        (await trail(venue.admin, userId="bob")).refused(403, "forbidden")
    name = (await trail(venue.admin, userId="ann")).ok(201)["order"]["id"]
    async with venue.unchanged():
        (await patched(bob, name, callback="0.1")).refused(403, "forbidden")
    (await ann.close("BTC-PERP-1")).ok()
    (await trail(ann)).refused(409, "position_closed")
    (ended,) = (await ann.get(f"{PATH}?status=closed")).ok()["orders"]
    assert (ended["status"], ended["reason"]) == ("cancelled", "position_closed")


async def test_a_halted_market_and_a_settled_one_take_none(venue: Running) -> None:
    ann = await holding(venue)
    (await trail(ann)).ok(201)
    await venue.mode("halted")
    async with venue.unchanged():
        (await trail(ann)).refused(409, "market_halted")
    await venue.price("40000")
    (resting,) = (await ann.get(PATH)).ok()["orders"]
    assert (resting["status"], place_of(resting)) == ("open", ("50000.00", "49000.00"))
    (await venue.admin.post("/api/admin/markets/BTC-PERP/settle", {})).ok()
    (ended,) = (await ann.get(f"{PATH}?status=closed")).ok()["orders"]
    assert (ended["status"], ended["reason"]) == ("cancelled", "settled")
    (await trail(ann)).refused(409, "market_halted")


async def test_ten_exits_of_a_position_are_all(venue: Running) -> None:
    ann = await holding(venue)
    results = (await ann.post(f"{PATH}/batch", [TRAIL] * 11)).ok()["results"]
    codes = [result.get("error", {}).get("code", result.get("order", {}).get("status")) for result in results]
    assert codes == ["open"] * 10 + ["too_many_open_orders"]
    assert results[10]["error"]["details"] == {"exitsOfThePosition": 10, "maximum": 10}


async def test_a_full_market_takes_no_more_and_says_so(venue: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await holding(venue)
    monkeypatch.setattr("perps.rules.orders.terms.TRAILING_PER_MARKET_MAX", 2)
    for _ in range(2):
        (await trail(ann)).ok(201)
    async with venue.unchanged():
        details = (await trail(ann)).refused(422, "too_many_open_orders")
    assert details == {"trailingStopsOfTheMarket": 2, "maximum": 2}
