"""A PostgreSQL server for tests, and databases on it. A conftest has the fixtures by importing them."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from persistence.embedded import EmbeddedPostgres


@contextmanager
def running_server() -> Iterator[str]:
    """The URL of a fresh server, in a directory of its own, gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="perps-tests-"))
    directory.chmod(0o755)
    server = EmbeddedPostgres(directory / "pg", say=lambda _: None)
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(directory)


_numbers = count(1)


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """The URL of a new, empty database, dropped afterwards with whoever is still connected."""
    name = f"test_{next(_numbers)}"
    sql(server_url, f"create database {name} strategy file_copy")  # the faster one
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        sql(server_url, f"drop database {name} with (force)")


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The URL of the PostgreSQL server that all tests of this session share, that do it no harm."""
    with running_server() as url:
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


def sql(url: str, query: str, *values: object) -> list[asyncpg.Record]:
    """Run one query on a connection of its own."""

    async def run() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetch(query, *values)
        finally:
            await connection.close()

    return asyncio.run(run())
