"""``POST /api/positions/close-all``, and closing by quantity or by notional."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perps.wire import close_all
from tests.web.conftest import Starter
from tests.web.refused import refused
from tests.web.shapes import amount
from tests.web.venue import Backend, Client, Running

ALL = "/api/positions/close-all"


async def _with_positions(venue: Running, **users: int) -> dict[str, Client]:
    """Users with so many positions in each of two markets."""
    await venue.market("STORY", "100")
    made = {name: await venue.user(name) for name in users}
    for name, count in users.items():
        for ticker in ("BTC-PERP", "STORY") * count:
            await made[name].opened(ticker, "100")
    return made


async def test_all_that_a_user_has_is_closed_and_nothing_of_others(starter: Starter, backend: Backend) -> None:
    venue = await starter(backend)
    await venue.market()
    users = await _with_positions(venue, ann=2, bob=1)
    expected = [position["id"] for position in await users["ann"].positions()]

    answer = (await users["ann"].post(ALL)).ok()

    assert [result["positionId"] for result in answer["results"]] == expected
    assert all(result["closed"]["position"]["status"] == "closed" for result in answer["results"])
    assert answer["remaining"] == 0
    assert await users["ann"].positions() == []
    assert len(await users["bob"].positions()) == 2
    balance = await users["ann"].balance()
    assert balance["margin"] == "0.00"
    assert balance["balance"] == max(answer["results"], key=lambda one: one["closed"]["offset"])["closed"]["newBalance"]
    ids = {result["closed"]["clientOrderId"] for result in answer["results"]}
    assert len(ids) == 4, "each close is a command of its own"
    again = await starter.restart(venue)
    assert (await again.client("ann").post(ALL, {})).ok()["results"] == []


async def test_a_ticker_narrows_it(venue: Running) -> None:
    users = await _with_positions(venue, ann=2)

    answer = (await users["ann"].post(ALL, {"ticker": "STORY"})).ok()

    assert {result["positionId"] for result in answer["results"]} == {"STORY-1", "STORY-2"}
    assert {position["ticker"] for position in await users["ann"].positions()} == {"BTC-PERP"}


async def test_what_cannot_be_closed_says_why_and_the_others_are_closed(venue: Running) -> None:
    users = await _with_positions(venue, ann=1)
    await venue.mode("halted", "STORY")

    results = (await users["ann"].post(ALL)).ok()["results"]

    by_id = {result["positionId"]: result for result in results}
    assert by_id["STORY-1"]["error"]["code"] == "market_halted"
    assert by_id["STORY-1"]["error"]["details"]["mode"] == "halted"
    assert "closed" in by_id["BTC-PERP-1"]
    assert [position["id"] for position in await users["ann"].positions()] == ["STORY-1"]


async def test_one_request_closes_so_many_and_says_how_many_are_left(
    venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.api.trading.CLOSES_MAX", 3)
    users = await _with_positions(venue, ann=2)

    first = (await users["ann"].post(ALL)).ok()
    second = (await users["ann"].post(ALL)).ok()

    assert (len(first["results"]), first["remaining"]) == (3, 1)
    assert (len(second["results"]), second["remaining"]) == (1, 0)
    assert close_all.CLOSES_MAX == 100


async def test_fifty_at_once_close_each_position_once(venue: Running) -> None:
    users = await _with_positions(venue, ann=2)
    before = (await users["ann"].balance())["totalFees"]

    answers = await asyncio.gather(*(users["ann"].post(ALL) for _ in range(50)))

    closes = [result for answer in answers for result in answer.ok()["results"]]
    done = [result["positionId"] for result in closes if "closed" in result]
    assert sorted(done) == ["BTC-PERP-1", "BTC-PERP-2", "STORY-1", "STORY-2"]
    assert {result["error"]["code"] for result in closes if "error" in result} <= {"position_closed"}
    fees = sum(amount(result["closed"]["fee"]["amount"]) for result in closes if "closed" in result)
    assert amount((await users["ann"].balance())["totalFees"]) == amount(before) + fees


async def test_an_administrator_names_whose(venue: Running) -> None:
    users = await _with_positions(venue, ann=1, bob=1)

    assert await refused(venue, venue.admin, ALL, {}, 400, "validation_error") == {"field": "userId"}
    assert len((await venue.admin.post(ALL, {"userId": "ann"})).ok()["results"]) == 2
    assert len(await users["bob"].positions()) == 2


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"userId": "bob"}, 403, "forbidden"),
        ({"ticker": "NONE"}, 404, "market_not_found"),
        ({"ticker": 1}, 400, "validation_error"),
        ({"percentage": "0.5"}, 400, "validation_error"),
        ({"clientOrderId": "x"}, 400, "validation_error"),
        ([], 400, "validation_error"),
    ],
)
async def test_a_bad_request_closes_nothing(venue: Running, body: Any, status: int, code: str) -> None:
    users = await _with_positions(venue, ann=1, bob=1)

    await refused(venue, users["ann"], ALL, body, status, code)


async def test_nobody_closes_all_of_somebody_who_is_not_there(venue: Running) -> None:
    assert await refused(venue, venue.admin, ALL, {"userId": "no"}, 404, "user_not_found") == {"userId": "no"}


CLOSE = "/api/markets/perps/BTC-PERP-1/close"


@pytest.mark.parametrize(
    ("body", "quantity"),
    [
        ({"quantity": "0.01"}, "0.01"),
        ({"quantity": 0.0001}, "0.0001"),
        ({"quantity": "5"}, None),
        ({"size": "500.1"}, "0.01"),
        ({"size": "1e12"}, None),
    ],
)
async def test_a_close_by_quantity_or_by_notional(
    venue: Running, body: dict[str, object], quantity: str | None
) -> None:
    ann = await venue.user("ann")
    held = (await ann.opened())["position"]["quantity"]

    answer = (await ann.post(CLOSE, body)).ok()

    assert answer["fill"]["quantity"] == (quantity or held)
    left = [position["quantity"] for position in await ann.positions()]
    assert sum(map(amount, left)) == amount(held) - amount(answer["fill"]["quantity"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"quantity": "0"}, "quantity"),
        ({"quantity": "-0.01"}, "quantity"),
        ({"quantity": "0.00015"}, "quantity"),
        ({"quantity": "1e30"}, "quantity"),
        ({"quantity": "NaN"}, "quantity"),
        ({"size": "0"}, "size"),
        ({"size": "-5"}, "size"),
        ({"size": "0.0000001"}, "size"),
        ({"size": "1e13"}, "size"),
        ({"size": "Infinity"}, "size"),
        ({"percentage": "1", "quantity": "0.01"}, "quantity"),
        ({"percentage": "1", "size": "10"}, "size"),
        ({"quantity": "0.01", "size": "10"}, "size"),
    ],
)
async def test_a_bad_part_closes_nothing_and_names_the_field(
    venue: Running, body: dict[str, object], field: str
) -> None:
    ann = await venue.user("ann")
    await ann.opened()

    assert (await refused(venue, ann, CLOSE, body, 400, "validation_error"))["field"] == field


async def test_a_notional_below_one_lot_closes_nothing(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()

    details = await refused(venue, ann, CLOSE, {"size": "4"}, 422, "position_size_too_small")

    assert details == {"size": "4.00", "oneLot": details["oneLot"]}


async def test_a_quantity_of_a_position_in_no_market_is_of_no_position(venue: Running) -> None:
    ann = await venue.user("ann")

    await refused(venue, ann, "/api/markets/perps/NONE-1/close", {"quantity": "0.1"}, 404, "position_not_found")
