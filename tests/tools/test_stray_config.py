"""A key and a password go to no host that only a stray perps.toml in the working directory has named."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from socket import create_server, socket
from threading import Thread
from typing import Final

import pytest

from tools.cli import main

SECRET: Final = "secret-of-the-caller"
SSL_REQUEST: Final = 80_877_103
WAIT_S: Final = 10.0


class Listener:
    """Counts who connects. It asks a PostgreSQL client for its password, and takes the key of an HTTP client."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self._listening = create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._is_closed = False
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._is_closed = True
        with socket() as last:
            last.connect(("127.0.0.1", self.port))
        self._thread.join(WAIT_S)
        self._listening.close()

    def _serve(self) -> None:
        while True:
            line, _ = self._listening.accept()
            with line:
                if self._is_closed:
                    return
                line.settimeout(WAIT_S)
                self.received.append(self._conversation(line))

    @staticmethod
    def _conversation(line: socket) -> bytes:
        first = line.recv(4096)
        if first[4:8] == struct.pack("!i", SSL_REQUEST):
            line.sendall(b"N")
            first = line.recv(4096)
        if first.startswith((b"GET", b"POST")):
            return first
        line.sendall(struct.pack("!cii", b"R", 8, 3))  # the password in clear, please
        return line.recv(4096)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """One that listens."""
    found = Listener()
    yield found
    found.close()


COMMANDS = [
    ("stats",),
    ("market", "list", "--key", SECRET),
    ("snapshot",),
    ("journal",),
    ("verify",),
    ("snapshot", "--offline"),
    ("reconcile",),
    ("archive", "--to", "archive"),
]


def write_file(listener: Listener) -> None:
    Path("perps.toml").write_text(
        f'url = "http://127.0.0.1:{listener.port}"\n'
        f'database-url = "postgresql://perps@127.0.0.1:{listener.port}/perps"\nport = {listener.port}\n'
    )


@pytest.fixture(autouse=True)
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key and a password in the environment, and nobody at the default address."""
    for name in ("PGPASSFILE", "PGHOST", "PGPORT", "PGSERVICE", "PGSERVICEFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PGPASSWORD", SECRET)
    monkeypatch.setenv("PERPS_ADMIN_KEY", SECRET)
    monkeypatch.setattr("tools.settings.PORT", 1)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_stray_file_leads_nothing_away(command: tuple[str, ...], listener: Listener) -> None:
    write_file(listener)

    assert main([*command]) != 0
    assert listener.received == []


@pytest.mark.parametrize("command", [("stats",), ("journal",)])
@pytest.mark.parametrize("by", ["--config", "PERPS_CONFIG"])
def test_a_file_that_was_named_decides(
    by: str, command: tuple[str, ...], listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_file(listener)
    if by == "PERPS_CONFIG":
        monkeypatch.setenv(by, "perps.toml")

    assert main([*command, *(["--config", "perps.toml"] if by == "--config" else [])]) == 1
    assert any(SECRET.encode() in received for received in listener.received)
