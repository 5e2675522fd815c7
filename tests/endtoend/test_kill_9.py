"""kill -9 amid concurrent opens and closes, over and over on one data directory: I1 to I5 and I13 after each.

In every other round the database crashes too: its journal session is frozen, the venue has some time to promise what is
not durable, and then both are killed. What the session had not committed is gone then, whereas a session that survives
its venue still commits what it has been sent.

``PERPS_E2E_ROUNDS`` sets the rounds, ``PERPS_E2E_SEED`` repeats the orders and the moments of a run (what was in flight
at such a moment is the machine's choice).
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.endtoend.api import Api, client
from tests.endtoend.conftest import Venues
from tests.endtoend.load import CASHIER, Record, Storm
from tests.endtoend.rounds import (
    Journal,
    everything_acknowledged_is_there,
    everything_there_is_acknowledged,
    prepared,
    retries_are_answered_alike,
    the_sums_agree,
)
from tests.endtoend.venue_process import VenueProcess
from tests.support.faults import fault

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

ROUNDS: Final = int(os.environ.get("PERPS_E2E_ROUNDS", "8"))
"""Half of them with the session. Each run of the tests has other orders and moments, so the runs add up."""
SEED: Final = int(os.environ.get("PERPS_E2E_SEED", str(random.SystemRandom().randrange(10**6))))
KILL_S: Final = (0.05, 0.7)
"""Between these moments of the storm the venue is killed."""
FROZEN_S: Final = 0.05
"""How long the database session is frozen before both are killed."""
OLD_SAMPLE: Final = 150
"""Acknowledgements of earlier rounds asked for again in each."""


@fault(
    "kill -9 amid concurrent commands, and with it of the journal's session",
    *("I1", "I2", "I3", "I4", "I5", "I7", "I13"),
)
async def test_nothing_acknowledged_is_lost_by_kill_9(venues: Venues, tmp_path: Path) -> None:
    print(f"PERPS_E2E_SEED={SEED} PERPS_E2E_ROUNDS={ROUNDS}")
    chance = Random(SEED)
    venue = venues()
    await asyncio.to_thread(venue.start)
    with closing(Record(tmp_path / "acknowledged.jsonl")) as record:
        async with client(venue.url) as api:
            storm = Storm(api, await prepared(api, chance), record, chance)
            journal = Journal(await asyncio.to_thread(venue.postgres.start))
            for number in range(1, ROUNDS + 1):
                try:
                    await one_round(venue, storm, journal, number, chance)
                except BaseException:
                    print(f"round {number} of seed {SEED}; the record is {record}")
                    raise
            await every_trade_is_acknowledged(api, record)
    await asyncio.to_thread(journal.check_whole)


async def one_round(venue: VenueProcess, storm: Storm, journal: Journal, number: int, chance: Random) -> None:
    """Kill it, start it, and look."""
    moment = chance.uniform(*KILL_S)
    session = await asyncio.to_thread(journal.session) if number % 2 == 0 else None
    strike = asyncio.create_task(strike_at(moment, venue, session))
    answered = await storm.rage(number)
    await strike
    began = time.monotonic()
    assert await asyncio.to_thread(venue.wait_exit) == -signal.SIGKILL
    await asyncio.to_thread(venue.start_whatever_it_takes)
    started = time.monotonic()
    stats = await storm.api.get("/api/admin/stats")
    assert stats["epoch"] == number + 1
    offset = await asyncio.to_thread(journal.catch_up)
    assert offset == stats["offset"], "REST and the journal end at different rows"
    assert set(journal.epochs) <= set(range(1, number + 1))

    told = list(storm.record)
    everything_acknowledged_is_there(told, journal)
    in_doubt, done = await storm.resolve(number)
    told = list(storm.record)
    await asyncio.to_thread(journal.catch_up)
    everything_there_is_acknowledged(told, journal)
    older = [one for one in told if one.is_done and one.round < number]
    fresh = [one for one in told if one.is_done and one.round == number]
    await retries_are_answered_alike(storm, [*fresh, *chance.sample(older, min(OLD_SAMPLE, len(older)))])
    await the_sums_agree(storm.api, storm.clients, told)
    killed = "venue and session" if session else "venue"
    print(
        f"round {number}: {killed} killed after {moment:.3f} s, {answered} answered, {in_doubt} in doubt, "
        f"{done} of them done, {offset} rows, ready after {started - began:.2f} s, "
        f"checked in {time.monotonic() - started:.2f} s"
    )


async def strike_at(moment: float, venue: VenueProcess, session: int | None) -> None:
    """After ``moment`` seconds, kill the venue, and the process of its database session if one is given."""
    await asyncio.sleep(moment)
    if session is not None:
        os.kill(session, signal.SIGSTOP)
        await asyncio.sleep(FROZEN_S)
    venue.signal(signal.SIGKILL)
    if session is not None:
        os.kill(session, signal.SIGKILL)


async def every_trade_is_acknowledged(api: Api, record: Record) -> None:
    """I4 by REST: as many opened positions and closes as there are client ids that were answered with one."""
    expected: dict[str, Counter[str]] = {}
    for one in record:
        if one.is_done and one.command.user != CASHIER:
            expected.setdefault(one.command.user, Counter())[one.command.kind] += 1
    liquidations = 0
    for user, counts in expected.items():
        trades = Counter(trade["kind"] for trade in await api.pages(f"/api/users/{user}/trades", "trades"))
        liquidations += trades.pop("liquidation", 0)
        assert trades == counts, user
    assert liquidations > 0, "the storm was too mild"
