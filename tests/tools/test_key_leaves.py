"""Whom a key is sent to: never to an address that only a file lying about has named."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tools import settings as options
from tools.cli import main

Captured = pytest.CaptureFixture[str]
KEY = "perps_admin_secret"


class Listener:
    """A server that keeps the keys it is sent."""

    def __init__(self) -> None:
        self.keys: list[str | None] = []
        self.url = ""


@pytest.fixture
def listener() -> Iterator[Listener]:
    """One that listens."""
    found = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.keys.append(self.headers["Authorization"])
            body = b'{"offset":0,"markets":[]}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_port}"
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """No address is this machine's."""
    monkeypatch.setattr(options, "_is_loopback", lambda url: False)


def lines(**settings: str) -> None:
    Path("perps.toml").write_text("".join(f'{name} = "{value}"\n' for name, value in settings.items()))


@pytest.mark.usefixtures("far_away")
@pytest.mark.parametrize("command", [("stats",), ("market", "list"), ("snapshot",), ("user", "list")])
@pytest.mark.parametrize("key_by", ["the environment", "a flag"])
def test_a_perps_toml_that_lies_about_leads_no_key_away(
    key_by: str, command: tuple[str, ...], listener: Listener, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    lines(url=listener.url)
    if key_by == "the environment":
        monkeypatch.setenv("PERPS_ADMIN_KEY", KEY)

    assert main([*command, *(["--key", KEY] if key_by == "a flag" else [])]) == 2
    said = capsys.readouterr().err
    assert f"is not sent to {listener.url}, which only the perps.toml of this directory names" in said
    assert ("PERPS_ADMIN_KEY" if key_by == "the environment" else "--key") in said
    assert KEY not in said
    assert listener.keys == []


@pytest.mark.usefixtures("far_away")
def test_the_key_of_a_data_directory_is_not_led_away_either(
    listener: Listener, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "venue").mkdir()
    (tmp_path / "venue" / "admin.key").write_text(KEY)
    lines(url=listener.url, **{"data-dir": "venue"})

    assert main(["stats"]) == 2
    assert "is not sent to" in capsys.readouterr().err
    assert listener.keys == []


@pytest.mark.usefixtures("far_away")
def test_reconciling_with_such_an_address_is_refused_too(listener: Listener, capsys: Captured) -> None:
    lines(url=listener.url)

    assert main(["reconcile", "--database-url", "postgresql:///x", "--key", KEY]) == 2
    assert "is not sent to" in capsys.readouterr().err
    assert listener.keys == []


@pytest.mark.usefixtures("far_away")
@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (("--config", "perps.toml"), {}),
        ((), {"PERPS_CONFIG": "perps.toml"}),
        (("--url", "{}"), {}),
        ((), {"PERPS_URL": "{}"}),
    ],
)
def test_an_address_that_was_named_on_purpose_gets_the_key(
    arguments: tuple[str, ...], environment: dict[str, str], listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines(url=listener.url)
    monkeypatch.setenv("PERPS_ADMIN_KEY", KEY)
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(listener.url))

    assert main(["stats", *(argument.format(listener.url) for argument in arguments)]) == 0
    assert listener.keys == [f"Bearer {KEY}"]


@pytest.mark.usefixtures("far_away")
def test_a_file_s_own_key_goes_to_the_file_s_own_address(listener: Listener) -> None:
    lines(url=listener.url, key="its-own")

    assert main(["stats"]) == 0
    assert listener.keys == ["Bearer its-own"]


@pytest.mark.usefixtures("far_away")
def test_what_needs_no_key_is_asked_without_one(listener: Listener) -> None:
    lines(url=listener.url)

    assert main(["market", "list"]) == 0
    assert listener.keys == [None]


@pytest.mark.usefixtures("far_away")
@pytest.mark.parametrize("names", ["host and port", "the host", "the port"])
def test_a_host_or_port_that_only_such_a_file_names_leads_no_key_away_either(
    names: str, listener: Listener, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    host, port = listener.url.removeprefix("http://").split(":")
    lines(**({} if names == "the port" else {"host": host}), **({} if names == "the host" else {"port": port}))
    if names == "the host":
        monkeypatch.setenv("PERPS_PORT", port)
    if names == "the port":
        monkeypatch.setenv("PERPS_HOST", host)

    assert main(["stats", "--key", KEY]) == 2
    assert f"is not sent to {listener.url}, which only the perps.toml" in capsys.readouterr().err
    assert listener.keys == []

    assert main(["stats", "--key", KEY, "--config", "perps.toml"]) == 0
    assert listener.keys == [f"Bearer {KEY}"]


@pytest.mark.usefixtures("far_away")
def test_a_host_and_port_of_the_environment_get_the_key(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    host, port = listener.url.removeprefix("http://").split(":")
    lines(host="evil.example", port="1")
    monkeypatch.setenv("PERPS_HOST", host)
    monkeypatch.setenv("PERPS_PORT", port)

    assert main(["stats", "--key", KEY]) == 0
    assert listener.keys == [f"Bearer {KEY}"]


def test_this_machine_s_own_address_gets_the_key(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    lines(url=listener.url)
    monkeypatch.setenv("PERPS_ADMIN_KEY", KEY)

    assert main(["stats"]) == 0
    assert listener.keys == [f"Bearer {KEY}"]


@pytest.mark.parametrize(
    ("url", "is_ours"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://127.8.9.1", True),
        ("http://[::1]:8000", True),
        ("http://localhost:8000", True),
        ("http://LOCALHOST", True),
        ("http://localhost.evil.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://127.0.0.1@evil.example", False),
        ("http://0.0.0.0:8000", False),
        ("http://10.0.0.1", False),
        ("http://[::ffff:10.0.0.1]", False),
    ],
)
def test_this_machine_s_own_addresses_are_known(url: str, is_ours: bool) -> None:
    assert options._is_loopback(url) is is_ours
