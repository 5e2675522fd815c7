"""A database that cannot be reached is named, without its password."""

import asyncio
import errno
import re
from collections.abc import Callable
from urllib.parse import urlsplit

import asyncpg
import pytest

from perps.journal import DiskFull, JournalUnavailable, LoginRefused
from persistence.connection.connect import database_errors
from persistence.journal.writer import PostgresJournal
from persistence.reads.keys import PostgresKeys
from persistence.reads.queries import PostgresQueries

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


ODD_PASSWORDS = ["9871/6542", "swordfish/hunter", "9871?6542", "9871#6542", "9871/6542@777", "98[71"]


@pytest.mark.parametrize("password", ODD_PASSWORDS)
def test_no_part_of_a_badly_quoted_password_is_told(password: str) -> None:
    with pytest.raises(JournalUnavailable, match="%40") as caught:
        PostgresJournal.acquire(f"postgresql://bob:{password}@127.0.0.1:1/venue")
    told = str(caught.value)
    assert not [part for part in re.split(r"[/?#@\[]", password) if part in told]


def test_a_password_may_hold_any_sign_that_is_quoted() -> None:
    with pytest.raises(JournalUnavailable, match=r"no connection to 127\.0\.0\.1:1"):
        PostgresJournal.acquire("postgresql://bob:1%2F2%3F3%234%405@127.0.0.1:1/venue")


@pytest.mark.parametrize("bug", [TypeError("a bug"), ValueError("a bug"), OverflowError("a bug")])
def test_a_bug_is_not_taken_for_a_database_that_is_away(bug: Exception) -> None:
    with pytest.raises(type(bug), match="a bug"), database_errors("taking over the journal"):
        raise bug


@pytest.mark.parametrize("what", ["user", "database"])
def test_a_login_that_is_refused_is_told_apart_from_an_outage_and_names_the_server(
    what: str, database_url: str
) -> None:
    parts = urlsplit(database_url)
    place = parts.netloc.rpartition("@")[2]
    wrong = parts._replace(netloc=f"nobody:secret@{place}") if what == "user" else parts._replace(path="/nothing")

    with pytest.raises(LoginRefused, match=r'refuses the login: .*"(nobody|nothing)"') as caught:
        PostgresJournal.acquire(wrong.geturl())

    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [asyncpg.DiskFullError("no space"), OSError(errno.ENOSPC, "no space")])
def test_a_full_disk_is_told_apart_from_an_outage(error: Exception) -> None:
    with pytest.raises(DiskFull, match=r"rows 1 to 2: .*no space"), database_errors("rows 1 to 2"):
        raise error
