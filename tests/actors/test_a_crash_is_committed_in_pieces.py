"""One price may liquidate more positions than one transaction should hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

import actors.journal
import actors.ledger
import perps.engine
from actors.base import tell
from actors.limits import EVENTS_PER_COMMIT_MAX
from actors.messages import Ref, Sequenced
from perps.engine import CONSEQUENCES_PER_ROW_MAX
from perps.journal import Entry
from tests.actors.venue import open_long, running, set_price
from tests.support.memory import MemoryJournal, MemoryStore

POSITIONS = 20
EVENTS_MAX = 4
PER_ROW_MAX = 2


class CountingJournal(MemoryJournal):
    """A journal that remembers how many events each commit held."""

    def __init__(self, store: MemoryStore, commits: list[int]) -> None:
        journal = store.acquire()
        super().__init__(store, journal.epoch, journal.offset)
        self._commits = commits

    def append(self, entries: Sequence[Entry]) -> None:
        super().append(entries)
        self._commits.append(sum(len(entry.events) for entry in entries))


async def test_no_commit_of_a_crash_holds_more_events_than_its_limit_and_a_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A commit takes rows until the limit is reached: the last one may go past it, by one row at most."""
    store, commits, sent = MemoryStore(), list[int](), list[int]()

    def telling(ref: Ref, message: Any) -> bool:
        rows = [row for row in message if isinstance(row, Sequenced)] if isinstance(message, list) else []
        sent.append(sum(len(row.entry.events) for row in rows))
        return tell(ref, message)

    monkeypatch.setattr(actors.ledger, "tell", telling)
    monkeypatch.setattr(perps.engine, "CONSEQUENCES_PER_ROW_MAX", PER_ROW_MAX)
    monkeypatch.setattr(actors.journal, "EVENTS_PER_COMMIT_MAX", EVENTS_MAX)
    monkeypatch.setattr(actors.ledger, "EVENTS_PER_COMMIT_MAX", EVENTS_MAX)
    async with running(store, open_journal=lambda: CountingJournal(store, commits)) as venue:
        await venue.list_market("A")
        await venue.add_user("ann")
        for number in range(POSITIONS):
            await venue.do(open_long("A", "ann"), sender="ann", order_id=f"{number}")
        commits.clear()
        sent.clear()

        crash = await venue.do(set_price("A", 50))
        await venue.settled_market()

        assert crash.liquidations == POSITIONS
        assert not venue.model.users["ann"].positions
        assert sum(commits) == 1 + POSITIONS + 1
        assert max(commits) <= EVENTS_MAX + PER_ROW_MAX
        assert max(sent) <= EVENTS_MAX + PER_ROW_MAX, "the ledger hands them on in pieces too"


def test_a_row_of_liquidations_is_a_small_part_of_a_commit() -> None:
    assert CONSEQUENCES_PER_ROW_MAX * 10 <= EVENTS_PER_COMMIT_MAX
