"""A venue that is traded on and read from without a break while something happens to it.

Every command carries a client order id and is sent again until it is done or refused, as the documentation tells
clients to. Afterwards the record of what they were told is held against the journal, its replay, and REST.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from random import Random
from typing import Final

import aiohttp

from tests.endtoend.api import Answer, Api, client
from tests.endtoend.load import PRICES, Client, Command, Record, Storm, acknowledged
from tests.endtoend.rounds import (
    Journal,
    everything_acknowledged_is_there,
    everything_there_is_acknowledged,
    prepared,
    retries_are_answered_alike,
    the_sums_agree,
)
from tests.endtoend.venue_process import VenueProcess
from tests.faults.reader import Reader, Told, beside
from tests.support.bitcoin import dollars
from tests.support.slowness import in_time, soon

CLIENTS: Final = 16
WARM: Final = 150
"""Acknowledgements before anything is done to the venue."""
CALM_S, BRISK_S = 0.4, 0.06
"""Longest pause of a client between two commands: while nobody counts them, and while somebody does.

Without pauses clients and venue take all processors there are for as long as anything lasts.
"""
WARM_S: Final = 20.0
RETRY_S: Final = (0.05, 0.2)
"""A client's pause before he sends the same again: at first, and at most. It doubles."""
END_S: Final = 30.0
"""Longest wait for the last verdicts."""
RETRIED_MAX: Final = 150
"""Acknowledged commands sent once more at the end."""
BACK_S: Final = 5.0
"""I12: done commands again, this long after the end of a fault at most."""
PRICE_PAUSE_S: Final = 0.04


