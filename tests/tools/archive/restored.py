"""A venue's database to restore from, an empty one to restore into, and the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from perps.journal import Entry
from tests.support.postgres import fresh_database, sql
from tests.support.progress import without_progress
from tests.tools.archive.partitioned_venue import stored_venue
from tools.cli import main

Captured = pytest.CaptureFixture[str]

TABLES: Final = ("journal", "fills", "legs", "prices", "positions")


@pytest.fixture
def stored(database_url: str) -> list[Entry]:
    """A venue's database, the source."""
    return stored_venue(database_url)


@pytest.fixture
def new_url(server_url: str) -> Iterator[str]:
    """A new, empty database."""
    with fresh_database(server_url) as url:
        yield url


@pytest.fixture
def archived(stored: list[Entry], database_url: str, tmp_path: Path, capsys: Captured) -> Path:
    """The archive that the source's first three partitions have left for."""
    assert main(["archive", "--database-url", database_url, "--to", str(tmp_path / "archive")]) == 0
    capsys.readouterr()
    return tmp_path / "archive"


def restore(capsys: Captured, *arguments: str) -> dict[str, Any]:
    """What ``perps restore`` answers as JSON; it must succeed."""
    capsys.readouterr()
    code = main(["restore", "--json", *arguments])
    said = capsys.readouterr()
    assert (code, without_progress(said.err)) == (0, [])
    answer: dict[str, Any] = json.loads(said.out)
    return answer


def refusal(capsys: Captured, *arguments: str, code: int = 1) -> str:
    """The one line of error that it ends with."""
    capsys.readouterr()
    assert main(["restore", *arguments]) == code
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = without_progress(said.err)
    return line


def is_empty(url: str) -> bool:
    """Whether a database has no table."""
    return not sql(url, "select 1 from pg_class where relnamespace = 'public'::regnamespace")


def contents(url: str) -> dict[str, list[asyncpg.Record]]:
    """All records of a venue's tables."""
    return {name: sorted(sql(url, f"select * from {name}"), key=repr) for name in TABLES}
