"""Which row answered a client id: asked over one session, kept from one look-up to the next."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from perps.journal import JournalUnavailable
from persistence.connection.connect import BY_INDEX
from persistence.connection.session import BlockingSession

if TYPE_CHECKING:
    from asyncpg import Connection

KEYS_MAX: Final = 5_000
"""Client ids looked up by one statement."""

ANSWERS: Final = (
    'select user_id, client_order_id, "offset", fingerprint from unnest($2::text[], $3::text[]) as asked (who, which),'
    ' lateral (select shard, user_id, client_order_id, "offset", fingerprint from journal'
    " where user_id = who and client_order_id = which offset 0) found"
    " where shard = $1"
)
"""``offset 0`` keeps the planner from joining the whole journal instead: each id is asked for in the index of each
partition."""

Answers = Mapping[tuple[str, str], tuple[int, bytes]]


class _Session(BlockingSession):
    """Connects within the first look-up's limit."""

    def __init__(self, url: str, limit_s: float) -> None:
        self.connect_timeout_s = limit_s
        super().__init__(url, name="perps look-up", doing="looking up client ids", **BY_INDEX)

    def answers(self, shard: int, keys: Sequence[tuple[str, str]], limit_s: float) -> Answers:
        """As ``PostgresLookUps.answers``; a session that did not answer is closed."""
        try:
            return self._run(asyncio.wait_for(_found(self._connected(), shard, keys), limit_s))
        except BaseException:
            self._give_up()
            raise


async def _found(connection: Connection[Any], shard: int, keys: Sequence[tuple[str, str]]) -> Answers:
    found: dict[tuple[str, str], tuple[int, bytes]] = {}
    for start in range(0, len(keys), KEYS_MAX):
        users, ids = zip(*keys[start : start + KEYS_MAX], strict=True)
        for user, which, offset, fingerprint in await connection.fetch(ANSWERS, shard, users, ids):
            found.setdefault((user, which), (offset, fingerprint or b""))
    return found


class PostgresLookUps:
    """Satisfies ``actors.ports.LookUps``. Blocking: used by one thread, which runs no event loop itself."""

    def __init__(self, url: str, shard: int, limit_s: float) -> None:
        """Connects at the first look-up."""
        self._url, self._shard, self._limit_s = url, shard, limit_s
        self._session: _Session | None = None

    def answers(self, keys: Sequence[tuple[str, str]]) -> Answers:
        """Offset and fingerprint of the rows that answered these (sender, client order id) pairs, where there are.

        A session that was kept and is gone by now, or silent for half of the limit, is replaced at once.
        Raises ``JournalUnavailable``, within the limit.
        """
        ends = monotonic() + self._limit_s
        if self._session is not None:
            try:
                return self._session.answers(self._shard, keys, self._limit_s / 2)
            except JournalUnavailable:
                self._session = None
        session = _Session(self._url, ends - monotonic())
        found = session.answers(self._shard, keys, ends - monotonic())
        self._session = session
        return found

    def close(self) -> None:
        """Disconnect. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