class Siege(Storm):
    """Clients who do not give up, a feed, and when what was last done."""

    def __init__(self, api: Api, clients: list[Client], record: Record, random: Random, database: str) -> None:
        super().__init__(api, clients, record, random)
        self.database = database
        """Its URL, past any proxy."""
        self.tolerant = asyncio.Event()
        """Set: requests may be answered 500. They are sent again, and counted."""
        self.over = asyncio.Event()
        self.told = Told()
        self.answers: Counter[str] = Counter()
        """How often each status or code was met; ``silence`` when there was none."""
        self.reads: Counter[str] = Counter()
        """How many reads of each kind were answered, and how many were not."""
        self._longest_pause_s = CALM_S
        self._done = (0.0, 0.0)
        """Of the last command that was done: when it was sent, when it was answered."""

    async def go_on(self) -> None:
        """Until it is over, each client has had the verdict on his last command and the feed the answer to its last."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._feed())
            for one in self.clients:
                group.create_task(self._client(one, 1))

    async def order(self, name: str) -> Answer:
        """One open more, under this id, of a client who can pay it: its verdict, however long that takes."""
        client = self.clients[1]
        body = {"ticker": next(iter(PRICES)), "side": "long", "size": "25", "leverage": 2, "clientOrderId": name}
        return await self._decide(client, Command(name, client.user, "/api/markets/perps/open", body), 1)

    async def acknowledges(self, more: int, *, within_s: float = WARM_S) -> None:
        """Wait for so many more rows to be acknowledged."""
        wanted = self.told.count + more
        with self._pausing(BRISK_S):
            async with soon(within_s):
                while self.told.count < wanted:  # noqa: ASYNC110 - a plain value
                    await asyncio.sleep(0.005)

    @asynccontextmanager
    async def in_a_hurry(self) -> AsyncIterator[None]:
        """Inside nobody pauses. It begins as soon as half of the clients have a command under way."""
        with self._pausing(0.0):
            async with soon(WARM_S):
                while 2 * sum(len(one.unanswered) for one in self.clients) < len(self.clients):  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            yield

    @contextmanager
    def _pausing(self, longest_s: float) -> Iterator[None]:
        """Nobody pauses for longer inside."""
        before, self._longest_pause_s = self._longest_pause_s, min(self._longest_pause_s, longest_s)
        try:
            yield
        finally:
            self._longest_pause_s = before

    async def is_silent(self, *, within_s: float, quiet_s: float = 0.3) -> None:
        """Wait until nothing is acknowledged any more."""
        async with soon(within_s):
            while time.monotonic() - self._done[1] < quiet_s:  # noqa: ASYNC110 - plain values
                await asyncio.sleep(0.01)

    async def serves_again(self, since: float, *, within_s: float = BACK_S) -> float:
        """Wait until a command sent after ``since`` is done: the seconds from then (I12), which are printed."""
        async with soon(max(0.0, since + within_s + 5 * BACK_S - time.monotonic())):
            while self._done[0] < since:  # noqa: ASYNC110 - a plain value
                await asyncio.sleep(0.005)
        took = self._done[1] - since
        print(f"I12: done again {took:.2f} s after the fault")
        assert await asyncio.to_thread(in_time, took, within_s), f"serving again only {took:.1f} s after the fault"
        return took

    async def _client(self, client: Client, round_number: int) -> int:
        answered = 0
        while not self.over.is_set():
            await self._decide(client, client.next_command(), round_number)
            answered += 1
            await asyncio.sleep(self._random.uniform(0, self._longest_pause_s))
        return answered

    async def _decide(self, client: Client, command: Command, round_number: int) -> Answer:
        client.unanswered.append(command)
        answer = await self._verdict(command)
        told = acknowledged(round_number, command, answer)
        if told.is_done and told.offset is not None:
            self.told.add(command.key, told.offset)
        self._note(client, told)
        return answer

    async def _verdict(self, command: Command) -> Answer:
        """The same again until it is done or refused."""
        over, pause_s = None, RETRY_S[0]
        while over is None or await asyncio.to_thread(in_time, time.monotonic() - over, END_S):
            if self.over.is_set() and over is None:
                over = time.monotonic()
            sent = time.monotonic()
            try:
                answer = await self.send(command)
            except (aiohttp.ClientError, TimeoutError):
                self.answers["silence"] += 1
            except KeyError:  # not an answer of the venue's own: without request id
                if not self.tolerant.is_set():
                    raise
                self.answers["500"] += 1
            else:
                self.answers[answer.code or str(answer.status)] += 1
                if answer.status < 400:
                    self._done = max(self._done, (sent, time.monotonic()))
                if answer.status not in (429, 503) and not (answer.code == "internal_error" and self.tolerant.is_set()):
                    return answer
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_S[1])
        raise AssertionError(f"no verdict on {command}")

    async def _feed(self) -> None:
        """A walk with jumps that liquidate. A price that was not taken is not sent again: the next one counts."""
        while not self.over.is_set():
            ticker = self._random.choice(list(self._prices))
            basis_points = self._random.choice([-300, -20, -10, -5, 5, 10, 20, 300])
            cents = self._prices[ticker] * (10_000 + basis_points) // 10_000
            self._prices[ticker] = min(max(cents, PRICES[ticker] // 2), PRICES[ticker] * 2)
            self._sequence += 1
            body = {"price": dollars(self._prices[ticker]), "source": "oracle", "sequence": self._sequence}
            try:
                answer = await self.api.send("POST", f"/api/markets/perps/{ticker}/price", body)
            except (aiohttp.ClientError, TimeoutError):
                pass
            except KeyError:
                assert self.tolerant.is_set()
            else:
                assert answer.status in (200, 503) or self.tolerant.is_set(), answer.body
            await asyncio.sleep(PRICE_PAUSE_S)


@asynccontextmanager
async def besieged(
    url: str, database: str, place: Path, *, clients: int = CLIENTS, seed: int = 1
) -> AsyncIterator[Siege]:
    """A siege of the venue at ``url``, warm and going on inside. At the end all that must hold is checked:

    I1 and I13 by the record, I2, I3, I5, I7 and I9 by replay of the journal, I4 by retries, I3 and I8 by the sums that
    the reader compared all the while, I10 by the stream he followed.
    """
    chance = Random(seed)
    with closing(Record(place / "acknowledged.jsonl")) as record:
        async with client(url) as api, aiohttp.ClientSession() as session:
            siege = Siege(api, await prepared(api, chance, clients), record, chance, database)
            reader = Reader(api, session, url, database, siege.told, siege.reads, siege.tolerant)
            read = asyncio.Event()
            going, reading = asyncio.create_task(siege.go_on()), asyncio.create_task(reader.run(read))
            async with beside(going, reading):
                await siege.acknowledges(WARM)
                yield siege
                siege.over.set()
                await going
                read.set()
                await reading
            print(f"answers {dict(siege.answers)}, reads {dict(siege.reads)}, {reader.follower.breaks} stream breaks")
            await check(siege, database)


async def check(siege: Siege, database: str) -> None:
    """What was told, what the journal holds and what REST shows are one."""
    journal = Journal(database)
    offset = await asyncio.to_thread(journal.catch_up)
    told = list(siege.record)
    everything_acknowledged_is_there(told, journal)
    everything_there_is_acknowledged(told, journal)
    assert offset == (await siege.api.get("/api/admin/stats"))["offset"], "REST and the journal end at different rows"
    done = [one for one in told if one.is_done]
    await retries_are_answered_alike(siege, Random(1).sample(done, min(RETRIED_MAX, len(done))))
    await the_sums_agree(siege.api, siege.clients, told)


@asynccontextmanager
async def held(venue: VenueProcess, database: str, place: Path, *, clients: int = CLIENTS) -> AsyncIterator[Siege]:
    """A venue on ``database``, started and besieged, which must outlive whatever happens."""
    await asyncio.to_thread(venue.start)
    async with besieged(venue.url, database, place, clients=clients) as siege:
        yield siege
    assert venue.exit_code() is None, venue.tail()
