"""Ctrl-C and SIGTERM, whenever they come: one plain line, no traceback, and never "ready" afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.postgres import database_url, server_url

__all__ = ["database_url", "server_url"]

ROOT = Path(__file__).parents[2]
STOPPED = "perps has stopped"

INTERRUPTED_IMPORT = """
import os, signal, sys

class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal, whoever runs the tests
sys.meta_path.insert(0, CtrlC())
from tools.cli import main
sys.exit(main(["serve", "--port", "0", "--data-dir", {data_dir!r}]))
"""

INTERRUPTED_START = """
import os, signal, sys
import web.compose
from {owner} import {kind}

before = {kind}.{method}

async def interrupted(self, *arguments):
    os.kill(os.getpid(), signal.{name})
    return await before(self, *arguments)

{kind}.{method} = interrupted
from tools.cli import main
sys.exit(main(["serve", "--port", "0", "--data-dir", {data_dir!r}, "--database-url", {url!r}]))
"""

STOPPED_WHEN_READY = """
import os, signal, sys
import web.compose

def say(line):
    print(line, file=sys.stderr, flush=True)
    if "is ready" in line:
        os.kill(os.getpid(), signal.{name})

web.compose.say = say
from tools.cli import main
sys.exit(main(["serve", "--port", "0", "--data-dir", {data_dir!r}, "--database-url", {url!r}]))
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PERPS_")}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)


def plain(text: str) -> list[str]:
    """What it said, without its log."""
    return [line for line in text.splitlines() if not line.startswith("{")]


@pytest.mark.parametrize("module", ["rich_click", "tools.settings", "tools.serve", "web.compose", "uvloop", "aiohttp"])
def test_ctrl_c_while_it_loads_is_one_line(tmp_path: Path, module: str) -> None:
    done = run(INTERRUPTED_IMPORT.format(module=module, data_dir=str(tmp_path / "data")))

    assert (done.stdout, done.stderr.strip()) == ("", STOPPED)
    assert done.returncode == 130


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(
    ("owner", "kind", "method"), [("web.compose", "VenueServer", "listen"), ("web.compose", "VenueServer", "start")]
)
def test_a_signal_while_it_starts_ends_the_start(
    tmp_path: Path, database_url: str, name: str, owner: str, kind: str, method: str
) -> None:
    where = {"data_dir": str(tmp_path / "data"), "url": database_url}
    done = run(INTERRUPTED_START.format(owner=owner, kind=kind, method=method, name=name, **where))

    said = plain(done.stderr)
    assert not [line for line in said if "is ready" in line]
    assert said[-1] == STOPPED
    assert "Traceback" not in done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_stop_says_that_it_stops_and_that_it_has(tmp_path: Path, database_url: str, name: str) -> None:
    done = run(STOPPED_WHEN_READY.format(name=name, data_dir=str(tmp_path / "data"), url=database_url))

    said = plain(done.stderr)
    assert said[-2:] == ["perps is stopping", STOPPED]
    assert done.returncode == 0
