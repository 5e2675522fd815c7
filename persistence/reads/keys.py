"""API keys in PostgreSQL. Not journaled: keys are about who may speak, not about what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

from perps.query_rows import KeyRecord
from persistence.connection.connect import connect, database_errors, end

if TYPE_CHECKING:
    from asyncpg import Connection, Record

CONNECTIONS_MAX: Final = 4
"""Calls under way at a time: the server's connections are few, and the journal needs one."""

QUERY_TIMEOUT_S: Final = 10.0
"""Longest wait for one answer."""

T = TypeVar("T")

_COLUMNS: Final = ", ".join(KeyRecord.__struct_fields__)
_INSERT: Final = (
    f"insert into api_keys ({_COLUMNS}) values ({', '.join(f'${n + 1}' for n, _ in enumerate(_COLUMNS.split()))})"
)


class PostgresKeys:
    """Load, add, revoke: rare, so each call has a short connection of its own.

    Every method raises ``JournalUnavailable`` when the database does not answer.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._turns = asyncio.Semaphore(CONNECTIONS_MAX)

    async def load(self) -> list[KeyRecord]:
        """Every key, also the revoked ones, oldest first."""
        query = f"select {_COLUMNS} from api_keys order by created_at, key_id"
        found = await self._run(lambda connection: connection.fetch(query, timeout=QUERY_TIMEOUT_S))
        return [_key(record) for record in found]

    async def newest(self, *, before: tuple[int, str] | None, limit: int) -> list[KeyRecord]:
        """Keys made last first, the revoked ones too, after the (created_at, key_id) of the last one seen."""
        query = (
            f"select {_COLUMNS} from api_keys where $1::bigint is null or (created_at, key_id) < ($1, $2)"
            " order by created_at desc, key_id desc limit $3"
        )
        created_at, key_id = before or (None, None)
        found = await self._run(
            lambda connection: connection.fetch(query, created_at, key_id, limit, timeout=QUERY_TIMEOUT_S)
        )
        return [_key(record) for record in found]

    async def add(self, key: KeyRecord) -> None:
        """Store a new key. Raises ``JournalRefused`` when its id or digest is known already."""
        values = [getattr(key, name) for name in KeyRecord.__struct_fields__]
        await self._run(lambda connection: connection.execute(_INSERT, *values, timeout=QUERY_TIMEOUT_S))

    async def revoke(self, key_id: str, at: int) -> bool:
        """End a key at ``at`` (milliseconds); a second time changes nothing. False if there never was such a key."""
        update = "update api_keys set revoked_at = coalesce(revoked_at, $2) where key_id = $1"
        tag = await self._run(lambda connection: connection.execute(update, key_id, at, timeout=QUERY_TIMEOUT_S))
        return tag == "UPDATE 1"

    async def _run(self, ask: Callable[[Connection[Record]], Awaitable[T]]) -> T:
        with database_errors("API keys"):
            async with self._turns:
                return await self._ask(ask)

    async def _ask(self, ask: Callable[[Connection[Record]], Awaitable[T]]) -> T:
        connection = await connect(self._url, name="perps keys")
        try:
            return await ask(connection)
        finally:
            await end(connection)


def _key(record: Record) -> KeyRecord:
    key_id, digest, user_id, scopes, label, created_at, expires_at, revoked_at = record
    return KeyRecord(key_id, digest, user_id, tuple(scopes), label, created_at, expires_at, revoked_at)
