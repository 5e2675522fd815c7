"""Log lines, as a program reads them: one JSON object each, all with the same kind of time."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from perps.journal import events_of
from tests.golden.files import load_rows, versions

ROOT = Path(__file__).parents[3]

SCRIPT = """
import asyncio
import aiohttp
from tests.web.venue import OnMemory, start
from web.process import logs

async def main():
    logs.configure("info")
    async with aiohttp.ClientSession() as session:
        venue = await start(OnMemory(), session)
        await venue.market()
        await venue.user("ann")
        (await venue.anybody.get("/nothing")).refused(404, "not_found")
        await venue.venue.close()

asyncio.run(main())
"""


def test_every_line_has_its_time_written_the_same_way() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {line["event"] for line in lines} >= {"core.recovered", "command", "refused"}
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["timestamp"]), line


COMMAND = """
from datetime import UTC, datetime
from actors.messages import Settled, Stages
from perps.effects import Joined
from perps.events import UserCreated
from perps.journal import GENESIS, LEDGER_STREAM, Entry, make_row
from web.process import logs

logs.configure("info")
row = make_row(GENESIS, 7, 1, LEDGER_STREAM, 1, 5, "user", 1, "@admin", None, None, b"", 0)
stages = Stages(held_ns=1_000_000, decided_ns=3_000_000, sequenced_ns=7_000_000, committed_ns=15_000_000)
entry = Entry(row, (UserCreated("ann", None, 5, ()),), ((Joined("ann", None),),), ())
settled = Settled(entry, 0, "a trace", stages, 0)
logs.CommandLog().write([logs.Published([settled], 31_000_000, datetime(2026, 1, 2, 3, 4, 5, 678, UTC))], {})
"""


def test_a_command_s_line_says_when_it_was_published_and_how_long_each_stage_took() -> None:
    done = subprocess.run([sys.executable, "-c", COMMAND], cwd=ROOT, capture_output=True, text=True, check=True)

    assert json.loads(done.stderr) == {
        "event": "command",
        "level": "info",
        "timestamp": "2026-01-02T03:04:05.000678Z",
        "trace": "a trace",
        "kind": "user",
        "user": "ann",
        "ticker": None,
        "outcome": "done",
        "offset": 7,
        "decide_ms": 2.0,
        "sequence_ms": 4.0,
        "commit_ms": 8.0,
        "publish_ms": 16.0,
    }


FUNDING = """
from datetime import UTC, datetime
from actors.messages import Settled, Stages
from perps.venue import VenueState
from tests.golden.files import load_rows, versions
from web.process import logs

logs.configure("info")
state, written = VenueState(), logs.CommandLog()
entries = [state.apply(row) for row in load_rows(versions()[-1])]
settled = [Settled(entry, 0, "a trace", Stages(), 0) for entry in entries]
written.write([logs.Published(settled, 0, datetime(2026, 1, 2, tzinfo=UTC))], {entry.row.stream for entry in entries})
"""


def test_funding_before_a_command_s_event_hides_neither_its_user_nor_its_price() -> None:
    done = subprocess.run([sys.executable, "-c", FUNDING], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    listed, *rows = [row for row in load_rows(versions()[-1]) if row.stream == "FLOW-PERP"]
    trade = next(row for row in rows if row.kind == "close")
    price = next(row for row in rows if row.kind == "price")
    line = next(line for line in lines if line["offset"] == trade.offset)

    assert type(events_of(trade)[0]).__name__ == type(events_of(price)[0]).__name__ == "FundingAccrued"
    assert (line["user"], line["index_price_ticks"], line["price_offset"]) == ("bob", 10_007, price.offset)
    opening = next(line for line in lines if line["offset"] == rows[0].offset)
    assert (opening["user"], opening["price_offset"], opening["index_price_ticks"]) == ("bob", listed.offset, 10_000)


def test_a_terminal_shows_the_lines_of_commands_only_at_the_level_debug() -> None:
    assert _on_a_terminal(COMMAND) == ""
    (line,) = _plain(_on_a_terminal(_at_debug(COMMAND))).splitlines()

    assert line.startswith("2026-01-02T03:04:05.000678Z [info     ] command ")
    assert {"kind=user", "offset=7", "publish_ms=16.0"} <= set(line.split())


PATHS = """
import asyncio
import aiohttp
from tests.web.venue import OnMemory, start
from web.process import logs

async def main():
    logs.configure("info")
    async with aiohttp.ClientSession() as session:
        venue = await start(OnMemory(), session)
        for path in "/%1b[2J%1b]0;owned%07 /x%0aperps%20is%20ready /%C2%9B31m /%E2%80%AE /%7f".split():
            (await venue.anybody.get(path)).refused(404, "not_found")
        await venue.venue.close()
    try:
        raise RuntimeError("said \\x1b[31m by\\x9b somebody")
    except RuntimeError:
        logs.log.exception("request.failed")

asyncio.run(main())
"""


def _on_a_terminal(script: str) -> str:
    """What it says on stderr, a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        with suppress(OSError):  # it has ended
            while data := os.read(ours, 65536):
                said += data
    os.close(ours)
    assert process.returncode == 0, said.decode()
    return said.decode()


def _at_debug(script: str) -> str:
    """The script, with the log's level at which a terminal shows everything."""
    return script.replace('logs.configure("info")', 'logs.configure("debug")')


def _plain(said: str) -> str:
    """Without colours of ours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", said)


def test_nothing_from_outside_is_obeyed_by_a_terminal() -> None:
    said = _plain(_on_a_terminal(_at_debug(PATHS)))

    assert "command" not in said
    assert "u001b[2J" in said
    assert "RuntimeError: said \\u001b[31m by\\u009b somebody" in said
    for line in said.split("\r\n"):
        assert line.isprintable(), line
        assert not line.startswith("perps is ready")


def test_a_terminal_shows_what_is_refused_only_at_the_level_debug() -> None:
    said = _plain(_on_a_terminal(PATHS))

    assert "refused" not in said
    assert "core.recovered" in said
    assert "RuntimeError" in said


def test_nothing_from_outside_is_obeyed_when_the_log_is_shown_later() -> None:
    done = subprocess.run([sys.executable, "-c", PATHS], cwd=ROOT, capture_output=True, text=True, check=True)

    lines = done.stderr.splitlines()
    assert all(line.isprintable() for line in lines)
    paths = {json.loads(line).get("path") for line in lines}
    assert paths >= {"/\x1b[2J\x1b]0;owned\x07", "/x\nperps is ready", "/\x9b31m", "/\u202e", "/\x7f"}
