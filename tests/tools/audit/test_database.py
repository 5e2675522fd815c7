"""The embedded database of a venue that runs or does not: read, and left as it was found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from persistence.embedded.server import EmbeddedPostgres
from persistence.journal.writer import PostgresJournal
from tests.support.clusters import copied, open_place
from tests.support.postgres import sql
from tools.audit.database import venue_database
from tools.cli import main
from tools.errors import ToolError
from web.process.data_directory import DataDirectory

Place = tuple[Path, EmbeddedPostgres]


@pytest.fixture(scope="module")
def made(cluster: Path) -> Iterator[Place]:
    """A venue's data directory, in which a venue has been."""
    with open_place() as path:
        server = copied(cluster, path / "postgres")
        PostgresJournal.acquire(server.start()).close()
        server.stop()
        yield path, server
        server.stop()


@pytest.fixture
def place(made: Place) -> Iterator[Place]:
    """The same, with the server stopped before and after a test."""
    yield made
    made[1].stop()


def answers(url: str) -> bool:
    return bool(sql(url, "select 1")[0][0] == 1)


def test_a_server_that_stands_still_is_started_and_stopped_again(place: Place) -> None:
    path, server = place
    with venue_database(None, path) as url:
        assert answers(url)
    assert not server.is_running()


def test_a_server_that_stands_still_is_stopped_again_after_an_error_too(place: Place) -> None:
    path, server = place
    with pytest.raises(ToolError), venue_database(None, path):
        raise ToolError("x")
    assert not server.is_running()


def test_a_server_that_runs_is_left_running(place: Place) -> None:
    path, server = place
    server.start()
    with venue_database(None, path) as url:
        assert answers(url)
    assert server.is_running()


def test_a_venue_may_start_while_its_database_is_read_and_keeps_the_server(place: Place) -> None:
    path, server = place
    with ExitStack() as venue:
        with venue_database(None, path):
            venue.callback(DataDirectory(path).close)
            PostgresJournal.acquire(server.start()).close()
        assert server.is_running()
        with venue_database(None, path) as url:
            assert answers(url)
        assert server.is_running()
    with venue_database(None, path):
        pass
    assert server.is_running(), "it is a venue's by now, and no reader's to stop"


def test_of_several_readers_the_last_one_stops_the_server(place: Place) -> None:
    path, server = place
    with ExitStack() as second:
        with venue_database(None, path):
            url = second.enter_context(venue_database(None, path))
        assert answers(url)
    assert not server.is_running()


def test_a_command_on_a_data_directory_does_all_of_this(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    path, server = place
    assert main(["verify", "--data-dir", str(path)]) == 0
    assert "0 rows verified" in capsys.readouterr().out
    assert not server.is_running()
