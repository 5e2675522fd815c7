"""Old rows leave the database only once they are in a file, whatever happens; and a venue does not notice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

import asyncpg
import pytest

from actors.recovery import recover
from perps.journal import GENESIS, Entry, JournalUnavailable, Row
from perps.snapshot.format import state_hash
from perps.venue import JournalCorrupt, VenueState
from persistence.journal.history import PostgresHistory
from persistence.journal.writer import PostgresJournal
from persistence.operator import archiving
from persistence.operator.archive import ArchiveBroken, ArchiveReader, check_file, write_file
from persistence.operator.archiving import Archiver, Rule
from tests.persistence.partitioned import save_snapshot, stored_day
from tests.support.entries import Scribe
from tests.support.postgres import fill, sql

TINY = 40
ROWS = 200
SNAPSHOTS = (130, 190)
"""Three partitions end before the older one."""

OLD = Rule(not_after=2**62)
"""Age keeps nothing."""

WAIT_S = 15.0


@pytest.fixture
def stored(database_url: str) -> list[Entry]:
    """A day in partitions of ``TINY`` rows, with snapshots; all of it is old."""

    def write(url: str) -> None:
        entries = stored_day(url, ROWS, TINY)
        for offset in SNAPSHOTS:
            save_snapshot(url, entries, offset)

    fill(database_url, "archivable", write)
    return Scribe().live(ROWS, seed=11)


def names(url: str) -> list[str]:
    """All tables that are or were partitions."""
    query = "select relname from pg_class where relkind = 'r' and relname ~ '^journal_[0-9]' order by oid"
    return [name for (name,) in sql(url, query)]


def run(url: str, directory: Path, rule: Rule = OLD) -> list[int]:
    """Archive all that may leave: the last offsets of what has left."""
    with Archiver(url, directory) as archiver:
        done = archiver.finish()
        may, _ = archiver.plan(rule)
        done += [archiver.archive(partition) for partition in may]
        return [found.last for found in done]


def why_kept(url: str, rule: Rule) -> str:
    with Archiver(url, Path("nowhere")) as archiver:
        may, kept = archiver.plan(rule)
    assert may == []
    assert kept is not None
    return kept.why


def everything(url: str, directory: Path) -> list[Row]:
    """The rows of the archive, and those of the database that are not in it."""
    reader = ArchiveReader(directory)
    return list(chain(reader.rows(), PostgresHistory(url).rows(reader.last)))


# --- which partitions may leave


def test_what_no_snapshot_needs_leaves_and_all_rows_are_still_there(
    stored: list[Entry], database_url: str, tmp_path: Path
) -> None:
    assert run(database_url, tmp_path) == [40, 80, 120]
    assert names(database_url)[0] == "journal_121"
    assert everything(database_url, tmp_path) == [entry.row for entry in stored]
    assert run(database_url, tmp_path) == []


def test_only_rows_before_an_offset_leave_if_so_asked(stored: list[Entry], database_url: str, tmp_path: Path) -> None:
    assert run(database_url, tmp_path, Rule(before=81, not_after=2**62)) == [40, 80]
    assert "before row 120" in why_kept(database_url, Rule(before=120, not_after=2**62))
    assert run(database_url, tmp_path, Rule(before=121, not_after=2**62)) == [120]


def test_without_a_snapshot_nothing_leaves(stored: list[Entry], database_url: str) -> None:
    sql(database_url, "delete from snapshots")
    assert "there is no snapshot" in why_kept(database_url, OLD)


def test_with_broken_snapshots_only_nothing_leaves(stored: list[Entry], database_url: str) -> None:
    sql(database_url, "update snapshot_parts set body = set_byte(body, 100, 255 - get_byte(body, 100))")
    assert "there is no snapshot that can be used" in why_kept(database_url, OLD)


def test_a_snapshot_of_another_row_than_the_journals_is_none(stored: list[Entry], database_url: str) -> None:
    sql(database_url, 'update journal set hash = sha256(hash) where "offset" = any($1)', SNAPSHOTS)
    assert "there is no snapshot that can be used" in why_kept(database_url, OLD)


def test_a_snapshot_of_another_epoch_than_its_row_is_none(stored: list[Entry], database_url: str) -> None:
    sql(database_url, 'update journal set epoch = epoch + 1 where "offset" = any($1)', SNAPSHOTS)
    assert "there is no snapshot that can be used" in why_kept(database_url, OLD)


def test_the_partition_of_the_oldest_snapshots_row_stays(stored: list[Entry], database_url: str) -> None:
    save_snapshot(database_url, stored, TINY)
    assert f"the oldest snapshot kept, of row {TINY}," in why_kept(database_url, OLD)


def test_the_partition_that_is_being_written_stays(database_url: str) -> None:
    entries = stored_day(database_url, 30, TINY)
    save_snapshot(database_url, entries, len(entries))
    assert why_kept(database_url, OLD) == "it is being written"


def test_a_partition_with_one_row_that_is_too_young_stays(stored: list[Entry], database_url: str) -> None:
    newest = max(entry.row.at for entry in stored[:TINY])
    assert "not old enough" in why_kept(database_url, Rule(not_after=newest - 1))
    with Archiver(database_url, Path("nowhere")) as archiver:
        may, _ = archiver.plan(Rule(not_after=newest))
    assert [partition.last for partition in may] == [TINY]


def test_a_partition_with_rows_missing_stays(stored: list[Entry], database_url: str) -> None:
    sql(database_url, 'delete from journal where "offset" = 17')
    assert "rows of it are missing" in why_kept(database_url, OLD)


def test_a_partition_with_rows_of_another_shard_stays(stored: list[Entry], database_url: str) -> None:
    sql(database_url, 'update journal set shard = 1 where "offset" = 17')
    assert "another shard" in why_kept(database_url, OLD)


def test_two_do_not_archive_at_once(stored: list[Entry], database_url: str, tmp_path: Path) -> None:
    with Archiver(database_url, tmp_path), pytest.raises(JournalUnavailable, match="being archived already"):
        Archiver(database_url, tmp_path)


def test_rows_that_were_altered_in_the_database_do_not_leave(
    stored: list[Entry], database_url: str, tmp_path: Path
) -> None:
    sql(database_url, 'update journal set user_balance = 7 where "offset" = 50')
    with pytest.raises(ArchiveBroken, match="hash of row 50"):
        run(database_url, tmp_path)
    assert names(database_url)[0] == "journal_41"
    assert PostgresHistory(database_url).epoch_and_hash_at(50) is not None


# --- cut off anywhere


class Killed(BaseException):
    """Nothing catches it."""


def die(*_: object, **__: object) -> NoReturn:
    raise Killed


STEPS = ("write", "rename", "check", "record", "detach", "drop")


@pytest.fixture(params=[f"{when} {step}" for step in STEPS for when in ("before", "after")])
def cut_off(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Kills the archiving of the second partition, before or after one of its steps; undone by calling it."""
    when, step = request.param.split()
    seen = 0
    execute, rename = Archiver._execute, Path.rename

    def around(is_it: bool, work: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal seen
        seen += is_it
        if is_it and seen == 2 and when == "before":
            die()
        result = work(*arguments)
        if is_it and seen == 2:
            die()
        return result

    def patched_execute(self: Archiver, statement: str, *values: Any) -> None:
        steps = {"record": "insert", "detach": "alter", "drop": "drop"}
        around(statement.startswith(steps.get(step, "nothing")), execute, self, statement, *values)

    monkeypatch.setattr(Archiver, "_execute", patched_execute)
    monkeypatch.setattr(archiving, "write_file", lambda *given: around(step == "write", write_file, *given))
    monkeypatch.setattr(archiving, "check_file", lambda *given: around(step == "check", check_file, *given))
    monkeypatch.setattr(Path, "rename", lambda *given: around(step == "rename", rename, *given))
    return monkeypatch.undo


def test_cut_off_anywhere_no_row_is_lost_and_doing_it_again_finishes(
    stored: list[Entry], database_url: str, tmp_path: Path, cut_off: Callable[[], None]
) -> None:
    with pytest.raises(Killed):
        run(database_url, tmp_path)
    cut_off()
    assert everything(database_url, tmp_path) == [entry.row for entry in stored]
    again = run(database_url, tmp_path)
    assert again in ([80, 120], [120])
    assert names(database_url)[0] == "journal_121"
    assert [found.last for found in ArchiveReader(tmp_path).files] == [40, 80, 120]
    assert everything(database_url, tmp_path) == [entry.row for entry in stored]
    assert not list(tmp_path.glob("*.partial"))


def test_a_detachment_that_waits_too_long_is_ended_by_the_next_run_and_stops_nobody_meanwhile(
    stored: list[Entry], database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "DETACH_TIMEOUT_S", 1)

    async def with_a_reader() -> None:
        reader = await asyncpg.connect(database_url)
        async with reader.transaction(isolation="repeatable_read", readonly=True):
            assert await reader.fetchval("select count(*) from journal") == len(stored)
            with pytest.raises(JournalUnavailable, match="lock timeout"):
                await asyncio.to_thread(run, database_url, tmp_path)
            await asyncio.to_thread(trade, database_url, stored)
        await reader.close()

    asyncio.run(with_a_reader())
    assert sql(database_url, "select count(*) from pg_inherits where inhdetachpending")[0][0] == 1
    assert everything(database_url, tmp_path)[: len(stored)] == [entry.row for entry in stored]
    assert run(database_url, tmp_path) == [40, 80, 120]
    assert sql(database_url, "select count(*) from pg_inherits where inhdetachpending")[0][0] == 0


def trade(url: str, entries: list[Entry]) -> None:
    """Take over and write three rows."""
    scribe = rebuilt(entries)
    with PostgresJournal.acquire(url, partition_rows=TINY) as journal:
        scribe.epoch = journal.epoch
        for price in (1, 2, 3):
            journal.append(scribe.price(5_000_000 + price))


def rebuilt(entries: list[Entry]) -> Scribe:
    """A scribe who goes on after these rows."""
    state = VenueState()
    for entry in entries:
        state.apply(entry.row)
    return Scribe(state=state)


def test_a_file_whose_database_has_other_rows_by_now_is_not_believed(
    stored: list[Entry], database_url: str, tmp_path: Path
) -> None:
    others = [entry.row for entry in Scribe().live(ROWS, seed=5)]
    write_file(tmp_path, 0, others[:TINY], GENESIS)
    with pytest.raises(ArchiveBroken, match="its rows are not those of the database"):
        run(database_url, tmp_path)
    assert names(database_url)[0] == "journal_1"


def test_a_recorded_file_that_is_not_in_the_directory_given_keeps_its_table(
    stored: list[Entry], database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = Archiver._execute

    def die_at_the_drop(self: Archiver, statement: str, *values: Any) -> None:
        if statement.startswith("drop"):
            die()
        execute(self, statement, *values)

    monkeypatch.setattr(Archiver, "_execute", die_at_the_drop)
    with pytest.raises(Killed):
        run(database_url, tmp_path / "here")
    monkeypatch.setattr(Archiver, "_execute", execute)
    with pytest.raises(ArchiveBroken, match=r"rows 1 to 40 have left for .*/here/"):
        run(database_url, tmp_path / "there")
    assert names(database_url)[0] == "journal_1"
    assert run(database_url, tmp_path / "here") == [40, 80, 120]


# --- beside a venue, and after


def test_a_venue_writes_and_reads_while_its_old_rows_leave(
    stored: list[Entry], database_url: str, tmp_path: Path
) -> None:
    scribe, begun, enough = rebuilt(stored), threading.Event(), threading.Event()

    def write() -> int:
        with PostgresJournal.acquire(database_url, partition_rows=TINY) as journal:
            scribe.epoch = journal.epoch
            while not enough.is_set():
                journal.append(scribe.price(5_000_000 + scribe.offset % 100))
                begun.set()
            return journal.offset

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            assert begun.wait(WAIT_S)
            assert run(database_url, tmp_path) == [40, 80, 120]
        finally:
            enough.set()
        last = writing.result(WAIT_S)
    assert last > len(stored)
    assert everything(database_url, tmp_path) == [entry.row for entry in [*stored, *scribe.entries]]


def test_recovery_begins_from_the_snapshot_that_is_kept(stored: list[Entry], database_url: str, tmp_path: Path) -> None:
    whole = VenueState()
    for entry in stored:
        whole.apply(entry.row)
    run(database_url, tmp_path)
    recovered = recover(PostgresHistory(database_url), lambda *_: None)
    assert recovered.begun_at == SNAPSHOTS[-1]
    assert state_hash(recovered.state) == state_hash(whole)
    sql(database_url, 'delete from snapshots where "offset" = $1', SNAPSHOTS[-1])
    recovered = recover(PostgresHistory(database_url), lambda *_: None)
    assert recovered.begun_at == SNAPSHOTS[0]
    assert state_hash(recovered.state) == state_hash(whole)


def test_without_a_snapshot_a_start_names_the_archive(stored: list[Entry], database_url: str, tmp_path: Path) -> None:
    run(database_url, tmp_path)
    sql(database_url, "delete from snapshots")
    with pytest.raises(JournalCorrupt, match=rf"journal row 1: .*rows up to 120 \({tmp_path}/.*perps restore"):
        recover(PostgresHistory(database_url), lambda *_: None)
    with pytest.raises(JournalCorrupt, match="journal row 1: it is in the archive"):
        list(PostgresHistory(database_url).rows_of("BTC-PERP"))


def test_a_lost_row_behind_the_archive_is_told_as_lost(stored: list[Entry], database_url: str, tmp_path: Path) -> None:
    run(database_url, tmp_path)
    sql(database_url, 'delete from journal where "offset" = 131')
    with pytest.raises(JournalCorrupt, match="journal row 131: missing"):
        recover(PostgresHistory(database_url), lambda *_: None, until=140)
