"""What the actors hold in memory can be seen at any time, and is what the journal says at that row."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pykka
import pytest

import actors.market
from actors.clock import VenueClock
from actors.market import MarketActor
from actors.messages import Address, Failure, FailureKind, ImageTaken, TakeImage, VenueImage
from perps.journal import LEDGER_STREAM
from perps.market.state import Market
from perps.snapshot.images import LedgerImage, MarketImage, digest
from perps.venue import VenueState
from tests.actors.venue import Running, open_long, poison, running, set_price
from tests.support.memory import MemoryStore
from tests.support.slowness import soon


def replayed_digests(store: MemoryStore, image: VenueImage) -> tuple[bytes, dict[str, bytes]]:
    """The digests that a replay has at the rows an image was taken at."""
    state, markets, ledger = VenueState(), dict[str, bytes](), b""
    wanted = {market.head.params.ticker: market.head.seq for market in image.markets}
    for row in store.rows():
        state.apply(row)
        if row.stream != LEDGER_STREAM and row.market_seq == wanted.get(row.stream):
            markets[row.stream] = digest(state.markets[row.stream].image().chunks())
        if row.offset == image.ledger.offset:
            ledger = digest(state.ledger.image(row.offset).chunks())
    return ledger, markets


def digests(image: VenueImage) -> tuple[bytes, dict[str, bytes]]:
    """The digests of an image."""
    markets = {market.head.params.ticker: digest(market.chunks()) for market in image.markets}
    return digest(image.ledger.chunks()), markets


async def taken(venue: Running) -> VenueImage:
    """An image that must be taken."""
    image = await venue.host.bridge.image()
    assert isinstance(image, VenueImage), image
    return image


async def test_memory_is_what_a_replay_comes_to() -> None:
    """I6, live."""
    store = MemoryStore()
    async with running(store) as venue:
        await venue.list_market("A")
        await venue.list_market("B")
        await venue.add_user("ann")
        await venue.do(open_long("A", "ann"), sender="ann", order_id="1")
        await venue.do(set_price("B", 101))

        image = await taken(venue)

        assert {market.head.params.ticker for market in image.markets} == {"A", "B"}
        assert image.ledger.offset == len(store.journal) == 5
        assert digests(image) == replayed_digests(store, image)


async def test_memory_is_what_a_replay_comes_to_also_amid_trading() -> None:
    """Each actor is seen at a row of its own; all those rows are durable when the image arrives."""
    store = MemoryStore()
    async with running(store) as venue:
        await venue.list_market("A")
        await venue.list_market("B")
        await venue.add_user("ann", 1_000_000)

        async def trade(ticker: str) -> None:
            for number in range(60):
                await venue.do(open_long(ticker, "ann", 20), sender="ann", order_id=f"{ticker}{number}")

        trading = [asyncio.create_task(trade(ticker)) for ticker in ("A", "B", "A", "B")[:2]]
        seen = []
        while not all(task.done() for task in trading):
            image = await taken(venue)
            durable = len(store.journal)
            assert image.ledger.offset <= durable
            seen.append(image)
        await asyncio.gather(*trading)

        assert len(seen) > 3
        for image in seen:
            assert digests(image) == replayed_digests(store, image)


async def test_a_market_that_dies_does_not_keep_an_image_from_ever_being_taken() -> None:
    store = MemoryStore()
    async with running(store) as venue:
        for ticker in ("A", "B"):
            await venue.list_market(ticker)
        await venue.add_user("ann")
        dying = asyncio.create_task(venue.send(poison("A", "ann"), sender="ann", order_id="p"))
        asked = asyncio.create_task(venue.host.bridge.image())
        await dying
        await venue.do(set_price("A", 101))

        async with soon(2):
            amid = await asked
        assert isinstance(amid, VenueImage), amid
        assert digests(amid) == replayed_digests(store, amid)

        image = await taken(venue)

        assert digests(image) == replayed_digests(store, image)
        assert len(image.markets) == 2


async def test_who_does_not_wait_for_an_image_leaves_nothing_in_flight() -> None:
    async with running() as venue:
        await venue.list_market("A")
        asked = asyncio.create_task(venue.host.bridge.image())
        await asyncio.sleep(0)
        assert venue.host.bridge.in_flight == 1

        asked.cancel()
        await asyncio.wait([asked])

        assert venue.host.bridge.in_flight == 0
        await taken(venue)


async def test_a_stop_does_not_spin_while_what_its_callers_left_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as venue:
        bridge, answers = venue.host.bridge, asyncio.Queue[tuple[Any, ...]]()
        loop, call = asyncio.get_running_loop(), bridge.call
        monkeypatch.setattr(bridge, "call", lambda *said: loop.call_soon_threadsafe(answers.put_nowait, said))
        asked = asyncio.create_task(
            bridge.send(set_price("A", 1), sender="x", client_order_id=None, fresh=True, trace_id="")
        )
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait([asked])

        drained = asyncio.create_task(bridge.drained())
        await asyncio.sleep(0)
        assert bridge.in_flight == 1
        assert not bridge._emptied.is_set()
        async with soon(2):
            call(*await answers.get())
            await drained

        assert bridge.in_flight == 0


async def test_a_market_that_dies_of_an_image_does_not_hold_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does what stands behind it in its mailbox."""
    async with running() as venue:
        await venue.list_market("A")

        def fail(_: Market) -> MarketImage:
            raise RuntimeError("it cannot be shown")

        with monkeypatch.context() as patched:
            patched.setattr(Market, "image", fail)
            async with soon(2):
                image = await venue.host.bridge.image()

        assert isinstance(image, VenueImage), image
        assert image.markets == []
        await venue.do(set_price("A", 101))
        assert len((await taken(venue)).markets) == 1


