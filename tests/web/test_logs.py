"""Log lines, as a program reads them: one JSON object each, all with the same kind of time."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

SCRIPT = """
import asyncio
import aiohttp
from tests.web.venue import OnMemory, start
from web import logs

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
