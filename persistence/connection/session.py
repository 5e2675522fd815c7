"""A connection that a thread without an event loop uses as if it were a blocking one.

asyncpg speaks asyncio only. Here the loop belongs to the connection, and runs while something is asked of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import uvloop

from perps.journal import JournalUnavailable
from persistence.connection.connect import CONNECT_TIMEOUT_S, connect, database_errors, end

if TYPE_CHECKING:
    from asyncpg import Connection

ANSWER_TIMEOUT_S: Final = 600.0
"""Longest wait for one answer of the server: it may have to sort a table first, on disk if need be."""

T = TypeVar("T")


class BlockingSession:
    """One connection with an event loop of its own. Used by one thread at a time, which runs no event loop itself.

    A base for what needs one session from beginning to end, such as a transaction or a lock: ``_begin`` prepares the
    new connection for it. Every method raises ``JournalUnavailable`` when the server does not answer, or not as it
    should, or after ``close``.
    """

    connect_timeout_s = CONNECT_TIMEOUT_S

    def __init__(self, url: str, *, name: str, doing: str, **settings: str) -> None:
        """Connects and begins; what fails leaves nothing open.

        ``name`` is what ``pg_stat_activity`` shows, ``doing`` what an error begins with, ``settings`` the session's.
        """
        self._doing = doing
        self._loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._connection: Connection[Any] | None = None
        try:
            self._connection = self._run(asyncio.wait_for(connect(url, name=name, **settings), self.connect_timeout_s))
            self._run(self._begin(self._connection))
        except BaseException:
            self.close()
            raise

    async def _begin(self, connection: Connection[Any]) -> None:
        """What is done first on the new connection. Whatever it raises ends the session."""

    def close(self) -> None:
        """Disconnect; a transaction that was not committed is gone. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._loop.run_until_complete(end(connection))
        self._finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fetch(self, query: str, *values: Any) -> list[Any]:
        """All records of a query."""
        return self._run(self._connected().fetch(query, *values, timeout=ANSWER_TIMEOUT_S))

    def _connected(self) -> Connection[Any]:
        if self._connection is None:
            raise JournalUnavailable(f"{self._doing}: the session is closed")
        return self._connection

    def _run(self, work: Coroutine[Any, Any, T], doing: str | None = None) -> T:
        with database_errors(doing or self._doing):
            return self._loop.run_until_complete(work)

    def _give_up(self) -> None:
        """Cut the line: what was begun may or may not have happened. The session is closed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
        self._finish()

    def _finish(self) -> None:
        """Close the event loop; what was begun on it and has not ended is cancelled first."""
        if self._loop.is_closed():
            return

        async def settle() -> None:
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._loop.run_until_complete(settle())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


def ask(
    url: str, work: Callable[[Connection[Any]], Coroutine[Any, Any, T]], *, name: str, doing: str, **settings: str
) -> T:
    """What ``work`` returns, done in a session of its own. Blocking; raises as ``database_errors`` does."""
    with BlockingSession(url, name=name, doing=doing, **settings) as session:
        return session._run(work(session._connected()))
