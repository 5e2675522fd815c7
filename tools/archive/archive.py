"""``perps archive``: moves whole partitions of old rows out of the database into files."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import rich_click as click
from msgspec import Struct

from tools.argument_types import OFFSET, Real
from tools.audit.database import venue_database
from tools.errors import ToolError
from tools.output import Reporter, counted, progress, show_json, show_line, show_table
from tools.settings import SettingsCommand, data_dir_option, database_url_option, json_option

if TYPE_CHECKING:
    from persistence.operator.archive import ArchiveFile
    from persistence.operator.archiving import Archiver, Kept, Rule

KEEP_DAYS_MIN: Final = 1.0
"""The venue must be able to answer for a client order id this long, and the answer is in the row."""

DAY_MS: Final = 86_400_000


class Archived(Struct, frozen=True):
    """Rows that are now in the archive and no longer in the database."""

    first: int
    last: int
    rows: int
    size: int
    """The file's bytes."""
    file: str


@click.command(cls=SettingsCommand)
@click.option(
    "--to",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The archive's directory. Use the same one every time.",
)
@click.option("--before", type=OFFSET, help="Move only rows before this row.")
@click.option(
    "--keep-days",
    type=Real(0),
    default=1.0,
    show_default=True,
    help="Keep rows that are younger than this many days.",
)
@click.option(
    "--forget-client-ids",
    is_flag=True,
    help="Allow --keep-days below 1: a client order id in a moved row could then be used again.",
)
@data_dir_option
@database_url_option
@json_option
def archive(
    directory: Path,
    before: int | None,
    keep_days: float,
    forget_client_ids: bool,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Move old rows out of the database into files.

    Rows move in whole partitions, oldest first. Each partition is written to a file, and the file is read back and
    checked, before the rows leave the database. Rows that a snapshot needs stay.

    The venue may run meanwhile. If the command is interrupted, run it again: it continues.
    """
    if keep_days < KEEP_DAYS_MIN and not forget_client_ids:
        raise click.UsageError(
            "--keep-days below 1: the venue answers for a client order id for at least a day, and could not if its row"
            " were archived; add --forget-client-ids to do it all the same"
        )
    from persistence.operator.archive import ArchiveBroken
    from persistence.operator.archiving import Archiver, Rule
    from web.readside.loading import check_views

    rule = Rule(before=before, not_after=int(time.time() * 1000 - keep_days * DAY_MS))
    with venue_database(database_url, data_dir) as url:
        try:
            with Archiver(url, directory, on_snapshot=check_views) as archiver:
                done, kept = _archive(archiver, rule)
        except ArchiveBroken as error:
            raise ToolError(str(error)) from error
        except OSError as error:
            raise ToolError(f"cannot write to {directory}: {error.strerror or error}") from error
    _tell(done, kept, as_json=as_json)


def _archive(archiver: Archiver, rule: Rule) -> tuple[list[ArchiveFile], Kept | None]:
    done = archiver.finish()
    may, kept = archiver.plan(rule)
    with progress("archiving", len(may) or None) as report:
        for count, partition in enumerate(may):
            place = f"rows {partition.first} to {partition.last}"
            done.append(archiver.archive(partition, partial(_report, report, count, place)))
    return done, kept


def _report(report: Reporter, count: int, place: str, step: str) -> None:
    report(count, f"{place}: {step}")


def _tell(done: list[ArchiveFile], kept: Kept | None, *, as_json: bool) -> None:
    archived = [
        Archived(found.first, found.last, found.rows, found.path.stat().st_size, str(found.path)) for found in done
    ]
    if as_json:
        show_json({"archived": archived, "kept": kept})
        return
    if archived:
        cells = [[str(one.first), str(one.last), str(one.size), one.file] for one in archived]
        show_table(("first", "last", "bytes", "file"), cells)
    click.echo(f"{counted(sum(one.rows for one in archived), 'row')} archived")
    if kept is not None:
        show_line(f"rows {kept.first} to {kept.last} and all later ones stay: {kept.why}")
