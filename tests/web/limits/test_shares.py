"""Nobody has all of the venue: who has a fair share of it under way is refused, at once and without effect."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from actors.ports import Journal
from perps.journal import Entry
from perps.query_rows import FillRecord
from tests.support.memory import MemoryJournal, MemoryQueries, MemoryStore
from tests.web.conftest import Starter
from tests.web.venue import Answer, OnMemory, Running
from web.answers.errors import RequestError
from web.compose import Limits
from web.limits.shares import (
    ADDRESS_LOOK_UPS_MAX,
    LOOK_UPS_MAX,
    STRANGERS_LOOK_UPS_MAX,
    STRANGERS_LOOKING_UP,
    ReadShares,
)
from web.readside.queries import Page

SHARE = 2
LIMITS = Limits(in_flight_max=4 * SHARE)
Tasks = list[asyncio.Task[Answer]]
TRADES = "/api/markets/perps/BTC-PERP/trades"


class Gated:
    """A journal that writes only while its gate is open."""

    def __init__(self, journal: MemoryJournal, gate: threading.Event) -> None:
        self._journal, self._gate = journal, gate
        self.epoch = journal.epoch

    def append(self, entries: Sequence[Entry]) -> None:
        """As the journal, once the gate is open."""
        assert self._gate.wait(10)
        self._journal.append(entries)

    def probe(self) -> None:
        """As the journal."""

    def close(self) -> None:
        """As the journal."""
        self._journal.close()


class Waiting(MemoryQueries):
    """A read side whose lists of trades come only when they are let go."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.let_go = asyncio.Event()
        self.under_way = 0
        self.one_more = asyncio.Condition()

    async def begun(self, count: int) -> None:
        """Until so many have been asked for."""
        async with asyncio.timeout(5), self.one_more:
            await self.one_more.wait_for(lambda: self.under_way >= count)

    async def fills(
        self,
        *,
        user: str | None = None,
        ticker: str | None = None,
        kinds: Sequence[str] | None = None,
        before: Page = None,
        limit: int,
    ) -> list[FillRecord]:
        """As the read side, later."""
        async with self.one_more:
            self.under_way += 1
            self.one_more.notify_all()
        await self.let_go.wait()
        return await super().fills(user=user, ticker=ticker, kinds=kinds, before=before, limit=limit)


@pytest.fixture
def gate() -> threading.Event:
    """Open unless a test shuts it."""
    event = threading.Event()
    event.set()
    return event


@pytest.fixture
async def gated(starter: Starter, gate: threading.Event) -> Running:
    """A venue in which little may be in flight, and nothing is durable while the gate is shut."""
    backend = OnMemory()

    def open_journal() -> Journal:
        return Gated(backend.store.acquire(), gate)

    venue = await starter(backend, limits=LIMITS, stores=replace(backend.stores(), open_journal=open_journal))
    await venue.market()
    return venue


async def _in_flight(venue: Running, count: int) -> None:
    async with asyncio.timeout(5):
        while venue.venue.host.bridge.in_flight < count:
            await venue.anybody.get("/healthz")


async def test_one_sender_cannot_fill_what_may_be_in_flight(gated: Running, gate: threading.Event) -> None:
    feed, ann = await gated.key("price"), await gated.user("ann")
    gate.clear()
    prices = [{"ticker": "BTC-PERP", "price": 50_001 + n} for n in range(50)]
    feeding = asyncio.create_task(feed.post("/api/markets/prices", prices))
    await _in_flight(gated, SHARE)
    trading = asyncio.create_task(ann.open())
    await _in_flight(gated, SHARE + 1)
    again = await feed.post("/api/markets/perps/BTC-PERP/price", {"price": 1})
    gate.set()

    again.refused(429, "rate_limited")
    (await trading).ok(201)
    results = (await feeding).ok()["results"]
    assert all("market" in result for result in results[:SHARE])
    assert {result["error"]["code"] for result in results[SHARE:]} == {"rate_limited"}
    assert (await gated.anybody.get("/api/markets/perps/BTC-PERP")).ok()["market"]["indexPrice"] == "50002.00"
    await gated.price(50_003)


async def test_who_hangs_up_keeps_his_share_until_his_commands_have_ended(
    gated: Running, gate: threading.Event
) -> None:
    ann = await gated.user("ann")
    gate.clear()
    leaving = [asyncio.create_task(ann.open(size="20")) for _ in range(SHARE)]
    await _in_flight(gated, SHARE)
    for task in leaving:
        task.cancel()
    await asyncio.wait(leaving)

    refused = await ann.open(size="20")
    gate.set()

    refused.refused(429, "rate_limited")
    async with asyncio.timeout(5):
        while gated.venue.host.bridge.in_flight:
            await gated.anybody.get("/healthz")
    await ann.opened(size="20")
    assert len(await ann.positions()) == SHARE + 1


async def test_a_share_is_given_back_whatever_the_answer_is(gated: Running) -> None:
    ann = await gated.user("ann")
    for number in range(10 * SHARE):
        await ann.opened(size="20", clientOrderId=f"c-{number}")
        (await ann.open(size="1")).refused(422, "position_size_too_small")


