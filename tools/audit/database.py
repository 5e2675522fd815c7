"""The database of a venue that runs or not: the one that was given, or the embedded one, while a command reads it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from perps.journal import JournalUnavailable
from persistence.embedded.server import EmbeddedPostgres, EmbeddedPostgresError
from tools.errors import ToolError
from tools.venues import has_database, stored_venue
from web.process.data_directory import without_venue
from web.process.log_sink import say

READERS: Final = "readers.lock"
"""A file in the data directory. Every command that reads holds a shared lock on it. Its text says whether one of them
started the server; if so, the last one stops it."""

STARTED: Final = b"the server was started to be read\n"


@contextmanager
def venue_database(database_url: str | None, data_dir: Path | None) -> Iterator[str]:
    """The URL of the venue's database. An error of the database inside the block becomes a ``ToolError``.

    Without a data directory it is that of the only venue: see ``tools.venues.stored_venue``.

    If the embedded server runs, it is used and left running. If not, it is started, and stopped at the end unless a
    venue or another reader uses it by then. Meanwhile neither the venue's lock nor the journal's is held.
    """
    try:
        if database_url is not None:
            yield database_url
        else:
            with _embedded(stored_venue(data_dir)) as url:
                yield url
    except (JournalUnavailable, EmbeddedPostgresError) as error:
        raise ToolError(str(error)) from error


@contextmanager
def _embedded(data_dir: Path) -> Iterator[str]:
    directory = data_dir / "postgres"
    if not has_database(data_dir):
        raise ToolError(f"there is no venue's database in {data_dir}; name it with --data-dir or --database-url")
    server = EmbeddedPostgres(directory, say=say)
    try:
        lock = os.open(data_dir / READERS, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ToolError(f"cannot use the data directory {data_dir}: {error.strerror or error}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        if not server.is_running():
            os.pwrite(lock, STARTED, 0)
        yield server.start()
    finally:
        _stop_if_last(server, data_dir, lock)
        os.close(lock)


def _stop_if_last(server: EmbeddedPostgres, data_dir: Path, lock: int) -> None:
    """Stop a server that a reader has started, unless another reader or a venue uses it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    if not os.pread(lock, len(STARTED), 0):
        return
    with without_venue(data_dir) as alone:
        if alone:
            server.stop()
        os.ftruncate(lock, 0)
