"""Where a venue's threads run, and where its database's processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.endtoend.conftest import Venues
from tests.endtoend.test_database_faults import BACK_S, kill_postmaster
from tests.endtoend.venue_process import VenueProcess, until
from web.process import affinity as processor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

EVERYWHERE = (processor.ALLOWED, processor.USUAL)


def place(process: int) -> tuple[frozenset[int], int]:
    """Where a process's first thread may run, and by which policy."""
    return frozenset(os.sched_getaffinity(process)), os.sched_getscheduler(process)


def postmaster(venue: VenueProcess) -> int:
    """The first process of the venue's database server."""
    return int((venue.data_dir / "postgres" / "postmaster.pid").read_text().split()[0])


@pytest.mark.skipif(not processor.IS_POSSIBLE, reason="this system does not let a program choose")
def test_a_venue_stays_on_one_processor_and_the_database_it_brings_back_on_none(venues: Venues) -> None:
    venue = venues()
    venue.start()

    def places() -> set[tuple[frozenset[int], int]] | None:
        found = {place(int(task.name)) for task in Path(f"/proc/{venue.pid}/task").iterdir()}
        return found if len(found) == 1 and EVERYWHERE not in found else None

    (here,) = until(places, within_s=5, what="all threads in one place")
    assert len(here[0]) == 1
    assert here[1] == os.SCHED_BATCH
    assert place(postmaster(venue)) == EVERYWHERE

    killed = postmaster(venue)
    kill_postmaster(venue.postgres)

    def brought_back() -> bool | None:
        if venue.readiness() != 200:
            return None
        lock = venue.data_dir / "postgres" / "postmaster.pid"
        return (lock.exists() and postmaster(venue) != killed) or None

    until(brought_back, within_s=BACK_S, what="a new database server")
    assert place(postmaster(venue)) == EVERYWHERE


@pytest.mark.skipif(not processor.IS_POSSIBLE, reason="this system does not let a program choose")
def test_a_venue_may_be_left_on_all_processors(venues: Venues) -> None:
    venue = venues(environment={"PERPS_ONE_PROCESSOR": "false"})
    venue.start()

    assert {place(int(task.name)) for task in Path(f"/proc/{venue.pid}/task").iterdir()} == {EVERYWHERE}
