"""Opens over HTTP and over the agents' channel: ``perps serve`` in a process of its own, beside an empty handler."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from perps.wire.agents import AGENTS
from perps.wire.trading import OPEN
from tools.benchmark import wrk
from tools.benchmark.channel import ChannelSpec
from tools.benchmark.load import LoadResult, LoadSpec
from tools.benchmark.report import Figure
from tools.benchmark.serving import last_line, prepare, serving
from tools.errors import ToolError

IN_FLIGHT: Final = (1, 16, 64, 256)
CHANNELS: Final = ((1, 1), (4, 64))
"""Sockets, and opens in flight on each."""
ROUNDS: Final = 3
WARM_UP_S: Final = 1.0

TICKERS: Final = ("BENCH-A", "BENCH-B", "BENCH-C", "BENCH-D")


@dataclass(frozen=True)
class HttpBench:
    """How to measure. ``client``: ``wrk`` or ``lean``. ``directory``: for logs and scripts."""

    directory: Path
    database_url: str
    client: str
    seconds: float

    def figures(self, tell: Callable[[str], None]) -> Iterator[Figure]:
        """Measure the empty handler, then the venue, at each number in flight. ``tell`` gets a line about each."""
        users = [f"bench-{number}" for number in range(max(IN_FLIGHT))]
        empty: dict[int, LoadResult] = {}
        with _empty_handler() as port:
            for count in IN_FLIGHT:
                tell(f"empty handler, {count} in flight")
                empty[count] = self._load(port, users[:count])
                yield _figure("empty handler", count, empty[count], self.client)
        with serving(self.directory, self.database_url) as (port, admin_key):
            tell("making users and keys")
            keys = asyncio.run(prepare(f"http://127.0.0.1:{port}", admin_key, TICKERS, users))
            for count in IN_FLIGHT:
                tell(f"opens, {count} in flight")
                result = self._load(port, keys[:count])
                share = result.per_second / empty[count].per_second if empty[count].succeeded else 0.0
                yield _figure("opens", count, result, f"{100 * share:.0f} % of the empty handler")

    def channel(self, tell: Callable[[str], None]) -> Iterator[Figure]:
        """Measure opens over HTTP and over the agents' channel, by turns on one venue: of each the median round."""
        users = [f"agent-{number}" for number in range(max(IN_FLIGHT))]
        found: dict[tuple[str, int], list[LoadResult]] = {}
        with serving(self.directory, self.database_url) as (port, admin_key):
            tell("making users and keys")
            keys = asyncio.run(prepare(f"http://127.0.0.1:{port}", admin_key, TICKERS, users))
            for turn in range(1, ROUNDS + 1):
                for sockets, each in CHANNELS:
                    count = sockets * each
                    tell(f"HTTP and channel, {count} in flight, round {turn} of {ROUNDS}")
                    found.setdefault(("HTTP opens", count), []).append(self._load(port, keys[:count]))
                    over = self._channel_load(port, keys[:sockets], each)
                    found.setdefault((f"opens, {sockets} × {each}", count), []).append(over)
        for (name, count), results in found.items():
            result = sorted(results, key=lambda one: one.per_second)[len(results) // 2]
            yield _figure(name, count, result, f"median of {ROUNDS} rounds, HTTP and channel by turns", part="channel")

    def _channel_load(self, port: int, keys: Sequence[str], each: int) -> LoadResult:
        spec = ChannelSpec(
            host="127.0.0.1",
            port=port,
            path=AGENTS.path,
            keys=list(keys),
            tickers=list(TICKERS),
            run=secrets.token_hex(4),
            warm_up_s=WARM_UP_S,
            seconds=self.seconds,
            in_flight=each,
        )
        return run_load("tools.benchmark.channel", spec)

    def _load(self, port: int, keys: Sequence[str]) -> LoadResult:
        spec = LoadSpec(
            host="127.0.0.1",
            port=port,
            path=OPEN.path,
            keys=list(keys),
            tickers=list(TICKERS),
            run=secrets.token_hex(4),
            warm_up_s=WARM_UP_S,
            seconds=self.seconds,
        )
        if self.client == "wrk":
            return wrk.run(spec, self.directory)
        return run_load("tools.benchmark.load", spec)


def run_load(module: str, spec: LoadSpec) -> LoadResult:
    """Send a load from a process of its own."""
    command = [sys.executable, "-m", module]
    done = subprocess.run(command, input=msgspec.json.encode(spec), capture_output=True, check=False)
    if done.returncode != 0:
        raise ToolError(f"the program that sends the requests failed: {last_line(done.stderr)}")
    return msgspec.json.decode(done.stdout, type=LoadResult)


@contextlib.contextmanager
def _empty_handler() -> Iterator[int]:
    """The empty handler's port, while it runs."""
    process = subprocess.Popen([sys.executable, "-m", "tools.benchmark.echo"], stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line.strip().isdigit():
            raise ToolError("the empty HTTP handler of the benchmark did not start")
        yield int(line)
    finally:
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()


def _figure(name: str, in_flight: int, result: LoadResult, note: str, *, part: str = "http") -> Figure:
    return Figure(
        part,
        f"{name}, {in_flight} in flight",
        result.per_second,
        "/s",
        p50=result.p50_ms,
        p99=result.p99_ms,
        note=result.noted(note),
    )
