"""What one trader's open waits for while others keep the venue busy, and what a long list costs who asks for a page."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from perps.client import Venue
from perps.wire.markets import LIST_MARKETS
from perps.wire.streams import MARKET_STREAM
from perps.wire.trading import OPEN
from perps.wire.venue import METRICS
from tools.benchmark.crowd import UP, CrowdSpec
from tools.benchmark.http import run_load
from tools.benchmark.load import LoadResult, LoadSpec
from tools.benchmark.report import Figure
from tools.benchmark.serving import last_line, prepare, serving
from tools.errors import ToolError

ROUNDS: Final = 3
WARM_UP_S: Final = 1.0
BUSY_TICKERS: Final = 8
"""Markets that the one key with many opens trades in; the trader's own is one of them."""
TOGETHER: Final = 64
FILLS_MAX: Final = 100
"""How often opens are sent until somebody has many positions."""
PAGE: Final = 10


@dataclass(frozen=True)
class Others:
    """Who is beside the trader."""

    name: str
    does: Literal["open", "get", "follow"]
    count: int
    path: str


OTHERS: Final = (
    Others("32 readers of the list of markets", "get", 32, LIST_MARKETS.path),
    Others("500 readers of all markets' stream", "follow", 500, MARKET_STREAM.path),
    Others("1,000 readers of all markets' stream", "follow", 1000, MARKET_STREAM.path),
    Others("16 readers of /metrics", "get", 16, METRICS.path),
    Others("1,000 opens of one key", "open", 1000, OPEN.path),
)
"""Only those who open positions send a key."""


@dataclass(frozen=True)
class BesideBench:
    """How to measure: so many markets, so many positions of the user who has many."""

    directory: Path
    database_url: str
    seconds: float
    markets: int
    positions: int

    def figures(self, tell: Callable[[str], None]) -> Iterator[Figure]:
        """One trader's opens, beside nobody and beside others by turns; then pages of positions."""
        tickers = [f"BENCH-{number}" for number in range(self.markets)]
        with serving(self.directory, self.database_url) as (port, admin_key):
            tell(f"making {self.markets:,} markets")
            url = f"http://127.0.0.1:{port}"
            trader, herd, few, many = asyncio.run(prepare(url, admin_key, tickers, ("trader", "herd", "few", "many")))
            found: dict[Others | None, list[tuple[LoadResult, LoadResult | None]]] = {None: []}
            for turn in range(1, ROUNDS + 1):
                for others in (None, *OTHERS):
                    tell(f"an open beside {others.name if others else 'nobody'}, round {turn} of {ROUNDS}")
                    key = herd if others and others.does == "open" else ""
                    with self._crowd(port, others, key, tickers) as crowd:
                        mine = run_load("tools.benchmark.load", self._spec(port, [trader], tickers[:1]))
                    found.setdefault(others, []).append((mine, crowd[0] if crowd else None))
            for beside, results in found.items():
                yield self._figure(beside, results)
            tell(f"a page of {PAGE} of {self.positions:,} positions")
            self._fill(port, many, tickers[:BUSY_TICKERS], self.positions)
            asyncio.run(_open(url, few, tickers[0], PAGE))
            yield from self._pages(port, {"few": (few, PAGE), "many": (many, self.positions)})

    def _figure(self, others: Others | None, results: Sequence[tuple[LoadResult, LoadResult | None]]) -> Figure:
        """Of the rounds, the one with the median p99."""
        mine, theirs = sorted(results, key=lambda one: one[0].p99_ms)[len(results) // 2]
        note = f"median of {len(results)}, by turns; {self.markets:,} markets"
        if theirs is not None:
            note += f"; the others get {theirs.per_second:,.0f}/s"
        return Figure(
            "beside",
            f"an open beside {others.name if others else 'nobody'}",
            mine.per_second,
            "/s",
            p50=mine.p50_ms,
            p99=mine.p99_ms,
            note=mine.noted(note),
        )

    def _pages(self, port: int, users: dict[str, tuple[str, int]]) -> Iterator[Figure]:
        found: dict[str, list[LoadResult]] = {user: [] for user in users}
        for _ in range(ROUNDS):
            for user, (key, _count) in users.items():
                asks = Others(user, "get", 1, f"/api/markets/positions/{user}?limit={PAGE}")
                with self._crowd(port, asks, key, [""]) as crowd:
                    pass
                found[user] += crowd
        for user, results in found.items():
            result = sorted(results, key=lambda one: one.p50_ms)[len(results) // 2]
            name = f"a page of {PAGE} positions, of a user with {user}"
            note = f"{users[user][1]:,} positions; median of {len(results)}, by turns"
            yield Figure("beside", name, result.per_second, "/s", p50=result.p50_ms, p99=result.p99_ms, note=note)

    def _spec(self, port: int, keys: list[str], tickers: Sequence[str], seconds: float = 0.0) -> LoadSpec:
        return LoadSpec(
            host="127.0.0.1",
            port=port,
            path=OPEN.path,
            keys=keys,
            tickers=list(tickers),
            run=secrets.token_hex(4),
            warm_up_s=WARM_UP_S / 2,
            seconds=seconds or self.seconds,
        )

    @contextlib.contextmanager
    def _crowd(self, port: int, others: Others | None, key: str, tickers: Sequence[str]) -> Iterator[list[LoadResult]]:
        """While others keep the venue busy; at its end, what they got: it waits for them."""
        got: list[LoadResult] = []
        if others is None:
            yield got
            return
        plain = self._spec(port, [key] * others.count, tickers[:BUSY_TICKERS], self.seconds + WARM_UP_S)
        fields = msgspec.structs.asdict(plain) | {"path": others.path, "does": others.does}
        command = [sys.executable, "-m", "tools.benchmark.crowd"]
        with (
            (self.directory / "crowd.log").open("w+b") as log,
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log) as process,
        ):
            try:
                if process.stdin is None or process.stdout is None:
                    raise ToolError("the program for the others has no pipes")
                process.stdin.write(msgspec.json.encode(CrowdSpec(**fields)))
                process.stdin.close()
                if process.stdout.readline().strip() != UP.encode():
                    log.seek(0)
                    raise ToolError(f"the program for the others failed: {last_line(log.read())}")
                yield got
                got.append(msgspec.json.decode(process.stdout.read(), type=LoadResult))
            finally:
                process.terminate()

    def _fill(self, port: int, key: str, tickers: Sequence[str], count: int) -> None:
        """Open positions for a user until there are so many. Errors: ToolError if they do not come to that."""
        opened = 0
        for _ in range(FILLS_MAX):
            spec = msgspec.structs.replace(self._spec(port, [key] * TOGETHER, tickers, 1.0), warm_up_s=0.0)
            opened += run_load("tools.benchmark.load", spec).succeeded
            if opened >= count:
                return
        raise ToolError(f"only {opened} of {count} positions were opened")


async def _open(url: str, key: str, ticker: str, count: int) -> None:
    async with Venue(url, key) as venue:
        for _ in range(count):
            await venue.open(ticker, "long", size=100, leverage=10)
