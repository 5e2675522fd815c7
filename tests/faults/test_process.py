"""The venue's own process ends, at every bad moment there is; or is given too little."""

from __future__ import annotations

import asyncio
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.endtoend.api import client
from tests.endtoend.conftest import Venues
from tests.endtoend.opens import Opens
from tests.endtoend.rounds import Journal
from tests.endtoend.venue_process import VenueProcess
from tests.faults.conftest import Faulty, arm
from tests.faults.reader import reading
from tests.faults.siege import BACK_S, besieged
from tests.support.faults import fault
from tests.support.postgres import sql
from tests.support.slowness import in_time, soon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

USERS: Final = 50
AT_ONCE: Final = 1_000
"""Opens sent together."""
ANSWERED: Final = 150
"""Of these, before the venue is killed."""
REPLAYS: Final = 5
WHOLE_JOURNAL: Final = """
    select count(*) as rows, max("offset") as last, max(epoch) as epoch, sha256(string_agg(hash, '' order by "offset"))
      from journal
"""


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Enough for a thousand connections, here and in the processes started."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4_096 if hard == resource.RLIM_INFINITY else min(4_096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def killed(venue: VenueProcess) -> float:
    """Wait for its death by SIGKILL; when that was."""
    assert await asyncio.to_thread(venue.wait_exit) == -signal.SIGKILL
    return time.monotonic()


@fault("kill -9 amid 1,000 concurrent opens", "I1", "I3", "I4", "I5", "I8", "I10", "I12", "I13")
@pytest.mark.usefixtures("many_descriptors")
async def test_kill_9_amid_a_thousand_opens_loses_none_and_does_none_twice(venues: Venues, database: str) -> None:
    venue = venues(database_url=database)
    await asyncio.to_thread(venue.start)
    async with client(venue.url) as api, reading(venue.url, database):
        opens = await Opens.prepare(api, USERS)
        storm = [asyncio.create_task(opens.one(user)) for user in opens.keys for _ in range(AT_ONCE // USERS)]
        async with soon(20):
            while len(opens.answers) < ANSWERED:  # noqa: ASYNC110 - a plain value
                await asyncio.sleep(0)
        venue.signal(signal.SIGKILL)
        await asyncio.gather(*storm, return_exceptions=True)
        dead = await killed(venue)
        assert opens.in_doubt
        await asyncio.to_thread(venue.start_whatever_it_takes)
        print(f"{len(opens.in_doubt)} in doubt; I12: ready {time.monotonic() - dead:.2f} s after the kill")
        assert in_time(time.monotonic() - dead, BACK_S)
        await opens.resolve()
        await opens.check()
        assert len(opens.answers) == AT_ONCE
        assert {answer.status for answer in opens.answers.values()} == {201}
    await asyncio.to_thread(Journal(database).catch_up)


@fault("kill -9 between apply and flush: decided, not durable", "I1", "I3", "I4", "I5", "I8", "I10", "I12", "I13")
async def test_what_was_decided_and_not_durable_is_done_by_the_retry(
    faulty: Faulty, database: str, tmp_path: Path
) -> None:
    """Nothing of the batch is in the journal; whoever retries gets it done now."""
    await killed_at_the_commit(faulty("before_commit:kill:boom"), database, tmp_path, is_durable=False)


@fault("kill -9 between commit and reply: durable, told to nobody", "I1", "I3", "I4", "I5", "I8", "I10", "I12", "I13")
async def test_what_was_durable_and_told_to_nobody_is_the_retrys_answer(
    faulty: Faulty, database: str, tmp_path: Path
) -> None:
    """The row is in the journal; whoever retries gets its answer, and nothing is done again."""
    await killed_at_the_commit(faulty("after_commit:kill:boom"), database, tmp_path, is_durable=True)


async def killed_at_the_commit(venue: VenueProcess, database: str, place: Path, *, is_durable: bool) -> None:
    """The order ``boom`` kills it."""
    await asyncio.to_thread(venue.start)
    async with besieged(venue.url, database, place) as siege:
        async with siege.in_a_hurry():
            order = asyncio.create_task(siege.order("boom"))
            dead = await killed(venue)
        there = await asyncio.to_thread(sql, database, "select from journal where client_order_id = 'boom'")
        assert bool(there) is is_durable
        arm(venue, "")
        await asyncio.to_thread(venue.start)
        await siege.serves_again(dead)
        answer = await order
        assert (answer.status, answer.is_replay) == (201, is_durable)
        await siege.acknowledges(50)


@fault("kill -9 during replay, five times", "I1", "I3", "I5", "I6", "I10", "I12")
async def test_a_start_that_is_killed_during_replay_changes_nothing(
    faulty: Faulty, database: str, tmp_path: Path
) -> None:
    """However far each got, the next one finds the same journal and ends at the same state."""
    venue = faulty("")
    await asyncio.to_thread(venue.start)
    async with besieged(venue.url, database, tmp_path) as siege:
        async with siege.in_a_hurry():
            venue.signal(signal.SIGKILL)
        await killed(venue)
        before = await asyncio.to_thread(sql, database, WHOLE_JOURNAL)
        last = before[0]["last"]
        for share in range(1, REPLAYS + 1):
            arm(venue, f"replay:kill:{last * share // REPLAYS}")
            venue.spawn()
            await killed(venue)
        assert await asyncio.to_thread(sql, database, WHOLE_JOURNAL) == before
        arm(venue, "")
        began = time.monotonic()
        await asyncio.to_thread(venue.start)
        await siege.serves_again(began)
        assert (await siege.api.get("/api/admin/stats"))["epoch"] == REPLAYS + 2


@fault("SIGTERM under load", "I1", "I3", "I4", "I5", "I8", "I10", "I13")
async def test_sigterm_under_load_ends_in_order_and_loses_nothing(venues: Venues, tmp_path: Path) -> None:
    """Exit code 0; what was refused on the way out is done after the next start."""
    venue = venues()
    await asyncio.to_thread(venue.start)
    database = await asyncio.to_thread(venue.postgres.start)
    async with besieged(venue.url, database, tmp_path) as siege:
        async with siege.in_a_hurry():
            assert await asyncio.to_thread(venue.stop) == 0, venue.tail()
        assert not venue.postgres.is_running()
        began = time.monotonic()
        await asyncio.to_thread(venue.start)
        await siege.serves_again(began)
        await siege.acknowledges(50)
        assert "outcome_unknown" not in siege.answers
