"""``perps restore``: the same journal in a new database, up to a row or a time; or nothing at all."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg
import pytest

from perps.journal import Entry
from perps.query_rows import KeyRecord
from persistence.embedded.server import EmbeddedPostgres
from persistence.errors import ShardTaken
from persistence.journal.history import PostgresHistory
from persistence.journal.writer import PostgresJournal
from persistence.operator.restoring import NewDatabase
from persistence.reads.keys import PostgresKeys
from tests.support.postgres import database_url, fresh_database, server_url, sql
from tests.tools.archive.partitioned_venue import hash_at, stored_venue
from tests.tools.archive.restored import Captured, archived, contents, is_empty, new_url, refusal, restore, stored
from tests.web.venue import OnPostgres, start
from tools.archive import restore as restore_module
from tools.cli import main
from tools.times import rfc3339
from web.process.clock import SystemClock

__all__ = ["archived", "database_url", "new_url", "server_url", "stored"]

ROOT: Final = Path(__file__).parents[3]
KEY: Final = KeyRecord("k1", b"digest", "user1", ("read", "trade"), "a key", 5)


def test_the_whole_of_a_database_is_the_same_database(
    stored: list[Entry], database_url: str, new_url: str, capsys: Captured
) -> None:
    answer = restore(capsys, "--database-url", database_url, "--into", new_url)
    last = stored[-1].row
    assert answer == {
        "offset": last.offset,
        "at": rfc3339(last.at),
        "rows": last.offset,
        "epoch": last.epoch,
        "stateHash": hash_at(stored, last.offset),
        "keys": 0,
    }
    assert contents(new_url) == contents(database_url)
    assert main(["verify", "--database-url", new_url]) == 0


@pytest.mark.parametrize("offset", [1, 7, 40, 41, 133, 199])
def test_up_to_a_row_it_has_the_state_of_a_replay_to_that_row(
    stored: list[Entry], database_url: str, new_url: str, capsys: Captured, offset: int
) -> None:
    answer = restore(capsys, "--database-url", database_url, "--into", new_url, "--to-offset", str(offset))
    assert (answer["offset"], answer["stateHash"]) == (offset, hash_at(stored, offset))
    history = PostgresHistory(new_url)
    assert list(history.rows()) == [entry.row for entry in stored[:offset]]
    assert [at for at, _ in history.snapshots()] == [offset]
    assert main(["verify", "--database-url", new_url]) == 0


def test_the_next_venue_begins_an_epoch_after_the_last_rows(
    stored: list[Entry], database_url: str, new_url: str, capsys: Captured
) -> None:
    sql(database_url, "update owner set epoch = 9")
    restore(capsys, "--database-url", database_url, "--into", new_url)
    assert sql(new_url, "select epoch from owner")[0][0] == stored[-1].row.epoch
    with PostgresJournal.acquire(new_url) as journal:
        assert (journal.epoch, journal.offset) == (stored[-1].row.epoch + 1, stored[-1].row.offset)


def until(entries: list[Entry], at: int) -> int:
    return max((entry.row.offset for entry in entries if entry.row.at <= at), default=0)


@pytest.mark.parametrize(("offset", "earlier_ms"), [(20, 0), (40, 0), (90, 1), (120, 0), (121, 0), (121, 1), (180, 1)])
def test_up_to_a_time_its_last_row_is_the_last_not_after_it(
    stored: list[Entry], archived: Path, database_url: str, new_url: str, capsys: Captured, offset: int, earlier_ms: int
) -> None:
    at = stored[offset - 1].row.at - earlier_ms
    source = ["--database-url", database_url, "--archive", str(archived)]
    answer = restore(capsys, *source, "--into", new_url, "--to-time", rfc3339(at))
    assert answer["offset"] == until(stored, at)
    assert answer["stateHash"] == hash_at(stored, answer["offset"])


def test_a_row_that_was_altered_is_named_and_nothing_is_restored(
    stored: list[Entry], database_url: str, new_url: str, capsys: Captured
) -> None:
    sql(database_url, 'update journal set user_balance = 7 where "offset" = 50')
    line = refusal(capsys, "--database-url", database_url, "--into", new_url)
    assert "nothing was restored: journal row 50" in line
    assert is_empty(new_url)


def test_more_rows_than_there_are_and_times_before_the_first_are_refused(
    stored: list[Entry], database_url: str, new_url: str, capsys: Captured
) -> None:
    source = ["--database-url", database_url, "--into", new_url]
    assert "the last row is 200, and --to-offset asks for 100000" in refusal(capsys, *source, "--to-offset", "100000")
    assert "there is no row from 2001-" in refusal(capsys, *source, "--to-time", "2001-01-01")
    assert is_empty(new_url)


def test_a_database_that_is_not_empty_is_refused_and_left_as_it_is(
    stored: list[Entry], database_url: str, new_url: str, capsys: Captured
) -> None:
    restore(capsys, "--database-url", database_url, "--into", new_url, "--to-offset", "50")
    before = contents(new_url)
    assert "not empty" in refusal(capsys, "--database-url", database_url, "--into", new_url)
    assert "not empty" in refusal(capsys, "--database-url", database_url, "--into", database_url)
    assert contents(new_url) == before


def test_a_database_that_a_venue_serves_is_refused(
    stored: list[Entry], database_url: str, new_url: str, capsys: Captured
) -> None:
    with PostgresJournal.acquire(new_url):
        assert "a venue serves the database" in refusal(capsys, "--database-url", database_url, "--into", new_url)


def keys_of(url: str) -> list[KeyRecord]:
    return asyncio.run(PostgresKeys(url).load())


def test_keys_are_left_behind_unless_asked_for(
    stored: list[Entry], database_url: str, server_url: str, capsys: Captured
) -> None:
    asyncio.run(PostgresKeys(database_url).add(KEY))
    with fresh_database(server_url) as without, fresh_database(server_url) as with_them:
        answer = restore(capsys, "--database-url", database_url, "--into", without)
        assert (answer["keys"], keys_of(without)) == (0, [])
        answer = restore(capsys, "--database-url", database_url, "--into", with_them, "--with-keys")
        assert (answer["keys"], keys_of(with_them)) == (1, [KEY])


# --- cut off


class Killed(BaseException):
    """Nothing catches it."""


@pytest.mark.parametrize("writes", [0, 3, None], ids=["at once", "half way", "before the commit"])
def test_cut_off_half_way_it_has_left_nothing_and_can_be_done_again(
    stored: list[Entry],
    database_url: str,
    new_url: str,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    writes: int | None,
) -> None:
    written: list[int] = []
    write = NewDatabase.write

    def cut_off_writing(self: NewDatabase, entries: Sequence[Entry]) -> None:
        if len(written) == writes:
            raise Killed
        write(self, entries)
        written.append(len(entries))

    def cut_off(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(restore_module, "BATCH_ROWS", 30)
    with monkeypatch.context() as patch:
        patch.setattr(NewDatabase, "write", cut_off_writing)
        patch.setattr(NewDatabase, "commit", cut_off)
        with pytest.raises(Killed):
            main(["restore", "--database-url", database_url, "--into", new_url])
    assert len(written) == (7 if writes is None else writes)
    assert is_empty(new_url)
    answer = restore(capsys, "--database-url", database_url, "--into", new_url)
    assert answer["stateHash"] == hash_at(stored, stored[-1].row.offset)


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_while_it_runs_no_venue_serves_the_new_database_and_a_kill_leaves_it_empty(
    stored: list[Entry], database_url: str, new_url: str, capsys: Captured
) -> None:
    command = [sys.executable, "-m", "tools", "restore", "--database-url", database_url, "--into", new_url]

    async def while_the_source_is_locked() -> None:
        locker = await asyncpg.connect(database_url)
        async with locker.transaction():
            await locker.execute("lock table journal in access exclusive mode")
            process = begin(command)
            try:
                await asyncio.to_thread(wait_for_sessions, new_url, 1)
                with pytest.raises(ShardTaken):
                    await asyncio.to_thread(PostgresJournal.acquire, new_url, wait_s=0)
            finally:
                process.kill()
                assert process.wait(10) == -signal.SIGKILL
        await locker.close()

    asyncio.run(while_the_source_is_locked())
    wait_for_sessions(new_url, 0)
    assert is_empty(new_url)
    restore(capsys, "--database-url", database_url, "--into", new_url)


def begin(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for_sessions(url: str, count: int) -> None:
    """Until so many sessions are filling a database."""
    query = (
        "select count(*) from pg_stat_activity where application_name = 'perps restore'"
        " and datname = current_database() and state = 'idle in transaction'"
    )
    deadline = time.monotonic() + 20
    while sql(url, query)[0][0] != count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_copy_that_does_not_lead_to_the_same_state_is_told(
    stored: list[Entry], database_url: str, new_url: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perps.snapshot.format.state_hash", lambda state: bytes(32))
    line = refusal(capsys, "--database-url", database_url, "--into", new_url)
    assert "do not use it" in line


# --- what is made is a venue


async def test_a_venue_starts_on_it_and_trades(server_url: str, database_url: str, new_url: str) -> None:
    await asyncio.to_thread(stored_venue, database_url)
    arguments = ["restore", "--database-url", database_url, "--into", new_url, "--to-offset", "150"]
    assert await asyncio.to_thread(main, arguments) == 0
    async with aiohttp.ClientSession() as session:
        venue = await start(OnPostgres(new_url), session, clock=SystemClock())
        try:
            assert venue.venue.host.began_at == 150
            trader = await venue.user("trader")
            opened = await trader.opened(size="20")
            assert opened["offset"] == 152
            (await trader.close(opened["position"]["id"])).ok()
        finally:
            await venue.venue.close()


@pytest.fixture
def new_dir() -> Iterator[Path]:
    """A data directory that is not there yet."""
    parent = Path(tempfile.mkdtemp(prefix="perps-tests-"))
    parent.chmod(0o755)
    yield parent / "data"
    EmbeddedPostgres(parent / "data" / "postgres", say=lambda _: None).stop()
    shutil.rmtree(parent)


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_a_data_directory_can_be_made_and_is_like_any_other(
    stored: list[Entry], archived: Path, database_url: str, new_dir: Path, new_url: str, capsys: Captured
) -> None:
    source = ["--database-url", database_url, "--archive", str(archived)]
    answer = restore(capsys, *source, "--into-data-dir", str(new_dir))
    server = EmbeddedPostgres(new_dir / "postgres", say=lambda _: None)
    assert not server.is_running()

    assert main(["verify", "--data-dir", str(new_dir)]) == 0
    assert main(["snapshot", "--offline", "--data-dir", str(new_dir), "--json"]) == 0
    taken = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (taken["offset"], taken["stateHash"]) == (answer["offset"], answer["stateHash"])
    assert "not empty" in refusal(capsys, *source, "--into-data-dir", str(new_dir))
    again = restore(capsys, "--data-dir", str(new_dir), "--into", new_url)
    assert again == answer
    assert not server.is_running()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "give either --into or --into-data-dir"),
        (["--into", "postgresql://x@/y", "--into-data-dir", "d"], "give either --into or --into-data-dir"),
        (["--into", "postgresql://x@/y", "--to-offset", "1", "--to-time", "1"], "--to-offset or --to-time, not both"),
        (["--into", "postgresql://x@/y", "--archive-only"], "--archive-only needs --archive"),
        (["--into", "postgresql://x@/y", "--archive-only", "--archive", "a", "--with-keys"], "an archive has no keys"),
    ],
)
def test_contradictions_are_told_in_one_line(capsys: Captured, arguments: list[str], problem: str) -> None:
    assert problem in refusal(capsys, *arguments, code=2)
