"""``perps verify``: whether the journal, the query tables and the snapshots are what the venue wrote."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from tools.argument_types import VENUE_URL
from tools.audit.database import venue_database
from tools.errors import ToolError
from tools.output import Reporter, counted, progress, show_json, show_table
from tools.settings import Access, SettingsCommand, access_to, data_dir_option, database_url_option, json_option

if TYPE_CHECKING:
    from perps.journal import Row
    from perps.snapshot.verification import Finding, Findings, Walker
    from perps.venue import VenueState
    from persistence.operator.archive import ArchiveReader
    from persistence.operator.audit import Audit


@click.command(cls=SettingsCommand)
@data_dir_option
@database_url_option
@click.option(
    "--archive",
    "archive_dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where perps archive has put the first rows.",
)
@click.option("--live", type=VENUE_URL, help="Also compare with the memory of the venue that runs there.")
@click.option("--key", envvar="PERPS_ADMIN_KEY", help="The key for --live.  [default: <data-dir>/admin.key]")
@json_option
def verify(
    data_dir: Path,
    database_url: str | None,
    archive_dir: Path | None,
    live: str | None,
    key: str | None,
    as_json: bool,
) -> int:
    """Check every row, and all that follows from the rows. Exit code 1 if something is wrong.

    Reads the database as it stands at one moment, beside a running venue or without one, and changes nothing.
    """
    access = None if live is None else access_to(live, key, data_dir)
    from perps.snapshot.verification import Findings
    from persistence.operator.audit import Audit

    findings = Findings()
    began = time.monotonic()
    with (
        venue_database(database_url, data_dir) as url,
        Audit(url) as audit,
        progress("verifying", audit.last_offset() or None) as report,
    ):
        walker = check_database(audit, findings, report, _archive(audit, archive_dir))
        if access is not None and walker.is_sound:
            _check_live(access, url, walker.state, findings)
    _tell(walker.offset, findings, time.monotonic() - began, as_json=as_json)
    return 1 if findings.count else 0


def check_database(audit: Audit, findings: Findings, report: Reporter, archive: ArchiveReader | None = None) -> Walker:
    """Walk over all rows and compare what is stored beside them; the walker as it stands behind the last row.

    ``archive``: where the first rows are, if they are no longer in the database.
    """
    from perps.snapshot.verification import Walker, contradictions
    from persistence.operator.comparison import IN_STEP, Comparison
    from tools.audit.snapshots import SnapshotCheck

    last = max(audit.last_offset(), archive.last if archive else 0)
    walker = Walker(findings)
    streams = {table.name: audit.records(table) for table in IN_STEP}
    comparison = Comparison(findings, streams, audit.positions, last)
    snapshots = SnapshotCheck(findings, audit.snapshot_offsets(), audit.snapshot)
    for page in _pages(audit, archive, findings):
        entries = []
        for row in page:
            entry = walker.take(row)
            if entry is not None:
                entries.append(entry)
            snapshots.pass_row(row, entry, walker)
        comparison.take(entries)
        report(walker.offset, f"row {walker.offset}, {counted(findings.count, 'problem')}")
    if walker.is_sound:
        for finding in contradictions(walker.state):
            findings.add(finding.problem, finding.offset, finding.ticker)
        comparison.end(walker.state.markets, audit.position_ids())
    _check_tail(audit, findings, last, snapshots.offsets)
    _check_owner(audit, findings, walker)
    for user, order, offsets in audit.doubled_orders(limit=findings.kept_max + 1):
        rows = " and ".join(map(str, offsets[:3])) + (" and others" if len(offsets) > 3 else "")
        findings.add(f"{user} has the client order id {order} in rows {rows}", offsets[1])
    return walker


def _archive(audit: Audit, directory: Path | None) -> ArchiveReader | None:
    """The archived rows; None when there are none."""
    from persistence.operator.archive import ArchiveBroken, ArchiveReader

    if directory is None:
        archived = audit.archived()
        if archived is not None:
            last, file = archived
            raise ToolError(f"rows 1 to {last} are in the archive ({file}): say by --archive where that is now")
        return None
    try:
        return ArchiveReader(directory)
    except ArchiveBroken as error:
        raise ToolError(str(error)) from error


def _pages(audit: Audit, archive: ArchiveReader | None, findings: Findings) -> Iterator[list[Row]]:
    """All rows: those in the archive, then those in the database behind them.

    Of rows that are in both the archive's are given, and the database's held against them.
    """
    from persistence.operator.archive import ArchiveBroken
    from persistence.operator.audit import PAGE_ROWS

    after = 0
    if archive is not None:
        after = archive.last
        twins = Twins(findings, (row for page in audit.pages(0, after) for row in page))
        page: list[Row] = []
        try:
            for row in archive.rows():
                twins.compare(row)
                page.append(row)
                if len(page) == PAGE_ROWS:
                    yield page
                    page = []
        except ArchiveBroken as broken:
            findings.add(str(broken))
        yield page
    yield from audit.pages(after)


class Twins:
    """Rows of the database that are in the archive too: both must be the same, field for field."""

    def __init__(self, findings: Findings, stored: Iterator[Row]) -> None:
        """``stored``: those of the database that may be in the archive, in order."""
        self._findings = findings
        self._stored = stored
        self._next = next(stored, None)

    def compare(self, archived: Row) -> None:
        """The archive's next row."""
        while self._next is not None and self._next.offset <= archived.offset:
            if self._next.offset < archived.offset:
                self._findings.add("in the database, before all rows of the archive", self._next.offset)
            elif self._next != archived:
                fields = [name for name in archived.__struct_fields__ if _differ(self._next, archived, name)]
                problem = f"in the database it is not the row that the archive has, by its {' and '.join(fields)}"
                self._findings.add(problem, archived.offset, archived.stream)
            self._next = next(self._stored, None)


