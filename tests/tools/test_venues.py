"""Which venue a command means: the named one, else the only one that runs; and no key goes to a stranger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.tools.conftest import Running
from tests.tools.fake_venue import ADMIN_KEY
from tools.cli import main
from tools.venues import stored_venue, url_of
from web.process.data_directory import DataDirectory
from web.process.running_venues import RunningVenue, announce

Venue = Callable[..., Path]
NOBODY = 1
"""A port where nobody listens."""


@pytest.fixture(autouse=True)
def nobody_on_the_usual_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.settings.PORT", NOBODY)


@pytest.fixture
def venue(empty_place: Path) -> Iterator[Venue]:
    """Makes data directories of venues that run, each with a key of its own."""
    directories: list[DataDirectory] = []

    def make(name: str, url: str = f"http://127.0.0.1:{NOBODY}", key: str = ADMIN_KEY, host: str = "127.0.0.1") -> Path:
        directory = DataDirectory(empty_place / name)
        directories.append(directory)
        (directory.path / "admin.key").write_text(key)
        announce(directory.path, host, urlsplit(url).port or 0)
        return directory.path

    yield make
    for directory in directories:
        directory.close()


def database_in(name: str) -> Path:
    """A data directory with an embedded database, of which only the file that tells is there."""
    Path(name, "postgres").mkdir(parents=True)
    Path(name, "postgres", "PG_VERSION").write_text("18")
    return Path(name)


async def called(*words: str) -> int:
    return await asyncio.to_thread(main, [*words])


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
async def test_a_command_finds_the_only_venue_and_its_key(running: Running, venue: Venue, host: str) -> None:
    await asyncio.to_thread(venue, "elsewhere", running.url, host=host)
    assert await called("stats") == 0
    assert await called("market", "list") == 0
    assert (running.venue.seen["stats"], running.venue.seen["markets"]) == (1, 1)


def test_a_venue_that_listens_everywhere_is_asked_at_this_machine() -> None:
    for host, url in (("0.0.0.0", "http://127.0.0.1:8001"), ("::", "http://[::1]:8001"), ("::1", "http://[::1]:8001")):
        assert url_of(RunningVenue(host, 8001, 1, Path("data"))) == url


async def test_a_command_asks_which_of_several_venues_is_meant(
    running: Running, venue: Venue, capsys: pytest.CaptureFixture[str]
) -> None:
    first = await asyncio.to_thread(venue, "first", running.url)
    second = await asyncio.to_thread(venue, "second", key="another")
    for command in (["stats"], ["market", "list"], ["stats", "--key", ADMIN_KEY]):
        assert await called(*command) == 2
        assert capsys.readouterr().err == (
            "perps: error: several venues run here. Say which one you mean: add"
            f" --data-dir {first} ({running.url}) or --data-dir {second} (http://127.0.0.1:{NOBODY})\n"
        )
    assert running.venue.seen.total() == 0
    assert await called("stats", "--data-dir", "first") == 0
    assert await called("stats", "--url", running.url) == 0, "with the key of the venue that is there"


async def test_a_setting_that_says_where_beats_the_venue_that_runs(
    running: Running, venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(venue, "other")
    monkeypatch.setenv("PERPS_PORT", str(urlsplit(running.url).port))
    assert await called("stats", "--key", ADMIN_KEY) == 0


@pytest.mark.parametrize("words", [["--data-dir", "data"], []])
async def test_a_key_goes_nowhere_while_its_venue_does_not_run(
    running: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """Whoever listens on the usual port now may be anybody."""
    monkeypatch.setattr("tools.settings.PORT", urlsplit(running.url).port)

    def stopped() -> None:
        DataDirectory(Path("data")).close()
        Path("data", "admin.key").write_text(ADMIN_KEY)

    await asyncio.to_thread(stopped)
    assert await called("stats", *words) == 1
    assert "no venue runs on the data directory data. Start it, or give --url" in capsys.readouterr().err
    assert running.venue.seen.total() == 0
    assert await called("stats", *words, "--url", running.url) == 0


async def test_an_address_that_others_could_have_written_gets_no_key(
    running: Running, venue: Venue, capsys: pytest.CaptureFixture[str]
) -> None:
    data_dir = await asyncio.to_thread(venue, "data", running.url)
    await asyncio.to_thread(data_dir.chmod, 0o777)
    for words in (["--data-dir", "data"], []):
        assert await called("stats", *words) == 2
        assert "the venue's address is not trusted, because other users can write to data" in capsys.readouterr().err
    assert running.venue.seen.total() == 0


def test_the_database_that_is_meant_is_that_of_the_only_venue(venue: Venue, capsys: pytest.CaptureFixture[str]) -> None:
    assert stored_venue(None) == Path("data")
    assert stored_venue(Path("named")) == Path("named")
    database_in("demo-data")
    assert stored_venue(None) == Path("demo-data")
    data = database_in("data")
    assert stored_venue(None) == Path("data")

    running = venue("running")
    assert main(["journal"]) == 2
    assert capsys.readouterr().err == (
        "perps: error: there are several venues here. Say which one you mean: add"
        f" --data-dir {data.resolve()} (not running) or --data-dir {running} (http://127.0.0.1:{NOBODY})\n"
    )
    (data / "postgres" / "PG_VERSION").unlink()
    assert stored_venue(None) == running


def test_a_database_here_whose_venue_runs_is_one_venue(venue: Venue) -> None:
    data = venue("data")
    database_in_it = data / "postgres"
    database_in_it.mkdir()
    (database_in_it / "PG_VERSION").write_text("18")
    assert stored_venue(None) == data
