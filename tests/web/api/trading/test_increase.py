"""``positionId`` in an open: more of a position that is there."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from tests.web.conftest import Starter
from tests.web.refused import OPEN, open_body, refused
from tests.web.shapes import POSITION, amount, fits
from tests.web.venue import Backend, Running

QUOTE = "/api/markets/perps/quote"
MORE = {"positionId": "BTC-PERP-1"}


async def test_a_position_grows_and_every_read_shows_it(starter: Starter, backend: Backend) -> None:
    venue = await starter(backend)
    await venue.market()
    ann = await venue.user("ann")
    first = await ann.opened()
    await venue.price("52000")

    more = await ann.opened(size="520", leverage=4, **MORE)

    was, now = first["position"], more["position"]
    fits(now, POSITION)
    assert now["id"] == was["id"]
    assert amount(now["quantity"]) == amount(was["quantity"]) + amount(more["fill"]["quantity"])
    assert amount(now["size"]) == amount(was["size"]) + amount(more["fill"]["notional"])
    assert amount(now["margin"]) == amount(was["margin"]) + amount(more["marginPaid"])
    assert abs(amount(more["marginPaid"]) * 4 - amount(more["fill"]["notional"])) < Decimal("0.00001")
    assert amount(was["entryPrice"]) < amount(now["entryPrice"]) < amount(more["fill"]["price"])
    assert abs(amount(now["size"]) / amount(now["quantity"]) - amount(now["entryPrice"])) < Decimal("0.001")
    paid = amount(more["marginPaid"]) + amount(more["fee"]["amount"])
    assert amount(more["newBalance"]) == amount(first["newBalance"]) - paid
    same = ("leverage", "openedAt", "status", "userId", "side")
    assert [now[name] for name in same] == [was[name] for name in same]
    for restarts in (False, True):
        venue = await starter.restart(venue) if restarts else venue
        ann = venue.client("ann")
        assert await ann.positions() == await ann.positions("all") == [now]
        trades = (await ann.get("/api/users/ann/trades")).ok()["trades"]
        assert [(trade["kind"], trade["positionId"]) for trade in trades] == [("open", "BTC-PERP-1")] * 2
        market = (await venue.anybody.get("/api/markets/perps/BTC-PERP")).ok()["market"]
        assert amount(market["openInterest"]["long"]) == amount(market["skew"]) > 0
        candles = (await venue.anybody.get("/api/markets/perps/BTC-PERP/candles")).ok()["candles"]
        assert candles[-1][6] == 2, "both trades are in the candle"
        assert amount(candles[-1][5]) == amount(now["size"])
    closed = (await ann.close("BTC-PERP-1")).ok()
    assert closed["fill"]["quantity"] == now["quantity"]
    (past,) = await ann.positions("closed")
    assert (past["quantity"], past["entryPrice"]) == (now["quantity"], now["entryPrice"])


async def test_a_quote_says_what_an_increase_would_do(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    await venue.price("52000")
    body = open_body(size="520", **MORE)

    said = (await ann.post(QUOTE, body)).ok()
    async with venue.unchanged():
        again = (await ann.post(QUOTE, body)).ok()
    done = (await ann.post(OPEN, body)).ok(201)

    assert said == again
    assert (said["fill"], said["fee"]) == (done["fill"], done["fee"])
    assert said["marginRequired"] == done["marginPaid"]
    assert amount(said["totalRequired"]) == amount(done["marginPaid"]) + amount(done["fee"]["amount"])
    for name in ("entryPrice", "liquidationPrice", "bankruptcyPrice"):
        assert said[name] == done["position"][name]
    assert amount(said["equity"]) == amount(done["position"]["margin"]) + amount(done["position"]["unrealizedPnL"])


async def test_a_quote_of_a_new_position_has_its_entry_price(venue: Running) -> None:
    ann = await venue.user("ann")

    said = (await ann.post(QUOTE, open_body())).ok()

    assert said["entryPrice"] == said["fill"]["price"] == (await ann.opened())["position"]["entryPrice"]


async def test_the_same_id_grows_once(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    before = (await ann.positions())[0]["quantity"]

    answers = await asyncio.gather(*(ann.open(clientOrderId="once", **MORE) for _ in range(50)))

    assert {str(answer.ok(201)) for answer in answers} == {str(answers[0].ok(201))}
    assert sum(answer.headers.get("Idempotent-Replay") == "true" for answer in answers) == 49
    (position,) = await ann.positions()
    assert amount(position["quantity"]) == 2 * amount(before)
    (await ann.open(clientOrderId="once")).refused(409, "client_order_id_reused")


@pytest.mark.parametrize("path", [OPEN, QUOTE])
async def test_the_other_side_is_refused(venue: Running, path: str) -> None:
    ann = await venue.user("ann")
    await ann.opened()

    details = await refused(venue, ann, path, open_body(**{**MORE, "side": "short"}), 400, "validation_error")

    assert details["position"] == "BTC-PERP-1"
    assert "side" in str(details["rule"])


@pytest.mark.parametrize("path", [OPEN, QUOTE])
@pytest.mark.parametrize("side", ["long", "short"])
async def test_nobody_adds_to_anothers_position_open_or_closed(venue: Running, path: str, side: str) -> None:
    ann, bob = await venue.user("ann"), await venue.user("bob")
    await ann.opened()
    body = open_body(**{**MORE, "side": side})

    assert await refused(venue, bob, path, body, 403, "forbidden") == {"position": "BTC-PERP-1"}
    await refused(venue, venue.admin, path, {**body, "userId": "bob"}, 403, "forbidden")
    (await ann.close("BTC-PERP-1")).ok()
    await refused(venue, bob, path, body, 403, "forbidden")
    await refused(venue, ann, path, body, 409, "position_closed")


@pytest.mark.parametrize("path", [OPEN, QUOTE])
@pytest.mark.parametrize("position", ["BTC-PERP-9", "BTC-PERP-01", "STORY-1", "", "junk", "BTC-PERP-", "-1"])
async def test_a_position_that_is_not_there_does_not_grow(venue: Running, path: str, position: str) -> None:
    ann = await venue.user("ann")
    await venue.market("STORY")
    await ann.opened()
    await ann.opened("STORY")

    details = await refused(venue, ann, path, open_body(positionId=position), 404, "position_not_found")

    assert details == {"position": position}


@pytest.mark.parametrize("position", [1, ["BTC-PERP-1"], {}, True, "x" * 65])
async def test_what_can_be_no_position_is_no_body(venue: Running, position: object) -> None:
    ann = await venue.user("ann")

    details = await refused(venue, ann, OPEN, open_body(positionId=position), 400, "validation_error")

    assert details["field"] == "positionId"


async def test_in_a_market_that_is_not_there_the_market_is_what_is_not_found(venue: Running) -> None:
    ann = await venue.user("ann")

    await refused(venue, ann, OPEN, open_body("NONE", **MORE), 404, "market_not_found")


@pytest.mark.parametrize(("mode", "code"), [("halted", "market_halted"), ("reduce_only", "market_reduce_only")])
async def test_where_nothing_opens_nothing_grows(venue: Running, mode: str, code: str) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    await venue.mode(mode)

    await refused(venue, ann, OPEN, open_body(**MORE), 409, code)


async def test_more_than_the_wallet_holds_is_not_added(venue: Running) -> None:
    ann = await venue.user("ann", "200")
    left = (await ann.opened())["newBalance"]

    details = await refused(venue, ann, OPEN, open_body(**MORE, leverage=1), 422, "insufficient_funds")

    assert details["available"] == left


async def test_an_administrator_adds_in_the_owners_name_with_the_owners_money(venue: Running) -> None:
    ann = await venue.user("ann")
    before = (await ann.opened())["newBalance"]

    more = (await venue.admin.post(OPEN, open_body(**MORE, userId="ann"))).ok(201)

    assert amount(more["newBalance"]) < amount(before)
    assert len(await ann.positions()) == 1


async def test_an_id_of_another_market_is_of_no_position_whoever_has_that_number_here(venue: Running) -> None:
    ann, bob = await venue.user("ann"), await venue.user("bob")
    await venue.market("STORY")
    await ann.opened()
    await bob.opened("STORY")

    await refused(venue, bob, OPEN, open_body(positionId="STORY-1"), 404, "position_not_found")
