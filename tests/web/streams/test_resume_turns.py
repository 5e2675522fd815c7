"""Turns of readers who catch up: short ones first, nobody for ever last, callers with a key apart from strangers."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from random import Random

import pytest
from msgspec.structs import replace

from perps.journal import Row
from persistence.reads.queries import CONNECTIONS_MAX
from tests.support.memory import MemoryQueries, MemoryStore
from tests.support.slowness import soon
from tests.web.conftest import Starter
from tests.web.events import listening
from tests.web.venue import OnMemory, Running
from web.compose import Limits
from web.limits.shares import STRANGERS_LOOKING_UP
from web.streams.resume_turns import STRANGERS_RESUMING, Line, ResumeTurns

FAR, NEAR = 50_000, 10
Task = asyncio.Task[None]


class Page:
    """Readers at a line: each, at its turn, is noted and keeps the turn for a few of the loop's."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.served: list[str] = []
        self.at_once, self.most = 0, 0

    async def read(self, name: str, sender: str, rows_left: int) -> None:
        """One page for a reader of that name."""
        async with self._line.turn(sender, rows_left):
            self.served.append(name)
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            for _ in range(3):
                await asyncio.sleep(0)
            self.at_once -= 1

    def queue(self, name: str, sender: str, rows_left: int) -> Task:
        """The same, in a task of its own."""
        return asyncio.create_task(self.read(name, sender, rows_left))


async def _all(tasks: list[Task]) -> None:
    async with soon(5):
        await asyncio.gather(*tasks)


async def test_who_has_little_left_waits_for_two_pages_of_others_however_many_have_much() -> None:
    page = Page(Line(1))
    tasks = [page.queue("far", "10.0.0.1", FAR - n) for n in range(100)]
    await asyncio.sleep(0)

    async def three_pages() -> None:
        for left in (30, 20, 10):
            await page.read("near", "10.0.0.1", left)

    tasks.append(asyncio.create_task(three_pages()))
    await _all(tasks)

    places = [index for index, name in enumerate(page.served) if name == "near"]
    waited = [places[0], places[1] - places[0] - 1, places[2] - places[1] - 1]
    assert max(waited) <= 2, waited


async def test_who_has_much_left_is_not_kept_waiting_by_an_endless_row_of_short_ones() -> None:
    page, tasks = Page(Line(1)), list[Task]()

    async def short_ones() -> None:
        for _ in range(50):
            await page.read("near", "10.0.0.1", NEAR)

    tasks += [asyncio.create_task(short_ones()) for _ in range(10)]
    await asyncio.sleep(0)
    tasks.append(page.queue("far", "10.0.0.2", FAR))
    await _all(tasks)

    assert page.served.index("far") <= 4


async def test_between_the_short_ones_senders_take_turns_however_many_readers_one_has() -> None:
    page = Page(Line(1))
    tasks = [page.queue("theirs", "10.0.0.1", FAR) for _ in range(100)]
    await asyncio.sleep(0)

    async def whole() -> None:
        for left in range(10, 0, -1):
            await page.read("mine", "10.0.0.2", FAR + left)

    tasks.append(asyncio.create_task(whole()))
    await _all(tasks)

    last_of_mine = len(page.served) - page.served[::-1].index("mine")
    assert last_of_mine <= 45


async def test_no_more_have_a_turn_at_a_time_than_may_and_all_get_theirs() -> None:
    page, chance = Page(Line(3)), Random(7)
    tasks = [page.queue(str(n), f"10.0.0.{chance.randrange(9)}", chance.randrange(FAR)) for n in range(200)]
    await _all(tasks)

    assert page.most == 3
    assert sorted(map(int, page.served)) == list(range(200))


async def test_who_leaves_the_line_takes_no_turn_and_keeps_none() -> None:
    page, chance = Page(Line(2)), Random(11)
    tasks = [page.queue(str(n), f"10.0.0.{n % 5}", chance.randrange(FAR)) for n in range(200)]
    left: set[Task] = set()
    async with soon(5):
        while not all(task.done() for task in tasks):
            left |= {task for task in chance.sample(tasks, 3) if task.cancel()}
            await asyncio.sleep(0)
    assert left
    assert all(task.cancelled() or task.exception() is None for task in tasks)
    page.served.clear()
    page.at_once = page.most = 0

    await _all([page.queue(str(n), "10.0.0.1", n) for n in range(20)])

    assert len(page.served) == 20
    assert page.most == 2


async def test_who_leaves_the_line_is_forgotten_at_once() -> None:
    line = Line(1)
    page = Page(line)
    async with line.turn("10.0.0.1", NEAR):
        tasks = [page.queue("far", f"10.0.0.{n % 5}", FAR) for n in range(100)]
        await asyncio.sleep(0)
        assert line.waiting == 100
        for task in tasks[:99]:
            task.cancel()
        await asyncio.wait(tasks[:99], timeout=5)
        assert line.waiting == 1
    await _all(tasks[99:])


