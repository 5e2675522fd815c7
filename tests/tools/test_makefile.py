"""``make`` installs what a target needs, once: serving needs no tests and no checks."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
BUILD: Final = "-m tools.page build"
PAGE: Final = ["install .[page]", BUILD]
PYTHON: Final = """#!/bin/sh
case "$2" in venv) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp "$0" "$3/bin/perps"; exit;; esac
echo "${0##*/} $*" >> calls
"""
"""A Python that makes environments out of itself and writes down for what else it was called."""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture
def calls(empty_place: Path) -> Path:
    """A clone with nothing installed. What was called, in this file."""
    for name in ("Makefile", "setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, empty_place)
    (empty_place / "python").write_text(PYTHON)
    (empty_place / "python").chmod(0o755)
    return empty_place / "calls"


def made(calls: Path, *words: str) -> list[str]:
    """What ``make`` called, with what it installed in few words."""
    calls.write_text("")
    outer = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "ARGS")}
    command = ["make", "PYTHON=./python", *words]
    subprocess.run(command, cwd=calls.parent, check=True, capture_output=True, timeout=60, env=outer)
    found = [line.partition(" ")[2] for line in calls.read_text().splitlines()]
    return [
        f"install {line.partition('--editable ')[2]}" if "pip install" in line else line
        for line in found
        if "-c " not in line
    ]


def test_serving_installs_no_tests_and_nothing_twice(calls: Path) -> None:
    assert made(calls, "serve") == ["install .", *PAGE, "serve --demo"]
    assert made(calls, "serve") == ["serve --demo"]
    assert made(calls, "test") == ["install .[test,check]", "-m tests"]
    assert made(calls, "test") == ["-m tests"]
    assert made(calls, "serve", "ARGS=--port 8001 --no-demo") == ["serve --demo --port 8001 --no-demo"]


def test_tests_may_be_installed_first(calls: Path) -> None:
    assert made(calls, "test") == ["install .", "install .[test,check]", *PAGE, "-m tests"]
    assert made(calls, "serve") == ["serve --demo"]


def test_a_change_of_what_is_needed_is_installed(calls: Path) -> None:
    made(calls, "test")
    (calls.parent / ".venv" / ".runs").unlink()  # as if setup.cfg were newer
    assert made(calls, "serve") == ["install .", *PAGE, "serve --demo"]
    assert made(calls, "test") == ["install .[test,check]", "-m tests"]


def test_a_page_is_built_again_when_something_that_it_is_made_of_has_changed(calls: Path) -> None:
    made(calls, "serve")
    source = calls.parent / "web" / "page" / "src" / "new.ts"
    source.parent.mkdir(parents=True)
    source.write_text("export {}")
    assert made(calls, "serve") == [BUILD, "serve --demo"]
    assert made(calls, "serve") == ["serve --demo"]


def test_a_page_that_cannot_be_built_keeps_no_venue_from_serving_and_fails_the_tests(calls: Path) -> None:
    failing = 'case "$*" in *tools.page*) exit 1;; esac\n'
    (calls.parent / "python").write_text(PYTHON + failing)
    assert made(calls, "serve") == ["install .", *PAGE, "serve --demo"]
    with pytest.raises(subprocess.CalledProcessError):
        made(calls, "test")
    assert "-m tests" not in calls.read_text()


def test_an_installation_that_failed_is_tried_again(calls: Path) -> None:
    python = calls.parent / "python"
    python.write_text(PYTHON.replace("exit;;", "exit 1;;"))
    with pytest.raises(subprocess.CalledProcessError):
        made(calls, "serve")
    python.write_text(PYTHON)
    assert made(calls, "serve") == ["install .", *PAGE, "serve --demo"]
