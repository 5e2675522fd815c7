"""Two venues, one database: whoever is not the owner writes nothing, however late it wakes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.endtoend.api import Api, client
from tests.endtoend.conftest import Venues
from tests.endtoend.opens import Opens
from tests.endtoend.rounds import Journal
from tests.endtoend.test_database_faults import has_answers
from tests.endtoend.venue_process import VenueProcess
from tests.faults.reader import reading
from tests.faults.siege import BACK_S, held
from tests.support.faults import fault
from tests.support.postgres import sql
from tests.support.slowness import in_time

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

CLIENTS: Final = 16
ENDS_S: Final = 15.0
"""Longest time from a thaw to the end of a venue that is owner no more."""
LATE: Final = 3
"""Orders of each client sent to it meanwhile."""


@fault("zombie owner thawed after take-over", "I1", "I3", "I4", "I5", "I8", "I9", "I12", "I13")
async def test_a_venue_thawed_after_another_took_over_writes_nothing_and_ends(venues: Venues, database: str) -> None:
    """Its commands in flight, and those it is sent after the thaw, have one outcome: what the new owner says."""
    zombie, owner = venues("zombie", database_url=database), venues("owner", database_url=database)
    await asyncio.to_thread(zombie.start)
    async with client(zombie.url) as old, client(owner.url) as new:
        opens = await Opens.prepare(old, CLIENTS)
        storm = await opens.storm(partial(has_answers, opens, 20 * CLIENTS))
        zombie.signal(signal.SIGSTOP)
        frozen = time.monotonic()
        session = await asyncio.to_thread(Journal(database).session)
        await asyncio.to_thread(sql, database, "select pg_terminate_backend($1)", session)
        storm.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await storm
        assert opens.in_doubt
        await asyncio.to_thread(owner.start)
        print(f"I12: taken over {time.monotonic() - frozen:.2f} s after the freeze")
        assert in_time(time.monotonic() - frozen, BACK_S)
        async with reading(owner.url, database):
            opens.api = new
            await opens.resolve()
            await opens.check()

            zombie.signal(signal.SIGCONT)
            opens.api = old
            await asyncio.gather(*(late(opens, user) for user in list(opens.keys) for _ in range(LATE)))
            assert await asyncio.to_thread(zombie.wait_exit, ENDS_S) == 1, zombie.tail()
            assert "another venue has taken over" in zombie.tail()

            opens.api = new
            await opens.resolve()
            assert (await opens.one("user-0")).status == 201
            await opens.check()
    await asyncio.to_thread(epochs_follow_each_other, database)


async def late(opens: Opens, user: str) -> None:
    """One order to a venue that must not do it. Whatever it says, or does not say, it is in doubt."""
    with contextlib.suppress(aiohttp.ClientError):
        answer = await opens.one(user)
        assert answer.status == 503, answer.body


def epochs_follow_each_other(database: str) -> None:
    """I9: replay refuses an epoch that falls; and both owners have written."""
    journal = Journal(database)
    journal.catch_up()
    assert set(journal.epochs) == {1, 2}


@fault("second server on the same database, while the first is frozen", "I1", "I3", "I4", "I8", "I9", "I10")
async def test_a_venue_that_stands_still_keeps_its_shard_while_its_session_lives(
    venues: Venues, database: str, tmp_path: Path
) -> None:
    """The second one cannot know that the first will wake: it does not start, and nothing has changed."""
    first, second = venues(database_url=database), venues("second", database_url=database)
    async with held(first, database, tmp_path) as siege:
        epoch = await epoch_of(siege.api)
        first.signal(signal.SIGSTOP)
        second.spawn()
        code = await asyncio.to_thread(second.wait_exit)
        first.signal(signal.SIGCONT)
        await siege.serves_again(time.monotonic())
        assert code == 1
        assert said(second) == [
            "perps: error: another venue serves this database (shard 0): "
            "stop it, or give this one a database of its own"
        ]
        assert await epoch_of(siege.api) == epoch


async def epoch_of(api: Api) -> int:
    """Which ownership serves."""
    return int((await api.get("/api/admin/stats"))["epoch"])


def said(venue: VenueProcess) -> list[str]:
    """Its lines for whoever started it."""
    return [line for line in venue.log.read_text().splitlines() if line.startswith("perps: ")]
