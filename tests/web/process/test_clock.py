"""The system's clock was two hours ahead once, and is right again: the venue goes on, and says so."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.web.conftest import Starter
from tests.web.venue import Backend, ManualClock, Running

TWO_HOURS = 7_200


@pytest.fixture
async def venue(starter: Starter, backend: Backend, clock: ManualClock) -> Running:
    """A venue whose newest row is of two hours from now."""
    running = await starter(backend, clock=clock)
    clock.advance(TWO_HOURS)
    await running.market(maxPriceAge="60")
    await running.user("ann")
    clock.set_back(TWO_HOURS)
    return running


@pytest.fixture(params=["while it runs", "before it starts"])
async def ahead(request: pytest.FixtureRequest, starter: Starter, venue: Running) -> Running:
    """The same venue, or one started on its rows."""
    return venue if request.param == "while it runs" else await starter.restart(venue)


async def test_opens_and_closes_go_on_and_prices_still_grow_old(ahead: Running, clock: ManualClock) -> None:
    ann = ahead.client("ann")
    for step in range(3):
        clock.advance(30)
        await ahead.price(str(50_000 + step))
        position = (await ann.opened())["position"]["id"]
        (await ann.close(position)).ok()

    clock.advance(61)
    (await ann.open()).refused(409, "price_stale")
    await ahead.price("50010")
    await ann.opened()


async def test_a_quote_says_what_an_open_would_do(ahead: Running, clock: ManualClock) -> None:
    """After a start with the clock behind, nobody knows how old the price is."""
    ann = ahead.client("ann")
    order = {"ticker": "BTC-PERP", "side": "long", "size": "100", "leverage": 2}

    quoted = (await ann.post("/api/markets/perps/quote", order)).status
    opened = (await ann.post("/api/markets/perps/open", order)).status
    assert (quoted, opened) in {(200, 201), (409, 409)}


async def test_a_feeds_own_time_is_held_against_the_systems_clock(ahead: Running, clock: ManualClock) -> None:
    clock.advance(1)
    await ahead.price("50001", source="oracle", at="2026-01-01T00:00:00.900Z")
    await ahead.client("ann").opened()

    body = {"price": "50002", "source": "oracle", "at": "2026-01-01T00:00:07.000Z"}
    (await ahead.admin.post("/api/markets/perps/BTC-PERP/price", body)).refused(400, "validation_error")


async def test_rows_get_times_that_go_on_so_candles_fill(ahead: Running, clock: ManualClock) -> None:
    for step in range(3):
        clock.advance(60)
        await ahead.price(str(50_000 + step))

    candles = (await ahead.anybody.get("/api/markets/perps/BTC-PERP/candles?interval=1m")).ok()["candles"]
    assert [candle[4] for candle in candles] == ["50000.00", "50000.00", "50001.00", "50002.00"]
    assert [later[0] - sooner[0] for sooner, later in pairwise(candles)] == [60_000] * 3


async def test_a_key_that_has_expired_stays_so(ahead: Running, clock: ManualClock) -> None:
    """It expired by the clock that was ahead; nothing that has ended comes alive again."""
    clock.advance(TWO_HOURS + 3)
    key = await ahead.key("read", "trade", userId="ann", expiresAt="2026-01-01T04:00:05.000Z")
    assert (await key.get("/api/users/ann/balance")).status == 200
    clock.advance(3)
    (await key.get("/api/users/ann/balance")).refused(401, "unauthorized")
    clock.set_back(TWO_HOURS)

    (await key.get("/api/users/ann/balance")).refused(401, "unauthorized")


async def test_readyz_warns_until_the_clock_has_caught_up(ahead: Running, clock: ManualClock) -> None:
    answer = await ahead.anybody.get("/readyz")

    assert answer.status == 200
    assert answer.json["warnings"] == {
        "clock": "the system's clock is 7200 s behind the newest row: set it right. "
        "Until it has caught up, rows get times that go on from that row."
    }
    clock.ms += (TWO_HOURS - 1) * 1_000
    assert "warnings" not in (await ahead.anybody.get("/readyz")).json
