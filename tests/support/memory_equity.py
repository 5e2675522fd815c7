"""What users had, hour by hour, in memory, with the behaviour of PostgreSQL's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from perps.query_rows import EquityRecord
from tests.support.memory import MemoryStore

DAY_MS = 86_400_000


class MemoryEquity:
    """``persistence.reads.equity.PostgresEquity`` on a ``MemoryStore``."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def round_at(self, at: int) -> int | None:
        """When the last round at or before ``at`` was, or the first of all; None: there was none."""
        with self._store.lock:
            rounds = sorted(when for user, when in self._store.equity if not user)
        return max((when for when in rounds if when <= at), default=rounds[0] if rounds else None)

    async def add(self, records: Sequence[EquityRecord]) -> None:
        """Keep a round. Of a user and a moment that are known already nothing changes."""
        with self._store.lock:
            for record in records:
                self._store.equity.setdefault((record.user_id, record.at), record)

    async def before(self, users: Sequence[str], at: int) -> dict[str, EquityRecord]:
        """What these users had when they were last observed, at or before ``at``; nothing of who was not."""
        with self._store.lock:
            records = sorted(self._store.equity.values(), key=lambda record: record.at)
        return {record.user_id: record for record in records if record.at <= at and record.user_id in users}

    async def thin(self, before: int) -> None:
        """Of each day keep only what was observed last, of all that is older than ``before``."""
        with self._store.lock:
            known = self._store.equity
            last = {(user, at // DAY_MS): at for user, at in sorted(known)}
            for user, at in list(known):
                if at < before and at != last[user, at // DAY_MS]:
                    del known[user, at]

    async def volumes(self, offset: int) -> dict[str, int]:
        """Σ |cost| of each user's fills up to a row, micros."""
        volumes = Counter[str]()
        with self._store.lock:
            for fill in self._store.fills:
                if fill.offset <= offset:
                    volumes[fill.user_id] += abs(fill.cost)
        return dict(volumes)