async def test_who_is_cancelled_as_the_turn_comes_hands_it_on() -> None:
    line = Line(1)
    page = Page(line)
    async with line.turn("10.0.0.1", NEAR):
        first, second = page.queue("first", "10.0.0.1", NEAR), page.queue("second", "10.0.0.1", NEAR)
        await asyncio.sleep(0)
    assert first.cancel()  # the turn is its own already, and it has not run yet
    await asyncio.wait([first, second], timeout=5)

    assert page.served == ["second"]


async def test_callers_with_a_key_and_strangers_stand_in_lines_of_their_own() -> None:
    turns = ResumeTurns()
    async with AsyncExitStack() as held, soon(5):
        await held.enter_async_context(turns.of(None, "10.0.0.1")(NEAR))
        waiting = asyncio.create_task(held.enter_async_context(turns.of(None, "10.0.0.2")(NEAR)))
        await held.enter_async_context(turns.of("ann", "10.0.0.1")(FAR))
        await held.enter_async_context(turns.of("ann", "10.0.0.1")(FAR))
        assert not waiting.done()
        waiting.cancel()


class Slow(MemoryQueries):
    """A read side that gives rows of the journal only when they are let go, once it is told to keep them."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.let_go = asyncio.Event()
        self.let_go.set()
        self.asked = asyncio.Semaphore(0)

    async def rows_after(self, offset: int, limit: int) -> list[Row]:
        """As the read side, later."""
        self.asked.release()
        await self.let_go.wait()
        return await super().rows_after(offset, limit)


@pytest.fixture
async def slow(starter: Starter) -> tuple[Running, Slow]:
    """A venue with twenty prices, all but five rows in the journal only, and how that is read."""
    backend = OnMemory()
    queries = Slow(backend.store)
    stores = replace(backend.stores(), queries=queries)
    venue = await starter(backend, limits=Limits(rows_kept=5), stores=stores)
    await venue.market()
    await venue.user("ann")
    for number in range(20):
        await venue.price(50_001 + number)
    return venue, queries


async def test_a_caller_with_a_key_catches_up_while_strangers_wait_for_the_journal(slow: tuple[Running, Slow]) -> None:
    venue, queries = slow
    last = venue.venue.context.model.offset
    queries.let_go.clear()
    async with AsyncExitStack() as strangers:
        streams = [await strangers.enter_async_context(listening(venue, "?since=1-1")) for _ in range(20)]
        async with soon(5):
            await queries.asked.acquire()
        assert queries.asked.locked()  # one of them has a turn, the others wait

        key = {"Authorization": f"Bearer {venue.keys['ann']}"}
        price = await venue.price("1")
        async with listening(venue, f"?since=1-{last}", headers=key) as mine:
            assert (await mine.next()).offset == price["offset"]
        queries.let_go.set()
        for stream in streams:
            events = await stream.until_offset(price["offset"])
            assert [event.offset for event in events if event.name == "price"][-20:] == list(range(last - 18, last + 2))


@pytest.mark.parametrize("kind", ["short", "quitting"])
async def test_who_has_much_left_has_a_turn_however_many_of_the_same_address_come_and_go(kind: str) -> None:
    page = Page(Line(1))
    others = [page.queue("other", f"10.0.0.{n}", FAR - 1) for n in (2, 3, 4) for _ in range(200)]
    await asyncio.sleep(0)
    victim = page.queue("victim", "10.0.0.1", FAR)

    async def come_and_go() -> None:
        for _ in range(200):
            task = page.queue(kind, "10.0.0.1", NEAR if kind == "short" else FAR)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if kind == "quitting":
                task.cancel()
            await asyncio.wait([task])

    coming = [asyncio.create_task(come_and_go()) for _ in range(3)]
    await _all([victim])
    served = page.served.index("victim")
    for task in (*others, *coming):
        task.cancel()
    await asyncio.wait([*others, *coming])

    assert served <= 10


def test_strangers_leave_a_connection_to_callers_with_a_key() -> None:
    assert STRANGERS_RESUMING + STRANGERS_LOOKING_UP < CONNECTIONS_MAX


async def test_a_stop_does_not_wait_for_those_who_wait_for_a_turn(slow: tuple[Running, Slow]) -> None:
    venue, queries = slow
    queries.let_go.clear()
    async with AsyncExitStack() as strangers:
        for _ in range(20):
            await strangers.enter_async_context(listening(venue, "?since=1-1"))
        async with soon(5):
            await queries.asked.acquire()
            stopping = asyncio.create_task(venue.venue.close())
            while not venue.venue.context.streams.closing:  # noqa: ASYNC110 - a plain value
                await asyncio.sleep(0)
            queries.let_go.set()
            await stopping

    assert queries.asked.locked()  # nothing was read for the others
