"""Which row answered a client id: asked over one session, kept from one look-up to the next."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Final

import uvloop

from perps.journal import JournalUnavailable
from persistence.connection.connect import BY_INDEX, connect, database_errors, end
from persistence.connection.session import finish

if TYPE_CHECKING:
    from asyncpg import Connection, Record

    Session = tuple[asyncio.AbstractEventLoop, Connection[Record]]

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


class PostgresLookUps:
    """Satisfies ``actors.ports.LookUps``. Blocking: used by one thread, which runs no event loop itself."""

    def __init__(self, url: str, shard: int, limit_s: float) -> None:
        """Connects at the first look-up."""
        self._url, self._shard, self._limit_s = url, shard, limit_s
        self._session: Session | None = None

    def answers(self, keys: Sequence[tuple[str, str]]) -> Answers:
        """Offset and fingerprint of the rows that answered these (sender, client order id) pairs, where there are.

        A session that was kept and is gone by now, or silent for half of the limit, is replaced at once.
        Raises ``JournalUnavailable``, within the limit.
        """
        ends = monotonic() + self._limit_s
        if self._session is not None:
            try:
                return self._ask(keys, self._limit_s / 2)
            except JournalUnavailable:
                pass
        return self._ask(keys, ends - monotonic())

    def close(self) -> None:
        """Disconnect. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            loop, connection = session
            loop.run_until_complete(end(connection))
            finish(loop)

    def _ask(self, keys: Sequence[tuple[str, str]], limit_s: float) -> Answers:
        with database_errors("looking up client ids"):
            loop, connection = self._session or (uvloop.new_event_loop(), None)
            try:
                found, connection = loop.run_until_complete(self._found(connection, keys, limit_s))
            except BaseException:
                self._session = None
                finish(loop)
                raise
            self._session = (loop, connection)
            return found

    async def _found(
        self, connection: Connection[Record] | None, keys: Sequence[tuple[str, str]], limit_s: float
    ) -> tuple[Answers, Connection[Record]]:
        found: dict[tuple[str, str], tuple[int, bytes]] = {}
        async with asyncio.timeout(limit_s):
            used = connection or await connect(self._url, name="perps look-up", **BY_INDEX)
            try:
                for start in range(0, len(keys), KEYS_MAX):
                    users, ids = zip(*keys[start : start + KEYS_MAX], strict=True)
                    for user, which, offset, fingerprint in await used.fetch(ANSWERS, self._shard, users, ids):
                        found.setdefault((user, which), (offset, fingerprint or b""))
            except BaseException:
                used.terminate()
                raise
        return found, used
