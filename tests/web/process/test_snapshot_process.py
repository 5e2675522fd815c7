"""The program that takes a snapshot: what it is given, what is believed of it, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from persistence.connection.connect import CONNECT_TIMEOUT_S
from tests.endtoend.venue_process import until
from tools.snapshot_follower import FOLLOWER, NICENESS
from web.process import affinity as processor
from web.process.snapshot_process import STALLED_S, run
from web.process.snapshot_taking import SnapshotFailed, SnapshotStalled, SnapshotTaken

ROOT = Path(__file__).parents[3]
URL = "postgresql://bob:secret@db.example/venue"
WAIT_S: Final = 15.0
"""Longest wait for what a program does at once, however busy the machine is."""

GOOD = 'print(\'{"offset": 7, "stateHash": "ab", "size": 3, "rows": 2}\')'


def program(text: str) -> tuple[str, ...]:
    """A program of these lines."""
    return sys.executable, "-c", text


def state_of(pid: int) -> str:
    """A process's state in one letter; X: it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def is_running(pid: int) -> bool:
    """Whether it does anything any more."""
    return state_of(pid) not in "ZX"


def is_stopped(pid: int) -> bool:
    """Whether it stands, by SIGSTOP."""
    return state_of(pid) == "T"


class Hours:
    """A loop's clock that can be put forward, and what it knows of the programs this loop runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pids: list[int] = []
        self._words = asyncio.Semaphore(0)
        self._ahead_s = 0.0
        loop, start, read = asyncio.get_running_loop(), asyncio.create_subprocess_exec, asyncio.StreamReader.readline
        present = loop.time

        async def started(*args: Any, **options: Any) -> asyncio.subprocess.Process:
            process = await start(*args, **options)
            self.pids.append(process.pid)
            return process

        async def listened(stream: asyncio.StreamReader) -> bytes:
            line = await read(stream)
            self._words.release()
            return line

        monkeypatch.setattr(loop, "time", lambda: present() + self._ahead_s)
        monkeypatch.setattr(asyncio, "create_subprocess_exec", started)
        monkeypatch.setattr(asyncio.StreamReader, "readline", listened)

    async def heard(self) -> None:
        """Wait until something was heard of the program."""
        async with asyncio.timeout(WAIT_S):
            await self._words.acquire()

    def pass_by(self, seconds: float) -> None:
        """From now on it is so much later."""
        self._ahead_s += seconds


async def until_gone(pid: int, within_s: float = WAIT_S) -> None:
    """Wait for the end of a process."""
    await asyncio.to_thread(until, lambda: not is_running(pid) or None, within_s=within_s, what="its end")


async def until_written(path: Path) -> int:
    """Wait for a process to say which it is."""
    said = await asyncio.to_thread(
        until, lambda: (path.exists() and path.read_text()) or None, within_s=WAIT_S, what="a word of it"
    )
    return int(said)


async def test_what_it_prints_is_what_was_taken() -> None:
    assert await run(program(GOOD), URL) == SnapshotTaken(7, b"\xab", 3, 2)


async def test_it_gets_the_database_and_no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PERPS_ADMIN_KEY", "secret")
    monkeypatch.setenv("PERPS_KEY", "secret")
    monkeypatch.setenv("PERPS_LOG_LEVEL", "info")
    seen = tmp_path / "seen"
    look = f"open({str(seen)!r}, 'w').write(json.dumps(dict(os.environ)))"

    await run(program(f"import json, os\n{look}\n{GOOD}"), URL)

    environment = json.loads(await asyncio.to_thread(seen.read_text))
    assert {name: value for name, value in environment.items() if name.startswith("PERPS_")} == {
        "PERPS_DATABASE_URL": URL
    }
    assert environment["PATH"] == os.environ["PATH"]


async def test_one_that_fails_is_quoted_by_its_last_line() -> None:
    failing = "import sys; print('{}'); print('perps: error: the journal is not there'); sys.exit(1)"
    with pytest.raises(SnapshotFailed, match=r"^perps: error: the journal is not there \(exit code 1\)$"):
        await run(program(failing), URL)


@pytest.mark.parametrize("printed", ["", "nonsense", "[]", '{"offset": 7}', GOOD.replace("ab", "xy")[7:-2]])
async def test_one_that_says_something_else_is_not_believed_and_not_quoted(printed: str) -> None:
    with pytest.raises(SnapshotFailed, match=r"^it printed \d+ bytes that are no answer$"):
        await run(program(f"print({printed!r})"), URL)


PULSES: Final = """
import os, signal, time
for row in range({rows}):
    os.write(1, b'{{"row": %d}}\\n' % row)
    while not os.path.exists(f"{place}/{{row}}"):
        time.sleep(0.002)
{then}
"""
"""A program that says how far it has come, in one piece, and goes on when there is a file of that name."""


def pulses(place: Path, rows: int, then: str) -> tuple[str, ...]:
    """It, as a program."""
    return program(PULSES.format(rows=rows, place=place, then=then))


async def go_on(place: Path, row: int) -> None:
    """Let it go on."""
    await asyncio.to_thread((place / str(row)).touch)


async def test_one_that_gets_on_may_take_its_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As long as it prints something now and then."""
    hours = Hours(monkeypatch)
    taking = asyncio.create_task(run(pulses(tmp_path, 8, GOOD), URL))
    for row in range(8):
        await hours.heard()
        hours.pass_by(STALLED_S / 2)
        await go_on(tmp_path, row)

    assert await taking == SnapshotTaken(7, b"\xab", 3, 2)


