"""Funding as the outside sees it, on a clock that stands still until an administrator advances it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from actors.clock import ManualClock
from perps.units import Millis
from perps.wire.streams import MARKET_EVENTS
from tests.web.conftest import Starter
from tests.web.events import listening
from tests.web.shapes import DECIMAL, TIME, fits, number
from tests.web.venue import ADMIN_KEY, START_MS, Backend, OnPostgres, Running
from web.venue_server import VenueServer

PATH = "/api/markets/perps/BTC-PERP"
ADVANCE = "/api/admin/clock/advance"
HOUR: dict[str, Any] = {"at": TIME, "rate": DECIMAL, "payment": DECIMAL, "fundingIndex": DECIMAL, "indexPrice": DECIMAL}
LIVELY: dict[str, Any] = {
    "maxFundingRate": "0.03",
    "fundingVelocity": "0.72",
    "maxLeverage": 10,
    "skewScale": "1000",
    "maxSkew": "10",
    "maxOpenInterest": "20",
}


class Standing:
    """A system whose clock stands at the beginning of a year."""

    def now_ms(self) -> Millis:
        return Millis(START_MS)

    def monotonic_ns(self) -> int:
        return 0


@pytest.fixture
async def venue(starter: Starter, backend: Backend) -> Running:
    """A venue with a manual clock and a market with funding."""
    running = await starter(backend, clock=ManualClock(Standing()))
    await running.market(**LIVELY)
    return running


async def advance(venue: Running, seconds: object) -> dict[str, Any]:
    return (await venue.admin.post(ADVANCE, {"seconds": seconds})).ok()


async def market(venue: Running) -> dict[str, Any]:
    found: dict[str, Any] = (await venue.anybody.get(PATH)).ok()["market"]
    return found


async def test_a_listing_says_its_funding(venue: Running) -> None:
    shown = await market(venue)
    assert (shown["maxFundingRate"], shown["fundingVelocity"]) == ("0.03", "0.72")
    rest = {name: value for name, value in LIVELY.items() if name != "fundingVelocity"}
    other = (await venue.market("ETH-PERP", "3000", **rest))["market"]
    assert (other["maxFundingRate"], other["fundingVelocity"]) == ("0.03", "0.09")
    plain = (await venue.market("SOL-PERP", "100"))["market"]
    assert (plain["maxFundingRate"], plain["fundingVelocity"]) == ("0", "0")
    assert plain["fundingRate"]["rate"] == "0.00"


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"maxFundingRate": "0.04"}, 422, "parameters_inconsistent"),
        ({"maxFundingRate": "0"}, 422, "parameters_inconsistent"),
        ({"fundingVelocity": "0"}, 422, "parameters_inconsistent"),
        ({"maxFundingRate": "-0.01"}, 400, "validation_error"),
        ({"fundingVelocity": "1001"}, 400, "validation_error"),
    ],
)
async def test_a_listing_with_funding_that_does_not_fit_is_refused(
    venue: Running, more: dict[str, str], status: int, code: str
) -> None:
    body = {"ticker": "X-PERP", "organizationId": "x", "name": "X", "price": "100", **LIVELY, **more}
    (await venue.admin.post("/api/admin/markets", body)).refused(status, code)


async def test_the_rate_follows_the_skew_and_says_where_it_goes(venue: Running) -> None:
    ann = await venue.user("ann", "100000")
    await ann.opened(size="250000", leverage=5)
    skew = Decimal((await market(venue))["skew"])
    await advance(venue, 3600)

    rate = (await market(venue))["fundingRate"]
    growth = Decimal("0.72") * skew / 10 / 24  # of the daily rate in an hour
    assert rate["nextFundingTime"] == "2026-01-01T02:00:00.000Z"
    assert abs(Decimal(rate["rate"]) - growth / 24) < Decimal("1e-11")
    assert abs(Decimal(rate["velocity"]) - growth / 24) < Decimal("1e-11")
    assert abs(Decimal(rate["annualized"]) - growth * 365) < Decimal("1e-7")
    assert abs(Decimal(rate["predictedRate"]) - growth * 3 / 2 / 24) < Decimal("1e-9")
    await advance(venue, 3600)

    first = (await venue.anybody.get(f"{PATH}/funding")).ok()["funding"][0]
    assert first["at"] == "2026-01-01T02:00:00.000Z"
    assert abs(Decimal(first["rate"]) - Decimal(rate["predictedRate"])) < Decimal("1e-11"), "it came as was said"


async def test_the_hours_are_listed_newest_first_in_pages_and_streamed(venue: Running) -> None:
    ann = await venue.user("ann", "100000")
    await ann.opened(size="250000", leverage=5)
    async with listening(venue) as stream:
        passed = await advance(venue, 5 * 3600 + 60)
        events = await stream.until_offset(venue.venue.context.model.offset)
    assert (passed["steps"], passed["time"]) == (6, "2026-01-01T05:01:00.000Z")

    body = (await venue.anybody.get(f"{PATH}/funding")).ok()
    hours = body["funding"]
    for hour in hours:
        fits(hour, HOUR)
    assert [hour["at"] for hour in hours] == [f"2026-01-01T0{number}:00:00.000Z" for number in (5, 4, 3, 2, 1)]
    assert sum(Decimal(hour["payment"]) for hour in hours) == Decimal(hours[0]["fundingIndex"])
    for hour in hours:
        assert abs(Decimal(hour["rate"]) * 50_000 - Decimal(hour["payment"])) < Decimal("1e-6")
    told = [event.data for event in events if event.name == "funding"]
    assert told == [msgspec.to_builtins(msgspec.convert(hour, MARKET_EVENTS["funding"])) for hour in told]
    assert [{name: hour[name] for name in HOUR} for hour in told] == hours[::-1]
    assert all(hour["ticker"] == "BTC-PERP" and number(hour["offset"]) for hour in told)

    page = (await venue.anybody.get(f"{PATH}/funding?limit=2")).ok()
    assert page["funding"] == hours[:2]
    rest = (await venue.anybody.get(f"{PATH}/funding?limit=10&cursor={page['nextCursor']}")).ok()
    assert (rest["funding"], rest["nextCursor"]) == (hours[2:], None)


async def test_what_was_paid_is_the_same_in_the_position_the_trade_and_the_sums(
    venue: Running, starter: Starter
) -> None:
    ann, bob = await venue.user("ann", "100000"), await venue.user("bob", "100000")
    await ann.opened(size="250000", leverage=5)
    await bob.opened(size="50000", leverage=5, side="short")
    await advance(venue, 10 * 3600)
    (long,), (short,) = await ann.positions(), await bob.positions()
    assert Decimal(long["fundingPaid"]) > 0 > Decimal(short["fundingPaid"])
    hours = (await venue.anybody.get(f"{PATH}/funding")).ok()["funding"]
    owed = Decimal(long["quantity"]) * Decimal(hours[0]["fundingIndex"])
    assert abs(Decimal(long["fundingPaid"]) - owed) < Decimal("0.000002")
    stats = (await venue.admin.get("/api/markets/positions/ann?status=open")).ok()["perpetuals"]["stats"]
    assert stats["totalFunding"] == long["fundingPaid"]

    half = (await ann.close(long["id"], percentage="0.5")).ok()["position"]
    assert abs(Decimal(half["fundingPaid"]) - owed) < Decimal("0.000003")
    closed = (await ann.close(long["id"])).ok()["position"]
    trades = (await ann.get("/api/users/ann/trades")).ok()["trades"]
    settled = sum(Decimal(trade["funding"]) for trade in trades)
    assert settled == Decimal(closed["fundingPaid"])
    assert abs(settled - owed) < Decimal("0.000003")
    again = await starter.restart(venue)
    (past,) = await again.client("ann").positions("closed")
    assert Decimal(past["fundingPaid"]) == settled
    assert Decimal(past["realizedPnL"]) == sum(Decimal(trade["realizedPnL"]) for trade in trades)


async def test_unrealised_pnl_falls_by_what_was_paid(venue: Running) -> None:
    ann = await venue.user("ann", "100000")
    before = (await ann.opened(size="250000", leverage=5))["position"]
    await advance(venue, 7 * 3600)
    (after,) = await ann.positions()

    paid = Decimal(before["unrealizedPnL"]) - Decimal(after["unrealizedPnL"])
    assert paid == Decimal(after["fundingPaid"]) > 0
    assert Decimal(after["liquidationPrice"]) > Decimal(before["liquidationPrice"])


async def test_days_pass_and_every_hour_is_there(venue: Running, backend: Backend) -> None:
    """A month, the most that can be asked for. Each hour is a commit: a database does thirty of them."""
    month, thirty = (744, "2026-02-01T00:00:00.000Z"), (30, "2026-01-02T06:00:00.000Z")
    hours, time = thirty if isinstance(backend, OnPostgres) else month
    ann = await venue.user("ann", "1000000")
    await ann.opened(size="250000", leverage=1)
    passed = await advance(venue, hours * 3_600)

    assert (passed["steps"], passed["time"]) == (hours, time)
    found = (await venue.anybody.get(f"{PATH}/funding?limit=500")).ok()["funding"]
    assert len(found) == min(hours, 500)


@pytest.mark.parametrize("seconds", [0, -1, "0.0001", 31 * 86_400 + 1, "soon"])
async def test_time_passes_forwards_and_within_bounds(venue: Running, seconds: object) -> None:
    async with venue.unchanged():
        (await venue.admin.post(ADVANCE, {"seconds": seconds})).refused(400, "validation_error")


async def test_only_an_administrator_lets_time_pass(venue: Running) -> None:
    ann = await venue.user("ann")
    (await ann.post(ADVANCE, {"seconds": 1})).refused(403, "forbidden")


async def test_a_real_clock_is_not_advanced(starter: Starter) -> None:
    real = await starter()
    async with real.unchanged():
        (await real.admin.post(ADVANCE, {"seconds": 1})).refused(409, "clock_not_manual")


async def test_a_manual_clock_goes_on_after_the_newest_row(starter: Starter) -> None:
    running = await starter(clock=ManualClock(Standing()))
    await running.market(**LIVELY)
    ann = await running.user("ann", "100000")
    await ann.opened(size="250000", leverage=5)
    passed = await advance(running, 7200)
    await starter.stop(running)
    again = await starter(running.backend, clock=ManualClock(Standing()))

    stats = (await again.admin.get("/api/admin/stats")).ok()
    assert stats["time"] == passed["time"]
    assert isinstance(again.venue, VenueServer)
    assert ADMIN_KEY
    assert "warnings" not in (await again.anybody.get("/readyz")).ok()
