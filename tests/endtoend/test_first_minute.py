"""The first minute: what a venue says when it is ready, the commands that it prints, and commands that find it."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from io import RawIOBase
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import pytest

from tests.endtoend.commands import typed
from tests.endtoend.conftest import Venues
from tests.endtoend.venue_process import VenueProcess, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

PERPS: Final = Path(sys.executable).with_name("perps")
ROWS_SEEN: Final = 50
"""More than the demo's markets and users: it trades."""
TEXT_S: Final = 20.0
"""Longest wait for the text of a venue that is ready."""


def text_of(venue: VenueProcess, start: int = 1) -> str:
    """All that it wrote, once it has written the text of its first or a later start."""

    def written() -> str | None:
        log = venue.log.read_text()
        return log if log.count("\n  Stop  ") == start else None

    return until(written, within_s=TEXT_S, what="the text")


def command_in(log: str, begin: str) -> str:
    """The command that the venue printed: the line, and those that it goes on with."""
    found = re.search(rf"^    {re.escape(begin)}(?:.*\\\n)*.*$", log, re.MULTILINE)
    assert found is not None, log
    return found[0]


def shell(command: str, venue: VenueProcess, code: int = 0) -> str:
    """What a command prints in a shell where the venue was started, on stderr if there; it ends with this code."""
    where, environment = venue.log.parent, venue.surroundings()
    done = subprocess.run(
        ["sh", "-c", command], cwd=where, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done
    return done.stderr or done.stdout


def test_a_bare_venue_says_how_to_list_a_market_and_then_no_more(venues: Venues) -> None:
    venue = venues(makes_cluster=True)
    venue.start()
    log = text_of(venue)
    (command,) = re.findall(r"^    (\S*perps market create .*)$", log, re.MULTILINE)

    assert "BTC-PERP" in shell(f"{command} --json", venue)
    assert f"kill {venue.pid}\n" in log
    assert venue.stop() == 0
    venue.start()
    again = text_of(venue, 2)[len(log) :]
    assert "market create" not in again
    assert "Admin key  in PERPS_ADMIN_KEY" in again
    assert "/docs in a browser" in again
    assert re.search(rf"^  Page +{venue.url} in a browser$", again, re.MULTILINE)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the command needs curl")
def test_the_demo_says_what_to_paste_and_keeps_its_keys(venues: Venues) -> None:
    venue = venues(environment={"PERPS_DEMO": "yes"}, admin_key=None, makes_cluster=True)
    venue.start()
    log = text_of(venue)
    keys = [(venue.data_dir / f"{person}.key").read_text().strip() for person in ("alice", "bob")]

    assert not [key for key in keys if key in log], "a log is kept, and read by others"
    assert '"userId":"alice"' in shell(command_in(log, "curl "), venue)
    venue.kill()
    venue.start()
    text_of(venue, 2)
    assert keys == [(venue.data_dir / f"{person}.key").read_text().strip() for person in ("alice", "bob")]
    assert '"userId":"alice"' in shell(command_in(log, "curl "), venue)


def test_one_command_gives_a_game_whose_prices_move_by_per_cents(
    venues: Venues, capsys: pytest.CaptureFixture[str]
) -> None:
    venue = venues(environment={"PERPS_WORLD": "game"}, admin_key=None)
    venue.start()
    log = text_of(venue)

    def lively() -> int | None:
        moved = [float(market["high24h"]) / float(market["low24h"]) for market in markets_of(venue)]
        return len(moved) if sum(each > 1.02 for each in moved) >= len(moved) // 2 else None

    assert until(lively, within_s=25, what="half of the prices to have moved by 2 %") == 20
    assert "The world 'game' is on. The prices of AURA, BOLT, CERES, DELTA and others move, and 50 agents trade." in log
    assert '"userId":"ann"' in shell(command_in(log, "curl "), venue)
    said = typed(capsys, venue, "apply", "game")
    assert said == "nothing to change: 20 markets, 52 users, 3 keys are as the file says\n"


def test_commands_find_the_only_venue_and_ask_which_of_two(venues: Venues, capsys: pytest.CaptureFixture[str]) -> None:
    say = partial(typed, capsys)
    first, second = venues("first", admin_key=None), venues("second", admin_key=None)
    first.start()
    assert "epoch\t1" in say(first, "stats")
    assert "no row matches" in say(first, "journal", "--last", "1")

    second.start()
    said = say(first, "stats", code=2)
    for venue in (first, second):
        assert f"--data-dir {venue.data_dir} ({venue.url})" in said
        assert "epoch\t1" in say(first, "stats", "--data-dir", str(venue.data_dir))
        assert "epoch\t1" in say(first, "stats", "--url", venue.url)

    second.kill()
    assert "epoch\t1" in say(second, "stats"), "a killed venue's address counts no more"
    assert first.stop() == 0
    assert not (first.data_dir / "venue.address").exists()
    said = say(first, "stats", "--data-dir", str(second.data_dir), code=1)
    assert f"no venue runs on the data directory {second.data_dir}" in said


def test_a_terminal_shows_the_keys_and_no_line_for_each_command(venues: Venues) -> None:
    venue = venues(environment={"PERPS_DEMO": "yes"}, admin_key=None)
    ours, theirs = pty.openpty()
    command = [str(PERPS), "serve", "--port", str(venue.port), "--data-dir", str(venue.data_dir)]
    with subprocess.Popen(
        command, cwd=venue.log.parent, env=venue.surroundings(), stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        with ThreadPoolExecutor() as pool, open(ours, "rb", buffering=0) as terminal:
            reading = pool.submit(all_of, terminal)
            until(lambda: offset_of(venue) > ROWS_SEEN or None, within_s=TEXT_S, what="a market that moves")
            process.send_signal(signal.SIGINT)
            said = reading.result(TEXT_S)
    lines = said.splitlines()

    assert (venue.data_dir / "alice.key").read_text().strip() in said
    assert "  Stop       Ctrl-C" in lines
    assert lines[-2:] == ["perps is stopping", "perps has stopped"]
    assert not [line for line in lines if " command " in line or " refused " in line]
    assert process.returncode == 0


def all_of(terminal: RawIOBase) -> str:
    """What comes until the other side is closed."""
    said = b""
    with suppress(OSError):
        while part := terminal.read(4096):
            said += part
    return said.decode()


def markets_of(venue: VenueProcess) -> list[dict[str, str]]:
    """The venue's markets."""
    with urlopen(f"{venue.url}/api/markets/perps", timeout=5) as answer:
        found: list[dict[str, str]] = json.load(answer)["markets"]
        return found


def offset_of(venue: VenueProcess) -> int:
    """The venue's last row; 0 while it does not answer."""
    with suppress(OSError), urlopen(f"{venue.url}/api/markets/perps", timeout=5) as answer:
        return int(json.load(answer)["offset"])
    return 0
