"""What is noted of a command is noted behind its answer, and all of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.web.conftest import Starter
from tests.web.snapshotting import until_true
from tests.web.venue import Running
from web.process import recorder
from web.process.logs import CommandLog, Published

Written = list[list[int]]
"""The offsets of the rows of each writing."""


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    writings: Written = []
    write: Callable[..., None] = CommandLog.write

    def spy(log: CommandLog, commits: list[Published], markets: object) -> None:
        writings.append([settled.entry.row.offset for commit in commits for settled in commit.rows])
        write(log, commits, markets)

    monkeypatch.setattr(CommandLog, "write", spy)
    return writings


@pytest.fixture
def never_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "RECORD_AFTER_S", 3_600)


def _counted(venue: Running) -> float | None:
    return venue.venue.context.metrics.registry.get_sample_value("perps_commands_total", {"kind": "user"})


async def test_a_command_is_noted_by_itself(starter: Starter, written: Written) -> None:
    venue = await starter()
    await venue.user("ann")

    await until_true(lambda: bool(written))

    assert (written, _counted(venue)) == ([[1]], 1)


@pytest.mark.usefixtures("never_by_itself")
async def test_commands_are_answered_first_and_noted_many_at_a_time(starter: Starter, written: Written) -> None:
    venue = await starter()
    for number in range(3):
        await venue.user(f"user{number}")
    before = (list(written), _counted(venue))

    venue.venue.host.recorder.flush()

    assert before == ([], None)
    assert (written, _counted(venue)) == ([[1, 2, 3]], 3)


@pytest.mark.usefixtures("never_by_itself")
async def test_whoever_asks_for_the_metrics_finds_what_was_answered(starter: Starter, written: Written) -> None:
    venue = await starter()
    await venue.user("ann")

    assert b'perps_commands_total{kind="user"} 1.0' in (await venue.anybody.get("/metrics")).body

    assert len(written) == 1


@pytest.mark.usefixtures("never_by_itself")
async def test_a_stop_notes_the_last_commands(starter: Starter, written: Written) -> None:
    venue = await starter()
    await venue.user("ann")

    await starter.stop(venue)

    assert (written, _counted(venue)) == ([[1]], 1)


@pytest.mark.usefixtures("never_by_itself")
async def test_a_new_core_learns_its_prices_behind_what_was_published_before(
    starter: Starter, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = await starter()
    await venue.user("ann")
    written_before: list[Written] = []
    monkeypatch.setattr(CommandLog, "know", lambda *_: written_before.append(list(written)))

    venue.venue.host.recorder.begin()

    assert written_before == [[[1]]]


@pytest.mark.usefixtures("never_by_itself")
async def test_lines_that_cannot_be_written_are_counted_all_the_same(
    starter: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: object) -> None:
        raise MemoryError

    venue = await starter()
    with monkeypatch.context() as broken:
        broken.setattr(CommandLog, "write", write)
        await venue.user("ann")
        with pytest.raises(MemoryError):
            venue.venue.host.recorder.flush()

    assert _counted(venue) == 1
