"""TWAP orders as the outside sees them: placed, slice by slice, cancelled, refused, quoted."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from actors.clock import ManualClock as VenueManualClock
from tests.web.api.trading.test_cancel_timer import pass_time
from tests.web.api.trading.test_orders import orders
from tests.web.conftest import Starter
from tests.web.events import following
from tests.web.venue import Client, ManualClock, Running

PATH = "/api/orders"
TERMS = {"ticker": "BTC-PERP", "type": "twap", "side": "long", "size": "6000", "leverage": 10}
SLICED = {**TERMS, "slices": 6, "intervalMs": 600_000}


@pytest.fixture
async def timed(starter: Starter) -> Running:
    """A venue whose clock is a test's, with a market."""
    venue = await starter(clock=VenueManualClock(ManualClock()))
    await venue.market()
    return venue


async def begun(client: Client, **changes: object) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.post(PATH, {**SLICED, **changes})).ok(201)
    return answer


async def test_an_hour_in_six_slices(timed: Running) -> None:
    ann = await timed.user("ann", "1000")
    made = await begun(ann)
    order = made["order"]
    assert (order["id"], order["type"], order["status"], order["size"]) == ("BTC-PERP-o1", "twap", "open", "6000.00")
    assert made["position"]["id"] == order["positionId"]
    assert made["fill"]["notional"] == order["twap"]["filled"]
    assert (order["twap"]["done"], order["twap"]["slices"], order["twap"]["intervalMs"]) == (1, 6, 600_000)
    left = Decimal(order["twap"]["left"])
    assert left == 6000 - Decimal(order["twap"]["filled"])
    for done in range(2, 6):
        await pass_time(timed, "599.999")
        assert (await orders(ann))[0]["twap"]["done"] == done - 1
        await pass_time(timed, "0.001")
        (order,) = await orders(ann)
        assert order["twap"]["done"] == done
        assert (await ann.get(f"{PATH}/{order['id']}")).ok()["order"] == order
        assert left / 7 - 6 < left - Decimal(order["twap"]["left"]) <= left / (7 - done)
        left = Decimal(order["twap"]["left"])
    await pass_time(timed, "600")

    assert await orders(ann) == []
    answer = (await ann.get(f"{PATH}/{order['id']}")).ok()
    ended, trades = answer["order"], answer["fills"]
    (position,) = await ann.positions()
    assert (ended["status"], ended["reason"], ended["twap"]["nextAt"]) == ("filled", None, None)
    assert ended["averagePrice"] == position["entryPrice"]
    assert [trade["orderId"] for trade in trades] == [ended["id"]] * 6
    assert sum(Decimal(trade["size"]) for trade in trades) == Decimal(ended["twap"]["filled"])
    assert (await ann.balance())["held"] == "0.00"
    assert (await timed.admin.get("/api/admin/stats")).ok()["accounts"]["total"] == "0.00"


async def test_advancing_the_clock_by_an_hour_makes_every_slice_at_its_own_time(timed: Running) -> None:
    ann = await timed.user("ann", "1000")
    made = await begun(ann, slices=60, intervalMs=60_000)
    begin = timed.clock.now_ms()
    await pass_time(timed, "3600")
    fills = (await ann.get(f"{PATH}/{made['order']['id']}")).ok()["fills"]
    assert len(fills) == 60
    assert timed.clock.now_ms() == begin + 3_600_000
    assert len({fill["at"] for fill in fills}) == 60


async def test_the_stream_tells_each_slice(timed: Running) -> None:
    ann = await timed.user("ann", "1000")
    async with following(timed, "/api/sse/users/me", ann) as stream:
        first = await begun(ann, slices=2)
        await pass_time(timed, "600")
        told = [event for event in await stream.until_offset(first["offset"] + 1) if event.name == "order"]
    seen = [event.data for event in told]
    assert [one["status"] for one in seen] == ["open", "open", "filled"]
    assert [one["twap"]["done"] for one in seen] == [0, 1, 2]
    assert seen[-1] == {**(await orders(ann, "?status=closed"))[0], "offset": seen[-1]["offset"]}


async def test_a_skipped_slice_says_why_and_its_size_goes_to_the_later_ones(timed: Running) -> None:
    ann = await timed.user("ann", "1000")
    await begun(ann, slices=3, acceptablePrice="50100")
    await timed.price("51000")
    await pass_time(timed, "600")
    (order,) = await orders(ann)
    assert (order["twap"]["done"], order["twap"]["skipped"]) == (2, 1)
    assert order["twap"]["skipReason"] == "price_beyond_limit"
    await pass_time(timed, "600")
    (ended,) = await orders(ann, "?status=closed")
    assert (ended["status"], ended["reason"], ended["twap"]["skipped"]) == ("cancelled", "completed", 2)
    assert Decimal(ended["twap"]["left"]) > 4000
    assert (await ann.balance())["held"] == "0.00"


