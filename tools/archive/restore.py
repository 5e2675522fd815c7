"""``perps restore``: makes a new database from journal rows, up to a row or a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import rich_click as click
from msgspec import Struct

from tools.argument_types import DATABASE_URL, MOMENT, OFFSET
from tools.audit.database import venue_database
from tools.errors import ToolError
from tools.output import progress, show_json, show_record
from tools.settings import SettingsCommand, data_dir_option, database_url_option, json_option
from tools.times import rfc3339

if TYPE_CHECKING:
    from perps.journal import Row
    from perps.venue import VenueState
    from persistence.operator.archive import ArchiveReader
    from persistence.operator.restoring import NewDatabase

BATCH_ROWS: Final = 5_000
"""How many rows are checked and written together."""


class Restored(Struct, frozen=True, rename="camel"):
    """What the new database has."""

    offset: int
    """The last row."""
    at: str
    """The last row's time."""
    rows: int
    epoch: int
    """The last row's. The next venue on this database begins a newer one."""
    state_hash: str
    keys: int
    """API keys that were copied."""


@click.command(cls=SettingsCommand)
@click.option("--into", type=DATABASE_URL, help="Make it in this PostgreSQL database, which must be empty.")
@click.option(
    "--into-data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Make it in this data directory, which must be new.",
)
@click.option(
    "--archive",
    "archive_dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The archive's directory, if rows have been moved there.",
)
@click.option("--archive-only", is_flag=True, help="Read only the archive: the old database is gone.")
@click.option("--to-offset", type=OFFSET, help="Stop after this row.  [default: the last row]")
@click.option("--to-time", type=MOMENT, help="Stop before the first row after this time.")
@click.option("--with-keys", is_flag=True, help="Copy the API keys too: they will work on the new database.")
@data_dir_option
@database_url_option
@json_option
def restore(
    into: str | None,
    into_data_dir: Path | None,
    archive_dir: Path | None,
    archive_only: bool,
    to_offset: int | None,
    to_time: int | None,
    with_keys: bool,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Make a new database from a database, an archive, or both.

    The old database is --data-dir or --database-url; a venue may run on it meanwhile. Every row is checked and
    replayed. If the command is interrupted, the new database stays empty: run it again.
    """
    if (into is None) == (into_data_dir is None):
        raise click.UsageError("say where to make the new database: give either --into or --into-data-dir")
    if to_offset is not None and to_time is not None:
        raise click.UsageError("give --to-offset or --to-time, not both")
    if archive_only and (archive_dir is None or with_keys):
        raise click.UsageError("--archive-only needs --archive, and excludes --with-keys: an archive has no keys")
    from perps.venue import JournalCorrupt
    from persistence.errors import CannotServe
    from persistence.operator.archive import ArchiveBroken, ArchiveReader
    from web.process import logs

    logs.configure("warning")
    with ExitStack() as stack:
        source = None if archive_only else stack.enter_context(venue_database(database_url, data_dir))
        try:
            archive = None if archive_dir is None else ArchiveReader(archive_dir)
            until = to_offset if to_time is None else _last_until(archive, source, to_time)
            target = stack.enter_context(_target(into, into_data_dir))
            restored = _restore(archive, source, target, until, with_keys=with_keys)
        except (ArchiveBroken, CannotServe, JournalCorrupt) as error:
            raise ToolError(f"nothing was restored: {error}") from error
    if as_json:
        show_json(restored)
    else:
        show_record(msgspec.to_builtins(restored))


@contextmanager
def _target(url: str | None, data_dir: Path | None) -> Iterator[str]:
    """The URL of the new database. An embedded server runs only while the database is filled."""
    from perps.journal import JournalUnavailable
    from persistence.embedded.server import EmbeddedPostgres, EmbeddedPostgresError
    from web.process.data_directory import CannotStart, DataDirectory
    from web.process.log_sink import say

    try:
        if data_dir is None:
            yield url or ""
            return
        with ExitStack() as stack:
            stack.callback(DataDirectory(data_dir).close)
            server = EmbeddedPostgres(data_dir / "postgres", say=say)
            if not server.is_running():
                stack.callback(server.stop)
            yield server.start()
    except (CannotStart, EmbeddedPostgresError, JournalUnavailable) as error:
        raise ToolError(str(error)) from error


def _last_until(archive: ArchiveReader | None, source: str | None, at: int) -> int:
    from persistence.operator.restoring import last_until

    found = 0 if source is None else last_until(source, at)
    if archive is not None and found <= archive.last:
        found = max(found, archive.last_until(at))
    if not found:
        raise ToolError(f"there is no row from {rfc3339(at)} or before")
    return found


def _restore(
    archive: ArchiveReader | None, source: str | None, target: str, until: int | None, *, with_keys: bool
) -> Restored:
    from perps.snapshot.format import SnapshotBroken, state_hash
    from persistence.journal.history import PostgresHistory
    from persistence.operator.restoring import NewDatabase, joined_rows, read_keys, read_partition_rows
    from web.compose import snapshot_of

    keys: list[tuple[Any, ...]] = read_keys(source) if with_keys and source is not None else []
    rows = joined_rows(archive, None if source is None else PostgresHistory(source), until)
    partition_rows = None if source is None else read_partition_rows(source)
    with NewDatabase(target, partition_rows=partition_rows) as new:
        state, at = _copy(rows, new, until)
        new.commit(state.epoch, keys)
        try:
            taken = snapshot_of(target)
        except SnapshotBroken as error:
            raise ToolError(f"the rows are restored, but no snapshot could be taken: {error}") from error
    if taken.state_hash != state_hash(state):
        raise ToolError(f"the new database has another state at row {state.offset} than the old one: do not use it")
    return Restored(state.offset, rfc3339(at), state.offset, state.epoch, taken.state_hash.hex(), len(keys))


def _copy(rows: Iterator[Row], new: NewDatabase, until: int | None) -> tuple[VenueState, int]:
    """Replay rows and write them; the state that they lead to, and the time of the last one."""
    from perps.venue import VenueState

    state, batch, at = VenueState(), [], 0
    with progress("restoring", until) as report:
        for row in rows:
            if until is not None and row.offset > until:
                break
            batch.append(state.apply(row))
            at = row.at
            if len(batch) == BATCH_ROWS:
                new.write(batch)
                batch.clear()
                report(state.offset, f"row {state.offset}")
        new.write(batch)
    if not state.offset:
        raise ToolError("there are no rows to restore")
    if until is not None and state.offset < until:
        raise ToolError(f"nothing was restored: the last row is {state.offset}, and --to-offset asks for {until}")
    return state, at
