"""kill -9 while more than 256 positions must leave behind one price: all that the price led to is there afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from decimal import Decimal
from typing import Final

import aiohttp
import pytest

from perps.events import CloseReason, DeleveragingChanged, PositionReduced
from perps.journal import Row, events_of
from perps.sequencer import MarketSide
from perps.venue import VenueState
from persistence.journal.history import PostgresHistory
from tests.endtoend.api import Api, client
from tests.endtoend.conftest import Venues
from tests.endtoend.venue_process import VenueProcess, until
from tests.support.faults import fault

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

USERS: Final = 4
EACH: Final = 80
MARKET: Final = "POOR"
PRICE: Final = f"/api/markets/perps/{MARKET}/price"
SWEEPS: Final = 3
"""So many rows of consequences are durable when the venue is killed."""
WAIT_S: Final = 30.0


@fault("kill -9 while a price makes winners leave", "I1", "I2", "I3", "I5", "I6", "I7")
async def test_who_must_leave_behind_a_price_leaves_after_a_kill_too(venues: Venues) -> None:
    venue = venues(program=[sys.executable, "-m", "tests.endtoend.small_rows"])
    await asyncio.to_thread(venue.start)
    history = PostgresHistory(await asyncio.to_thread(venue.postgres.start))
    async with client(venue.url) as api:
        before = await winners(api, history)
        told = asyncio.create_task(api.send("POST", PRICE, {"price": "110"}))
        await asyncio.to_thread(kill_behind, venue, history, before)
        with contextlib.suppress(aiohttp.ClientError):
            await told
        durable = await asyncio.to_thread(all_rows, history)
        await asyncio.to_thread(venue.start_whatever_it_takes)
        rows = await asyncio.to_thread(until_it_is_over, history)
        await api.add_user("behind", "1")  # its answer comes when all before it shows
        (stats,) = (await api.get("/api/admin/stats"))["markets"]

    assert [row.hash for row in rows[: len(durable)]] == [row.hash for row in durable]
    assert left(durable[before:]) > 0
    assert DeleveragingChanged(None) not in events_of(durable[-1]), "the kill came too late to cut anything off"
    assert left(rows[before:]) > 256
    state, cut = VenueState(), VenueState()
    for row in rows:
        state.apply(row)
    for row in durable:
        cut.apply(row)
    finished = MarketSide(MARKET, cut.markets[MARKET]).finish()
    missing = [event for row in rows[len(durable) :] for event in events_of(row)]
    assert [event for each in finished for event in each.events] == missing
    assert state.markets[MARKET].deleveraging is None
    assert state.ledger.total() == 0
    assert Decimal(stats["houseLiability"]) <= Decimal("0.77") * Decimal(stats["houseAvailable"])


async def winners(api: Api, history: PostgresHistory) -> int:
    """A market full of them, whose house can hardly pay: the last offset."""
    terms = {"takerFee": "0", "makerFee": "0", "houseCreditLimit": "1000000"}
    await api.list_market(MARKET, "100", **terms)
    keys = [await api.add_user(f"user-{number}", "100000") for number in range(USERS)]

    async def opens(key: str) -> None:
        for number in range(EACH):
            body = {"ticker": MARKET, "side": "long", "size": str(20 + number), "leverage": 2 + number % 5}
            await api.done("POST", "/api/markets/perps/open", body, key=key)

    await asyncio.gather(*(opens(key) for key in keys))
    await api.done("POST", PRICE, {"price": "110"})
    (stats,) = (await api.get("/api/admin/stats"))["markets"]
    limit = str((Decimal(stats["houseLiability"]) * Decimal("1.01")).quantize(Decimal("0.01")))
    await api.done("PATCH", f"/api/admin/markets/{MARKET}", {"houseCreditLimit": limit, "deleveraging": True})
    return await asyncio.to_thread(history.last)


def kill_behind(venue: VenueProcess, history: PostgresHistory, offset: int) -> None:
    """As soon as some rows behind the price are durable, and not all of them."""
    deadline = time.monotonic() + WAIT_S
    while history.last() < offset + SWEEPS:
        assert time.monotonic() < deadline, "the price was not taken"
    venue.signal(signal.SIGKILL)
    assert venue.wait_exit() == -signal.SIGKILL


def all_rows(history: PostgresHistory) -> list[Row]:
    """The journal."""
    return list(history.rows())


def until_it_is_over(history: PostgresHistory) -> list[Row]:
    """The journal, once the deleveraging has ended."""

    def over() -> list[Row] | None:
        rows = all_rows(history)
        return rows if DeleveragingChanged(None) in events_of(rows[-1]) else None

    return until(over, within_s=WAIT_S, what="the deleveraging is over")


def left(rows: list[Row]) -> int:
    """How many were made to leave."""
    events = [event for row in rows for event in events_of(row)]
    return sum(isinstance(each, PositionReduced) and each.reason is CloseReason.DELEVERAGE for each in events)
