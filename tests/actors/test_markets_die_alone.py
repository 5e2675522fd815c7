"""A command that breaks its market kills that one actor; nothing is lost, and nobody else notices."""

from __future__ import annotations

import asyncio
import threading

import pykka
import pytest

from actors.ledger import LedgerActor
from actors.limits import MARKET_DEATHS_MAX
from actors.market import MarketActor
from actors.messages import Envelope, Failure, FailureKind, Settled, Tick
from perps.venue import VenueState
from tests.actors.venue import Running, close, listing, open_long, poison, running, set_price
from tests.support.memory import MemoryStore


async def _two_markets(venue: Running) -> None:
    for ticker in ("A", "B"):
        await venue.list_market(ticker)
    for user in ("ann", "bob"):
        await venue.add_user(user)


async def test_a_poison_command_is_answered_and_has_no_effect() -> None:
    async with running() as venue:
        await _two_markets(venue)

        outcome = await venue.send(poison("A", "ann"), sender="ann", order_id="p")

        assert isinstance(outcome, Failure)
        assert outcome.kind is FailureKind.INTERNAL_ERROR
        await venue.settled_market()
        assert venue.model.wallet("ann") == 1_000_000_000
        assert not venue.model.users["ann"].positions


async def test_its_neighbours_in_the_batch_are_done_by_its_successor() -> None:
    async with running() as venue:
        await _two_markets(venue)
        before = [venue.send(open_long("A", "ann"), sender="ann", order_id=f"before-{n}") for n in range(5)]
        after = [venue.send(open_long("A", "bob"), sender="bob", order_id=f"after-{n}") for n in range(5)]

        outcomes = await asyncio.gather(*before, venue.send(poison("A", "ann"), sender="ann", order_id="p"), *after)

        verdicts = [type(outcome) for outcome in outcomes]
        assert [Settled] * 5 + [Failure] + [Settled] * 5 == verdicts
        assert len(venue.model.users["ann"].positions) == 5 == len(venue.model.users["bob"].positions)


async def test_the_rebuilt_market_has_its_positions_and_its_price() -> None:
    async with running() as venue:
        await _two_markets(venue)
        await venue.do(open_long("A", "ann"), sender="ann", order_id="1")
        await venue.do(set_price("A", 105))

        await venue.send(poison("A", "ann"), sender="ann", order_id="p")
        closed = await venue.do(close("A", "ann", 1), sender="ann", order_id="2")

        assert closed.entry.row.user_balance is not None
        assert closed.entry.row.user_balance > 1_000_000_000
        assert venue.model.markets["A"].market.positions == {}


async def test_other_markets_trade_on_while_one_is_rebuilt() -> None:
    async with running() as venue:
        await _two_markets(venue)
        await asyncio.gather(
            venue.send(poison("A", "ann"), sender="ann", order_id="p"),
            *(venue.do(open_long("B", "bob"), sender="bob", order_id=str(n)) for n in range(20)),
        )

        assert len(venue.model.users["bob"].positions) == 20
        assert not venue.host.bridge.failed.is_set()


async def test_time_that_passes_while_it_is_rebuilt_takes_no_place_in_its_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, go = MemoryStore(), threading.Event()
    async with running(store) as venue:
        await _two_markets(venue)
        read = store.rows_of

        def held_up(stream: str, after: int = 0) -> object:
            go.wait(5)
            return read(stream, after)

        store.rows_of = held_up  # type: ignore[method-assign, assignment]
        monkeypatch.setattr("actors.supervisor.REBUILD_QUEUE_MAX", 1)
        core = venue.host._core
        assert core is not None
        await venue.send(poison("A", "ann"), sender="ann", order_id="p")
        for _ in range(3):
            core.supervisor.tell(Tick())
        waiting = asyncio.create_task(venue.do(open_long("A", "ann"), sender="ann", order_id="1"))
        await venue.do(open_long("B", "bob"), sender="bob", order_id="2")
        go.set()

        await waiting


async def test_its_holds_are_voided() -> None:
    """The whole wallet can be spent afterwards: nothing stayed held for the poison."""
    async with running() as venue:
        await _two_markets(venue)
        await venue.send(poison("A", "ann"), sender="ann", order_id="p")

        await venue.do(open_long("B", "ann", dollars=990, leverage=1), sender="ann", order_id="all")


async def test_a_market_that_dies_again_and_again_stays_down_and_says_why() -> None:
    async with running() as venue:
        await _two_markets(venue)
        for n in range(MARKET_DEATHS_MAX):
            await venue.send(poison("A", "ann"), sender="ann", order_id=f"p{n}")
        await venue.do(set_price("A", 101))
        await venue.send(poison("A", "ann"), sender="ann", order_id="once more")

        outcome = await venue.send(open_long("A", "ann"), sender="ann", order_id="x")

        assert isinstance(outcome, Failure)
        assert outcome.kind is FailureKind.UNAVAILABLE
        assert "TypeError" in venue.host.health["A"]
        await venue.do(open_long("B", "ann"), sender="ann", order_id="y")


async def test_the_journal_replays_to_the_same_state_after_a_death() -> None:
    async with running() as venue:
        await _two_markets(venue)
        await asyncio.gather(
            *(venue.send(open_long("A", "ann", dollars=20), sender="ann", order_id=str(n)) for n in range(10)),
            venue.send(poison("A", "bob"), sender="bob", order_id="p"),
            *(venue.send(open_long("A", "bob", dollars=20), sender="bob", order_id=str(n)) for n in range(10)),
        )
        state = VenueState()
        for row in venue.store.rows():
            state.apply(row)

        assert state.markets["A"].positions == venue.model.markets["A"].market.positions
        assert state.ledger.balances == venue.model.balances
        assert state.ledger.total() == 0


async def test_a_market_that_dies_before_its_listing_leaves_nothing_behind_that_is_not_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was being rebuilt, and then there was nothing to rebuild."""
    held, go_on, pledge = threading.Event(), threading.Event(), LedgerActor._begin

    def wait(self: LedgerActor, envelope: Envelope, now_ns: int) -> None:
        held.set()
        assert go_on.wait(5)
        pledge(self, envelope, now_ns)

    async with running() as venue:
        monkeypatch.setattr(LedgerActor, "_begin", wait)
        sent = asyncio.create_task(venue.send(listing("A")))
        assert await asyncio.to_thread(held.wait, 5)
        (market,) = pykka.ActorRegistry.get_by_class(MarketActor)
        market.stop(block=False)
        assert await asyncio.to_thread(market.actor_stopped.wait, 5)
        go_on.set()

        outcome = await asyncio.wait_for(sent, 5)

        assert isinstance(outcome, Failure)
        assert outcome.kind is FailureKind.UNAVAILABLE
        assert venue.host.health == {}
