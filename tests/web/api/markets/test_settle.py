"""``POST /api/admin/markets/{ticker}/settle``: the end of a market, as the outside sees it."""

from __future__ import annotations

import pytest

from tests.web.conftest import Starter
from tests.web.events import listening
from tests.web.refused import OPEN, open_body, refused
from tests.web.shapes import amount
from tests.web.venue import Backend, Running

PATH = "/api/admin/markets/BTC-PERP/settle"


async def test_everybody_leaves_at_one_price_and_sees_it(starter: Starter, backend: Backend) -> None:
    venue = await starter(backend)
    await venue.market(takerFee="0", makerFee="0", skewScale="100", maxSkew="0.1", maxOpenInterest="0.2")
    ann, bob = await venue.user("ann"), await venue.user("bob")
    await ann.opened(size="3000")
    await bob.opened(size="1000", side="short")
    await venue.mode("halted")
    market = (await venue.anybody.get("/api/markets/perps/BTC-PERP")).ok()["market"]
    async with listening(venue) as events:
        await events.next()
        done = (await venue.admin.post(PATH)).ok()
        told = await events.until_offset(done["offset"])

    exact = 50_000 * (1 + amount(market["skew"]) / 200)
    assert abs(amount(done["price"]) - exact) < amount("0.00000001")
    assert (done["positions"], done["market"]["status"]) == (2, "settled")
    assert done["market"]["openInterest"] == {"long": "0.00", "short": "0.00"}
    assert [event.name for event in told] == ["market", "trade", "trade", "market"]
    assert [event.data["kind"] for event in told[1:3]] == ["settlement", "settlement"]
    assert told[3].data["status"] == "settled"
    for user, client in (("ann", ann), ("bob", bob)):
        assert [each["status"] for each in await client.positions("all")] == ["closed"]
        trades = (await client.get(f"/api/users/{user}/trades")).ok()["trades"]
        assert (trades[0]["kind"], trades[0]["fee"]["amount"]) == ("settlement", "0.00")
        kinds = {each["type"] for each in (await client.get(f"/api/users/{user}/transactions")).ok()["transactions"]}
        assert kinds & {"margin_return", "profit", "loss"}
    assert (await venue.admin.get("/api/admin/stats")).ok()["accounts"]["margin"] == "0.00"

    again = await starter.restart(venue)
    assert (await again.anybody.get("/api/markets/perps/BTC-PERP")).ok()["market"]["status"] == "settled"
    (await again.admin.post(PATH)).refused(409, "market_not_halted")


async def test_a_market_that_runs_is_halted_first(venue: Running) -> None:
    details = await refused(venue, venue.admin, PATH, None, 409, "market_not_halted")

    assert details == {"mode": "enabled"}


async def test_what_is_missing_is_said(venue: Running) -> None:
    await venue.market("POOR", "100", houseCreditLimit="0")
    ann = await venue.user("ann")
    await ann.opened("POOR", "1000")
    await venue.price("110", "POOR")
    await venue.mode("halted", "POOR")

    details = await refused(venue, venue.admin, "/api/admin/markets/POOR/settle", None, 422, "house_cannot_pay")
    assert details["missing"] == details["payout"]
    assert 99 < amount(details["missing"]) < 101
    fund = {"account": "house", "amount": details["missing"]}
    (await venue.admin.post("/api/admin/markets/POOR/fund", fund)).ok()
    (await venue.admin.post("/api/admin/markets/POOR/settle")).ok()


async def test_a_settled_market_takes_no_orders_until_it_is_enabled(venue: Running) -> None:
    ann = await venue.user("ann")
    await venue.mode("halted")
    (await venue.admin.post(PATH)).ok()

    details = await refused(venue, ann, OPEN, open_body(), 409, "market_halted")
    assert details == {"mode": "settled", "reason": "settled"}
    await venue.mode("enabled")
    await ann.opened()


@pytest.mark.parametrize("mode", ["settled", "Halted", "", None, 3])
async def test_a_mode_that_cannot_be_set_is_refused(venue: Running, mode: object) -> None:
    path = "/api/admin/markets/BTC-PERP/mode"
    details = await refused(venue, venue.admin, path, {"mode": mode}, 400, "validation_error")

    assert details["field"] == "mode"


async def test_only_an_administrator_may_and_only_of_a_market_that_is_there(venue: Running) -> None:
    ann = await venue.user("ann")

    (await ann.post(PATH)).refused(403, "forbidden")
    (await venue.anybody.post(PATH)).refused(401, "unauthorized")
    (await venue.admin.post("/api/admin/markets/NONE/settle")).refused(404, "market_not_found")
