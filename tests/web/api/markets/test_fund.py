"""``POST /api/admin/markets/{ticker}/fund``: money into a market's house or insurance, and out of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.web.conftest import Starter
from tests.web.shapes import MONEY, amount, fits, number, words
from tests.web.venue import Backend, Running

PATH = "/api/admin/markets/BTC-PERP/fund"
FUNDED = {
    "ticker": words,
    "account": words,
    "amount": MONEY,
    "newBalance": MONEY,
    "clientOrderId": words,
    "offset": number,
}


async def _accounts(venue: Running) -> dict[str, Any]:
    stats = (await venue.admin.get("/api/admin/stats")).ok()
    assert stats["accounts"]["total"] == "0.00"
    return dict(stats["accounts"])


@pytest.mark.parametrize("account", ["house", "insurance"])
async def test_money_goes_in_and_comes_out(starter: Starter, backend: Backend, account: str) -> None:
    venue = await starter(backend)
    await venue.market()

    paid = (await venue.admin.post(PATH, {"account": account, "amount": "5000", "clientOrderId": "f-1"})).ok()
    taken = (await venue.admin.post(PATH, {"account": account, "amount": "-0.000001"})).ok()

    fits(paid, FUNDED)
    assert (paid["account"], paid["amount"], paid["newBalance"]) == (account, "5000.00", "5000.00")
    assert (taken["amount"], taken["newBalance"]) == ("-0.000001", "4999.999999")
    accounts = await _accounts(venue)
    assert (accounts[account], accounts["world"]) == ("4999.999999", "-4999.999999")
    again = await starter.restart(venue)
    assert (await _accounts(again))[account] == "4999.999999"


async def test_the_same_id_pays_once(venue: Running) -> None:
    asked = {"account": "house", "amount": "7", "clientOrderId": "once"}
    answers = await asyncio.gather(*(venue.admin.post(PATH, asked) for _ in range(50)))

    assert {str(answer.ok()) for answer in answers} == {str(answers[0].ok())}
    assert sum(answer.headers.get("Idempotent-Replay") == "true" for answer in answers) == 49
    assert (await _accounts(venue))["house"] == "7.00"
    (await venue.admin.post(PATH, {**asked, "amount": "8"})).refused(409, "client_order_id_reused")


async def test_more_than_there_is_does_not_leave(venue: Running) -> None:
    (await venue.admin.post(PATH, {"account": "insurance", "amount": "3"})).ok()

    details = (await venue.admin.post(PATH, {"account": "insurance", "amount": "-3.5"})).refused(
        422, "insufficient_funds"
    )
    assert (details["required"], details["available"]) == ("3.50", "3.00")


async def test_what_traders_would_gain_stays_in_the_house(venue: Running) -> None:
    (await venue.admin.post(PATH, {"account": "house", "amount": "1000"})).ok()
    ann = await venue.user("ann")
    await ann.opened("BTC-PERP", "1000")
    await venue.price("55000")

    details = (await venue.admin.post(PATH, {"account": "house", "amount": "-1000"})).refused(422, "insufficient_funds")
    assert 0 < amount(details["available"]) < 1000
    (await venue.admin.post(PATH, {"account": "house", "amount": f"-{details['available']}"})).ok()
    (await ann.close("BTC-PERP-1")).ok()
    assert amount((await _accounts(venue))["house"]) >= 0


async def test_a_funded_house_pays(starter: Starter) -> None:
    venue = await starter()
    await venue.market("POOR-PERP", "100", houseCreditLimit="0")
    ann = await venue.user("ann")
    await ann.opened("POOR-PERP", "1000")
    await venue.price("150", "POOR-PERP")
    (await ann.close("POOR-PERP-1", clientOrderId="c")).refused(422, "house_cannot_pay")

    (await venue.admin.post("/api/admin/markets/POOR-PERP/fund", {"account": "house", "amount": "1000"})).ok()
    (await ann.close("POOR-PERP-1", clientOrderId="c")).ok()


async def test_a_market_that_an_older_version_halted_takes_money_and_goes_on(starter: Starter) -> None:
    venue = await starter()
    await venue.market("POOR-PERP", "100", houseCreditLimit="0")
    ann = await venue.user("ann")
    await ann.opened("POOR-PERP", "1000")
    await venue.mode("halted", "POOR-PERP")
    await venue.price("150", "POOR-PERP")
    (await ann.close("POOR-PERP-1")).refused(409, "market_halted")

    (await venue.admin.post("/api/admin/markets/POOR-PERP/fund", {"account": "house", "amount": "1000"})).ok()
    (await venue.admin.post("/api/admin/markets/POOR-PERP/mode", {"mode": "enabled"})).ok()
    (await ann.close("POOR-PERP-1")).ok()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"account": "house", "amount": "0"}, "amount"),
        ({"account": "house", "amount": "1000000000000.000001"}, "amount"),
        ({"account": "house", "amount": "-1e13"}, "amount"),
        ({"account": "house", "amount": "0.0000001"}, "amount"),
        ({"account": "house", "amount": "NaN"}, "amount"),
        ({"account": "house", "amount": "Infinity"}, "amount"),
        ({"account": "house", "amount": True}, "amount"),
        ({"account": "fees", "amount": "1"}, "account"),
        ({"amount": "1"}, "account"),
        ({"account": "house"}, "amount"),
        ({"account": "house", "amount": "1", "note": ""}, "note"),
        ({"account": "house", "amount": "1", "clientOrderId": " x"}, "clientOrderId"),
    ],
)
async def test_a_bad_body_moves_nothing_and_names_the_field(venue: Running, body: dict[str, Any], field: str) -> None:
    details = (await venue.admin.post(PATH, body)).refused(400, "validation_error")

    assert details["field"] == field
    assert (await _accounts(venue))["world"] == "0.00"


async def test_only_an_administrator_may(venue: Running) -> None:
    ann = await venue.user("ann")
    asked = {"account": "house", "amount": "1"}

    (await ann.post(PATH, asked)).refused(403, "forbidden")
    (await venue.anybody.post(PATH, asked)).refused(401, "unauthorized")


async def test_a_market_that_is_not_there_takes_nothing(venue: Running) -> None:
    asked = {"account": "house", "amount": "1"}
    (await venue.admin.post("/api/admin/markets/NONE/fund", asked)).refused(404, "market_not_found")
