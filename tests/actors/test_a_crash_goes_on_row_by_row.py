"""A price whose consequences fill many rows: each row leaves as it is made, and nothing of the market comes between."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import pytest

import actors.journal
import actors.market
import perps.engine
from actors.limits import DEADLINE_MS
from actors.market import MarketActor
from actors.messages import NO_TOKEN, Decided, Failure, Outcome, Settled
from perps.commands import Command
from perps.events import CloseReason, MarketEvent, PositionReduced, decode_events
from perps.journal import Entry, JournalUnavailable, Row
from perps.market.state import Market
from perps.venue import VenueState
from tests.actors.venue import Running, open_long, running, set_price
from tests.support.memory import MemoryJournal, MemoryStore

POSITIONS = 40
PER_ROW_MAX = 2
ROWS = POSITIONS // PER_ROW_MAX
AHEAD_MAX = 2

Seen = Callable[[Sequence[Entry]], None]


class WatchedJournal(MemoryJournal):
    """A journal that shows what it is given before that is durable."""

    def __init__(self, store: MemoryStore, seen: list[Seen]) -> None:
        journal = store.acquire()
        super().__init__(store, journal.epoch, journal.offset)
        self._seen = seen

    def append(self, entries: Sequence[Entry]) -> None:
        for see in self._seen:
            see(entries)
        super().append(entries)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of two liquidations, two of them on their way at a time, each in a commit of its own."""
    monkeypatch.setattr(perps.engine, "CONSEQUENCES_PER_ROW_MAX", PER_ROW_MAX)
    monkeypatch.setattr(actors.market, "ROWS_AHEAD_MAX", AHEAD_MAX)
    monkeypatch.setattr(actors.journal, "ROWS_PER_COMMIT_MAX", 1)


async def a_crowd(venue: Running) -> None:
    """Everybody long in A, and somebody who can trade in A and B."""
    for ticker in ("A", "B"):
        await venue.list_market(ticker)
    for user in ("ann", "bob"):
        await venue.add_user(user)
    for number in range(POSITIONS):
        await venue.do(open_long("A", "ann"), sender="ann", order_id=f"{number}")


def rows_of(venue: Running, ticker: str) -> list[Row]:
    return [row for row in venue.store.rows() if row.stream == ticker]


def liquidated(rows: Sequence[Row]) -> list[int]:
    """Numbers of the positions, in order."""
    return [
        event.position.number
        for row in rows
        for event in decode_events(row.payload)
        if isinstance(event, PositionReduced) and event.reason is CloseReason.LIQUIDATION
    ]


def is_replayed(venue: Running) -> bool:
    """Whether a replay of all rows gives what readers see."""
    state = VenueState()
    for row in venue.store.rows():
        state.apply(row)
    same = state.markets["A"].positions == venue.model.markets["A"].market.positions
    return same and state.ledger.balances == venue.model.balances and state.ledger.total() == 0


async def test_the_first_row_is_durable_before_the_last_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than the limit are on their way, so that memory and the wait of others are bounded."""
    made, ahead, add = count(), list[int](), MarketActor._add
    rows = [0]

    def adding(self: MarketActor, work: Any, decision: Any) -> None:
        rows[0] = next(made)
        add(self, work, decision)

    def seen(entries: Sequence[Entry]) -> None:
        ahead.extend(rows[0] - number for number in range(len(durable), len(durable) + len(entries)))
        durable.extend(entries)

    store, durable, seeing = MemoryStore(), list[Entry](), list[Seen]()
    async with running(store, open_journal=lambda: WatchedJournal(store, seeing)) as venue:
        await a_crowd(venue)
        monkeypatch.setattr(MarketActor, "_add", adding)
        seeing.append(seen)
        await venue.do(set_price("A", 50))

    assert len(durable) == ROWS
    assert max(ahead) <= AHEAD_MAX


async def test_the_pulse_goes_on_with_each_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows there are, a market that works does not look like one that hangs."""
    turns, flush = list[int](), MarketActor._flush

    def flushing(self: MarketActor) -> None:
        if any(isinstance(each, Decided) for each in self._out):
            turns.append(self.pulse.turn)
        flush(self)

    async with running() as venue:
        await a_crowd(venue)
        monkeypatch.setattr(actors.market, "ROWS_AHEAD_MAX", ROWS + 1)
        monkeypatch.setattr(MarketActor, "_flush", flushing)
        await venue.do(set_price("A", 50))

    assert len(turns) == ROWS
    assert sorted(set(turns)) == turns


async def test_other_markets_come_between_the_rows_and_commands_of_this_one_behind_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held, go_on, is_decided, add = threading.Event(), threading.Event(), threading.Event(), MarketActor._add

    def adding(self: MarketActor, *args: Any) -> None:
        add(self, *args)
        if self._ticker == "B":
            is_decided.set()

    def seen(entries: Sequence[Entry]) -> None:
        if any(entry.row.kind == "sweep" for entry in entries) and not held.is_set():
            held.set()
            assert go_on.wait(5)

    store = MemoryStore()
    async with running(store, open_journal=lambda: WatchedJournal(store, [seen])) as venue:
        await a_crowd(venue)
        monkeypatch.setattr(MarketActor, "_add", adding)
        crash = asyncio.create_task(venue.do(set_price("A", 50)))
        assert await asyncio.to_thread(held.wait, 5)
        here = asyncio.create_task(venue.do(open_long("A", "bob"), sender="bob", order_id="here"))
        there = asyncio.create_task(venue.do(open_long("B", "bob"), sender="bob", order_id="there"))
        assert await asyncio.to_thread(is_decided.wait, 5)
        go_on.set()

        first, own, others = await asyncio.gather(crash, here, there)
        last = [row.offset for row in rows_of(venue, "A") if row.kind == "sweep"][-1]
        assert first.entry.row.offset < others.entry.row.offset < last < own.entry.row.offset
        assert is_replayed(venue)


