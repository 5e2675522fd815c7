"""Databases of the first release, and venues that start on them."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.endtoend.conftest import place, venues
from tests.golden.first_release import load_database
from tests.support.postgres import at_last, fill, fresh_database, server_url
from tests.web.conftest import session, starter

__all__ = ["at_last", "place", "server_url", "session", "starter", "venues"]


@pytest.fixture(scope="session")
def first_release(server_url: str) -> Iterator[str]:
    """The URL of the first release's database as it was left. Nobody changes it."""
    with fresh_database(server_url) as url:
        fill(url, "first_release", load_database)
        yield url


@pytest.fixture
def database_url(server_url: str, at_last: ExitStack) -> str:
    """The URL of a copy of it, for one test."""
    url = at_last.enter_context(fresh_database(server_url))
    fill(url, "first_release", load_database)
    return url