async def test_what_an_administrator_does_in_a_users_name_takes_none_of_the_users_share(
    gated: Running, gate: threading.Event
) -> None:
    ann, another = await gated.user("ann"), await gated.key("admin")
    await gated.user("bob")
    await ann.opened(size="20")
    gate.clear()
    deposits = [
        asyncio.create_task(gated.admin.post(f"/api/admin/users/{user}/deposit", {"amount": "1"}))
        for user in ("ann", "bob")
    ]
    await _in_flight(gated, SHARE)
    for user in ("ann", "bob"):
        for path in ("deposit", "withdraw"):
            (await gated.admin.post(f"/api/admin/users/{user}/{path}", {"amount": "1"})).refused(429, "rate_limited")
        (await gated.admin.open(size="20", userId=user)).refused(429, "rate_limited")
    (await gated.admin.close("BTC-PERP-1")).refused(429, "rate_limited")
    (await gated.admin.post("/api/admin/users", {"userId": "cyd"})).refused(429, "rate_limited")
    trading = asyncio.create_task(ann.open(size="20"))
    helping = asyncio.create_task(another.post("/api/admin/users/ann/deposit", {"amount": "1"}))
    await _in_flight(gated, SHARE + 2)
    gate.set()

    (await trading).ok(201)
    for task in (*deposits, helping):
        (await task).ok()


async def test_who_is_an_administrator_and_a_user_has_one_share(gated: Running, gate: threading.Event) -> None:
    ann = await gated.user("ann")
    await gated.user("bob")
    both = await gated.key("admin", userId="ann")
    gate.clear()
    deposits = [asyncio.create_task(both.post("/api/admin/users/bob/deposit", {"amount": "1"})) for _ in range(SHARE)]
    await _in_flight(gated, SHARE)
    refused = await ann.open(size="20")
    gate.set()

    refused.refused(429, "rate_limited")
    for task in deposits:
        (await task).ok()


async def _waiting(venue: Running, path: str, count: int, who: str | None) -> Tasks:
    client = venue.anybody if who is None else venue.client(who)
    return [asyncio.create_task(client.get(path)) for _ in range(count)]


async def _some_done(tasks: Tasks, count: int) -> tuple[set[asyncio.Task[Answer]], set[asyncio.Task[Answer]]]:
    """The first ``count`` that have an answer, and the others."""
    done, left = set[asyncio.Task[Answer]](), set(tasks)
    async with asyncio.timeout(5):
        while len(done) < count:
            found, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            done |= found
    return done, left


async def test_strangers_cannot_have_everything_looked_up(starter: Starter) -> None:
    backend = OnMemory()
    queries = Waiting(backend.store)
    venue = await starter(backend, stores=replace(backend.stores(), queries=queries))
    await venue.market()
    ann = await venue.user("ann")
    strangers = await _waiting(venue, TRADES, STRANGERS_LOOK_UPS_MAX + 5, None)
    refused, strangers_waiting = await _some_done(strangers, 5)
    mine = await _waiting(venue, TRADES, LOOK_UPS_MAX + 3, "ann")
    done, waiting = await _some_done(mine, 3)
    queries.let_go.set()

    assert (len(refused), len(done)) == (5, 3)
    for task in (*refused, *done):
        assert (await task).refused(429, "rate_limited")["limit"] in (LOOK_UPS_MAX, STRANGERS_LOOK_UPS_MAX)
    for task in (*strangers_waiting, *waiting):
        (await task).ok()
    (await ann.get(TRADES)).ok()
    (await venue.anybody.get(TRADES)).ok()


async def test_strangers_wait_for_each_other_and_leave_connections_to_callers_with_a_key(starter: Starter) -> None:
    backend = OnMemory()
    queries = Waiting(backend.store)
    venue = await starter(backend, stores=replace(backend.stores(), queries=queries))
    await venue.market()
    await venue.user("ann")
    one_too_many = await _waiting(venue, TRADES, STRANGERS_LOOK_UPS_MAX + 1, None)
    refused, strangers = await _some_done(one_too_many, 1)  # so all of them have come
    (await refused.pop()).refused(429, "rate_limited")
    assert queries.under_way == STRANGERS_LOOKING_UP

    mine = await _waiting(venue, TRADES, 4, "ann")
    await queries.begun(STRANGERS_LOOKING_UP + 4)
    queries.let_go.set()

    for task in (*strangers, *mine):
        (await task).ok()
    assert queries.under_way == STRANGERS_LOOK_UPS_MAX + 4


async def test_a_stranger_waits_for_the_others_only_so_long(starter: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.limits.shares.STRANGERS_WAIT_S", 0.05)
    backend = OnMemory()
    queries = Waiting(backend.store)
    venue = await starter(backend, stores=replace(backend.stores(), queries=queries))
    await venue.market()
    first = await _waiting(venue, TRADES, STRANGERS_LOOKING_UP, None)
    await queries.begun(STRANGERS_LOOKING_UP)

    late = await venue.anybody.get(TRADES)
    queries.let_go.set()

    assert late.refused(429, "rate_limited")["limit"] == STRANGERS_LOOKING_UP
    for task in first:
        (await task).ok()
    (await venue.anybody.get(TRADES)).ok()


@pytest.mark.parametrize(
    ("address", "limit"), [("203.0.113.9", ADDRESS_LOOK_UPS_MAX), ("127.0.0.1", STRANGERS_LOOK_UPS_MAX)]
)
async def test_one_address_cannot_have_all_that_strangers_may_look_up(address: str, limit: int) -> None:
    shares, let_go = ReadShares(), asyncio.Event()

    async def looks_up(address: str) -> str:
        async with shares.one(None, address):
            await let_go.wait()
        return "found"

    waiting = [asyncio.create_task(looks_up(address)) for _ in range(limit)]
    await asyncio.sleep(0)
    with pytest.raises(RequestError) as refused:
        await looks_up(address)
    other = asyncio.create_task(looks_up("203.0.113.10"))
    let_go.set()

    assert refused.value.details == {"limit": limit}
    assert set(await asyncio.gather(*waiting)) == {"found"}
    if limit < STRANGERS_LOOK_UPS_MAX:
        assert await other == "found"
    else:
        with pytest.raises(RequestError):
            await other
