"""A PostgreSQL cluster that is made once, and copies of it: a copy takes a tenth of the time.

How a cluster is made is tested where nothing is copied: `tests/persistence/embedded/test_making.py`, and venues with
``makes_cluster``.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from persistence.embedded.server import EmbeddedPostgres


@contextmanager
def open_place() -> Iterator[Path]:
    """An empty directory that the database's system user may enter, gone afterwards."""
    place = Path(tempfile.mkdtemp(prefix="perps-tests-"))
    place.chmod(0o755)
    try:
        yield place
    finally:
        shutil.rmtree(place)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    """A cluster with its empty database, stopped, as a server leaves one that it has made. To be copied only."""
    with open_place() as place:
        server = EmbeddedPostgres(place / "pg", say=lambda _: None)
        try:
            server.start()
        finally:
            server.stop()
        for trace in ("server.log", "postmaster.opts"):
            (server.directory / trace).unlink()
        yield server.directory


def copied(cluster: Path, directory: Path) -> EmbeddedPostgres:
    """A server on a copy of the cluster, not started. Its directory must not be there yet, the parent must."""
    subprocess.run(["cp", "-a", cluster, directory], check=True)
    return EmbeddedPostgres(directory, say=lambda _: None)
