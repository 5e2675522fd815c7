"""Deleveraging as the outside sees it: who asks for it, who is warned, and what the one who must leave is told."""

from __future__ import annotations

from tests.web.conftest import Starter
from tests.web.events import following, listening
from tests.web.shapes import amount
from tests.web.venue import Backend, Running

POOR = {"houseCreditLimit": "110", "deleveraging": True, "takerFee": "0.001", "makerFee": "0.001"}


async def test_winners_leave_before_the_house_cannot_pay_and_are_told_why(starter: Starter, backend: Backend) -> None:
    venue = await starter(backend)
    await venue.market("POOR", "100", **POOR)
    ann, bob = await venue.user("ann"), await venue.user("bob")
    await ann.opened("POOR", "600", leverage=20)
    await ann.opened("POOR", "600", leverage=2)
    await bob.opened("POOR", "200", side="short", leverage=2)

    await venue.price("108", "POOR")
    assert len(await ann.positions()) == 2
    async with following(venue, "/api/sse/users/me", ann) as own, listening(venue, "?tickers=POOR") as public:
        await own.next()
        await public.next()
        offset = (await venue.price("110", "POOR"))["offset"]
        mine, everybodys = await own.until_offset(offset), await public.until_offset(offset)

    first, last = (event.data for event in mine if event.name == "trade")
    assert (first["kind"], first["positionId"], first["fee"]["amount"]) == ("deleverage", "POOR-1", "0.00")
    assert (last["kind"], last["positionId"]) == ("deleverage", "POOR-2")
    assert amount(first["realizedPnL"]) > 0
    positions = [event.data for event in mine if event.name == "position"]
    assert [each["status"] for each in positions] == ["closed", "open"]
    assert [event.data["kind"] for event in everybodys if event.name == "trade"] == ["deleverage", "deleverage"]
    assert (await ann.get("/api/users/me/trades")).ok()["trades"][:2] == [last, first]
    (shown,) = [
        each for each in (await venue.admin.get("/api/admin/stats")).ok()["markets"] if each["ticker"] == "POOR"
    ]
    assert amount(shown["houseLiability"]) <= amount("0.77") * amount(shown["houseAvailable"])
    before = await venue.footprint()
    again = await starter.restart(venue)
    after = await again.footprint()
    assert (after["positions"], after["balances"]) == (before["positions"], before["balances"])


async def test_it_is_off_by_default_and_needs_a_limit(venue: Running) -> None:
    made = await venue.market("PLAIN", "100", houseCreditLimit="100")
    assert made["market"]["deleveraging"] is False

    listing = {"ticker": "BOLD", "price": "100", "deleveraging": True}
    details = (await venue.admin.post("/api/admin/markets", listing)).refused(422, "parameters_inconsistent")
    assert details["rule"] == "deleveraging needs a houseCreditLimit: what the house can pay"

    changed = (await venue.admin.patch("/api/admin/markets/PLAIN", {"deleveraging": True})).ok()
    assert changed["market"]["deleveraging"] is True
    none = {"houseCreditLimit": "none"}
    (await venue.admin.patch("/api/admin/markets/PLAIN", none)).refused(422, "parameters_inconsistent")
    (await venue.admin.patch("/api/admin/markets/PLAIN", {**none, "deleveraging": False})).ok()


async def test_it_is_yes_or_no(venue: Running) -> None:
    listing = {"ticker": "BOLD", "price": "100", "deleveraging": "perhaps"}
    assert (await venue.admin.post("/api/admin/markets", listing)).refused(400, "validation_error")["field"] == (
        "deleveraging"
    )


async def test_an_operator_is_warned_before_anybody_must_leave(venue: Running) -> None:
    await venue.market("POOR", "100", **POOR)
    ann = await venue.user("ann")
    await ann.opened("POOR", "1000", leverage=2)
    await venue.price("107", "POOR")
    assert "warnings" not in (await venue.anybody.get("/readyz")).ok()

    await venue.price("109", "POOR")
    assert "must leave" in (await venue.anybody.get("/readyz")).ok()["warnings"]["POOR"]
    assert len(await ann.positions()) == 1

    (await venue.admin.post("/api/admin/markets/POOR/fund", {"account": "house", "amount": "50"})).ok()
    assert "warnings" not in (await venue.anybody.get("/readyz")).ok()
    await venue.price("110", "POOR")
    assert [each["kind"] for each in (await ann.get("/api/users/me/trades")).ok()["trades"]] == ["open"]
