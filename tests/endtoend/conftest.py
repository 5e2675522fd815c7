"""Places for venues, and their end: no process and no database server outlives its test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.endtoend.venue_process import VenueProcess
from tests.support.clusters import copied
from tests.support.postgres import short_directory

Venues = Callable[..., VenueProcess]


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty directory with a short path that the database's system user may enter, gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="perps-e2e-", dir=short_directory()))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def venues(place: Path, cluster: Path, tmp_path: Path, at_last: ExitStack) -> Iterator[Venues]:
    """Makes venues, each on the data directory of its name, and ends every one whatever happened.

    One on a database server of its own finds an empty database there, unless it ``makes_cluster`` itself.
    The logs stay in ``tmp_path``; their last lines are printed, for pytest to show if the test failed. ``at_last``
    ends behind them.
    """
    made: list[VenueProcess] = []

    def make(
        name: str = "venue", *, log: str | None = None, makes_cluster: bool = False, **settings: object
    ) -> VenueProcess:
        if not makes_cluster and "database_url" not in settings and not (place / name).exists():
            (place / name).mkdir(mode=0o700)
            copied(cluster, place / name / "postgres")
        venue = VenueProcess(place / name, log=tmp_path / f"{log or name}.log", **settings)  # type: ignore[arg-type]
        made.append(venue)
        return venue

    yield make
    problems: list[str] = []
    for venue in made:
        try:
            venue.end()
        except Exception as error:  # noqa: BLE001 - the other venues must end too
            problems.append(repr(error))
        if venue.log.exists():
            print(venue.tail())
    assert problems == []
