"""``perps archive``: what it says, what it refuses, and a venue beside it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any, Final

import aiohttp
import pytest
from msgspec.structs import replace

from perps.journal import Entry, Row
from persistence.archive import SUFFIX, ArchiveReader
from persistence.postgres_history import PostgresHistory
from persistence.postgres_snapshots import PostgresSnapshots
from tests.support.postgres import database_url, server_url, sql
from tests.support.snapshots import snapshot_of
from tests.tools.partitioned_venue import ARCHIVED, SNAPSHOT, stored_venue
from tests.web.venue import OnPostgres, Running, start
from tools.cli import main
from web.clock import SystemClock

__all__ = ["database_url", "server_url"]

Captured = pytest.CaptureFixture[str]

KILLS: Final = 6
ROOT: Final = Path(__file__).parents[2]


@pytest.fixture
def stored(database_url: str) -> list[Entry]:
    """A venue's database, some days old."""
    return stored_venue(database_url)


def archive(capsys: Captured, url: str, directory: Path, *more: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["archive", "--database-url", url, "--to", str(directory), "--json", *more]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    answer: dict[str, Any] = json.loads(said.out)
    return answer


def refusal(capsys: Captured, code: int, *arguments: str) -> str:
    capsys.readouterr()
    assert main(arguments) == code
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("perps: error: ")


def everything(url: str, directory: Path) -> list[Row]:
    """All rows there are, here or there. Whoever was killed before his first file was whole has left none."""
    if not list(directory.glob(f"*{SUFFIX}")):
        return list(PostgresHistory(url).rows())
    reader = ArchiveReader(directory)
    return list(chain(reader.rows(), PostgresHistory(url).rows(reader.last)))


def test_it_says_what_left_and_why_the_rest_stays(
    stored: list[Entry], database_url: str, tmp_path: Path, capsys: Captured
) -> None:
    answer = archive(capsys, database_url, tmp_path / "archive")
    assert [one["last"] for one in answer["archived"]] == ARCHIVED
    assert [one["rows"] for one in answer["archived"]] == [40, 40, 40]
    for one in answer["archived"]:
        assert Path(one["file"]).stat().st_size == one["size"]
    why = f"the oldest snapshot kept, of row {SNAPSHOT}, does not come after it"
    assert answer["kept"] == {"first": 121, "last": 160, "why": why}
    assert everything(database_url, tmp_path / "archive") == [entry.row for entry in stored]


def test_people_read_the_same(stored: list[Entry], database_url: str, tmp_path: Path, capsys: Captured) -> None:
    arguments = ["archive", "--database-url", database_url, "--to", str(tmp_path / "archive"), "--before", "41"]
    assert main(arguments) == 0
    header, line, count, kept = capsys.readouterr().out.splitlines()
    assert header == "first\tlast\tbytes\tfile"
    assert line.startswith("1\t40\t")
    assert count == "40 rows archived"
    assert kept == "rows 41 to 80 stay, and all after them: it does not end before row 41"


def test_rows_of_the_last_day_stay_unless_client_ids_may_be_forgotten(
    database_url: str, tmp_path: Path, capsys: Captured
) -> None:
    entries = stored_venue(database_url, begin_ms=int(time.time() * 1000) - 3_600_000)
    answer = archive(capsys, database_url, tmp_path)
    assert answer["archived"] == []
    assert "still answered for" in answer["kept"]["why"]
    arguments = ["archive", "--database-url", database_url, "--to", str(tmp_path), "--keep-days", "0"]
    assert "client order ids are answered for at least a day" in refusal(capsys, 2, *arguments)
    newest = max(entry.row.at for entry in entries[:120])
    wait_s = max(0.0, newest / 1000 - time.time() + 0.01)
    assert wait_s == 0.0, "the day fits into the hour"
    answer = archive(capsys, database_url, tmp_path, "--keep-days", "0", "--forget-client-ids")
    assert [one["last"] for one in answer["archived"]] == ARCHIVED


def test_a_snapshot_that_no_start_could_use_is_none(
    stored: list[Entry], database_url: str, tmp_path: Path, capsys: Captured
) -> None:
    sql(database_url, "delete from snapshots")
    without_sums = replace(snapshot_of(stored[:SNAPSHOT]), views=b"")
    PostgresSnapshots(database_url).save(SNAPSHOT, without_sums.encode(), keep=1)
    assert "no snapshot that can be used" in archive(capsys, database_url, tmp_path)["kept"]["why"]


def test_a_database_of_no_venue_and_a_directory_that_cannot_be_are_one_line(
    stored: list[Entry], database_url: str, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "file").write_text("")
    arguments = ["archive", "--database-url", database_url, "--to", str(tmp_path / "file" / "archive")]
    assert "cannot write to" in refusal(capsys, 1, *arguments)
    sql(database_url, "drop table journal, archives cascade")
    assert "no venue of this version" in refusal(
        capsys, 1, "archive", "--database-url", database_url, "--to", str(tmp_path)
    )


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_killed_at_any_moment_no_row_is_lost_and_doing_it_again_finishes(
    database_url: str, tmp_path: Path, capsys: Captured
) -> None:
    entries = stored_venue(database_url, partition_rows=5)
    chance, directory = Random(4), tmp_path / "archive"
    directory.mkdir()
    command = [sys.executable, "-m", "tools", "archive", "--database-url", database_url, "--to", str(directory)]
    for _ in range(KILLS):
        known, wanted = len(list(directory.iterdir())), chance.randrange(1, 4)
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(list(directory.iterdir())) < known + wanted:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.02))  # into whatever step it is at then
        process.kill()
        assert process.wait(30) == -signal.SIGKILL, "it was faster"
        wait_for_sessions(database_url)
        assert everything(database_url, directory) == [entry.row for entry in entries]
    archive(capsys, database_url, directory)
    assert [found.last for found in ArchiveReader(directory).files] == list(range(5, SNAPSHOT, 5))
    assert everything(database_url, directory) == [entry.row for entry in entries]
    tables = sql(
        database_url, "select relname from pg_class where relkind = 'r' and relname ~ '^journal_' order by oid"
    )
    assert tables[0][0] == "journal_126"


