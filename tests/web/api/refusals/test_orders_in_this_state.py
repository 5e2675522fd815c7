"""Every kind of order, in every state in which a market takes none: each is refused by the state's own code."""

from __future__ import annotations

from typing import Final

import pytest

from tests.web.refused import OPEN, open_body
from tests.web.venue import Client, Json, ManualClock, Running

T: Final = "BANDED"
HELD: Final = f"{T}-1"
ORDERS: Final = "/api/orders"
EXIT: Final[Json] = {"positionId": HELD}
ENTRY: Final[Json] = open_body(T)

KINDS: Final[dict[str, tuple[str, Json]]] = {
    "open": (OPEN, ENTRY),
    "increase": (OPEN, {**ENTRY, "positionId": HELD}),
    "trade": ("/api/markets/perps/trade", ENTRY),
    "limit": (ORDERS, {**ENTRY, "type": "limit", "price": "90"}),
    "stop": (ORDERS, {**ENTRY, "type": "stop", "price": "110"}),
    "twap": (ORDERS, {**ENTRY, "type": "twap", "slices": 2, "intervalMs": 60_000}),
    "close": (f"/api/markets/perps/{HELD}/close", {}),
    "take-profit of a share": (ORDERS, {**EXIT, "type": "take_profit", "price": "150", "percentage": "0.5"}),
    "stop of a share": (ORDERS, {**EXIT, "type": "stop", "price": "90", "percentage": "0.5"}),
    "trailing stop": (ORDERS, {**EXIT, "type": "trailing_stop", "callback": "0.1"}),
    "exits": (f"/api/markets/perps/{HELD}/triggers", {"takeProfit": "150"}),
    "margin out": (f"/api/markets/perps/{HELD}/margin", {"amount": "-1"}),
    "preview": ("/api/orders/quote", {**ENTRY, "type": "limit", "price": "90"}),
}
STATES: Final = {
    "halted": "market_halted",
    "settled": "market_halted",
    "stale": "price_stale",
    "unconfirmed": "price_unconfirmed",
}
BEGIN: Final = ("open", "increase", "trade", "limit", "stop", "twap", "preview", "margin out")
EXITS: Final = ("take-profit of a share", "stop of a share", "trailing stop")


async def _prepare(venue: Running) -> tuple[Client, str]:
    """Somebody who holds a position and has an order that rests: its id."""
    await venue.market(T, "100", priceBand="0.1", maxPriceAge="60")
    ann = await venue.user("ann")
    await ann.opened(T)
    return ann, (await ann.post(*KINDS["limit"])).ok(201)["order"]["id"]


async def _come_to(venue: Running, clock: ManualClock, state: str) -> None:
    if state == "stale":
        clock.advance(60.001)
    elif state == "unconfirmed":
        clock.advance(1)
        await venue.price("50", T, source="oracle")
    else:
        await venue.mode("halted", T)
    if state == "settled":
        (await venue.admin.post(f"/api/admin/markets/{T}/settle")).ok()


@pytest.mark.parametrize("state", STATES)
async def test_no_order_of_any_kind_is_taken(venue: Running, clock: ManualClock, state: str) -> None:
    ann, resting = await _prepare(venue)
    await _come_to(venue, clock, state)

    async with venue.unchanged():
        answers = {kind: await ann.post(path, body) for kind, (path, body) in KINDS.items()}
        replaced = await ann.patch(f"{ORDERS}/{resting}", {"price": "89"})

    codes = {kind: answer.error()["code"] for kind, answer in answers.items()}
    assert codes == dict.fromkeys(KINDS, STATES[state])
    assert replaced.error()["code"] == STATES[state]


async def test_a_market_that_only_reduces_takes_what_leaves_and_nothing_that_begins(venue: Running) -> None:
    ann, resting = await _prepare(venue)
    await venue.mode("reduce_only", T)

    async with venue.unchanged():
        begins = {kind: await ann.post(*KINDS[kind]) for kind in BEGIN}
        replaced = await ann.patch(f"{ORDERS}/{resting}", {"price": "89"})
    leaves = {kind: await ann.post(*body) for kind, body in KINDS.items() if kind not in BEGIN and kind != "close"}

    codes = {kind: answer.error()["code"] for kind, answer in begins.items()}
    assert codes == dict.fromkeys(BEGIN, "market_reduce_only")
    assert replaced.error()["code"] == "market_reduce_only"
    assert {kind: answer.status // 100 for kind, answer in leaves.items()} == dict.fromkeys(leaves, 2)
    (await ann.close(HELD)).ok()


@pytest.mark.parametrize("state", [state for state in STATES if state != "settled"])
async def test_orders_are_cancelled_in_every_state(venue: Running, clock: ManualClock, state: str) -> None:
    ann, resting = await _prepare(venue)
    exits = [(await ann.post(*KINDS[kind])).ok(201)["order"]["id"] for kind in EXITS]
    sliced = (await ann.post(*KINDS["twap"])).ok(201)["order"]["id"]
    await _come_to(venue, clock, state)

    for order in (resting, sliced, *exits):
        assert (await ann.delete(f"{ORDERS}/{order}")).ok()["order"]["status"] == "cancelled"

    assert (await ann.balance())["held"] == "0.00"
