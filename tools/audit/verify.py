"""``perps verify``: are the journal, the query tables and the snapshots what the venue wrote?"""

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
    help="The archive's directory, if perps archive has moved rows there.",
)
@click.option("--live", type=VENUE_URL, help="Also compare with the memory of the venue at this address.")
@click.option(
    "--key", envvar="PERPS_ADMIN_KEY", help="The API key for --live.  [default: the key in <data-dir>/admin.key]"
)
@json_option
def verify(
    data_dir: Path | None,
    database_url: str | None,
    archive_dir: Path | None,
    live: str | None,
    key: str | None,
    as_json: bool,
) -> int:
    """Check every stored row, and everything that follows from it.

    This reads the database as of one moment, with or without a running venue, and changes nothing. Exit code 1:
    something is wrong.
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
    """Replay all rows and compare what is stored beside them; the walker after the last row.

    ``archive``: the first rows, if they are no longer in the database.
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
        findings.add(f"{user} used the client order id {order} more than once: rows {rows}", offsets[1])
    return walker


def _archive(audit: Audit, directory: Path | None) -> ArchiveReader | None:
    """The archived rows; None if there are none."""
    from persistence.operator.archive import ArchiveBroken, ArchiveReader

    if directory is None:
        archived = audit.archived()
        if archived is not None:
            last, file = archived
            raise ToolError(
                f"rows 1 to {last} are in the archive ({file}): add --archive with the directory where they are now"
            )
        return None
    try:
        return ArchiveReader(directory)
    except ArchiveBroken as error:
        raise ToolError(str(error)) from error


def _pages(audit: Audit, archive: ArchiveReader | None, findings: Findings) -> Iterator[list[Row]]:
    """All rows: those in the archive, then those after them in the database.

    A row that is in both is taken from the archive and compared with the database's.
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
    """Compares the rows that are both in the database and in the archive: all fields must be equal."""

    def __init__(self, findings: Findings, stored: Iterator[Row]) -> None:
        """``stored``: the database's rows that may be in the archive, in order."""
        self._findings = findings
        self._stored = stored
        self._next = next(stored, None)

    def compare(self, archived: Row) -> None:
        """Compare the archive's next row."""
        while self._next is not None and self._next.offset <= archived.offset:
            if self._next.offset < archived.offset:
                self._findings.add("the database has this row, but the archive does not", self._next.offset)
            elif self._next != archived:
                fields = [name for name in archived.__struct_fields__ if _differ(self._next, archived, name)]
                problem = f"database and archive have different rows here: {' and '.join(fields)} differ"
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
        problem = f"the journal ends at row {last}, but {tables} have records up to row {max(beyond.values())}"
        findings.add(f"{problem}: the journal has lost its last rows", last + 1)


def _check_live(access: Access, url: str, state: VenueState, findings: Findings) -> None:
    """Replay on to the rows of the venue's answers, and compare what it serves and what its actors hold."""
    from perps.venue import JournalCorrupt
    from persistence.journal.history import PostgresHistory
    from tools.audit.live import Follower, ask_venue, differences_in_memory
    from tools.audit.memory import ask_memory, contradictions_of_memory

    try:
        said = asyncio.run(ask_venue(access, not_before=state.offset))
        memory = asyncio.run(ask_memory(access))
        follower = Follower(state, PostgresHistory(url).rows)
        for found in differences_in_memory(follower, said):
            problem = f"{found.field}: the running venue says {found.memory}, the rows lead to {found.journal}"
            findings.add(problem, found.offset, found.ticker)
        for finding in contradictions_of_memory(follower, memory):
            findings.add(finding.problem, finding.offset, finding.ticker)
    except JournalCorrupt as corrupt:
        findings.add(corrupt.problem, corrupt.offset)
    except ToolError as error:
        findings.add(f"the running venue could not be compared: {error}")


def _check_owner(audit: Audit, findings: Findings, walker: Walker) -> None:
    epoch = audit.owner_epoch()
    if walker.epoch > (epoch or 0):
        says = "the database has no owner" if epoch is None else f"the owner's epoch is only {epoch}"
        findings.add(f"this row was written in epoch {walker.epoch}, but {says}", walker.offset)


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
