"""Whom a database password of the environment is sent to: never to a server that only a file lying about has named."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from socket import create_server, socket
from threading import Thread
from typing import Final

import pytest

from tools import database_password
from tools.cli import main

Captured = pytest.CaptureFixture[str]

PASSWORD: Final = "secret-of-the-caller"
SSL_REQUEST: Final = 80_877_103
WAIT_S: Final = 10.0


class Greedy:
    """A server that asks whoever comes for a password in clear, keeps it, and hangs up."""

    def __init__(self) -> None:
        self.passwords: list[str] = []
        self._listening = create_server(("127.0.0.1", 0))
        self.url = f"postgresql://perps@127.0.0.1:{self._listening.getsockname()[1]}/perps"
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Listens no more."""
        self._is_closed = True
        with socket() as last:
            last.connect(self._listening.getsockname())
        self._thread.join(WAIT_S)
        self._listening.close()

    _is_closed = False

    def _serve(self) -> None:
        while True:
            line, _ = self._listening.accept()
            with line:
                if self._is_closed:
                    return
                line.settimeout(WAIT_S)
                self._ask(line)

    def _ask(self, line: socket) -> None:
        (first,) = struct.unpack("!4xi", _exactly(line, 8))
        if first == SSL_REQUEST:
            line.sendall(b"N")
            (length,) = struct.unpack("!i", _exactly(line, 4))
            _exactly(line, length - 4)
        line.sendall(struct.pack("!cii", b"R", 8, 3))
        kind, length = struct.unpack("!ci", _exactly(line, 5))
        if kind == b"p":
            self.passwords.append(_exactly(line, length - 4).rstrip(b"\0").decode())


def _exactly(line: socket, count: int) -> bytes:
    found = b""
    while len(found) < count and (more := line.recv(count - len(found))):
        found += more
    return found.ljust(count, b"\0")


@pytest.fixture
def greedy() -> Iterator[Greedy]:
    """One that listens."""
    server = Greedy()
    yield server
    server.close()


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """No address is this machine's."""
    monkeypatch.setattr(database_password, "is_this_machine", lambda host: False)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory without a file of passwords, and an environment without a server."""
    place = tmp_path / "home"
    place.mkdir()
    monkeypatch.setenv("HOME", str(place))
    for name in ("PGPASSWORD", "PGPASSFILE", "PGHOST", "PGPORT", "PGSERVICE", "PGSERVICEFILE"):
        monkeypatch.delenv(name, raising=False)
    return place


def named_by_a_file(url: str) -> None:
    Path("perps.toml").write_text(f'database-url = "{url}"\n')


def keep(path: Path) -> Path:
    path.write_text(f"*:*:*:*:{PASSWORD}\n")
    path.chmod(0o600)
    return path


def has_password(where: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put the password where the driver looks; what an error calls that place."""
    if where == "PGPASSWORD":
        monkeypatch.setenv(where, PASSWORD)
    elif where == "PGPASSFILE":
        monkeypatch.setenv(where, str(keep(home / "passwords")))
    elif where == "~/.pgpass":
        return str(keep(home / ".pgpass"))
    else:
        (home / ".pg_service.conf").write_text(f"[mine]\npassword={PASSWORD}\n")
        return "the service in the database-url"
    return where


