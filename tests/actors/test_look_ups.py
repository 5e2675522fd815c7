"""The look-up actor's way to ask the journal ends with it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from actors.limits import DEADLINE_MS
from tests.actors.venue import open_long, running
from tests.support.memory import MemoryLookUps, MemoryStore
from web.process.snapshot_taking import take_snapshot


class Watched(MemoryLookUps):
    """Says who asked, and when it was closed."""

    def __init__(self, store: WatchedStore, limit_s: float) -> None:
        super().__init__(store)
        self.limit_s = limit_s
        self.threads: set[threading.Thread] = set()
        self.asked = 0
        self.closed = threading.Event()
        self.fails: Exception | None = None

    def answers(self, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], tuple[int, bytes]]:
        assert not self.closed.is_set()
        self.asked += 1
        self.threads.add(threading.current_thread())
        if self.fails is not None:
            raise self.fails
        return super().answers(keys)

    def close(self) -> None:
        self.threads.add(threading.current_thread())
        self.closed.set()


class WatchedStore(MemoryStore):
    """Begins from a snapshot, so that every id is looked up, and keeps every way to ask that was made."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Watched] = []

    def look_ups(self, limit_s: float) -> Watched:
        self.made.append(Watched(self, limit_s))
        return self.made[-1]


async def begun_from_a_snapshot() -> WatchedStore:
    """A store with a market, a user and a snapshot after them."""
    store = WatchedStore()
    async with running(store) as venue:
        await venue.list_market("A")
        await venue.add_user("ann")
    take_snapshot(store, store)
    store.made.clear()
    return store


async def test_one_thread_asks_and_ends_one_session_when_the_core_stops() -> None:
    store = await begun_from_a_snapshot()
    async with running(store) as venue:
        for number in range(3):
            await venue.do(open_long("A", "ann", 20), sender="ann", order_id=f"{number}")
        (made,) = store.made
        assert made.asked == 3
        assert made.limit_s == DEADLINE_MS / 1000
        assert not made.closed.is_set()
    assert made.closed.wait(5)
    assert len(made.threads) == 1


async def test_a_look_up_that_dies_ends_its_session_and_its_successor_has_another() -> None:
    store = await begun_from_a_snapshot()
    async with running(store) as venue:
        store.made[0].fails = RuntimeError("a bug")
        await venue.send(open_long("A", "ann", 20), sender="ann", order_id="lost")
        await venue.rebuilt()
        await venue.do(open_long("A", "ann", 20), sender="ann", order_id="lost")
        assert store.made[0].closed.is_set()
        assert len(store.made) == 2
    assert len(store.made[0].threads) == 1
