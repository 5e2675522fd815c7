"""``POST /api/markets/perps/{positionId}/margin``: margin into a position, and out of it."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from tests.web.conftest import Starter
from tests.web.refused import refused
from tests.web.shapes import MONEY, POSITION, amount, fits, number, words
from tests.web.venue import Backend, Running

PATH = "/api/markets/perps/BTC-PERP-1/margin"
CHANGED = {"position": POSITION, "amount": MONEY, "newBalance": MONEY, "clientOrderId": words, "offset": number}


async def test_margin_goes_in_and_comes_out_and_every_read_shows_it(starter: Starter, backend: Backend) -> None:
    venue = await starter(backend)
    await venue.market()
    ann = await venue.user("ann")
    opened = (await ann.opened())["position"]
    had = await ann.balance()

    paid = (await ann.post(PATH, {"amount": "50", "clientOrderId": "m-1"})).ok()
    taken = (await ann.post(PATH, {"amount": "-20.000001"})).ok()

    fits(paid, CHANGED)
    assert (paid["amount"], taken["amount"]) == ("50.00", "-20.000001")
    assert amount(paid["newBalance"]) == amount(had["balance"]) - 50
    assert amount(taken["newBalance"]) == amount(had["balance"]) - Decimal("29.999999")
    assert amount(paid["position"]["margin"]) == amount(opened["margin"]) + 50
    assert amount(paid["position"]["liquidationPrice"]) < amount(opened["liquidationPrice"])
    moved = {"margin", "liquidationPrice", "bankruptcyPrice", "unrealizedPnLPercent"}
    same = opened.keys() - moved
    assert {name: paid["position"][name] for name in same} == {name: opened[name] for name in same}
    for restarts in (False, True):
        venue = await starter.restart(venue) if restarts else venue
        ann = venue.client("ann")
        assert await ann.positions() == await ann.positions("all") == [taken["position"]]
        assert (await ann.balance())["margin"] == taken["position"]["margin"]
        moves = (await ann.get("/api/users/ann/transactions?limit=2")).ok()["transactions"]
        assert [(move["type"], move["amount"], move["relatedId"]) for move in moves] == [
            ("margin_return", "20.000001", "BTC-PERP-1"),
            ("margin", "-50.00", "BTC-PERP-1"),
        ]
    (await ann.close("BTC-PERP-1")).ok()
    (past,) = await ann.positions("closed")
    assert (past["status"], past["margin"], past["quantity"]) == ("closed", "0.00", opened["quantity"])
    assert (past["entryPrice"], past["openedAt"]) == (opened["entryPrice"], opened["openedAt"])


async def test_the_same_id_pays_once(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    before = await ann.balance()
    asked = {"amount": "7", "clientOrderId": "once"}

    answers = await asyncio.gather(*(ann.post(PATH, asked) for _ in range(50)))

    assert {str(answer.ok()) for answer in answers} == {str(answers[0].ok())}
    assert sum(answer.headers.get("Idempotent-Replay") == "true" for answer in answers) == 49
    assert amount((await ann.balance())["balance"]) == amount(before["balance"]) - 7
    (await ann.post(PATH, {**asked, "amount": "-7"})).refused(409, "client_order_id_reused")


async def test_a_repeated_answer_is_of_the_moment_of_the_command(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    first = (await ann.post(PATH, {"amount": "7", "clientOrderId": "once"})).ok()
    await venue.price("51000")
    await ann.post(PATH, {"amount": "-1"})

    assert (await ann.post(PATH, {"amount": "7", "clientOrderId": "once"})).ok() == first


async def test_margin_saves_a_position_from_a_price_that_would_have_liquidated_it(venue: Running) -> None:
    ann = await venue.user("ann")
    for _ in range(2):
        await ann.opened(leverage=100)
    (await ann.post(PATH, {"amount": "100"})).ok()

    await venue.price("49000")

    assert [position["id"] for position in await ann.positions()] == ["BTC-PERP-1"]


async def test_a_gain_on_paper_does_not_come_out(venue: Running) -> None:
    ann = await venue.user("ann")
    margin = (await ann.opened())["position"]["margin"]
    await venue.price("60000")

    details = await refused(venue, ann, PATH, {"amount": f"-{margin}"}, 422, "insufficient_margin")

    assert details["required"] == details["margin"] == margin
    assert amount(details["equity"]) > 2 * amount(margin)
    assert amount(details["available"]) == amount(margin) - amount(details["initialMargin"])
    assert amount(details["initialMargin"]) > amount(details["maintenance"])
    (await ann.post(PATH, {"amount": f"-{details['available']}"})).ok()
    await refused(venue, ann, PATH, {"amount": "-0.000001"}, 422, "insufficient_margin")


async def test_after_a_loss_equity_says_how_much_comes_out(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    await venue.price("48000")

    details = await refused(venue, ann, PATH, {"amount": "-99"}, 422, "insufficient_margin")

    assert amount(details["available"]) == amount(details["equity"]) - amount(details["initialMargin"])


async def test_more_than_the_wallet_holds_does_not_go_in(venue: Running) -> None:
    ann = await venue.user("ann", "200")
    left = (await ann.opened())["newBalance"]

    details = await refused(venue, ann, PATH, {"amount": "200"}, 422, "insufficient_funds")

    assert details == {"required": "200.00", "available": left}


async def test_two_at_once_do_not_spend_the_same_money(venue: Running) -> None:
    ann = await venue.user("ann", "200")
    left = (await ann.opened())["newBalance"]

    answers = await asyncio.gather(*(ann.post(PATH, {"amount": left}) for _ in range(20)))

    assert sorted(answer.status for answer in answers) == [200] + [422] * 19
    assert (await ann.balance())["balance"] == "0.00"


async def test_in_a_halted_market_margin_does_not_move(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    await venue.mode("halted")

    for sent in ("5", "-5"):
        await refused(venue, ann, PATH, {"amount": sent}, 409, "market_halted")


async def test_in_a_market_that_only_reduces_margin_goes_in_and_not_out(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    await venue.mode("reduce_only")

    (await ann.post(PATH, {"amount": "5"})).ok()
    await refused(venue, ann, PATH, {"amount": "-5"}, 409, "market_reduce_only")


async def test_at_a_price_that_is_too_old_margin_goes_in_and_not_out(venue: Running) -> None:
    ann = await venue.user("ann")
    await venue.market("OLD", maxPriceAge=60)
    await ann.opened("OLD")
    venue.clock.advance(61)  # type: ignore[union-attr]

    (await ann.post("/api/markets/perps/OLD-1/margin", {"amount": "5"})).ok()
    details = await refused(venue, ann, "/api/markets/perps/OLD-1/margin", {"amount": "-5"}, 409, "price_stale")
    assert details == {"ageMs": 61_000, "maxAgeMs": 60_000}


@pytest.mark.parametrize("sent", ["5", "-5"])
async def test_nobody_moves_the_margin_of_anothers_position_open_or_closed(venue: Running, sent: str) -> None:
    ann, bob = await venue.user("ann"), await venue.user("bob")
    await ann.opened()

    await refused(venue, bob, PATH, {"amount": sent}, 403, "forbidden")
    await refused(venue, bob, PATH, {"amount": sent, "userId": "ann"}, 403, "forbidden")
    (await ann.close("BTC-PERP-1")).ok()
    await refused(venue, bob, PATH, {"amount": sent}, 403, "forbidden")
    await refused(venue, ann, PATH, {"amount": sent}, 409, "position_closed")


async def test_an_administrator_names_the_owner_and_moves_the_owners_money(venue: Running) -> None:
    ann, _ = await venue.user("ann"), await venue.user("bob")
    await ann.opened()
    before = await ann.balance()

    details = await refused(venue, venue.admin, PATH, {"amount": "5"}, 400, "validation_error")
    assert details == {"field": "userId"}
    await refused(venue, venue.admin, PATH, {"amount": "5", "userId": "bob"}, 403, "forbidden")
    (await venue.admin.post(PATH, {"amount": "5", "userId": "ann"})).ok()
    assert amount((await ann.balance())["balance"]) == amount(before["balance"]) - 5


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"amount": "0"}, "amount"),
        ({"amount": 0}, "amount"),
        ({"amount": "-0"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": "Infinity"}, "amount"),
        ({"amount": "-Infinity"}, "amount"),
        ({"amount": "0.0000001"}, "amount"),
        ({"amount": "-1.0000001"}, "amount"),
        ({"amount": "1000000000000.000001"}, "amount"),
        ({"amount": "-1e13"}, "amount"),
        ({"amount": "1e999999999"}, "amount"),
        ({"amount": ""}, "amount"),
        ({"amount": None}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": ["1"]}, "amount"),
        ({}, "amount"),
        ({"amount": "1", "note": ""}, "note"),
        ({"amount": "1", "clientOrderId": " x"}, "clientOrderId"),
        ({"amount": "1", "userId": ".."}, "userId"),
    ],
)
async def test_a_bad_body_moves_nothing_and_names_the_field(venue: Running, body: dict[str, Any], field: str) -> None:
    ann = await venue.user("ann")
    await ann.opened()

    details = await refused(venue, ann, PATH, body, 400, "validation_error")

    assert details["field"] == field


@pytest.mark.parametrize(
    "position", ["BTC-PERP-0", "BTC-PERP-99", "BTC-PERP-01", "NONE-1", "junk", "-1", "BTC-PERP--1"]
)
async def test_a_position_that_is_not_there_takes_nothing(venue: Running, position: str) -> None:
    ann = await venue.user("ann")
    await ann.opened()

    await refused(venue, ann, f"/api/markets/perps/{position}/margin", {"amount": "1"}, 404, "position_not_found")


async def test_the_biggest_amount_is_only_too_much(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()

    await refused(venue, ann, PATH, {"amount": "1e12"}, 422, "insufficient_funds")
    await refused(venue, ann, PATH, {"amount": "-1e12"}, 422, "insufficient_margin")
