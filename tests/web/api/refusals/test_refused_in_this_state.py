"""Refused for the state a market is in, or a price it does not take: the numbers compared, and that nothing changes."""

from __future__ import annotations

import pytest

from tests.web.refused import OPEN, open_body, refused
from tests.web.shapes import amount
from tests.web.venue import ManualClock, Running
from web.answers.errors import COME_TOO_LATE, TOO_OLD_TO_TRADE


async def test_a_halted_market_trades_nothing(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    await venue.mode("halted")
    stopped = {"mode": "halted", "reason": "administrator"}

    assert await refused(venue, ann, OPEN, open_body(), 409, "market_halted") == stopped
    assert await refused(venue, ann, "/api/markets/perps/quote", open_body(), 409, "market_halted") == stopped
    assert await refused(venue, ann, "/api/markets/perps/BTC-PERP-1/close", {}, 409, "market_halted") == stopped


async def test_a_market_that_only_reduces_closes_and_does_not_open(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    await venue.mode("reduce_only")

    details = await refused(venue, ann, OPEN, open_body(), 409, "market_reduce_only")

    assert details == {"mode": "reduce_only", "reason": "administrator"}
    (await ann.close("BTC-PERP-1")).ok()


async def test_a_house_that_cannot_pay_refuses_that_close_alone(venue: Running) -> None:
    await venue.market("POOR", "100", houseCreditLimit="0", houseDeposit="5")
    ann, bob = await venue.user("ann"), await venue.user("bob")
    opened = await ann.opened("POOR", "1000")
    await bob.opened("POOR", "1000", side="short")
    assert "warnings" not in (await venue.anybody.get("/readyz")).ok()
    await venue.price("105", "POOR")
    await bob.opened("POOR", "200", leverage=1)
    before = await ann.balance()

    details = (await ann.close("POOR-1")).refused(422, "house_cannot_pay")

    assert set(details) == {"house", "payout", "creditLimit"}
    assert (details["house"], details["creditLimit"]) == ("5.00", "0.00")
    assert 49 < amount(details["payout"]) < 51
    balance = await ann.balance()
    assert (balance["balance"], balance["margin"]) == (before["balance"], opened["marginPaid"])
    (await bob.close("POOR-2")).ok()
    (await ann.close("POOR-1")).ok()


async def test_a_house_that_could_not_pay_all_is_shown_before(venue: Running) -> None:
    await venue.market("POOR", "100", houseCreditLimit="1", houseDeposit="5")
    ann = await venue.user("ann")
    await ann.opened("POOR", "1000")
    await venue.price("101", "POOR")

    ready = (await venue.anybody.get("/readyz")).ok()
    (shown,) = [each for each in (await venue.admin.get("/api/admin/stats")).ok()["markets"] if each["house"] == "5.00"]
    metrics = (await venue.admin.get("/metrics")).body.decode()

    assert "house" in ready["warnings"]["POOR"]
    assert shown["houseAvailable"] == "6.00"
    assert 9 < amount(shown["houseLiability"]) < 10
    assert 'perps_house_available{ticker="POOR"} 6.0' in metrics
    assert f'perps_house_liability{{ticker="POOR"}} {amount(shown["houseLiability"])}' in metrics
    (await venue.admin.post("/api/admin/markets/POOR/fund", {"account": "house", "amount": "5"})).ok()
    assert "warnings" not in (await venue.anybody.get("/readyz")).ok()


async def test_a_price_that_is_too_old_is_not_traded_at(venue: Running, clock: ManualClock) -> None:
    await venue.market("SWIFT", "100", maxPriceAge="2.5")
    ann = await venue.user("ann")
    await ann.opened("SWIFT")
    clock.advance(2.5)
    await ann.opened("SWIFT")
    clock.advance(0.001)

    too_old = {"ageMs": 2501, "maxAgeMs": 2500}
    assert await refused(venue, ann, OPEN, open_body("SWIFT"), 409, "price_stale") == too_old
    assert await refused(venue, ann, "/api/markets/perps/SWIFT-1/close", {}, 409, "price_stale") == too_old
    assert (await ann.close("SWIFT-1")).json["error"]["message"] == TOO_OLD_TO_TRADE
    await venue.price("100", "SWIFT")
    (await ann.close("SWIFT-1")).ok()


@pytest.mark.parametrize("sequence", [0, 6, 7])
async def test_a_price_out_of_its_sources_sequence_is_refused(venue: Running, sequence: int) -> None:
    await venue.price("50001", source="oracle", sequence=7)
    path, late = "/api/markets/perps/BTC-PERP/price", {"price": "50002", "source": "oracle", "sequence": sequence}

    details = await refused(venue, venue.admin, path, late, 409, "price_stale")

    assert details == {"sequence": sequence, "knownSequence": 7}
    assert (await venue.admin.post(path, late)).json["error"]["message"] == COME_TOO_LATE
    await venue.price("50003", source="agent", sequence=1)
    await venue.price("50004", source="oracle", sequence=8)


async def test_a_price_older_than_the_one_known_is_refused(venue: Running, clock: ManualClock) -> None:
    await venue.price("50001", at="2026-01-01T00:00:00.000Z")
    path, old = "/api/markets/perps/BTC-PERP/price", {"price": "50002", "at": "2025-12-31T23:59:59.999Z"}

    details = await refused(venue, venue.admin, path, old, 409, "price_stale")

    assert details == {"atMs": clock.ms - 1, "knownAtMs": clock.ms}
    await venue.price("50003", at="2026-01-01T01:00:00.000+01:00")


async def test_a_price_from_the_future_is_refused(venue: Running, clock: ManualClock) -> None:
    path, later = "/api/markets/perps/BTC-PERP/price", {"price": "50002", "at": "2026-01-01T00:00:05.001Z"}

    details = await refused(venue, venue.admin, path, later, 400, "validation_error")

    assert (details["atMs"], details["nowMs"]) == (clock.ms + 5001, clock.ms)
    await venue.price("50003", at="2026-01-01T00:00:05.000Z")
