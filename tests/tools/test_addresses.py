"""Where a command looks for the venue that nobody gave it an address of: where the same settings let it listen."""

from pathlib import Path

import pytest

from tools.cli import main

Captured = pytest.CaptureFixture[str]
DEFAULT = "http://127.0.0.1:8000"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that venues were looked for at; none is reached."""
    from perps.client import Unavailable, Venue

    found: list[str] = []

    async def call(self: Venue, *_: object, **values: object) -> bytes:
        found.append(self.url)
        raise Unavailable("nobody")

    monkeypatch.setattr(Venue, "call", call)
    return found


@pytest.mark.parametrize(
    ("lines", "environment", "url"),
    [
        ("", {}, DEFAULT),
        ("port = 18600", {}, "http://127.0.0.1:18600"),
        ("port = 18600", {"PERPS_PORT": "18601"}, "http://127.0.0.1:18601"),
        ("port = 18600", {"PERPS_PORT": ""}, "http://127.0.0.1:18600"),
        ("", {"PERPS_PORT": "18601", "PERPS_HOST": "localhost"}, "http://localhost:18601"),
        ('host = "0.0.0.0"\nport = 1', {}, "http://127.0.0.1:1"),
        ('host = "::"', {}, "http://[::1]:8000"),
        ('host = "::1"', {}, "http://[::1]:8000"),
        ('port = 18600\nurl = "http://127.0.0.1:9"', {"PERPS_PORT": "18601"}, "http://127.0.0.1:9"),
        ("port = 18600", {"PERPS_URL": "http://127.0.0.1:9"}, "http://127.0.0.1:9"),
    ],
)
@pytest.mark.parametrize("command", [("stats", "--key", "k"), ("market", "list")])
def test_a_command_looks_for_the_venue_where_the_settings_let_it_listen(
    command: tuple[str, ...],
    lines: str,
    environment: dict[str, str],
    url: str,
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("perps.toml").write_text(lines)
    monkeypatch.setenv("PERPS_CONFIG", "perps.toml")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(command) == 1
    assert asked == [url]


def test_an_address_that_is_given_beats_the_port(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERPS_PORT", "18601")
    assert main(["market", "list", "--url", "http://127.0.0.1:9"]) == 1
    assert asked == ["http://127.0.0.1:9"]


@pytest.mark.parametrize(
    ("lines", "environment", "said"),
    [
        ('port = "x"', {}, "port in perps.toml: 'x' is not a whole number from 0 to 65535"),
        ("", {"PERPS_PORT": "65536"}, "PERPS_PORT: '65536' is not a whole number from 0 to 65535"),
        ("port = [1]", {}, "port in perps.toml: give one value, not a list"),
        ("", {"PERPS_HOST": "127.0.0.1@evil.example"}, "PERPS_HOST: '127.0.0.1@evil.example' is not a host name"),
        ('host = "evil.example/#"', {}, "host in perps.toml: 'evil.example/#' is not a host name"),
        ('host = ""', {}, "host in perps.toml: '' is not a host name"),
    ],
)
def test_a_setting_that_is_no_address_is_told_by_its_name(
    lines: str,
    environment: dict[str, str],
    said: str,
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    Path("perps.toml").write_text(lines)
    monkeypatch.setenv("PERPS_CONFIG", "perps.toml")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["market", "list"]) == 2
    assert capsys.readouterr().err.startswith(f"perps: error: {said}")
    assert asked == []


def test_the_help_says_that_the_default_follows_the_settings(capsys: Captured) -> None:
    assert main(["stats", "--help"]) == 0
    assert "host and port" in " ".join(capsys.readouterr().out.replace("│", " ").split())
