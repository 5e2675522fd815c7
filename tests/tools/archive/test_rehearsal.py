"""The archive on a small journal, end to end: served with small partitions, archived, restored, verified."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from persistence.errors import OtherPartitions
from persistence.journal.writer import PostgresJournal
from tests.support.entries import Scribe
from tests.support.postgres import database_url, server_url, sql
from tests.tools.archive.partitioned_venue import hash_at
from tests.tools.archive.restored import new_url, restore
from tools.cli import main
from web.compose import ServeSettings, postgres, snapshot_of

__all__ = ["database_url", "new_url", "server_url"]

Captured = pytest.CaptureFixture[str]

ROWS: Final = 350
PARTITION_ROWS: Final = 100
"""The smallest that the command line takes."""


def test_a_small_journal_is_archived_and_restored(
    database_url: str, new_url: str, tmp_path: Path, capsys: Captured
) -> None:
    scribe = Scribe()
    scribe.live(ROWS, seed=11)
    with closing(postgres(database_url, partition_rows=PARTITION_ROWS).open_journal()) as journal:
        journal.append(scribe.entries)
    snapshot_of(database_url)

    arguments = ["--database-url", database_url]
    archive = ["archive", *arguments, "--to", str(tmp_path / "archive"), "--json"]
    assert main(archive) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [one["last"] for one in answer["archived"]] == [100, 200, 300]
    assert answer["kept"]["why"] == "it is being written"
    assert main(["verify", *arguments, "--archive", str(tmp_path / "archive")]) == 0

    restored = restore(capsys, *arguments, "--archive", str(tmp_path / "archive"), "--into", new_url)
    assert restored["offset"] == len(scribe.entries)
    assert restored["stateHash"] == hash_at(scribe.entries, len(scribe.entries))
    assert main(["verify", "--database-url", new_url]) == 0
    assert sql(new_url, "select partition_rows from journal_layout")[0][0] == PARTITION_ROWS
    assert sql(new_url, "select count(*) from pg_inherits where inhparent = 'journal'::regclass")[0][0] >= 4


def test_the_number_reaches_the_database_from_the_settings_and_another_one_is_refused(database_url: str) -> None:
    settings = ServeSettings(
        host="127.0.0.1", port=0, data_dir=Path(), database_url=database_url, admin_key=None, partition_rows=200
    )
    stores = postgres(database_url, partition_rows=settings.partition_rows)
    stores.open_journal().close()
    with pytest.raises(OtherPartitions, match="leave the option out"):
        postgres(database_url, partition_rows=300).open_journal()
    PostgresJournal.acquire(database_url).close()
