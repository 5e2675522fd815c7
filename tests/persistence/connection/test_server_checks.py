"""A server that could lose a committed row is not served from, and all that is wrong with it is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from persistence.connection.server_checks import DURABLE, check_settings
from persistence.embedded.cluster_settings import SETTINGS
from persistence.errors import UnsafeServer
from persistence.journal.writer import PostgresJournal
from tests.support.clusters import copied, open_place
from tests.support.entries import Scribe
from tests.support.postgres import sql

GOOD = {name: allowed[0] for name, allowed in DURABLE.items()}


@contextmanager
def configured(url: str, setting: str, value: str) -> Iterator[None]:
    """The whole server runs with this setting, told while it runs."""

    def wait_for(expected: str) -> None:
        deadline = monotonic() + 10
        while sql(url, f"show {setting}")[0][0] != expected:
            assert monotonic() < deadline

    before = sql(url, f"show {setting}")[0][0]
    sql(url, f"alter system set {setting} = {value}")
    sql(url, "select pg_reload_conf()")
    try:
        wait_for(value)
        yield
    finally:
        sql(url, f"alter system reset {setting}")
        sql(url, "select pg_reload_conf()")
        wait_for(before)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off"), ("data_sync_retry", "on")],
)
def test_each_setting_that_loses_commits_is_refused_by_name(setting: str, value: str) -> None:
    with pytest.raises(UnsafeServer) as raised:
        check_settings(list((GOOD | {setting: value}).values()))
    assert f"{setting} = {value} (must be " in str(raised.value)
    assert [name for name in DURABLE if name in str(raised.value)] == [setting]


@pytest.mark.parametrize("commit", ["on", "local", "remote_write", "remote_apply"])
def test_a_commit_that_waits_for_the_primarys_disk_will_do(commit: str) -> None:
    check_settings(list((GOOD | {"synchronous_commit": commit}).values()))


def test_everything_that_is_wrong_is_said_at_once(server_url: str, database_url: str) -> None:
    name = database_url.rpartition("/")[2].partition("?")[0]
    sql(server_url, f"alter database {name} set synchronous_commit = off")
    with (
        configured(server_url, "fsync", "off"),
        configured(server_url, "full_page_writes", "off"),
        pytest.raises(UnsafeServer) as raised,
    ):
        PostgresJournal.acquire(database_url)
    assert str(raised.value) == (
        "the database server can lose what was committed: fsync = off (must be on), "
        "full_page_writes = off (must be on), "
        "synchronous_commit = off (must be on or local or remote_write or remote_apply)"
    )
    assert sql(database_url, "select to_regclass('journal')")[0][0] is None, "nothing was touched"


@pytest.mark.parametrize("place", ["database", "role", "server"])
def test_commits_that_do_not_wait_for_the_disk_are_refused_wherever_that_is_set(
    server_url: str, database_url: str, place: str
) -> None:
    name = database_url.rpartition("/")[2].partition("?")[0]
    if place == "server":
        with (
            configured(server_url, "synchronous_commit", "off"),
            pytest.raises(UnsafeServer, match="synchronous_commit"),
        ):
            PostgresJournal.acquire(database_url)
        return
    what = f"database {name}" if place == "database" else "role current_user"
    sql(server_url, f"alter {what} set synchronous_commit = off")
    try:
        with pytest.raises(UnsafeServer, match="synchronous_commit = off"):
            PostgresJournal.acquire(database_url)
    finally:
        sql(server_url, f"alter {what} reset synchronous_commit")


def test_a_session_keeps_its_way_to_commit_whatever_the_server_is_told_later(
    server_url: str, database_url: str
) -> None:
    scribe = Scribe()
    with PostgresJournal.acquire(database_url) as journal, configured(server_url, "synchronous_commit", "off"):
        journal.probe()
        journal.append([scribe.add_user("ann")])
        journal.probe()


def _probe_until_it_knows(journal: PostgresJournal) -> None:
    """A session takes new settings when its server process has been told: a moment later."""
    deadline = monotonic() + 10
    while monotonic() < deadline:
        journal.probe()


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_probe_finds_a_setting_that_was_changed_under_a_running_venue(
    server_url: str, database_url: str, setting: str
) -> None:
    with (
        PostgresJournal.acquire(database_url) as journal,
        configured(server_url, setting, "off"),
        pytest.raises(UnsafeServer, match=f"{setting} = off"),
    ):
        _probe_until_it_knows(journal)


def test_the_embedded_cluster_is_made_with_every_setting_that_may_be_changed_by_reload() -> None:
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        assert f"{name} = on" in SETTINGS


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_server_that_tries_a_failed_fsync_again_is_refused(cluster: Path) -> None:
    with open_place() as place:
        server = copied(cluster, place / "pg")
        with (server.directory / "postgresql.auto.conf").open("a") as settings:  # it needs a restart
            settings.write("data_sync_retry = on\n")
        try:
            with pytest.raises(UnsafeServer, match=r"data_sync_retry = on \(must be off\)"):
                PostgresJournal.acquire(server.start())
        finally:
            server.stop()
