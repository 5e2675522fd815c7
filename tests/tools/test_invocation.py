"""Commands to copy are the ones that work here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools.invocation import program, serve_on


@pytest.fixture
def perps(empty_place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that was called by its path, beside another of the same name."""
    for place in ("environment", "another"):
        file = empty_place / place / "perps"
        file.parent.mkdir()
        file.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(empty_place / "another"))
    monkeypatch.setattr(sys, "argv", ["environment/perps", "serve"])
    return empty_place / "environment"


def test_a_program_is_called_by_its_name_only_where_the_shell_finds_it(
    perps: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert program() == "environment/perps"
    monkeypatch.chdir(perps)
    monkeypatch.setattr(sys, "argv", [str(perps / "perps"), "serve"])
    assert program() == "perps"
    monkeypatch.setenv("PATH", str(perps))
    assert program() == "perps"
    monkeypatch.setattr(sys, "argv", ["tools/__main__.py"])
    assert program() == "perps"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["serve"], "serve --port 8001"),
        (["serve", "--demo", "--port", "8000"], "serve --demo --port 8001"),
        (["serve", "--port=8000", "--data-dir", "my data"], "serve --data-dir 'my data' --port 8001"),
        (["serve", "--port", "--port"], "serve --port 8001"),
    ],
)
def test_the_command_on_another_port_keeps_the_other_settings(
    perps: Path, given: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["environment/perps", *given])
    assert serve_on(8001) == f"environment/perps {said}"
