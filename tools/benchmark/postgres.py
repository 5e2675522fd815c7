"""The yardstick: what PostgreSQL does on this machine in its own ``pgbench``. Also the databases to measure on."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from persistence.embedded import server as embedded
from tools.benchmark.report import Figure
from tools.errors import ToolError

CLIENTS: Final = (8, 16, 32)
PART: Final = "postgres"

COMMIT_TABLE: Final = "CREATE TABLE commit_latency (at bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload text)"
COMMIT_SCRIPT: Final = "INSERT INTO commit_latency (payload) VALUES (repeat('x', 300));\n"

_NUMBER = r"([\d.]+)"


@contextmanager
def server(directory: Path, url: str | None) -> Iterator[str]:
    """A PostgreSQL to measure on: the one at ``url``, else an embedded one under ``directory``, stopped at the end."""
    if url is not None:
        yield url
        return
    own = embedded.EmbeddedPostgres(directory / "postgres", say=lambda _: None)
    try:
        yield own.start()
    except embedded.EmbeddedPostgresError as error:
        raise ToolError(str(error)) from error
    finally:
        own.stop()


@contextmanager
def database(server_url: str, name: str) -> Iterator[str]:
    """A new database on that server, dropped at the end."""
    sql(server_url, f'CREATE DATABASE "{name}"')
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        sql(server_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def sql(url: str, statement: str) -> str:
    """The answer to one statement, as ``psql -At`` prints it. Errors: ToolError."""
    return _run("psql", ["-X", "-w", "-At", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement])


def tpc_b(url: str, *, scale: int, seconds: int) -> Figure:
    """pgbench's built-in TPC-B-like transaction, prepared: the best result of a few numbers of clients."""
    _run("pgbench", ["--initialize", "--quiet", f"--scale={scale}", url])
    runs: dict[float, int] = {}
    for clients in CLIENTS:
        threads = min(clients, os.cpu_count() or 1)
        load = [f"--client={clients}", f"--jobs={threads}", f"--time={seconds}", "--protocol=prepared", url]
        runs[_parse(r"tps = " + _NUMBER, _run("pgbench", load))] = clients
    best = max(runs)
    note = f"scale {scale}, prepared, {runs[best]} clients; best of {'/'.join(map(str, CLIENTS))}"
    return Figure(PART, "pgbench TPC-B-like", best, "tx/s", note=note)


def commit_latency(url: str, directory: Path, *, seconds: int) -> Figure:
    """How long one client waits for one inserted row to be durable."""
    sql(url, COMMIT_TABLE)
    script = directory / "commit.sql"
    script.write_text(COMMIT_SCRIPT)
    load = ["--client=1", "--no-vacuum", f"--time={seconds}", "--protocol=prepared", f"--file={script}"]
    log = ["--log", f"--log-prefix={directory / 'commit'}"]
    output = _run("pgbench", [*load, *log, url])
    waits_us = sorted(_logged(directory))
    shares = quantiles(waits_us, n=100) if len(waits_us) > 1 else [0.0] * 99
    return Figure(
        PART,
        "one client, one-row INSERT",
        _parse(r"tps = " + _NUMBER, output),
        "commits/s",
        p50=shares[49] / 1000,
        p99=shares[98] / 1000,
    )


def version(url: str) -> str:
    """The server's version and what decides whether a commit is durable."""
    fsync, commit = sql(url, "SHOW fsync"), sql(url, "SHOW synchronous_commit")
    return f"{sql(url, 'SHOW server_version').split()[0]} (fsync {fsync}, synchronous_commit {commit})"


def _logged(directory: Path) -> Iterator[float]:
    """The waits in pgbench's log, in µs: the third word of each line."""
    for path in directory.glob("commit.*"):
        if path.suffix != ".sql":
            for line in path.read_text().splitlines():
                yield float(line.split()[2])


def _run(program: str, arguments: Sequence[str]) -> str:
    """Run a PostgreSQL program; what it printed. Errors: ToolError with its last line."""
    command = [embedded.program_path(program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ToolError(f"{program}: {lines[-1]}")
    return done.stdout.strip()


def _parse(pattern: str, output: str) -> float:
    match = re.search(pattern, output)
    if match is None:
        raise ToolError(f"the output of pgbench was not as expected: {output[-200:]!r}")
    return float(match[1])
