"""The cancel timer over HTTP: what it answers, when it ends orders, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from actors.clock import ManualClock as VenueManualClock
from tests.web.api.trading.test_orders import orders, placed
from tests.web.conftest import Starter
from tests.web.venue import ManualClock, Running
from web.answers.times import rfc3339

PATH = "/api/orders/cancel-all-after"


async def test_it_says_when_and_then_ends_the_orders(starter: Starter) -> None:
    venue = await starter(clock=VenueManualClock(ManualClock()))
    await venue.market()
    ann = await venue.user("ann", "1000")
    order = (await placed(ann, "49000"))["order"]
    answer = (await ann.post(PATH, {"ticker": "BTC-PERP", "seconds": "2.5"})).ok(200)
    assert (answer["ticker"], answer["userId"]) == ("BTC-PERP", "ann")
    assert answer["cancelsAt"] == rfc3339(venue.clock.now_ms() + 2_500)
    await pass_time(venue, "2.499")
    assert await orders(ann) == [order]

    await pass_time(venue, "0.001")

    (ended,) = await orders(ann, "?status=closed")
    assert (ended["status"], ended["reason"]) == ("cancelled", "cancel_timer")
    assert (await ann.balance())["balance"] == "1000.00"


async def pass_time(venue: Running, seconds: str) -> None:
    (await venue.admin.post("/api/admin/clock/advance", {"seconds": seconds})).ok()


@pytest.mark.parametrize("seconds", [0, None])
async def test_0_and_null_end_it_and_so_does_neither_when_there_is_none(venue: Running, seconds: Any) -> None:
    ann = await venue.user("ann", "1000")
    body = {"ticker": "BTC-PERP", "seconds": seconds}
    assert (await ann.post(PATH, body)).ok(200)["cancelsAt"] is None
    assert (await ann.post(PATH, {**body, "seconds": 60})).ok(200)["cancelsAt"] is not None
    ended = (await ann.post(PATH, body)).ok(200)
    assert (await ann.post(PATH, body)).ok(200) == ended


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"ticker": "NONE"}, 404, "market_not_found"),
        ({"seconds": "0.5"}, 400, "validation_error"),
        ({"seconds": -1}, 400, "validation_error"),
        ({"seconds": 86_401}, 400, "validation_error"),
        ({"seconds": "1.0001"}, 400, "validation_error"),
        ({"seconds": "soon"}, 400, "validation_error"),
        ({"userId": "bob"}, 403, "forbidden"),
    ],
)
async def test_what_it_refuses_changes_nothing(venue: Running, changes: Any, status: int, code: str) -> None:
    ann = await venue.user("ann")
    await venue.user("bob")
    async with venue.unchanged():
        (await ann.post(PATH, {"ticker": "BTC-PERP", "seconds": 5, **changes})).refused(status, code)


async def test_an_administrator_names_the_user(venue: Running) -> None:
    await venue.user("ann")
    body = {"ticker": "BTC-PERP", "seconds": 5, "userId": "ann"}
    assert (await venue.admin.post(PATH, body)).ok(200)["userId"] == "ann"
    (await venue.admin.post(PATH, {**body, "userId": "nobody"})).refused(404, "user_not_found")
