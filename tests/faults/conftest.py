"""Venues as the end-to-end tests make them, and venues with faults in their stores."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from persistence.embedded.server import EmbeddedPostgres
from tests.endtoend.conftest import Venues, place, venues
from tests.endtoend.venue_process import VenueProcess
from tests.faults.serve import VARIABLE
from tests.support.clusters import copied
from tests.support.postgres import database_url, server_url

__all__ = ["database_url", "place", "server_url", "venues"]

Faulty = Callable[[str], VenueProcess]


@pytest.fixture
def database(database_url: str) -> str:
    """A database for this test alone, on the server that is nobody's own."""
    return database_url


@pytest.fixture
def server(place: Path, cluster: Path, at_last: ExitStack) -> EmbeddedPostgres:
    """A database server for this test alone, that is no venue's own."""
    server = copied(cluster, place / "pg")
    at_last.callback(server.stop)
    return server


@pytest.fixture
def faulty(venues: Venues, database: str) -> Faulty:
    """Makes venues on ``database`` whose stores go wrong as told."""

    def make(faults: str) -> VenueProcess:
        program = (sys.executable, "-m", "tests.faults.serve")
        return venues(database_url=database, program=program, environment={VARIABLE: faults})

    return make


def arm(venue: VenueProcess, faults: str) -> None:
    """What goes wrong from its next start on; an empty text: nothing."""
    venue.environment[VARIABLE] = faults
