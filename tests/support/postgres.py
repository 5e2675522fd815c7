"""A PostgreSQL server for tests, and databases on it. A conftest has the fixtures by importing them."""

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from persistence.migrate import migrate, migrations
from tests.support.clusters import copied, open_place

SHORT: Final = 30
"""Characters: with what the tests put behind it the name of a socket fits."""


def short_directory() -> str:
    """Where temporary directories have names short enough for the sockets in them: that of macOS is too long."""
    usual = tempfile.gettempdir()
    return usual if len(usual) <= SHORT else "/tmp"


@contextmanager
def running_server(cluster: Path) -> Iterator[str]:
    """The URL of a server on a copy of this cluster, in a directory of its own, gone afterwards."""
    with open_place() as place:
        server = copied(cluster, place / "pg")
        try:
            yield server.start()
        finally:
            server.stop()


FASTER: Final = "strategy file_copy"
"""Of the two ways to copy a database."""

_numbers = count(1)
_spares: defaultdict[str, list[str]] = defaultdict(list)
"""By server: databases that are empty still, as their tests got copies of filled ones instead."""


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """The URL of a new, empty database, dropped afterwards with whoever is still connected."""
    name = f"test_{next(_numbers)}"
    spares = _spares[_address(server_url)]
    made = f"alter database {spares.pop()} rename to {name}" if spares else f"create database {name} {FASTER}"
    sql(server_url, made)
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        sql(server_url, f"drop database {name} with (force)")


def _address(url: str) -> str:
    """Of the server alone."""
    return urlunsplit(urlsplit(url)._replace(path=""))


@pytest.fixture(scope="session")
def server_url(cluster: Path) -> Iterator[str]:
    """The URL of the PostgreSQL server that all tests of this session share, that do it no harm."""
    with running_server(cluster) as url:
        yield url


@pytest.fixture
def at_last() -> Iterator[ExitStack]:
    """What is to end behind all that runs on it: databases and servers.

    Whoever makes something that runs on them asks for this first, so that it ends before them, in whatever order a test
    names its fixtures.
    """
    with ExitStack() as ends:
        yield ends


@pytest.fixture
def database_url(server_url: str, at_last: ExitStack) -> str:
    """The URL of a database for this test alone."""
    return at_last.enter_context(fresh_database(server_url))


_written: set[str] = set()
"""The URLs of databases to make copies of."""


def fill(url: str, name: str, write: Callable[[str], object]) -> None:
    """Make of an empty database what ``write`` makes of one. On each server only the first of a name is written.

    The others are copies of it, made in a tenth of the time; the next test gets the empty one. So nobody may have
    written to it, and ``write`` must leave no session behind.
    """
    parts = urlsplit(url)
    database, model = parts.path[1:], f"model_{name}"
    server = urlunsplit(parts._replace(path="/postgres"))
    model_url = urlunsplit(parts._replace(path=f"/{model}"))
    if model_url in _written:
        spare = f"spare_{next(_numbers)}"
        sql(server, f"alter database {database} rename to {spare}")
        _spares[_address(url)].append(spare)
        sql(server, f"create database {database} template {model} {FASTER}")
    else:
        write(url)
        sql(server, f"create database {model} template {database} {FASTER}")
        _written.add(model_url)


def with_tables(url: str) -> str:
    """An empty database, with a venue's tables in it: as of a venue that was killed at the end of its migrations."""

    known = migrations()  # read here: a test's loop may not wait for files

    async def write() -> None:
        connection = await asyncpg.connect(url)
        try:
            await migrate(connection, known)
        finally:
            await connection.close()

    fill(url, "tables", lambda _: asyncio.run(write()))
    return url


def sql(url: str, query: str, *values: object) -> list[asyncpg.Record]:
    """Run one query on a connection of its own."""

    async def run() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetch(query, *values)
        finally:
            await connection.close()

    return asyncio.run(run())
