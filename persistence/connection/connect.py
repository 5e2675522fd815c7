"""Connections to PostgreSQL: how they are opened, and what their errors mean."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

import asyncpg

from perps.journal import DiskFull, JournalRefused, JournalUnavailable, LoginRefused

if TYPE_CHECKING:
    from asyncpg import Connection, Record

CONNECT_TIMEOUT_S: Final = 5.0
"""Longest wait for a connection, handshake included."""

READ_TIMEOUT_S: Final = 60.0
"""Longest wait for one answer of a reader."""

SESSION: Final = {
    "jit": "off",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
"""Of every connection. Our statements are short; and a client that vanished must not hold its locks for hours."""

BY_INDEX: Final = {"enable_seqscan": "off", "enable_bitmapscan": "off", "enable_sort": "off"}
"""For queries of which each has an index in its order. Of a partition that was begun a moment ago the planner knows too
little to see that, and would sort the whole journal for every page."""

NEVER_WRITTEN: Final = ("22", "23")
"""SQLSTATE classes "data exception" and "integrity constraint violation": definitive, the transaction is undone."""

DISK_FULL: Final = "53100"
"""SQLSTATE of a server that has no room left."""

LOGIN_REFUSED: Final = ("28000", "28P01", "3D000", "42501")
"""SQLSTATEs of a login: no such user or no right to connect, wrong password, no such database, no privilege."""


async def connect(url: str, *, name: str, **settings: str) -> Connection[Record]:
    """One connection of its own. ``name`` is what ``pg_stat_activity`` shows."""
    with reaching(url):
        return await asyncpg.connect(
            url, timeout=CONNECT_TIMEOUT_S, server_settings={**SESSION, "application_name": name, **settings}
        )


UNREADABLE: Final = (
    "the database URL cannot be read; in its parts, the password above all, / is written %2F, ? %3F, # %23 and @ %40"
)


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Say where, when there is no connection. Raises ``OSError``, also for one that took too long.

    Raises ``LoginRefused`` when the server does not let this user in.
    Raises ``JournalUnavailable`` for a URL that cannot be read, without a word of it: some of that may be its password.
    """
    try:
        parts = urlsplit(url)
        if "@" in parts.path + parts.query + parts.fragment:
            raise ValueError("an @ behind the host")
        yield
    except (ValueError, OverflowError):
        raise JournalUnavailable(UNREADABLE) from None
    except asyncpg.PostgresError as error:
        if error.sqlstate not in LOGIN_REFUSED:
            raise
        raise LoginRefused(f"the database server at {_address(url)} refuses the login: {error}") from error
    except OSError as error:  # TimeoutError is one
        why = error.strerror or str(error) or "no answer in time"
        raise OSError(f"no connection to {_address(url)}: {why}") from error


def _address(url: str) -> str:
    """``host:port`` of a database URL, without its password; a socket's directory counts as a host."""
    parts = urlsplit(url)
    asked = parse_qs(parts.query)
    place = parts.netloc.rpartition("@")[2]
    host = asked["host"][0] if "host" in asked else place or "the default server"
    return f"{host}:{asked['port'][0]}" if "port" in asked else host


@contextmanager
def database_errors(doing: str) -> Iterator[None]:
    """Raise ``JournalUnavailable`` for what asyncpg and the system raise.

    It is a ``JournalRefused`` if definitive, a ``DiskFull`` when the server has no room left.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise JournalUnavailable(f"{doing}: a text in the database is not UTF-8: {error.object!r:.80}") from error
    except asyncpg.PostgresError as error:
        raise _kind(error.sqlstate or "")(f"{doing}: {_explain(error)}") from error
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError) as error:
        kind = DiskFull if getattr(error, "errno", None) == errno.ENOSPC else JournalUnavailable
        raise kind(f"{doing}: {_explain(error)}") from error


def _kind(sqlstate: str) -> type[JournalUnavailable]:
    if sqlstate == DISK_FULL:
        return DiskFull
    return JournalRefused if sqlstate[:2] in NEVER_WRITTEN else JournalUnavailable


@contextmanager
def encoding(doing: str) -> Iterator[None]:
    """Raise ``JournalRefused`` for values that asyncpg cannot encode: nothing was written."""
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        raise JournalRefused(f"{doing}: {_explain(error)}") from error


def _explain(error: Exception) -> str:
    detail = getattr(error, "detail", None)
    text = str(error) or type(error).__name__
    return f"{text} ({detail})" if detail else text


async def end(connection: Connection[Record], timeout_s: float = 1.0) -> None:
    """Close politely, or cut the line: never raises, never waits long."""
    try:
        await connection.close(timeout=timeout_s)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
        await asyncio.sleep(0)
