"""The two stores every contract runs on: memory, and a database of its own for each test on one PostgreSQL server."""

from collections.abc import Iterator

import pytest

from tests.persistence.embedded_servers import made, open_directory, server, servers, venue
from tests.persistence.stores import MemoryBackend, PostgresBackend, Store
from tests.support.postgres import database_url, server_url, with_tables

__all__ = ["database_url", "made", "open_directory", "server", "server_url", "servers", "venue"]


@pytest.fixture
def postgres(database_url: str) -> Iterator[PostgresBackend]:
    """The PostgreSQL store, empty."""
    backend = PostgresBackend(with_tables(database_url))
    yield backend
    backend.end()


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> Store:
    """A store, empty."""
    if request.param == "memory":
        return MemoryBackend()
    backend: PostgresBackend = request.getfixturevalue("postgres")
    return backend
