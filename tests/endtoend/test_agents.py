"""``perps agents run`` as its user types it: on a venue that is killed under it, and with Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.endtoend.commands import typed
from tests.endtoend.conftest import Venues
from tests.endtoend.venue_process import ADMIN_KEY, VenueProcess, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PERPS = str(Path(sys.executable).with_name("perps"))


def here(venue: VenueProcess) -> list[str]:
    """Which venue a command is for."""
    return ["--url", venue.url, "--key", ADMIN_KEY, "--json"]


def asked(capsys: pytest.CaptureFixture[str], venue: VenueProcess, *arguments: str) -> Any:
    """What a command answers."""
    return json.loads(typed(capsys, venue, *arguments, *here(venue)))


def started(venue: VenueProcess, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A run of agents, in a directory of its own."""
    return subprocess.Popen(
        [PERPS, "agents", "run", *arguments, *here(venue)],
        cwd=folder,
        env=venue.surroundings(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def trades(venue: VenueProcess) -> int:
    """How many positions agents have opened so far. Not by a command, as it is asked again and again."""
    request = Request(f"{venue.url}/api/admin/users", headers={"Authorization": f"Bearer {ADMIN_KEY}"})
    with urlopen(request, timeout=10) as answer:
        return sum(float(user["totalFees"]) > 0 for user in json.load(answer)["users"])


def test_a_venue_that_is_killed_under_its_agents_has_each_order_once(
    venues: Venues, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    venue = venues()
    venue.start()
    asked(capsys, venue, "market", "create", "BTC-PERP", "--price", "10000")
    run = started(venue, tmp_path, "noise", "--count", "4", "--decisions", "60", "--pace", "10", "--seed", "7")
    until(lambda: trades(venue) == 4 or None, within_s=30, what="the first trades")
    venue.kill()
    venue.start_whatever_it_takes()
    out, err = run.communicate(timeout=90)
    assert run.returncode == 0, err
    told = json.loads(out)
    assert told["total"]["decisions"] == 240
    assert told["total"]["crashed"] == told["total"]["lost"] == 0
    assert told["total"]["refusals"] == {}
    assert told["total"]["commands"] == told["total"]["trades"], "each command was carried out once"
    assert told["problems"] == []
    listed = {user["userId"]: user for user in asked(capsys, venue, "user", "list")["users"]}
    for agent in told["agents"]:
        assert float(agent["equity"]) == pytest.approx(
            float(listed[agent["userId"]]["total"]) + float(listed[agent["userId"]]["margin"]), abs=50
        )
    assert venue.stop() == 0


def test_ctrl_c_ends_a_run_in_order_and_closes_what_is_open(
    venues: Venues, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    venue = venues()
    venue.start()
    asked(capsys, venue, "market", "create", "BTC-PERP", "--price", "10000")
    run = started(venue, tmp_path, "noise", "--count", "3", "--pace", "10", "--close-on-exit")
    until(lambda: trades(venue) == 3 or None, within_s=30, what="the first trades")
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("seed ")
    assert {agent["state"] for agent in json.loads(out)["agents"]} == {"ended"}
    users = asked(capsys, venue, "user", "list")["users"]
    assert [(user["openPositions"], user["margin"]) for user in users] == [(0, "0.00")] * 3


def test_what_cannot_run_is_one_line(venues: Venues, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    venue = venues()
    venue.start()
    for arguments, code, problem in (
        (["nix.py:Mine"], 1, "there is no file nix.py"),
        (["noise", "--plot", "no/x.png"], 1, "there is no directory|needs matplotlib"),
        (["noise", "--name", "a b"], 2, "--name"),
        (["noise", "--count", "0"], 2, "is not a whole number from 1 to 1000"),
        (["noise"], 1, "no market is enabled. List one: perps market create"),
    ):
        err = typed(capsys, venue, "agents", "run", *arguments, *here(venue), folder=tmp_path, code=code)
        (line,) = err.splitlines()
        assert line.startswith("perps: error: ")
        assert any(part in line for part in problem.split("|"))
