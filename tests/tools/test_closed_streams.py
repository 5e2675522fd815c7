"""A process that was started without stdout or stderr does what it does, and answers by its exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.postgres import database_url, server_url

__all__ = ["database_url", "server_url"]

ROOT = Path(__file__).parents[2]

SERVED = """
import os, signal, sys
import web.compose

def say(line):
    if "is ready" in line:
        with open({seen!r}, "w") as seen:
            seen.write(chr(10).join(os.readlink(f"/proc/self/fd/{{number}}") for number in (0, 1, 2)))
        os.kill(os.getpid(), signal.SIGTERM)

web.compose.say = say
from tools.cli import main
sys.exit(main(["serve", "--port", "0", "--data-dir", {data_dir!r}, "--database-url", {url!r}]))
"""


def run(closed: str, *arguments: str) -> int:
    """The exit code of Python, run by a shell that closes some of its streams."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PERPS_")}
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False, timeout=60).returncode


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_a_venue_without_stderr_serves_and_no_file_of_its_own_gets_the_number(
    tmp_path: Path, database_url: str, closed: str
) -> None:
    seen, data_dir = tmp_path / "seen", str(tmp_path / "data")
    code = run(closed, "-c", SERVED.format(seen=str(seen), data_dir=data_dir, url=database_url))

    assert code == 0
    lines = seen.read_text().splitlines()
    assert lines.count(os.devnull) >= closed.count("&-")
    assert lines[2] == os.devnull


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_tools_without_streams_answer_by_their_exit_code(tmp_path: Path, database_url: str, closed: str) -> None:
    options = ("--database-url", database_url, "--data-dir", str(tmp_path))
    code = run(closed, "-m", "tools", "snapshot", "--offline", *options)
    of_empty = run("", "-m", "tools", "snapshot", "--offline", *options)
    verified = run(closed, "-m", "tools", "verify", *options)
    of_open = run("", "-m", "tools", "verify", *options)

    assert (code, verified) == (of_empty, of_open)
    assert run(closed, "-m", "tools", "--no-such-option") == 2
