"""``POST /api/markets/perps/trade`` and net positions: one position a market, for programs that think so."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from tests.web.conftest import Starter
from tests.web.refused import refused
from tests.web.shapes import FEE, FILL, MONEY, POSITION, amount, fits, maybe, number, words
from tests.web.venue import Answer, Backend, Client, Json, ManualClock, Running

PATH = "/api/markets/perps/trade"
OPENED = {"position": POSITION, "fill": FILL, "marginPaid": MONEY, "fee": FEE}
TRADED = {
    "fill": FILL,
    "closed": lambda value: isinstance(value, list),
    "opened": maybe(lambda value: value.keys() == OPENED.keys()),
    "increased": maybe(lambda value: value.keys() == OPENED.keys()),
    "pnl": MONEY,
    "badDebt": MONEY,
    "netSettlement": MONEY,
    "marginPaid": MONEY,
    "fee": FEE,
    "newBalance": MONEY,
    "clientOrderId": words,
    "offset": number,
}


def body(side: str, size: str, **more: object) -> Json:
    """In bitcoin, at ten times."""
    return {"ticker": "BTC-PERP", "side": side, "size": size, "leverage": 10, **more}


async def trade(client: Client, side: str, size: str, **more: object) -> Answer:
    """Trade the net position."""
    return await client.post(PATH, body(side, size, **more))


async def net(client: Client, **query: str) -> list[Json]:
    """The net positions."""
    narrowed = "&".join(f"{name}={value}" for name, value in query.items())
    found: list[Json] = (await client.get(f"/api/markets/net-positions/me?{narrowed}")).ok()["netPositions"]
    return found


async def test_a_trade_opens_grows_reduces_and_turns_one_position(starter: Starter, backend: Backend) -> None:
    venue = await starter(backend)
    await venue.market()
    ann = await venue.user("ann")

    opened = (await trade(ann, "long", "1000")).ok(201)
    grown = (await trade(ann, "long", "1000")).ok(201)
    reduced = (await trade(ann, "short", "500")).ok(201)
    turned = (await trade(ann, "short", "3000", clientOrderId="turn")).ok(201)

    for answer in (opened, grown, reduced, turned):
        fits(answer, TRADED)
    assert opened["opened"]["position"]["id"] == "BTC-PERP-1"
    assert opened["closed"] == []
    assert opened["increased"] is grown["opened"] is reduced["opened"] is reduced["increased"] is None
    assert grown["increased"]["position"]["id"] == "BTC-PERP-1"
    assert [close["position"]["status"] for close in reduced["closed"]] == ["open"]
    assert [close["position"]["status"] for close in turned["closed"]] == ["closed"]
    assert (turned["opened"]["position"]["id"], turned["opened"]["position"]["side"]) == ("BTC-PERP-2", "short")
    parts = [*turned["closed"], turned["opened"]]
    for total, of in (("quantity", "quantity"), ("notional", "notional")):
        assert amount(turned["fill"][total]) == sum(amount(part["fill"][of]) for part in parts)
    assert amount(turned["fee"]["amount"]) == sum(amount(part["fee"]["amount"]) for part in parts)
    assert turned["pnl"] == turned["closed"][0]["pnl"]
    for restarts in (False, True):
        venue = await starter.restart(venue) if restarts else venue
        ann = venue.client("ann")
        assert (await trade(ann, "short", "3000", clientOrderId="turn")).ok(201) == turned
        (position,) = await ann.positions()
        assert position == turned["opened"]["position"]
        (held,) = await net(ann)
        assert (held["side"], held["quantity"], held["positions"]) == ("short", position["quantity"], 1)
        assert held["entryPrice"] == position["entryPrice"]
        assert (await ann.balance())["balance"] == turned["newBalance"]
        trades = (await ann.get("/api/users/me/trades?limit=2")).ok()["trades"]
        assert [one["kind"] for one in trades] == ["open", "close"]
        moves = (await ann.get("/api/users/me/transactions?limit=500")).ok()["transactions"]
        assert sum(amount(move["amount"]) for move in moves) == amount(turned["newBalance"])


async def test_the_same_id_trades_once(venue: Running) -> None:
    ann = await venue.user("ann")

    answers = await asyncio.gather(*(trade(ann, "long", "1000", clientOrderId="once") for _ in range(30)))

    assert {str(answer.ok(201)) for answer in answers} == {str(answers[0].ok(201))}
    assert sum(answer.headers.get("Idempotent-Replay") == "true" for answer in answers) == 29
    (await trade(ann, "long", "1001", clientOrderId="once")).refused(409, "client_order_id_reused")
    (held,) = await net(ann)
    assert held["positions"] == 1


async def test_a_wallet_that_is_empty_turns_its_position(venue: Running) -> None:
    ann = await venue.user("ann", "101.01")
    await ann.opened(size="1000")
    assert amount((await ann.balance())["balance"]) < 1

    turned = (await trade(ann, "short", "1940")).ok(201)

    assert amount(turned["netSettlement"]) > 90
    assert amount(turned["marginPaid"]) > 90
    assert turned["opened"]["position"]["side"] == "short"


async def test_many_trades_at_once_leave_one_position_and_no_wallet_below_0(venue: Running) -> None:
    ann = await venue.user("ann", "500")

    sides = ["long", "short"] * 25
    answers = await asyncio.gather(*(trade(ann, side, "2000") for side in sides))

    assert {answer.status for answer in answers} <= {201, 422}
    assert len(await ann.positions()) <= 1
    balance = await ann.balance()
    assert amount(balance["balance"]) >= 0


async def test_net_positions_add_up_what_lies_on_both_sides(venue: Running) -> None:
    await venue.market("STORY", "100")
    ann, bob = await venue.user("ann"), await venue.user("bob")
    for side, size in (("long", "1000"), ("long", "2000"), ("short", "500")):
        await ann.opened(size=size, side=side)
    await ann.opened("STORY", "100", side="short")
    await bob.opened("STORY", "100")
    await bob.opened("STORY", "100", side="short")
    await venue.price("51000")
    positions = [one for one in await ann.positions() if one["ticker"] == "BTC-PERP"]

    bitcoin, story = await net(ann)

    longs = [one for one in positions if one["side"] == "long"]
    sizes = {
        side: sum((amount(one["quantity"]) for one in positions if one["side"] == side), Decimal())
        for side in ("long", "short")
    }
    assert (bitcoin["ticker"], bitcoin["side"], story["side"], story["positions"]) == ("BTC-PERP", "long", "short", 1)
    assert amount(bitcoin["quantity"]) == sizes["long"] - sizes["short"]
    assert (amount(bitcoin["longQuantity"]), amount(bitcoin["shortQuantity"])) == (sizes["long"], sizes["short"])
    entry = sum((amount(one["size"]) for one in longs), Decimal()) / sizes["long"]
    assert abs(amount(bitcoin["entryPrice"]) - entry) < Decimal("0.00000002")
    assert amount(bitcoin["margin"]) == sum(amount(one["margin"]) for one in positions)
    assert amount(bitcoin["unrealizedPnL"]) == sum(amount(one["unrealizedPnL"]) for one in positions)
    assert await net(ann, ticker="STORY") == [story]
    (flat,) = await net(bob)
    assert (flat["side"], flat["quantity"], flat["entryPrice"], flat["positions"]) == ("flat", "0.00", None, 2)
    assert (await ann.get("/api/markets/net-positions/bob")).refused(403, "forbidden")
    assert len((await venue.admin.get("/api/markets/net-positions/bob")).ok()["netPositions"]) == 1


async def test_reduce_only_never_opens(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened(size="1000")

    closed = (await trade(ann, "short", "5000", reduceOnly=True)).ok(201)
    details = await refused(venue, ann, PATH, body("short", "10", reduceOnly=True), 404, "position_not_found")

    assert (closed["opened"], closed["marginPaid"]) == (None, "0.00")
    assert await ann.positions() == []
    assert "no long position" in details["rule"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"size": "0"}, 400, "validation_error"),
        ({"size": "-1"}, 400, "validation_error"),
        ({"leverage": 0}, 400, "validation_error"),
        ({"side": "up"}, 400, "validation_error"),
        ({"reduceOnly": "yes"}, 400, "validation_error"),
        ({"takeProfit": "1"}, 400, "validation_error"),
        ({"maxSlippageBps": -1}, 400, "validation_error"),
        ({"userId": "bob"}, 403, "forbidden"),
        ({"ticker": "NONE"}, 404, "market_not_found"),
        ({"size": "1"}, 422, "position_size_too_small"),
        ({"size": "9000000000"}, 422, "position_size_too_large"),
        ({"leverage": 101}, 422, "leverage_too_high"),
        ({"size": "15000000"}, 422, "max_skew_exceeded"),
        ({"acceptablePrice": "1"}, 422, "price_beyond_limit"),
        ({"maxSlippageBps": 0}, 422, "price_beyond_limit"),
        ({"size": "500000", "leverage": 1}, 422, "insufficient_funds"),
    ],
)
async def test_each_refusal_leaves_everything_as_it_was(venue: Running, change: Json, status: int, code: str) -> None:
    ann = await venue.user("ann")
    await venue.user("bob")
    size = "1000" if code != "position_size_too_small" else "10"
    if code != "position_size_too_small":
        await ann.opened(size=size, side="short")

    await refused(venue, ann, PATH, {**body("long", "3000"), **change}, status, code)


async def test_what_the_market_does_not_allow_is_refused_whole(venue: Running, clock: ManualClock) -> None:
    await venue.market("NEXT", "100", execution="next_price")
    await venue.market("POOR", "100", houseCreditLimit="0")
    await venue.market("FEW", "100", maxNotionalPerUser="1500")
    await venue.market("OLD", "100", maxPriceAge="1")
    ann = await venue.user("ann")
    await ann.opened(side="short")
    await ann.opened("POOR", "1000", side="short")
    await venue.price("90", "POOR")
    await ann.opened("OLD", "100", side="short")
    clock.advance(2)

    details = await refused(venue, ann, PATH, {**body("long", "100"), "ticker": "NEXT"}, 400, "validation_error")
    assert "next price" in details["rule"]
    await refused(venue, ann, PATH, {**body("long", "2000"), "ticker": "POOR"}, 422, "house_cannot_pay")
    await refused(venue, ann, PATH, {**body("long", "2000"), "ticker": "FEW"}, 422, "user_limit_exceeded")
    await refused(venue, ann, PATH, {**body("long", "2000"), "ticker": "OLD"}, 409, "price_stale")
    await venue.mode("reduce_only")
    await refused(venue, ann, PATH, body("long", "2000"), 409, "market_reduce_only")
    (await trade(ann, "long", "400")).ok(201)
    (await trade(ann, "long", "2000", reduceOnly=True)).ok(201)
    await venue.mode("halted")
    await refused(venue, ann, PATH, body("long", "2000"), 409, "market_halted")


async def test_more_positions_than_one_trade_closes_are_refused_with_what_fits(venue: Running) -> None:
    ann = await venue.user("ann", "100000")
    for answer in await asyncio.gather(*(ann.open(size="50", side="short") for _ in range(101))):
        answer.ok(201)

    details = await refused(venue, ann, PATH, body("long", "6000"), 422, "user_limit_exceeded")

    fits_now = amount(details["largestQuantity"]) * 50_000
    done = (await trade(ann, "long", str(fits_now.quantize(Decimal(1)) - 10))).ok(201)
    assert len(done["closed"]) <= 100


async def test_an_administrator_trades_for_a_user_and_streams_tell_every_part(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened(size="1000")

    done = (await venue.admin.post(PATH, body("short", "3000", userId="ann"))).ok(201)

    assert done["opened"]["position"]["userId"] == "ann"
    (await venue.admin.post(PATH, body("short", "3000"))).refused(400, "validation_error")
    everybody = (await venue.anybody.get("/api/markets/perps/BTC-PERP/trades?limit=2")).ok()["trades"]
    assert [(one["kind"], one["offset"]) for one in everybody] == [("open", done["offset"]), ("close", done["offset"])]
