"""The database of a venue, running or not: the one given, or the embedded one for as long as a command reads it."""

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
from web.process.data_directory import without_venue
from web.process.log_sink import say

READERS: Final = "readers.lock"
"""In the data directory: locked, shared, by every command that reads. Its text says whether one of them has started
the server; then the last of them stops it."""

STARTED: Final = b"the server was started to be read\n"


@contextmanager
def venue_database(database_url: str | None, data_dir: Path) -> Iterator[str]:
    """The URL of the venue's database. Whatever it raises is turned into a ``ToolError``.

    A server that runs is used and left alone. One that does not is started, and stopped again unless a venue or another
    reader uses it by then. Neither the venue's lock nor the journal's is held meanwhile.
    """
    try:
        if database_url is not None:
            yield database_url
        else:
            with _embedded(data_dir) as url:
                yield url
    except (JournalUnavailable, EmbeddedPostgresError) as error:
        raise ToolError(str(error)) from error


@contextmanager
def _embedded(data_dir: Path) -> Iterator[str]:
    directory = data_dir / "postgres"
    if not (directory / "PG_VERSION").exists():
        raise ToolError(f"there is no venue's database in {data_dir}: give --data-dir or --database-url")
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
    """Stop a server that a reader has started, unless another reader or a venue is there."""
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
