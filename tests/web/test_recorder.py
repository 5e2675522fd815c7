"""What is noted of a command is noted behind its answer, and all of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from actors.messages import Settled
from tests.web.conftest import Starter
from tests.web.snapshotting import until_true
from tests.web.venue import Running
from web import recorder
from web.logs import CommandLog

Written = list[list[int]]
"""The offsets of the rows of each writing."""


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    writings: Written = []
    write: Callable[..., None] = CommandLog.write

    def spy(log: CommandLog, commits: list[tuple[list[Settled], int]], markets: object) -> None:
        writings.append([settled.entry.row.offset for rows, _ in commits for settled in rows])
        write(log, commits, markets)

    monkeypatch.setattr(CommandLog, "write", spy)
    return writings


async def _counted(venue: Running) -> float | None:
    return venue.venue.context.metrics.registry.get_sample_value("perps_commands_total", {"kind": "user"})


async def test_commands_are_answered_first_and_noted_many_at_a_time(
    starter: Starter, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "RECORD_AFTER_S", 0.5)
    venue = await starter()
    for number in range(3):
        await venue.user(f"user{number}")
    at_once = list(written)

    await until_true(lambda: bool(written))

    offset = venue.venue.context.model.offset
    assert at_once == []
    assert written == [list(range(1, offset + 1))]
    assert await _counted(venue) == 3


async def test_whoever_asks_for_the_metrics_finds_what_was_answered(
    starter: Starter, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "RECORD_AFTER_S", 3_600)
    venue = await starter()
    await venue.user("ann")

    assert b'perps_commands_total{kind="user"} 1.0' in (await venue.anybody.get("/metrics")).body

    assert len(written) == 1


async def test_a_stop_notes_the_last_commands(
    starter: Starter, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "RECORD_AFTER_S", 3_600)
    venue = await starter()
    await venue.user("ann")

    await starter.stop(venue)

    assert written == [[1]]
    assert await _counted(venue) == 1


async def test_what_was_published_before_is_noted_with_the_prices_of_then(
    starter: Starter, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "RECORD_AFTER_S", 3_600)
    venue = await starter()
    await venue.user("ann")
    noted_before: list[Written] = []
    monkeypatch.setattr(CommandLog, "know", lambda *_: noted_before.append(list(written)))

    venue.venue.host.recorder.begin()

    assert noted_before == [[[1]]]
