"""The embedded server's life: started once, outliving the venue, found again, begun anew, stopped.

Run as root these tests also cover the system user and closed directories: pytest's tmp_path is 0700.
"""

import contextlib
import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from persistence.embedded import server as embedded
from persistence.embedded.server import EmbeddedPostgres, EmbeddedPostgresError
from tests.endtoend.venue_process import until
from tests.persistence.embedded_servers import Servers, Starter, kill, pid_of, query
from tests.support.clusters import copied


@pytest.fixture
def server(made: EmbeddedPostgres) -> EmbeddedPostgres:
    """One whose cluster is there already, so that a start is no more than that."""
    return made


@pytest.fixture
def bare(servers: Servers, tmp_path: Path) -> EmbeddedPostgres:
    """One without a cluster."""
    return servers(tmp_path / "pg")


def test_what_was_committed_is_there_after_stop_and_start(server: EmbeddedPostgres) -> None:
    url = server.start()
    query(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    assert not server.is_running()
    assert query(server.start(), "SELECT answer FROM kept") == 42


def test_a_start_of_a_running_server_finds_it(server: EmbeddedPostgres, servers: Servers) -> None:
    url = server.start()
    begun = query(url, "SELECT pg_postmaster_start_time()")
    again = servers(server.directory)
    assert again.is_running()
    assert again.start() == url
    assert query(url, "SELECT pg_postmaster_start_time()") == begun


def test_a_server_outlives_a_kill_of_the_venue_and_is_found_again(server: EmbeddedPostgres, venue: Starter) -> None:
    process = venue(server.directory)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    begun = query(url, "SELECT pg_postmaster_start_time()")
    kill(process)
    assert os.getsid(pid_of(server.directory)) == pid_of(server.directory)
    assert server.start() == url
    assert query(url, "SELECT pg_postmaster_start_time()") == begun


def test_a_killed_server_recovers_what_was_committed(server: EmbeddedPostgres) -> None:
    query(server.start(), "CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(pid_of(server.directory), signal.SIGKILL)
    # Its children end on their own soon after; PostgreSQL refuses to start beside them.
    for _ in range(100):
        try:
            url = server.start()
            break
        except EmbeddedPostgresError as error:
            assert "shared memory block" in str(error)  # noqa: PT017
    else:
        pytest.fail("the children of the killed server do not end")
    assert query(url, "SELECT answer FROM kept") == 42


def test_two_processes_starting_at_once_share_one_server(bare: EmbeddedPostgres, venue: Starter) -> None:
    both = [venue(bare.directory), venue(bare.directory)]
    urls = [process.stdout.readline() for process in both if process.stdout]
    for process in both:
        kill(process)
    assert urls == [bare.start() + "\n"] * 2


def test_a_start_killed_before_its_cluster_is_whole_is_begun_anew(bare: EmbeddedPostgres, venue: Starter) -> None:
    venue(bare.directory, before="os.rename = die").wait()
    assert (bare.directory.with_name("pg.new") / "PG_VERSION").exists()
    assert not bare.directory.exists()
    assert query(bare.start(), "SELECT 1") == 1
    assert not bare.directory.with_name("pg.new").exists()


def test_a_start_waits_for_the_initdb_of_a_killed_venue(bare: EmbeddedPostgres, venue: Starter) -> None:
    dying = """
wait = embedded.EmbeddedPostgres._wait
def die_making(self, done, doing):
    die() if doing.startswith("making") else wait(self, done, doing)
embedded.EmbeddedPostgres._wait = die_making
"""
    venue(bare.directory, before=dying).wait()  # its initdb lives on
    assert query(bare.start(), "SELECT 1") == 1


@pytest.mark.parametrize("by", ["sleep", "another PostgreSQL server"])
def test_a_leftover_pid_that_someone_else_has_by_now_confuses_nobody(
    server: EmbeddedPostgres, servers: Servers, cluster: Path, by: str
) -> None:
    server.start()
    names = ["postmaster.pid", ".s.PGSQL.5432.lock"]
    leftovers = {server.directory / name: (server.directory / name).read_text() for name in names}
    owner = server.directory.stat().st_uid
    server.stop()
    sleeper = subprocess.Popen(["sleep", "60"], user=owner if os.geteuid() == 0 else None)
    other = servers(copied(cluster, server.directory.with_name("other")).directory)
    other.start()
    pid = sleeper.pid if by == "sleep" else pid_of(other.directory)
    for path, text in leftovers.items():
        path.write_text(f"{pid}\n{text.partition(chr(10))[2]}")
        os.chown(path, owner, -1)
    try:
        assert not server.is_running()
        server.stop()
        assert query(server.start(), "SELECT 1") == 1
        assert pid_of(server.directory) != pid
        assert sleeper.poll() is None
        assert other.is_running()
    finally:
        kill(sleeper)


def test_a_start_waits_for_a_found_server_that_still_recovers(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.start()
    path = server.directory / "postmaster.pid"
    ready = path.read_text()
    path.write_text(ready.replace("ready   ", "starting"))
    said: list[str] = []

    def recovered(text: str) -> None:
        said.append(text)
        path.write_text(ready)

    monkeypatch.setattr(embedded, "SAY_EVERY_S", 0.2)
    assert EmbeddedPostgres(server.directory, say=recovered).start() == url
    assert len(said) == 1
    assert "WAL recovery" in said[0]


def test_a_server_that_is_just_being_started_is_stopped_too(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.start()
    server.stop()
    launching, go, launch = threading.Event(), threading.Event(), server._launch

    def launch_later(run_as: embedded._RunAs) -> embedded._Postmaster:
        launching.set()
        assert go.wait(10)
        return launch(run_as)

    monkeypatch.setattr(server, "_launch", launch_later)
    with ThreadPoolExecutor() as pool:
        starting = pool.submit(server.start)
        assert launching.wait(10)
        stopping = pool.submit(server.stop)
        with contextlib.suppress(TimeoutError):
            stopping.result(timeout=0.3)
        go.set()
        starting.result(10)
        stopping.result(10)
    assert not server.is_running()


def test_after_the_last_stop_nobody_starts_it_again(
    server: EmbeddedPostgres, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One start has the lock when the stop comes, another waits for it, the third comes later."""
    launching, go, launch = threading.Event(), threading.Event(), server._launch
    waiting, try_lock = threading.Event(), embedded._try_lock

    def launch_later(run_as: embedded._RunAs) -> embedded._Postmaster:
        launching.set()
        assert go.wait(10)
        return launch(run_as)

    def tried(descriptor: int) -> bool:
        if has_it := try_lock(descriptor):
            return has_it
        waiting.set()
        return False

    monkeypatch.setattr(server, "_launch", launch_later)
    monkeypatch.setattr(embedded, "_try_lock", tried)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(server.start)
        assert launching.wait(10)
        second = pool.submit(server.start)
        assert waiting.wait(10)
        closing = pool.submit(server.close)
        until(lambda: server._is_closed or None, within_s=10, what="its last stop")
        go.set()
        first.result(10)
        closing.result(10)
        with pytest.raises(EmbeddedPostgresError, match="has been stopped for good"):
            second.result(10)
    assert not server.is_running()

    with pytest.raises(EmbeddedPostgresError, match="has been stopped for good"):
        server.start()
    assert not server.is_running()

    servers(server.directory).start()


def test_stopping_what_does_not_run_is_no_error(bare: EmbeddedPostgres) -> None:
    bare.stop()
    bare.start()
    bare.stop()
    bare.stop()
    assert not bare.is_running()
