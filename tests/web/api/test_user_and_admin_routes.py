"""Users, money in and out, keys, modes and figures, when all is well."""

from __future__ import annotations

import asyncio

from tests.web.shapes import (
    BALANCE,
    CURSOR,
    FEE,
    MARKET,
    MONEY,
    POSITION,
    TIME,
    TRADE,
    TRANSACTION,
    fits,
    number,
    words,
)
from tests.web.venue import Running


async def test_a_new_user_has_what_was_deposited_for_him(venue: Running) -> None:
    await venue.user("ann")

    body = (
        await venue.admin.post("/api/admin/users", {"userId": "b.o:b@x-1_", "deposit": 12.5, "referrer": "ann"})
    ).ok(201)

    fits(body, BALANCE)
    assert (body["userId"], body["referrer"], body["balance"]) == ("b.o:b@x-1_", "ann", "12.50")
    shown = (await venue.admin.get("/api/users/b.o:b@x-1_/balance")).ok()
    assert shown["balance"] == shown["totalDeposited"] == "12.50"


async def test_a_user_may_begin_with_nothing(venue: Running) -> None:
    nothings: list[dict[str, object]] = [{}, {"deposit": "0"}, {"deposit": 0}, {"deposit": None}, {"referrer": None}]
    for index, nothing in enumerate(nothings):
        body = (await venue.admin.post("/api/admin/users", {"userId": f"u{index}", **nothing})).ok(201)
        assert body["balance"] == "0.00"


async def test_a_user_asked_for_many_times_at_once_is_made_once(venue: Running) -> None:
    asked = [venue.admin.post("/api/admin/users", {"userId": "ann", "deposit": "5"}) for _ in range(10)]

    answers = await asyncio.gather(*asked)

    assert sorted(answer.status for answer in answers) == [201] + [409] * 9
    assert (await venue.admin.get("/api/users/ann/balance")).ok()["balance"] == "5.00"


async def test_money_comes_in_and_goes_out(venue: Running) -> None:
    ann = await venue.user("ann", "100")

    put = (await venue.admin.post("/api/admin/users/ann/deposit", {"amount": "50.25", "clientOrderId": "d-1"})).ok()
    got = (await venue.admin.post("/api/admin/users/ann/withdraw", {"amount": 0.000001})).ok()

    for body in (put, got):
        fits(body, {"userId": words, "amount": MONEY, "newBalance": MONEY, "clientOrderId": words, "offset": number})
    assert (put["amount"], put["newBalance"], put["clientOrderId"]) == ("50.25", "150.25", "d-1")
    assert (got["amount"], got["newBalance"]) == ("0.000001", "150.249999")
    balance = await ann.balance()
    fits(balance, BALANCE)
    assert (balance["totalDeposited"], balance["totalWithdrawn"]) == ("150.25", "0.000001")


async def test_the_whole_balance_may_be_withdrawn(venue: Running) -> None:
    ann = await venue.user("ann", "100.000001")

    (await venue.admin.post("/api/admin/users/ann/withdraw", {"amount": "100.000001"})).ok()

    assert (await ann.balance())["balance"] == "0.00"


async def test_positions_are_listed_with_their_figures(venue: Running) -> None:
    await venue.market("ETH-PERP", "3000")
    ann = await venue.user("ann")
    await ann.opened()
    await ann.opened("ETH-PERP", side="short")
    await ann.opened()
    (await ann.close("BTC-PERP-1")).ok()

    shown = {}
    for status in ("open", "closed", "all"):
        body = (await ann.get(f"/api/markets/positions/ann?status={status}")).ok()
        fits(body, {"perpetuals": {"stats": {"totalPositions": number, "totalPnL": MONEY, "totalFunding": MONEY}}})
        fits(body, {"timestamp": TIME, "offset": number, "nextCursor": CURSOR})
        for position in body["perpetuals"]["positions"]:
            fits(position, POSITION)
        shown[status] = {position["id"]: position["status"] for position in body["perpetuals"]["positions"]}
        assert body["perpetuals"]["stats"]["totalPositions"] == len(shown[status])

    assert shown["open"] == {"BTC-PERP-2": "open", "ETH-PERP-1": "open"}
    assert shown["closed"] == {"BTC-PERP-1": "closed"}
    assert shown["all"] == shown["open"] | shown["closed"]
    ether = (await ann.get("/api/markets/positions/ann?ticker=ETH-PERP")).ok()["perpetuals"]["positions"]
    assert [position["id"] for position in ether] == ["ETH-PERP-1"]


async def test_an_open_position_is_valued_at_the_present_mark(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened(size="5000.01")
    await venue.price("51000")

    (position,) = await ann.positions()

    assert (position["quantity"], position["size"], position["markPrice"]) == ("0.10", "5000.00125", "51000.00")
    assert position["unrealizedPnL"] == "99.99875"
    assert position["unrealizedPnLPercent"] == "19.9997"


async def test_transactions_and_trades_of_a_user_are_listed(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    (await ann.close("BTC-PERP-1")).ok()

    transactions = (await ann.get("/api/users/ann/transactions")).ok()
    trades = (await ann.get("/api/users/ann/trades")).ok()

    for transaction in transactions["transactions"]:
        fits(transaction, TRANSACTION)
    for trade in trades["trades"]:
        fits(trade, {**TRADE, "positionId": words, "userId": words, "realizedPnL": MONEY, "fee": FEE})
    assert [trade["kind"] for trade in trades["trades"]] == ["close", "open"]
    kinds = [transaction["type"] for transaction in transactions["transactions"]]
    assert kinds == ["fee", "margin_return", "fee", "margin", "deposit"]
    assert transactions["transactions"][0]["relatedId"] == "BTC-PERP-1"
    assert transactions["transactions"][-1]["relatedId"] is None


async def test_a_listing_answers_with_the_market(venue: Running) -> None:
    body = await venue.market(
        "DOGE.X_1-P", "0.25", tickSize="0.00001", lotSize="1", maxPriceAge="2.5", houseDeposit=1000
    )

    fits(body, {"market": MARKET, "offset": number})
    assert body["market"]["currentPrice"] == "0.25"
    stats = (await venue.admin.get("/api/admin/stats")).ok()
    assert stats["accounts"]["house"] == "1000.00"


async def test_modes_are_set_and_shown(venue: Running) -> None:
    for mode in ("reduce_only", "halted", "enabled"):
        body = (await venue.admin.post("/api/admin/markets/BTC-PERP/mode", {"mode": mode})).ok()
        fits(body, {"market": MARKET, "offset": number})
        assert body["market"]["status"] == mode


async def test_the_figures_of_the_venue_add_up(venue: Running) -> None:
    ann = await venue.user("ann", "10000")
    await ann.opened()

    body = (await venue.admin.get("/api/admin/stats")).ok()

    fits(body, {"offset": number, "epoch": number, "time": TIME, "users": number})
    assert (body["users"], body["health"], body["inFlight"]) == (1, {}, 0)
    assert body["accounts"]["total"] == "0.00"
    assert body["accounts"]["world"] == "-10000.00"
    (market,) = body["markets"]
    assert (market["ticker"], market["positions"], market["margin"]) == ("BTC-PERP", 1, body["accounts"]["margin"])