@pytest.mark.parametrize("still", ["time.sleep(600)", "os.kill(os.getpid(), signal.SIGSTOP)"])
async def test_one_that_stands_still_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, still: str) -> None:
    hours = Hours(monkeypatch)
    taking = asyncio.create_task(run(pulses(tmp_path, 1, still), URL))
    await hours.heard()
    await go_on(tmp_path, 0)
    if "SIGSTOP" in still:
        await asyncio.to_thread(until, lambda: is_stopped(hours.pids[0]) or None, within_s=WAIT_S, what="a stop")
    hours.pass_by(STALLED_S - WAIT_S)
    await asyncio.sleep(0)
    assert not taking.done()

    hours.pass_by(WAIT_S)

    with pytest.raises(SnapshotStalled, match=r"^it made no progress for 90 s and was ended$"):
        await taking
    await until_gone(hours.pids[0])


def test_what_it_logs_is_in_the_venues_log() -> None:
    venue = f"""
import asyncio
from web.process.snapshot_process import run
asyncio.run(run({program("import sys; print('a warning', file=sys.stderr)" + chr(10) + GOOD)!r}, {URL!r}))
"""
    done = subprocess.run(program(venue), cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stderr == "a warning\n"


def test_the_programs_of_a_venue_know_nothing_of_its_clients(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither a bad PERPS_URL nor a bad perps.toml where the venue runs is any business of theirs."""
    monkeypatch.setenv("PERPS_URL", "nonsense://")
    monkeypatch.setenv("PERPS_CONFIG", "/nowhere.toml")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "perps.toml").write_text("nonsense = [")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SnapshotFailed, match=r"^perps: error: reading the journal: no connection to /nowhere:5432"):
        asyncio.run(run(FOLLOWER, "postgresql://nobody@/none?host=/nowhere&port=5432"))


async def test_one_that_cannot_be_started_is_no_snapshot() -> None:
    with pytest.raises(SnapshotFailed, match=r"^the program cannot be started: No such file or directory$"):
        await run(("/nowhere/perps",), URL)


async def test_it_ends_with_whoever_waits_for_it(tmp_path: Path) -> None:
    who = tmp_path / "who"
    sleeping = program(f"import os, time; open({str(who)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    waiting = asyncio.create_task(run(sleeping, URL))
    pid = await until_written(who)

    waiting.cancel()

    await until_gone(pid)


async def test_it_ends_with_a_venue_that_is_killed(tmp_path: Path) -> None:
    """The real command, waiting for a database that does not answer: its standard input was the venue's to hold.

    Until then it gives way to the venue.
    """
    who = tmp_path / "who"
    with socket.create_server(("127.0.0.1", 0)) as database:
        url = f"postgresql://nobody@127.0.0.1:{database.getsockname()[1]}/none"
        venue = f"""
import asyncio, os
from pathlib import Path
from tools.snapshot_follower import FOLLOWER, NICENESS
from web.process.snapshot_process import run
async def main():
    taking = asyncio.create_task(run(FOLLOWER, {url!r}))
    while not (children := Path(f"/proc/self/task/{{os.getpid()}}/children").read_text().split()):
        await asyncio.sleep(0.01)
    Path({str(who)!r}).write_text(children[0])
    await taking
asyncio.run(main())
"""
        parent = await asyncio.to_thread(subprocess.Popen, program(venue), env={**os.environ, "PYTHONPATH": str(ROOT)})
        try:
            pid = await until_written(who)
            silent, _ = await asyncio.to_thread(database.accept)
            with silent:
                assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, os.nice(0) + NICENESS)
                parent.send_signal(signal.SIGKILL)
                await until_gone(pid, within_s=CONNECT_TIMEOUT_S / 2)
        finally:
            parent.kill()
            await asyncio.to_thread(parent.wait)


@pytest.mark.skipif(not processor.IS_POSSIBLE, reason="this system does not let a program choose")
async def test_it_may_run_on_all_processors(tmp_path: Path) -> None:
    """Although the venue stays on one."""
    seen = tmp_path / "seen"
    look = f"open({str(seen)!r}, 'w').write(json.dumps([sorted(os.sched_getaffinity(0)), os.sched_getscheduler(0)]))"
    await asyncio.to_thread(processor.gather)
    try:
        await run(program(f"import json, os\n{look}\n{GOOD}"), URL)
    finally:
        await asyncio.to_thread(processor.spread)

    assert json.loads(await asyncio.to_thread(seen.read_text)) == [sorted(processor.ALLOWED), processor.USUAL]