async def test_cancelling_one_leaves_its_position(timed: Running) -> None:
    ann = await timed.user("ann", "1000")
    name = (await begun(ann))["order"]["id"]
    ended = (await ann.delete(f"{PATH}/{name}")).ok()["order"]
    assert (ended["status"], ended["reason"], ended["twap"]["done"]) == ("cancelled", "owner", 1)
    assert ended["averagePrice"] is not None
    assert len(await ann.positions()) == 1
    assert (await ann.get(f"{PATH}/{name}")).ok()["order"] == ended


async def test_cancel_all_and_a_closed_position_end_it(timed: Running) -> None:
    ann = await timed.user("ann", "1000")
    await begun(ann, size="1000")
    assert [order["reason"] for order in (await ann.delete(PATH)).ok()["orders"]] == ["owner"]
    made = await begun(ann, size="1000")
    (await ann.close(made["position"]["id"])).ok()
    assert (await orders(ann, "?status=closed"))[0]["reason"] == "position_closed"


async def test_a_batch_takes_it_beside_other_orders(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    results = (await ann.post(f"{PATH}/batch", [SLICED, {**SLICED, "slices": 3, "size": "20"}])).ok()["results"]
    assert results[0]["order"]["twap"]["done"] == 1
    assert results[1]["error"]["code"] == "position_size_too_small"


async def test_the_same_id_is_the_same_order(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    assert await begun(ann, clientOrderId="t-1") == await begun(ann, clientOrderId="t-1")
    (await ann.post(PATH, {**SLICED, "clientOrderId": "t-1", "slices": 7})).refused(409, "client_order_id_reused")


async def test_it_keeps_its_terms(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    name = (await begun(ann))["order"]["id"]
    refusal = (await ann.ask("PATCH", f"{PATH}/{name}", data=b'{"size": "100"}')).refused(400, "validation_error")
    assert "cancel it" in refusal["rule"]


async def test_a_quote_says_what_all_slices_would_come_to(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    quoted = (await ann.post(f"{PATH}/quote", SLICED)).ok()
    assert (quoted["status"], quoted["reserve"], quoted["maxFee"]) == ("open", "606.000012", "6.000006")
    assert (quoted["twap"]["slices"], quoted["twap"]["done"], quoted["twap"]["left"]) == (6, 0, "6000.00")
    assert quoted["triggerPrice"] is None, "time sets it off, and no mark"
    assert quoted["expected"]["status"] == "filled"
    made = await begun(ann)
    assert made["order"]["reserve"] < quoted["reserve"]
    assert Decimal(quoted["expected"]["fill"]["notional"]) > 5990
    beyond = (await ann.post(f"{PATH}/quote", {**SLICED, "acceptablePrice": "1"})).ok()["expected"]
    assert (beyond["status"], beyond["reason"]) == ("open", "price_beyond_limit")


BAD: list[tuple[dict[str, Any], int, str, str]] = [
    ({"slices": 1}, 400, "validation_error", "slices must be a whole number from 2 to 100."),
    ({"slices": 101}, 400, "validation_error", "slices must be a whole number from 2 to 100."),
    ({"slices": "six"}, 400, "validation_error", "slices must be a whole number from 2 to 100."),
    ({"slices": 2.5}, 400, "validation_error", "slices must be a whole number from 2 to 100."),
    ({"slices": None}, 400, "validation_error", "slices is missing."),
    ({"intervalMs": 999}, 400, "validation_error", "intervalMs must be a whole number from 1000 to 86400000."),
    ({"intervalMs": 86_400_001}, 400, "validation_error", "intervalMs must be a whole number from 1000 to 86400000."),
    ({"intervalMs": None}, 400, "validation_error", "intervalMs is missing."),
    ({"size": "NaN"}, 400, "validation_error", "size must be a decimal number"),
    ({"size": "-5"}, 400, "validation_error", "size must be positive"),
    ({"size": None}, 400, "validation_error", "size is missing."),
    ({"leverage": None}, 400, "validation_error", "leverage is missing."),
    ({"leverage": 1_000}, 422, "leverage_too_high", ""),
    ({"size": "50"}, 422, "position_size_too_small", ""),
    ({"size": "10000000000"}, 422, "position_size_too_large", ""),
    ({"size": "20000", "leverage": 1}, 422, "insufficient_funds", ""),
    ({"price": "50000"}, 400, "validation_error", "acceptablePrice bounds each of its slices"),
    ({"takeProfit": "60000"}, 400, "validation_error", "once the first slice has opened"),
    ({"stopLoss": "40000"}, 400, "validation_error", "once the first slice has opened"),
    ({"positionId": "BTC-PERP-1"}, 400, "validation_error", "it begins a position of its own"),
    ({"percentage": "0.5"}, 400, "validation_error", "it begins a position, and has a size"),
    ({"acceptablePrice": "Infinity"}, 400, "validation_error", "acceptablePrice must be a decimal number"),
    ({"acceptablePrice": "0"}, 400, "validation_error", "acceptablePrice must be positive"),
    ({"expiresAt": "2020-01-01T00:00:00Z"}, 400, "validation_error", "later than the last slice"),
    ({"expiresAt": "tomorrow"}, 400, "validation_error", "expiresAt must be an RFC 3339 time"),
    ({"type": "limit", "price": "49000"}, 400, "validation_error", "slices is for a twap: set type to twap."),
    ({"type": "limit", "slices": None, "intervalMs": None}, 400, "validation_error", "price is missing."),
    ({"ticker": "NONE"}, 404, "market_not_found", ""),
    ({"userId": "bob"}, 403, "forbidden", ""),
]


@pytest.mark.parametrize(("changes", "status", "code", "says"), BAD, ids=lambda value: str(value)[:50])
async def test_bad_input_changes_nothing_and_says_what_fits(
    venue: Running, changes: dict[str, Any], status: int, code: str, says: str
) -> None:
    ann = await venue.user("ann", "1000")
    async with venue.unchanged():
        answer = await ann.post(PATH, {**SLICED, **changes})
    answer.refused(status, code)
    assert says in answer.error()["message"]


async def test_slices_that_are_too_small_are_told_with_what_would_fit(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    details = (await ann.post(PATH, {**SLICED, "size": "50"})).refused(422, "position_size_too_small")
    assert (details["sliceSize"], details["smallestSlice"]) == ("8.333333", "10.00")
    assert (details["smallestSize"], details["mostSlices"]) == ("60.00", 5)
    (await ann.post(PATH, {**SLICED, "size": "60"})).ok(201)
    (await ann.post(PATH, {**SLICED, "size": "50", "slices": 5})).ok(201)


async def test_an_expiry_before_the_last_slice_is_told_with_its_time(timed: Running) -> None:
    ann = await timed.user("ann", "1000")
    body = {**SLICED, "expiresAt": "2026-01-01T00:00:01Z"}
    details = (await ann.post(PATH, body)).refused(400, "validation_error")
    assert details["lastSliceAtMs"] == timed.clock.now_ms() + 5 * 600_000


async def test_a_user_has_ten_of_them_in_a_market(venue: Running) -> None:
    ann = await venue.user("ann", "10000")
    for _ in range(10):
        await begun(ann, size="60")
    async with venue.unchanged():
        refusal = (await ann.post(PATH, {**SLICED, "size": "60"})).refused(422, "too_many_open_orders")
        (await ann.post(f"{PATH}/quote", {**SLICED, "size": "60"})).refused(422, "too_many_open_orders")
    assert refusal == {"openTwaps": 10, "maximum": 10}


@pytest.mark.parametrize(
    ("mode", "code"), [("halted", "market_halted"), ("reduce_only", "market_reduce_only"), ("settled", "market_halted")]
)
async def test_none_begins_where_nobody_may_open(venue: Running, mode: str, code: str) -> None:
    ann = await venue.user("ann", "1000")
    path = "/api/admin/markets/BTC-PERP"
    first = "halted" if mode == "settled" else mode
    (await venue.admin.post(f"{path}/mode", {"mode": first})).ok()
    if mode == "settled":
        (await venue.admin.post(f"{path}/settle", {})).ok()
    async with venue.unchanged():
        (await ann.post(PATH, SLICED)).refused(409, code)


async def test_none_begins_at_a_stale_price(starter: Starter) -> None:
    venue = await starter(clock=VenueManualClock(ManualClock()))
    await venue.market(maxPriceAge="60")
    ann = await venue.user("ann", "1000")
    await pass_time(venue, "61")
    (await ann.post(PATH, SLICED)).refused(409, "price_stale")


async def test_in_a_next_price_market_every_slice_waits_for_a_price_behind_its_time(starter: Starter) -> None:
    venue = await starter(clock=VenueManualClock(ManualClock()))
    await venue.market(execution="next_price", clockSkew="0")
    ann = await venue.user("ann", "1000")
    made = await begun(ann, slices=2)
    assert made["order"]["twap"]["done"] == 0
    assert "position" not in made
    (await ann.delete(f"{PATH}/{made['order']['id']}")).refused(409, "order_pending")
    await pass_time(venue, "1")
    assert (await orders(ann))[0]["twap"]["done"] == 0
    await venue.price("50010")
    assert (await orders(ann))[0]["twap"]["done"] == 1
    await pass_time(venue, "600")
    assert (await orders(ann))[0]["twap"]["done"] == 1
    await venue.price("50020")
    (ended,) = await orders(ann, "?status=closed")
    assert ended["status"] == "filled"