def _differ(row: Row, other: Row, field: str) -> bool:
    return bool(getattr(row, field) != getattr(other, field))


def _check_tail(audit: Audit, findings: Findings, last: int, snapshots: Sequence[int]) -> None:
    beyond = dict(audit.beyond(last))
    if snapshots and snapshots[-1] > last:
        beyond["snapshots"] = snapshots[-1]
    if beyond:
        tables = ", ".join(beyond)
        problem = f"missing: the journal ends at row {last}, but {tables} know of rows up to {max(beyond.values())}"
        findings.add(f"{problem}: it has lost its tail", last + 1)


def _check_live(access: Access, url: str, state: VenueState, findings: Findings) -> None:
    """Lead the state on to the rows of the venue's answers, and compare: what it serves, and what its actors hold."""
    from perps.venue import JournalCorrupt
    from persistence.journal.history import PostgresHistory
    from tools.audit.live import Follower, ask_venue, differences_in_memory
    from tools.audit.memory import ask_memory, contradictions_of_memory

    try:
        said = asyncio.run(ask_venue(access, not_before=state.offset))
        memory = asyncio.run(ask_memory(access))
        follower = Follower(state, PostgresHistory(url).rows)
        for found in differences_in_memory(follower, said):
            problem = f"the venue says that {found.field} is {found.memory}, the rows lead to {found.journal}"
            findings.add(problem, found.offset, found.ticker)
        for finding in contradictions_of_memory(follower, memory):
            findings.add(finding.problem, finding.offset, finding.ticker)
    except JournalCorrupt as corrupt:
        findings.add(corrupt.problem, corrupt.offset)
    except ToolError as error:
        findings.add(f"the venue could not be compared: {error}")


def _check_owner(audit: Audit, findings: Findings, walker: Walker) -> None:
    epoch = audit.owner_epoch()
    if walker.epoch > (epoch or 0):
        says = "there is no owner" if epoch is None else f"the owner's epoch is {epoch}"
        findings.add(f"written in epoch {walker.epoch}, but {says}", walker.offset)


def _tell(offset: int, findings: Findings, seconds: float, *, as_json: bool) -> None:
    told = sorted(findings.told(), key=_place)
    if as_json:
        answer = {"ok": not findings.count, "offset": offset, "problems": told}
        show_json(answer)
        return
    if told:
        cells = ("" if finding.offset is None else str(finding.offset) for finding in told)
        rows = [(cell, finding.ticker or "", finding.problem) for cell, finding in zip(cells, told, strict=True)]
        show_table(("offset", "ticker", "problem"), rows)
    verdict = "nothing wrong" if not findings.count else counted(findings.count, "problem")
    click.echo(f"{counted(offset, 'row')} verified in {seconds:.1f} s: {verdict}")


def _place(finding: Finding) -> tuple[bool, int]:
    return finding.offset is None, finding.offset or 0
