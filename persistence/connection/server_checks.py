"""What a server must be set to, so that a row it has committed is never lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from persistence.errors import UnsafeServer

if TYPE_CHECKING:
    from asyncpg import Connection, Record

DURABLE: Final[Mapping[str, tuple[str, ...]]] = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "local", "remote_write", "remote_apply"),
    "data_sync_retry": ("off",),
}
"""Setting → values under which a commit survives a crash of the server and of its machine.

``fsync``: without it nothing is known to reach the disk. ``full_page_writes``: without them a page torn by a power cut
cannot be repaired. ``synchronous_commit``: all but ``off`` wait until the commit is on the primary's own disk; they
differ in what they ask of standbys, which is the operator's choice. ``data_sync_retry``: a second fsync after one that
failed may succeed although the pages are gone; when it is off the server panics instead, and recovers from its log.
"""

SETTINGS: Final = ", ".join(f"current_setting('{name}')" for name in DURABLE)
"""Columns of a query: the values of these, as this session sees them, so defaults of its database and role included."""


async def check_server(connection: Connection[Record]) -> None:
    """Raise ``UnsafeServer`` if a commit here would not be durable."""
    found = await connection.fetchrow(f"select pg_is_in_recovery(), {SETTINGS}")
    if found is None or found[0]:
        raise UnsafeServer("this database server is a read-only standby: use the primary")
    check_settings(found[1:])


def check_settings(values: Sequence[str]) -> None:
    """Raise ``UnsafeServer`` with everything that is wrong among the values of ``SETTINGS``."""
    wrong = [
        f"{name} = {value} (must be {' or '.join(allowed)})"
        for (name, allowed), value in zip(DURABLE.items(), values, strict=True)
        if value not in allowed
    ]
    if wrong:
        raise UnsafeServer(f"the database server can lose what was committed: {', '.join(wrong)}")


async def pin_commit(connection: Connection[Record]) -> None:
    """Keep ``synchronous_commit`` for this session as it is, whatever the server is told later."""
    await connection.execute("select set_config('synchronous_commit', current_setting('synchronous_commit'), false)")
