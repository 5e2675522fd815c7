"""Migrations: each once, in order, whole or not at all, and never past what the program knows."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from persistence.errors import SchemaMismatch
from persistence.journal.writer import PostgresJournal
from persistence.migrate import Migration, migrate, migrations
from tests.support.postgres import sql

ONE = Migration(1, "one", "create table one (a int)")
TWO = Migration(2, "two", "create table two (a int); insert into two values (1)")
BROKEN = Migration(3, "broken", "create table three (a int); create table one (a int)")


def run(url: str, *known: Migration) -> list[str]:
    async def session() -> list[str]:
        connection = await asyncpg.connect(url)
        try:
            return await migrate(connection, known)
        finally:
            await connection.close()

    return asyncio.run(session())


def test_each_migration_is_applied_once_and_in_order(database_url: str) -> None:
    assert run(database_url, ONE) == ["one"]
    assert run(database_url, ONE, TWO) == ["two"]
    assert run(database_url, ONE, TWO) == []
    applied = sql(database_url, "select version, name, sha256 from schema_migrations order by version")
    assert [tuple(record) for record in applied] == [(1, "one", ONE.sha256), (2, "two", TWO.sha256)]


def test_a_database_that_is_migrated_may_take_longer_than_any_other_take_over(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that has all may not."""
    slow = [*migrations(), Migration(len(migrations()) + 1, "slow", "select pg_sleep(2)")]
    monkeypatch.setattr("persistence.migrate.migrations", lambda: slow)
    monkeypatch.setattr("persistence.journal.writer.ACQUIRE_TIMEOUT_S", 1.0)
    monkeypatch.setattr("persistence.journal.writer.MIGRATE_TIMEOUT_S", 60.0)

    PostgresJournal.acquire(database_url, wait_s=0.0).close()


def test_a_migration_that_fails_leaves_nothing_of_itself(database_url: str) -> None:
    with pytest.raises(asyncpg.DuplicateTableError):
        run(database_url, ONE, TWO, BROKEN)
    assert sql(database_url, "select to_regclass('one') is null and to_regclass('three') is null")[0][0]


def test_a_changed_file_is_refused_by_name(database_url: str) -> None:
    run(database_url, ONE)
    with pytest.raises(SchemaMismatch, match="0001_one was applied with another text"):
        run(database_url, Migration(1, "one", "create table one (a bigint)"), TWO)
    assert sql(database_url, "select to_regclass('two') is null")[0][0]


def test_a_database_newer_than_the_program_is_refused(database_url: str) -> None:
    run(database_url, ONE, TWO)
    with pytest.raises(SchemaMismatch, match="0002_two, this program knows 1"):
        run(database_url, ONE)


def test_a_venue_does_not_serve_a_database_newer_than_itself(database_url: str) -> None:
    PostgresJournal.acquire(database_url, wait_s=0.0).close()
    sql(database_url, "insert into schema_migrations values (9999, 'later', 'x', now())")
    with pytest.raises(SchemaMismatch, match="9999_later"):
        PostgresJournal.acquire(database_url)
    assert sql(database_url, "select epoch from owner")[0]["epoch"] == 1


def test_many_programs_may_migrate_at_once(database_url: str) -> None:
    async def all_at_once() -> list[list[str]]:
        connections = [await asyncpg.connect(database_url) for _ in range(5)]
        done = await asyncio.gather(*(migrate(connection, [ONE, TWO]) for connection in connections))
        for connection in connections:
            await connection.close()
        return done

    done = asyncio.run(all_at_once())
    assert sorted(done) == [[], [], [], [], ["one", "two"]]


def test_the_programs_own_files_are_numbered_without_a_gap(tmp_path: Path) -> None:
    assert [migration.version for migration in migrations()] == list(range(1, len(migrations()) + 1))
    (tmp_path / "0001_first.sql").write_text("select 1")
    (tmp_path / "0003_third.sql").write_text("select 3")
    with pytest.raises(SchemaMismatch, match="0003_third"):
        migrations(tmp_path)
