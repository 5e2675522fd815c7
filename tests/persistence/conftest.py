"""The two stores every contract runs on: memory, and a database of its own for each test on one PostgreSQL server."""

from collections.abc import Iterator

import pytest

from tests.persistence.stores import MemoryBackend, PostgresBackend, Store
from tests.support.postgres import fresh_database, running_server


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The URL of the PostgreSQL server all tests of this session share."""
    with running_server() as url:
        yield url


@pytest.fixture
def database_url(server_url: str) -> Iterator[str]:
    """The URL of a database for this test alone."""
    with fresh_database(server_url) as url:
        yield url


@pytest.fixture
def postgres(database_url: str) -> Iterator[PostgresBackend]:
    """The PostgreSQL store, empty."""
    backend = PostgresBackend(database_url)
    yield backend
    backend.end()


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> Store:
    """A store, empty."""
    if request.param == "memory":
        return MemoryBackend()
    backend: PostgresBackend = request.getfixturevalue("postgres")
    return backend
