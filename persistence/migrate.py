"""Brings a database to this program's schema: numbered SQL files, each applied once, in order, in a transaction."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from persistence.errors import SchemaMismatch

if TYPE_CHECKING:
    from asyncpg import Connection, PostgresLogMessage, Record

DIRECTORY: Final = Path(__file__).parent / "migrations"

LOCK: Final = (0x70657270, -1)
"""Advisory lock held while migrating: "perp" and no shard."""

_RECORD: Final = """
create table if not exists schema_migrations (
    version    int         primary key,
    name       text        not null,
    sha256     text        not null,
    applied_at timestamptz not null default now()
)
"""


class Migration(Struct, frozen=True):
    """One numbered SQL file."""

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Digest of the text, in hex."""
        return sha256(self.sql.encode()).hexdigest()


def migrations(directory: Path = DIRECTORY) -> list[Migration]:
    """The SQL files of a directory in order: ``0001_name.sql``, … without a gap."""
    found: list[Migration] = []
    for path in sorted(directory.glob("*.sql")):
        number = re.fullmatch(r"(\d{4})_(\w+)", path.stem)
        if number is None or int(number[1]) != len(found) + 1:
            raise SchemaMismatch(f"{path.name} is not migration {len(found) + 1:04d}_name.sql: the program is broken")
        found.append(Migration(len(found) + 1, number[2], path.read_text(encoding="utf-8")))
    return found


async def migrate(
    connection: Connection[Record],
    known: Sequence[Migration] | None = None,
    *,
    before: Callable[[], None] = lambda: None,
    say: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Apply what is missing, and return the names of it. Raises ``SchemaMismatch``; then nothing was changed.

    ``before`` is called when something is missing: from here on it takes as long as the database is large. ``say``
    is told which file is applied to a database that is not new, and how far it has come, if the file says so with
    ``raise notice``.
    Several programs may do this at once: an advisory lock lets one after the other through.
    """

    def tell(_: object, message: PostgresLogMessage) -> None:
        say(str(message.message))

    known = migrations() if known is None else known
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1, $2)", *LOCK)
        await connection.execute(_RECORD)
        applied = await connection.fetch("select version, name, sha256 from schema_migrations order by version")
        for record in applied:
            _check(known, record["version"], record["name"], record["sha256"])
        done = {record["version"] for record in applied}
        missing = [migration for migration in known if migration.version not in done]
        if missing:
            before()
        connection.add_log_listener(tell)
        try:
            for migration in missing:
                if done:
                    say(f"migration {migration.version:04d}_{migration.name}")
                await connection.execute(migration.sql)
                await connection.execute(
                    "insert into schema_migrations (version, name, sha256) values ($1, $2, $3)",
                    migration.version,
                    migration.name,
                    migration.sha256,
                )
        finally:
            connection.remove_log_listener(tell)
    return [migration.name for migration in missing]


def _check(known: Sequence[Migration], version: int, name: str, digest: str) -> None:
    if version > len(known):
        raise SchemaMismatch(
            f"the database has migration {version:04d}_{name}, this program knows {len(known)}: "
            "it is older than the database; start the newer program"
        )
    if known[version - 1].sha256 != digest:
        raise SchemaMismatch(
            f"migration {version:04d}_{name} was applied with another text than this program has: "
            "an applied file is never changed; add a new one"
        )
