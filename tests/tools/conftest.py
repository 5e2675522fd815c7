"""A fake venue to speak to, and a place without anybody's settings."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tools.fake_venue import FakeVenue, started


@dataclass(frozen=True)
class Running:
    """A fake venue that listens."""

    venue: FakeVenue
    url: str


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    """A fake venue, listening for the time of a test."""
    venue = FakeVenue()
    server = await started(venue)
    yield Running(venue, str(server.make_url("")).rstrip("/"))
    await server.close()


@pytest.fixture(autouse=True)
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a perps.toml, an environment without settings, and no running venue to be found."""
    for name in os.environ:
        if name.startswith("PERPS_") or name == "DATABASE_URL":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path
