"""A part of the venue's own process fails while it is traded on: a thread ends, a commit raises, the loop stands."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from pathlib import Path
from typing import Any, Final

import pytest

from tests.actors.venue import running
from tests.endtoend.load import PRICES
from tests.endtoend.venue_process import VenueProcess
from tests.faults.conftest import Faulty
from tests.faults.siege import besieged, held
from tests.support.faults import fault
from tests.support.slowness import soon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

MARKET: Final = next(iter(PRICES))
ACTORS: Final = ("journal", "ledger", "supervisor", MARKET)
BLOCKED_S: Final = 3
LOOP_DEAD_S: Final = 90
"""Longer than the venue lets its loop stand."""


def logged(venue: VenueProcess, event: str) -> list[dict[str, Any]]:
    """Its log lines of one kind."""
    lines = venue.log.read_text().splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{") and f'"{event}"' in line]
    return [line for line in found if line["event"] == event]


@fault(
    "an actor's thread dies: journal, ledger, supervisor, look-up", "I1", "I3", "I4", "I5", "I8", "I10", "I12", "I13"
)
@fault("an actor's thread dies: a market", "I1", "I3", "I4", "I5", "I8", "I10", "I12", "I13")
@pytest.mark.parametrize("actor", ACTORS)
async def test_an_actor_whose_thread_is_ended_is_replaced_and_nothing_is_lost(
    faulty: Faulty, database: str, tmp_path: Path, actor: str
) -> None:
    """``SystemExit`` from outside, at whatever line the thread stands, with commands in its mailbox."""
    venue = faulty(f"signal:exit:{actor}")
    async with held(venue, database, tmp_path) as siege:
        siege.tolerant.set()
        async with siege.in_a_hurry():
            venue.signal(signal.SIGUSR2)
        ended = time.monotonic()
        async with soon(5):
            while not logged(venue, "actor.died"):  # noqa: ASYNC110 - a file
                await asyncio.sleep(0.05)
        await siege.serves_again(ended)
        await siege.acknowledges(100)
        await asyncio.to_thread(venue.wait_ready)


@fault("the journal's thread dies between apply and flush", "I1", "I4", "I8", "I12", "I13")
@fault("the journal's thread dies between commit and reply", "I1", "I4", "I8", "I12", "I13")
@pytest.mark.parametrize("what", ["exit", "raise"])
@pytest.mark.parametrize(("where", "is_durable"), [("before_commit", False), ("after_commit", True)])
async def test_a_commit_that_breaks_off_is_in_doubt_until_the_retry(
    faulty: Faulty, database: str, tmp_path: Path, where: str, what: str, *, is_durable: bool
) -> None:
    """The process lives on; the same order again is done now, or gets the answer of the row that is there."""
    async with held(faulty(f"{where}:{what}:boom"), database, tmp_path) as siege:
        began = time.monotonic()
        answer = await siege.order("boom")
        assert (answer.status, answer.is_replay) == (201, is_durable)
        assert siege.answers["outcome_unknown"] > 0
        await siege.serves_again(began)
        await siege.acknowledges(50)


@fault("a blocked event loop", "I1", "I3", "I4", "I8", "I10", "I12")
async def test_a_loop_that_stands_for_seconds_is_told_of_and_goes_on(
    faulty: Faulty, database: str, tmp_path: Path
) -> None:
    """Nobody is answered meanwhile; whoever waited is answered afterwards, and the log says where it stood."""
    venue = faulty(f"query:sleep={BLOCKED_S}:user-1")
    async with held(venue, database, tmp_path) as siege:
        async with siege.in_a_hurry():
            await siege.api.get("/api/users/user-1/trades")
        await siege.serves_again(time.monotonic())
        lines = logged(venue, "loop.blocked")
        assert len(lines) == 1, lines
        assert "go_off" in lines[0]["stack"]
        assert "outcome_unknown" not in siege.answers
        await asyncio.to_thread(venue.wait_ready)


@fault("an event loop blocked for good", "I1", "I3", "I4", "I8", "I10", "I12", "I13")
@pytest.mark.faults
@pytest.mark.timeout(150)
async def test_a_venue_whose_loop_stands_for_good_ends_itself(faulty: Faulty, database: str, tmp_path: Path) -> None:
    """Whoever runs it starts it again; all that was acknowledged is there, all doubts are resolved."""
    venue = faulty(f"query:sleep={2 * LOOP_DEAD_S}:user-1")
    await asyncio.to_thread(venue.start)
    async with besieged(venue.url, database, tmp_path) as siege:
        asking = asyncio.create_task(siege.api.send("GET", "/api/users/user-1/trades"))
        assert await asyncio.to_thread(venue.wait_exit, LOOP_DEAD_S) != 0
        assert "perps: error: the event loop" in venue.log.read_text()
        began = time.monotonic()
        await asyncio.gather(asking, return_exceptions=True)
        await asyncio.to_thread(venue.start)
        await siege.serves_again(began)
        await siege.acknowledges(50)


@fault("a row that could not be given to the streams", "I10")
async def test_no_stream_goes_on_past_a_row_that_could_not_be_given_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The venue ends for it; until it has, no later row may follow on a stream that would hide the gap."""
    async with running() as core:
        streams = core.host._streams

        def fail(_: object) -> None:
            raise MemoryError

        monkeypatch.setattr(streams, "publish", fail)
        with pytest.raises(MemoryError):
            core.host._publish([])

        assert streams.closing
        assert isinstance(core.host.ended.result(), MemoryError)
