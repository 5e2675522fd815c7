"""Which venue a command means: the one that its flags and settings name, else the only one there is on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import rich_click as click

from tools.addresses import reachable_host
from tools.errors import VenueUnreachable
from web.process.running_venues import LOCK, NotTrusted, RunningVenue, holder, running_venues, venue_on

DATA_DIR: Final = Path("data")
DEMO_DATA_DIR: Final = Path("demo-data")
"""Where a venue keeps its data if no setting says otherwise, and where a demo does."""


@dataclass(frozen=True)
class Place:
    """A running venue's address, and the directory with its administrator's key."""

    url: str
    data_dir: Path


def place_of(url: str | None, data_dir: Path | None, own_url: str, *, is_own_named: bool, has_key: bool) -> Place:
    """Which venue is meant. None: no flag, variable or line says so.

    ``own_url``: where a venue with these settings listens; ``is_own_named``: a setting says where that is.
    ``has_key``: no key from a data directory is needed.

    Errors: UsageError if there are several; VenueUnreachable if there is none.
    """
    if url is None and data_dir is None and is_own_named:
        url = own_url
    if url is not None:
        return Place(url, data_dir or _data_dir_of(url))
    if data_dir is None:
        running = running_venues()
        if len(running) > 1:
            raise click.UsageError(f"several venues run here. Say which one you mean: add {_choices(running)}")
        if running:
            return Place(url_of(running[0]), running[0].data_dir)
        data_dir = DATA_DIR
    try:
        venue = venue_on(data_dir)
    except NotTrusted as error:
        raise click.UsageError(f"the venue's address is not trusted, because {error}; or give --url") from None
    if venue is not None:
        return Place(url_of(venue), data_dir)
    if not has_key and not is_own_named and (data_dir / LOCK).exists() and holder(data_dir) is None:
        # its key is for nobody who happens to listen on the usual port now
        raise VenueUnreachable(f"no venue runs on the data directory {data_dir}. Start it, or give --url or --data-dir")
    return Place(own_url, data_dir)


def stored_venue(data_dir: Path | None) -> Path:
    """The data directory with the database that is meant: of a venue that runs, or of one here that does not.

    Errors: UsageError if there are several.
    """
    if data_dir is not None:
        return data_dir
    running = running_venues()
    found = {venue.data_dir: url_of(venue) for venue in running}
    if has_database(DATA_DIR):
        found.setdefault(DATA_DIR.resolve(), "not running")
    if len(found) > 1:
        choices = " or ".join(f"--data-dir {path} ({state})" for path, state in sorted(found.items()))
        raise click.UsageError(f"there are several venues here. Say which one you mean: add {choices}")
    if running:
        return running[0].data_dir
    return DEMO_DATA_DIR if not has_database(DATA_DIR) and has_database(DEMO_DATA_DIR) else DATA_DIR


def has_database(data_dir: Path) -> bool:
    """Whether an embedded database is in a data directory."""
    return (data_dir / "postgres" / "PG_VERSION").exists()


def url_of(venue: RunningVenue) -> str:
    """The URL that reaches a running venue from this machine."""
    return f"http://{reachable_host(venue.host)}:{venue.port}"


def _data_dir_of(url: str) -> Path:
    """Where the venue at an address has its key: if it is one of this user's, on its data directory."""
    return next((venue.data_dir for venue in running_venues() if url_of(venue) == url.rstrip("/")), DATA_DIR)


def _choices(venues: Sequence[RunningVenue]) -> str:
    return " or ".join(f"--data-dir {venue.data_dir} ({url_of(venue)})" for venue in venues)
