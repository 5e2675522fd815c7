"""kill -9 amid one price that closes thousands of positions, and again while the next start finishes it."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from perps.commands import Command, CreateUser, ListMarket, OpenPosition, PriceSource, Side, UpdatePrice
from perps.engine import CONSEQUENCES_PER_ROW_MAX
from perps.events import PositionReduced, decode_events
from perps.journal import Entry, Row
from perps.sequencer import Sequencer
from perps.units import MICRO, Micros, Millis, Ticks
from perps.venue import VenueState
from persistence.journal.history import PostgresHistory
from persistence.journal.writer import PostgresJournal
from tests.endtoend.api import client
from tests.endtoend.conftest import Venues
from tests.endtoend.venue_process import VenueProcess, until
from tests.perps.build import BTC, BTC_PRICE, index_market
from tests.support.faults import fault
from tests.support.postgres import sql

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

ROWS: Final = 40
POSITIONS: Final = ROWS * CONSEQUENCES_PER_ROW_MAX - 1
USERS: Final = 100
STOP: Final = BTC_PRICE * 99 // 100
KILLS: Final = (3, 12)
"""Rows behind the price's that are durable when it is killed, at least."""
WITHIN_S: Final = 60.0
SWEEPS: Final = "select count(*) as rows from journal where kind = 'sweep'"

Closed = list[list[int]]
"""Numbers of the positions that each row closes, in order."""


class Books:
    """The venue's rows as it would make them undisturbed."""

    def __init__(self, epoch: int) -> None:
        self._sequencer = Sequencer(epoch=epoch)
        self.entries: list[Entry] = []

    def send(self, command: Command, user: str = "@admin") -> tuple[Entry, ...]:
        """Do a command that must succeed."""
        order_id = None if user == "@admin" else f"order-{len(self.entries)}"
        sent = self._sequencer.send(command, Millis(len(self.entries)), sender=user, order_id=order_id)
        assert sent.refused is None, sent.refused
        self.entries.extend(sent.entries)
        return sent.entries


def crowd(url: str) -> Books:
    """Write a journal with so many longs, each with the same stop."""
    with PostgresJournal.acquire(url) as journal:
        books = Books(journal.epoch)
        params = index_market(max_skew=10**6, max_open_interest=10**6, skew_scale=10**9)
        books.send(ListMarket(params=params, price=Ticks(BTC_PRICE)))
        for number in range(USERS):
            books.send(CreateUser(user=f"u{number}", deposit=Micros(10**5 * MICRO)), f"u{number}")
        for number in range(POSITIONS):
            user = f"u{number % USERS}"
            size = Micros(10 * MICRO)
            books.send(
                OpenPosition(ticker=BTC, user=user, side=Side.LONG, size=size, leverage=2, stop_loss=Ticks(STOP)), user
            )
        journal.append(books.entries)
    return books


def closed(rows: list[Row]) -> Closed:
    """Whom each row closes."""
    return [
        [event.position.number for event in decode_events(row.payload) if isinstance(event, PositionReduced)]
        for row in rows
    ]


def wait_for(url: str, rows: int) -> None:
    """Until so many further rows are durable."""

    def are_there() -> bool | None:
        return sql(url, SWEEPS)[0]["rows"] >= rows or None

    until(are_there, within_s=WITHIN_S, what=f"{rows} rows behind the price")


def killed_behind(venue: VenueProcess, url: str, rows: int) -> int:
    """Kill it as soon as so many further rows are durable; how many were when it had died."""
    wait_for(url, rows)
    venue.kill()
    found: int = sql(url, SWEEPS)[0]["rows"]
    return found


@fault("kill -9 amid the rows of one crash of the price, and again while a start finishes them", "I1", "I2", "I5", "I6")
async def test_a_crash_that_is_killed_amid_its_rows_goes_on_where_it_was(venues: Venues, tmp_path: Path) -> None:
    """The rows are those of a venue that nobody killed, and each position is closed once."""
    venue = venues()
    url = await asyncio.to_thread(venue.postgres.start)
    books = await asyncio.to_thread(crowd, url)
    before = len(books.entries)
    price = UpdatePrice(ticker=BTC, price=Ticks(STOP), source=PriceSource.SYSTEM)
    whole = closed([entry.row for entry in books.send(price)])
    assert len(whole) == ROWS

    await asyncio.to_thread(venue.start)
    async with client(venue.url) as api:
        body = {"price": str(STOP // 100)}
        sent = asyncio.create_task(api.send("POST", f"/api/markets/perps/{BTC}/price", body))
        cut = [await asyncio.to_thread(killed_behind, venue, url, KILLS[0])]
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            await sent
        venue.spawn()
        cut.append(await asyncio.to_thread(killed_behind, venue, url, KILLS[1]))
        await asyncio.to_thread(venue.start_whatever_it_takes)
        await asyncio.to_thread(wait_for, url, ROWS - 1)
        left = (await api.get("/api/markets/positions/u0"))["perpetuals"]["positions"]

    stored = await asyncio.to_thread(lambda: [*PostgresHistory(url).rows()])
    rows, state = [row for row in stored[before:] if row.stream == BTC], VenueState()
    for row in stored:
        state.apply(row)
    print(f"killed behind {cut} rows of {ROWS - 1}")
    assert KILLS[0] <= cut[0] < cut[1] < ROWS - 1, "it was killed amid them"
    assert len({row.epoch for row in rows}) == len(KILLS) + 1
    assert closed(rows) == whole
    assert (left, state.markets[BTC].positions) == ([], {})
    assert state.ledger.total() == 0
