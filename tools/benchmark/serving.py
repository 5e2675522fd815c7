"""``perps serve`` in a process of its own, on an empty database, for the parts of the benchmark that ask it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from perps.client import Venue, VenueError
from perps.wire.markets import LIST_MARKET, MarketAnswer
from tools.errors import ToolError

READY_S_MAX: Final = 60.0
STOP_S_MAX: Final = 30.0
POLL_S: Final = 0.05
TOGETHER: Final = 32
"""How many markets, users and keys are made at the same time."""

MARKET: Final = {
    "organization_id": "bench",
    "name": "Benchmark",
    "price": "1000.00",
    "max_leverage": 10,
    "skew_scale": "300000000",
    "max_skew": "1000000",
    "max_open_interest": "10000000",
}
"""A market with room for more opens than any run makes."""
DEPOSIT: Final = "1000000000"


@contextlib.contextmanager
def serving(directory: Path, database_url: str) -> Iterator[tuple[int, str]]:
    """The port and the administrator's key of a venue, while it runs. Errors: ToolError with its last line."""
    port, admin_key = _free_port(), secrets.token_urlsafe(32)
    own = {name: value for name, value in os.environ.items() if not name.startswith("PERPS_")}
    command = [sys.executable, "-m", "tools", "serve", f"--port={port}", f"--data-dir={directory / 'venue'}"]
    command.append("--no-demo")
    environment = own | {"PERPS_ADMIN_KEY": admin_key, "DATABASE_URL": database_url}
    log = directory / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            asyncio.run(_await_ready(f"http://127.0.0.1:{port}", process, log))
            yield port, admin_key
        finally:
            process.terminate()
            try:
                process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


async def prepare(url: str, admin_key: str, tickers: Sequence[str], users: Sequence[str]) -> list[str]:
    """Create the markets and the users; the users' keys."""
    together = asyncio.Semaphore(TOGETHER)
    async with Venue(url, admin_key) as admin:

        async def list_market(ticker: str) -> None:
            async with together:
                await admin.call(LIST_MARKET, MarketAnswer, ticker=ticker, **MARKET)

        async def make(user: str) -> str:
            async with together:
                await admin.create_user(user, DEPOSIT)
                return (await admin.create_key(["trade"], user_id=user, label="bench")).key

        await asyncio.gather(*map(list_market, tickers))
        return list(await asyncio.gather(*map(make, users)))


def last_line(output: bytes) -> str:
    """The last line of what a program printed."""
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it printed nothing"


async def _await_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    begun = time.monotonic()
    async with Venue(url, retry_s=0, timeout_s=5.0) as venue:
        while time.monotonic() - begun < READY_S_MAX:
            if process.poll() is not None:
                break
            with contextlib.suppress(VenueError):
                if (await venue.get_ready()).status == "ready":
                    return
            await asyncio.sleep(POLL_S)
    last = last_line(await asyncio.to_thread(log.read_bytes))
    raise ToolError(f"perps serve did not become ready: {last}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