async def test_the_answer_comes_when_all_of_it_is_durable_and_counts_all() -> None:
    async with running() as venue:
        await a_crowd(venue)

        crash = await venue.do(set_price("A", 50))

        assert crash.liquidations == POSITIONS
        assert crash.entry.row.kind == "price"
        assert not venue.model.users["ann"].positions


async def test_after_its_deadline_the_answer_is_what_is_durable_by_then() -> None:
    """The price itself was taken: that is not unknown."""
    held, go_on = threading.Event(), threading.Event()

    def seen(entries: Sequence[Entry]) -> None:
        if any(entry.row.kind == "sweep" for entry in entries):
            held.set()
            assert go_on.wait(5)

    store, seeing = MemoryStore(), list[Seen]()
    async with running(store, open_journal=lambda: WatchedJournal(store, seeing)) as venue:
        await a_crowd(venue)
        seeing.append(seen)
        sent = asyncio.create_task(venue.do(set_price("A", 50)))
        try:
            assert await asyncio.to_thread(held.wait, 5)
            venue.clock.pass_ns(2 * DEADLINE_MS * 10**6)
            crash = await sent
        finally:
            go_on.set()

        assert crash.liquidations == PER_ROW_MAX


@pytest.mark.parametrize("nth", [1, PER_ROW_MAX, PER_ROW_MAX + 1, POSITIONS // 2])
async def test_a_market_that_dies_amid_a_crash_keeps_the_rows_that_left_and_its_successor_makes_the_others(
    nth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody's command is lost. In its first row the crash has no effect, and may be sent again."""
    whole = await whole_crash()
    apply, left = perps.engine.apply, [nth]

    def fails(market: Market, event: MarketEvent) -> None:
        if isinstance(event, PositionReduced) and left and threading.current_thread().name == "A":
            left[0] -= 1
            if not left[0]:
                left.clear()
                raise ZeroDivisionError
        apply(market, event)

    async with running() as venue:
        await a_crowd(venue)
        monkeypatch.setattr(perps.engine, "apply", fails)
        behind = open_long("A", "bob")
        crash, own = await both(venue, set_price("A", 50), behind)

        if nth <= PER_ROW_MAX:
            assert isinstance(crash, Failure)
            assert crash.reason == "A failed on this command: ZeroDivisionError"
            assert liquidated(rows_of(venue, "A")) == []
            crash = await venue.do(set_price("A", 50))
        assert isinstance(crash, Settled)
        assert isinstance(own, Settled)
        numbers = liquidated(rows_of(venue, "A"))
        assert crash.liquidations == len(numbers)
        assert [number for number in numbers if number <= POSITIONS] == whole
        assert is_replayed(venue)


async def both(venue: Running, first: Command, second: Command) -> tuple[Outcome, Outcome]:
    """Two commands of one turn of the loop."""
    return await asyncio.gather(venue.send(first), venue.send(second, sender="bob", order_id="behind"))


async def whole_crash() -> list[int]:
    """Who is liquidated in which order when nothing goes wrong."""
    async with running() as venue:
        await a_crowd(venue)
        await venue.do(set_price("A", 50))
        return liquidated(rows_of(venue, "A"))


@pytest.mark.parametrize("cut", [1, 2, ROWS // 2, ROWS - 1])
async def test_a_crash_that_is_cut_off_is_finished_at_the_start_with_the_same_rows(cut: int) -> None:
    """So many rows are durable. The market says that it is ready when it has finished."""
    store, seeing = MemoryStore(), list[Seen]()
    async with running(store, open_journal=lambda: WatchedJournal(store, seeing)) as venue:
        await a_crowd(venue)
        before, whole = [*store.rows()], await whole_crash()
        fails = iter([*[False] * cut, True])

        def fail(entries: Sequence[Entry]) -> None:
            for _ in entries:
                if next(fails, False):
                    seeing.clear()
                    raise JournalUnavailable("the test cut the connection")

        seeing.append(fail)
        crash = await venue.send(set_price("A", 50))
        await venue.rebuilt()
        await venue.do(set_price("B", 100))  # durable behind the last row that the start has made

        assert isinstance(crash, Settled), "its row is durable"
        assert liquidated([*store.rows()][len(before) :]) == whole
        assert [row.kind for row in rows_of(venue, "A")][-ROWS:] == ["price", *["sweep"] * (ROWS - 1)]
        assert is_replayed(venue)


async def test_a_crash_nobody_waits_for_ends_too() -> None:
    """What time brings has no caller."""
    async with running() as venue:
        await a_crowd(venue)
        assert venue.host.bridge._unfinished.so_far(NO_TOKEN) is None
        await venue.do(set_price("A", 50))
        assert venue.host.bridge._unfinished._begun == {}