@pytest.mark.parametrize("how", ["a poison", "a stop", "a stop a moment ago"])
async def test_a_dying_market_answers_the_requests_behind_what_ends_it(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running() as venue:
        await venue.list_market("A")
        (market,) = pykka.ActorRegistry.get_by_class(MarketActor)
        parts, heard, held, go_on = list[ImageTaken](), asyncio.Event(), threading.Event(), threading.Event()

        def gather(part: ImageTaken) -> None:
            parts.append(part)
            if len(parts) == 2:
                heard.set()

        def wait(_: Market) -> MarketImage:
            held.set()
            assert go_on.wait(5)
            if how == "a poison":
                raise RuntimeError("it cannot be shown")
            return image

        image = (await taken(venue)).markets[0]
        monkeypatch.setattr(venue.host.bridge, "gather", gather)
        with monkeypatch.context() as patched:
            patched.setattr(Market, "image", wait)
            if how == "a stop a moment ago":
                patched.setattr(actors.market, "drain", _nothing)
            market.tell(TakeImage(6))
            assert await asyncio.to_thread(held.wait, 5)
            if how != "a poison":
                market.stop(block=False)
            market.tell(TakeImage(7))
            go_on.set()
            async with soon(2):
                await heard.wait()

        assert parts == [ImageTaken(6, None if how == "a poison" else image), ImageTaken(7, None)]
        await venue.do(set_price("A", 101))


def _nothing(_: object) -> list[object]:
    """What a market finds in its mailbox when the request comes just after it has looked."""
    return []


async def test_the_market_of_a_failed_listing_answers_what_is_behind_its_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody buries it."""
    async with running() as venue:
        core = venue.host._core
        assert core is not None
        parts, heard, go_on = list[ImageTaken](), asyncio.Event(), threading.Event()

        def gather(part: ImageTaken) -> None:
            parts.append(part)
            heard.set()

        def load() -> None:
            assert go_on.wait(5)

        monkeypatch.setattr(venue.host.bridge, "gather", gather)
        ledger, supervisor = core.ledger_ref, core.supervisor
        market = MarketActor.start("B", 99, load, ledger=ledger, supervisor=supervisor, clock=VenueClock(venue.clock))
        market.stop(block=False)
        market.tell(TakeImage(7))
        go_on.set()

        async with soon(2):
            await heard.wait()
        assert parts == [ImageTaken(7, None)]


async def test_a_market_that_is_not_listed_yet_does_not_hold_up_an_image() -> None:
    """Between its start and its listing it has nothing to show."""
    async with running() as venue:
        await venue.list_market("A")
        core = venue.host._core
        assert core is not None
        ledger, supervisor = core.ledger_ref, core.supervisor
        market = MarketActor.start(
            "B", 99, lambda: None, ledger=ledger, supervisor=supervisor, clock=VenueClock(venue.clock)
        )
        ledger.tell(Address("B", market))
        try:
            async with soon(2):
                image = await venue.host.bridge.image()
        finally:
            market.stop(block=False)

        assert isinstance(image, VenueImage), image
        assert len(image.markets) == 1


async def test_two_at_once_are_one_too_many() -> None:
    async with running() as venue:
        first = asyncio.create_task(venue.host.bridge.image())
        await asyncio.sleep(0)
        second = await venue.host.bridge.image()
        assert isinstance(second, Failure)
        assert second.kind is FailureKind.OVERLOADED
        assert isinstance(await first, VenueImage)
        await taken(venue)


async def test_an_image_shares_the_positions_it_shows() -> None:
    """What makes it cheap: nothing is copied, so nothing may ever change them."""
    async with running() as venue:
        await venue.list_market("A")
        await venue.add_user("ann")
        await venue.do(open_long("A", "ann"), sender="ann", order_id="1")
        first, second = await taken(venue), await taken(venue)
        assert first.markets[0].positions[0] is second.markets[0].positions[0]
        assert isinstance(first.ledger, LedgerImage)
        assert isinstance(first.markets[0], MarketImage)
