"""What ``perps feed check`` and a dry run say of a file, without sending anything."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.tools.conftest import Running
from tests.tools.fake_venue import ADMIN_KEY
from tools.cli import main

T = 1_704_067_200
BARS = f"open_time_ms,open,high,low,close,volume\n{T}000,10.004,14,9,12,1\n{T + 3600}000,12,13,8,9,1\n"


async def write(name: str, text: str) -> None:
    """A file, written in a thread: the loop is the fake venue's."""
    await asyncio.to_thread(Path(name).write_text, text)


async def run(running: Running, *arguments: str) -> int:
    """The command line, in a thread, so that the fake venue can answer."""
    return await asyncio.to_thread(main, [*arguments, "--url", running.url, "--key", ADMIN_KEY])


async def test_a_dry_run_says_what_was_understood_and_sends_nothing(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    running.venue.add_market("A")
    await write("bars.csv", BARS)
    assert await run(running, "feed", "replay", "bars.csv", "--ticker", "A", "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["prices"], told["first"]["price"], told["last"]["price"]) == (2, 8, "10.004", "9")
    assert running.venue.prices == []


async def test_a_file_is_checked_without_a_venue(capsys: pytest.CaptureFixture[str]) -> None:
    await write("bars.csv", BARS + f"{T + 7200}000,nan,nan,nan,nan,0\n")
    assert await asyncio.to_thread(main, ["feed", "check", "bars.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "file": "bars.csv",
        "columns": {
            "separatedBy": "commas",
            "time": "open_time_ms",
            "open": "open",
            "high": "high",
            "low": "low",
            "close": "close",
        },
        "times": "milliseconds since 1970",
        "order": "oldest first",
        "rows": 2,
        "prices": 8,
        "skipped": {"withoutPrice": 1, "repeated": 0, "replaced": 0, "headers": 0, "otherInstruments": 0},
        "first": {"price": "10.004", "at": "2024-01-01T00:00:00Z", "line": 2},
        "last": {"price": "9", "at": "2024-01-01T01:00:00Z", "line": 3},
        "lowest": "8",
        "highest": "14",
        "longestGapSeconds": 3600.0,
    }
    assert await asyncio.to_thread(main, ["feed", "check", "bars.csv", "--tick-size", "0.1"]) == 0
    assert await asyncio.to_thread(main, ["feed", "check", "bars.csv", "--tick-size", "0.3"]) == 1
    assert "bars.csv line 2: the market's tick 0.3 would make 9.9 of the price 10.004" in capsys.readouterr().err