def wait_for_sessions(url: str) -> None:
    """Until the server has noticed that whoever archived is gone."""
    query = (
        "select count(*) from pg_stat_activity"
        " where application_name = 'perps archive' and datname = current_database()"
    )
    deadline = time.monotonic() + 20
    while sql(url, query)[0][0]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@asynccontextmanager
async def serving(url: str) -> AsyncIterator[Running]:
    """A venue on a database, with a client."""
    async with aiohttp.ClientSession() as session:
        running = await start(OnPostgres(url), session, clock=SystemClock())
        try:
            yield running
        finally:
            await running.venue.close()


async def footprint(venue: Running) -> dict[str, Any]:
    """All that commands can change, and not whose turn it is to serve."""
    found = await venue.footprint()
    del found["stats"]["epoch"]
    return found


async def test_a_venue_trades_on_meanwhile_and_starts_again_from_its_snapshot(
    database_url: str, tmp_path: Path
) -> None:
    await asyncio.to_thread(stored_venue, database_url)
    answered = 0
    async with serving(database_url) as venue:
        trader = await venue.user("trader")
        arguments = ["archive", "--database-url", database_url, "--to", str(tmp_path)]
        archiving = asyncio.create_task(asyncio.to_thread(main, arguments))
        while not archiving.done() or answered < 5:
            await trader.opened(size="20", clientOrderId=f"id-{answered}")
            answered += 1
        assert await archiving == 0
        before = await footprint(venue)
    reader = await asyncio.to_thread(ArchiveReader, tmp_path)
    assert [found.last for found in reader.files] == ARCHIVED
    async with serving(database_url) as venue:
        assert venue.venue.host.began_at >= SNAPSHOT
        assert await footprint(venue) == before
        venue.keys["trader"] = trader.key or ""
        again = await venue.client("trader").open(size="20", clientOrderId="id-0")
        assert again.headers["Idempotent-Replay"] == "true"
        (await venue.client("trader").open(size="20", clientOrderId="one more")).ok(201)