@pytest.mark.usefixtures("far_away")
@pytest.mark.parametrize("where", ["PGPASSWORD", "PGPASSFILE", "~/.pgpass", "a service"])
@pytest.mark.parametrize("command", [("journal",), ("verify",), ("snapshot", "--offline"), ("serve",)])
def test_a_perps_toml_that_lies_about_leads_no_password_away(
    command: tuple[str, ...], where: str, greedy: Greedy, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    named_by_a_file(greedy.url + ("?service=mine" if where == "a service" else ""))
    place = has_password(where, home, monkeypatch)

    assert main([*command]) == 2
    said = capsys.readouterr().err
    assert f"the password of {place} is not sent to {greedy.url[19:-6]}, which only the perps.toml of this" in said
    assert "say --config perps.toml or --database-url" in said
    assert PASSWORD not in said
    assert greedy.passwords == []


@pytest.mark.usefixtures("far_away")
@pytest.mark.parametrize("by", ["--config", "PERPS_CONFIG", "--database-url", "DATABASE_URL", "PERPS_DATABASE_URL"])
def test_a_server_that_was_named_on_purpose_gets_the_password(
    by: str, greedy: Greedy, monkeypatch: pytest.MonkeyPatch
) -> None:
    named_by_a_file(greedy.url)
    value = "perps.toml" if "CONFIG" in by.upper() else greedy.url
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    if by.isupper():
        monkeypatch.setenv(by, value)

    assert main(["journal", *(() if by.isupper() else (by, value))]) == 1
    assert greedy.passwords == [PASSWORD]


@pytest.mark.usefixtures("far_away")
def test_a_file_s_own_password_goes_to_the_file_s_own_server(greedy: Greedy, monkeypatch: pytest.MonkeyPatch) -> None:
    named_by_a_file(greedy.url.replace("perps@", "perps:its-own@"))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)

    assert main(["journal"]) == 1
    assert greedy.passwords == ["its-own"]


@pytest.mark.usefixtures("far_away")
def test_without_a_password_such_a_server_is_asked(greedy: Greedy, capsys: Captured) -> None:
    named_by_a_file(greedy.url)

    assert main(["journal"]) == 1
    assert "is not sent to" not in capsys.readouterr().err


def test_this_machine_s_own_server_gets_the_password(greedy: Greedy, monkeypatch: pytest.MonkeyPatch) -> None:
    named_by_a_file(greedy.url)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)

    assert main(["journal"]) == 1
    assert greedy.passwords == [PASSWORD]


@pytest.mark.parametrize(
    ("url", "far"),
    [
        ("postgresql:///perps", []),
        ("postgresql://", []),
        ("postgresql://u@127.0.0.1/perps", []),
        ("postgresql://u@[::1]:5433/perps", []),
        ("postgresql://LOCALHOST:5432/perps", []),
        ("postgresql:///perps?host=/run/postgresql", []),
        ("postgresql://u@%2Frun%2Fpostgresql/perps", []),
        ("postgresql:///perps?host=localhost&port=1", []),
        ("postgresql://u@db.example/perps", ["db.example"]),
        ("postgresql://u@localhost,db.example:1/perps", ["db.example:1"]),
        ("postgresql://u@/perps?host=127.0.0.1,db.example", ["db.example"]),
        ("postgresql://u@localhost/perps?host=db.example", ["db.example"]),
        ("postgresql://u@db.example/perps?host=localhost", ["db.example"]),
        ("postgresql://u@db.example@localhost/perps", ["db.example@localhost"]),
        ("postgresql://u@localhost.db.example/perps", ["localhost.db.example"]),
        ("postgresql://u@[::ffff:10.0.0.1]:1/perps", ["[::ffff:10.0.0.1]:1"]),
        ("postgresql://u@:5433/perps", [":5433"]),
        ("postgresql://u@127.1/perps", ["127.1"]),
    ],
)
def test_the_servers_of_a_url_that_are_not_this_machine_s_are_known(url: str, far: list[str]) -> None:
    assert database_password.far_servers(url) == far


@pytest.mark.parametrize(("host", "far"), [("db.example", ["db.example"]), ("/run/postgresql", []), ("", [])])
def test_a_port_of_the_file_s_on_the_environment_s_server_is_the_file_s_server(
    host: str, far: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", host)

    assert database_password.far_servers("postgresql:///perps?port=6666") == far
    assert database_password.far_servers("postgresql:///perps") == []


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://u:p@db.example", None),
        ("postgresql://u@db.example?password=p", None),
        ("postgresql://u:@db.example", "PGPASSWORD"),
        ("postgresql://u@db.example?password=", "PGPASSWORD"),
        ("postgresql://db.example?passfile=/home/you/.pgpass", "the passfile in the database-url"),
    ],
)
def test_where_a_url_s_password_comes_from_is_known(
    url: str, found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)

    assert database_password.found_password(url) == found
