"""Live tables on a terminal: no line of theirs is cut or wrapped at 80 columns, and Ctrl-C leaves the terminal sane."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.support.slowness import soon
from tests.web.venue import ADMIN_KEY, ManualClock, OnMemory, Running, start

WIDTH: Final = 80
CONTROL: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"
HOME: Final = "\x1b[H"
ALTERNATE, NORMAL = "\x1b[?1049h", "\x1b[?1049l"
COLOURS: Final = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")


@pytest.fixture
async def venue() -> AsyncIterator[Running]:
    """A venue on memory with 20 markets."""
    async with aiohttp.ClientSession() as session:
        running = await start(OnMemory(), session)
        for number in range(20):
            await running.market(f"M{number}-PERP", f"{1000 + number}.50")
        yield running
        await running.venue.close()


class Terminal:
    """A terminal of 80 columns and 30 lines, with a command on it."""

    def __init__(self, process: Process, ours: int) -> None:
        self._process, self._ours, self.text = process, ours, ""

    async def until(self, expected: str) -> None:
        """Read until these words have come."""
        async with soon(30):
            while expected not in self.text:
                self.text += (await asyncio.to_thread(os.read, self._ours, 1 << 16)).decode(errors="replace")

    async def ended(self, number: int = signal.SIGINT) -> int:
        """Send the command a signal, and read to its end: its exit code."""
        self._process.send_signal(number)
        with suppress(OSError):  # nobody has the other end any more
            async with soon(30):
                while data := await asyncio.to_thread(os.read, self._ours, 1 << 16):
                    self.text += data.decode(errors="replace")
        return await self._process.wait()


@asynccontextmanager
async def on_terminal(venue: Running, *arguments: str, **environment: str) -> AsyncIterator[Terminal]:
    """A command on a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, WIDTH, 0, 0))
    usual = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tools", *arguments, "--url", venue.url, "--key", ADMIN_KEY),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**usual, "TERM": "xterm-256color", **environment},
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)


def lines(text: str) -> list[str]:
    """What a terminal shows of a text, line by line."""
    return CONTROL.sub("", text.replace(HOME, "\n")).replace("\r", "").split("\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_monitor_fits_and_leaves_what_it_saw_last(venue: Running, number: signal.Signals) -> None:
    async with on_terminal(venue, "monitor", "--interval", "0.2") as shown:
        await shown.until("M19-PERP")
        assert await shown.ended(number) == 0
    live, _, after = shown.text.partition(NORMAL)
    assert ALTERNATE in live
    assert live.rfind(SHOW_CURSOR) > live.rfind(HIDE_CURSOR)
    for part in (live, after):
        assert max(map(len, lines(part))) <= WIDTH
        assert re.search(r"M0-PERP .* 1000.50 ", CONTROL.sub("", part))
        assert not [line for line in lines(part) if "PERP" in line and "…" in line]
    assert "columns hidden; a width of " in after


async def test_a_run_of_agents_fits_and_ends_with_a_summary(venue: Running, tmp_path: Path) -> None:
    keys = ("--keys", str(tmp_path / "keys"))
    run = ("agents", "run", "noise", "momentum", "--count", "6", "--pace", "5", "--seed", "7")
    async with on_terminal(venue, *run, *keys) as shown:
        await shown.until("agent-momentum-6")
        assert await shown.ended() == 0
    assert shown.text.rfind(SHOW_CURSOR) > shown.text.rfind(HIDE_CURSOR)
    assert max(map(len, lines(shown.text))) <= WIDTH
    assert "…" not in shown.text
    live, _, after = shown.text.rpartition(SHOW_CURSOR)
    assert "seed 7, " in live
    names = [line.split()[0] for line in lines(after) if line.strip()]
    assert names[0] == "strategy"
    assert [name for name in names if name in ("noise", "momentum", "all")] == ["noise", "momentum", "all"]


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}])
async def test_an_old_price_is_yellow_unless_no_color_is_set(venue: Running, environment: dict[str, str]) -> None:
    clock = venue.clock
    assert isinstance(clock, ManualClock)
    clock.advance(90)
    async with on_terminal(venue, "monitor", "--interval", "0.2", **environment) as shown:
        await shown.until("M19-PERP")
        assert await shown.ended() == 0
    assert (COLOURS.search(shown.text) is None) is bool(environment)


async def test_a_table_that_does_not_fit_becomes_lists_so_that_ids_can_be_copied(venue: Running) -> None:
    await venue.user("somebody-with-a-long-name-of-forty-letters")
    listed = (await venue.admin.get("/api/admin/keys")).ok()["keys"]
    async with on_terminal(venue, "key", "list") as shown:
        await shown.until("scopes")
        await shown.ended(0)
    assert "…" not in shown.text
    for key in listed:
        assert re.search(rf"key id +{key['keyId']}\r\nuser +{key['userId'] or '-'}\r\n", shown.text)
