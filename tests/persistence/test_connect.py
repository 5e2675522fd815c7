"""A database that cannot be reached is named, without its password."""

import asyncio
from collections.abc import Callable

import pytest

from perps.journal import JournalUnavailable
from persistence.keys import PostgresKeys
from persistence.postgres_journal import PostgresJournal
from persistence.queries import PostgresQueries

URLS = [
    ("postgresql://perps:secret@127.0.0.1:1/perps", "127.0.0.1:1"),
    ("postgresql://perps:secret@/perps?host=/nowhere&port=7", "/nowhere:7"),
]


@pytest.mark.parametrize(("url", "address"), URLS)
def test_a_server_that_is_not_there_is_told_by_its_address(url: str, address: str) -> None:
    tries: list[Callable[[], object]] = [
        lambda: PostgresJournal.acquire(url),
        lambda: asyncio.run(PostgresKeys(url).load()),
        lambda: asyncio.run(PostgresQueries(url).open()),
    ]
    for attempt in tries:
        with pytest.raises(JournalUnavailable) as caught:
            attempt()
        assert f"no connection to {address}" in str(caught.value)
        assert "secret" not in str(caught.value)
