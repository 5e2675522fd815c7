"""Embedded PostgreSQL servers for tests, in this process and in others; none outlives its test."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from persistence.embedded.server import EmbeddedPostgres, EmbeddedPostgresError
from tests.support.clusters import copied
from tests.support.postgres import short_directory

ROOT = Path(__file__).parents[2]

VENUE = """
import os, signal, sys
from pathlib import Path
from persistence.embedded import server as embedded
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
BEFORE
print(embedded.EmbeddedPostgres(Path(sys.argv[1]), say=lambda _: None).start(), flush=True)
signal.pause()
"""

Servers = Callable[[Path], EmbeddedPostgres]
Starter = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def servers(open_directory: Path, tmp_path: Path) -> Iterator[Servers]:
    """Makes servers, and stops each of them whatever happened, before `open_directory` and `tmp_path` go."""
    made: list[EmbeddedPostgres] = []

    def make(directory: Path) -> EmbeddedPostgres:
        made.append(EmbeddedPostgres(directory, say=lambda _: None))
        return made[-1]

    yield make
    failures = []
    for server in made:
        try:
            server.stop()
        except EmbeddedPostgresError as error:
            failures.append(str(error))
    assert failures == []


@pytest.fixture
def server(servers: Servers, tmp_path: Path) -> EmbeddedPostgres:
    """One, in a directory that only its owner may enter."""
    return servers(tmp_path / "pg")


@pytest.fixture
def made(servers: Servers, tmp_path: Path, cluster: Path) -> EmbeddedPostgres:
    """The same, with its cluster there."""
    copied(cluster, tmp_path / "pg")
    return servers(tmp_path / "pg")


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory with a short path that every user may enter, unlike tmp_path."""
    with tempfile.TemporaryDirectory(prefix="pg", dir=short_directory()) as name:
        os.chmod(name, 0o755)
        yield Path(name)


def query(url: str, sql: str) -> object:
    """The first value of an answer, if there is one."""

    async def ask() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(ask())


@pytest.fixture
def venue(servers: Servers) -> Iterator[Starter]:
    """Makes other processes that start a server, print its URL and live on until killed."""
    made: list[subprocess.Popen[str]] = []

    def make(directory: Path, before: str = "") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", VENUE.replace("BEFORE", before), str(directory)]
        made.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        return made[-1]

    yield make
    for process in made:
        kill(process)


def kill(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """End another process at once, and what is read of it."""
    process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


def pid_of(directory: Path) -> int:
    """Of the server on a directory."""
    return int((directory / "postmaster.pid").read_text().split("\n")[0])
