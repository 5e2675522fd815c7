"""Somebody who never stops reading: sums, acknowledged rows and the stream, before, during and after a fault.

What REST shows at an offset is compared with what the journal's events say as of the same offset, on a connection of
the reader's own. A venue or a database that does not answer is counted, not held against it; a wrong answer fails
the test.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import asyncpg
import msgspec

from tests.endtoend.api import Api, Json, client
from tests.model.slow_rules import micros
from tests.support.journal_money import ROWS, JournalMoney
from tests.support.slowness import soon

PAUSE_S: Final = 0.1
ANSWER_S: Final = 3.0
"""Longest wait for one read; past it the reader counts it as not answered and goes on."""
SAMPLE: Final = 200
"""The newest acknowledged rows, looked up each time."""

FIND: Final = """
    select user_id, client_order_id, "offset" from journal
      join unnest($1::text[], $2::text[]) as asked (who, which) on user_id = who and client_order_id = which
"""
NAMES: Final = {"wallets": "user", "margin": "margin", "house": "house", "insurance": "insurance", "fees": "fees"}
"""What REST calls the kinds of account."""


@dataclass
class Told:
    """Rows that clients were told of."""

    count: int = 0
    highest: int = 0
    newest: deque[tuple[tuple[str, str], int]] = field(default_factory=lambda: deque(maxlen=SAMPLE))
    """(sender, client order id), row."""

    def add(self, key: tuple[str, str], offset: int) -> None:
        """One more."""
        self.count += 1
        self.highest = max(self.highest, offset)
        self.newest.append((key, offset))


AWAY: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@dataclass
class Segment:
    """What a stream showed without a break in its order: rows after ``start``, one by one."""

    start: int
    rows: list[int] = field(default_factory=list)


class Follower:
    """One reader of the market stream, who comes back with his last id whenever the line breaks."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, f"{url}/api/sse/markets"
        self._last_id: str | None = None
        self.segments: list[Segment] = []
        self.breaks = 0

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            headers = {} if self._last_id is None else {"Last-Event-ID": self._last_id}
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=ANSWER_S)
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with self._session.get(self._url, headers=headers, timeout=timeout) as response:
                    if response.status == 200:
                        await self._read(response)
            self.breaks += 1
            await asyncio.sleep(PAUSE_S)

    async def _read(self, response: aiohttp.ClientResponse) -> None:
        """Take whole events; those of a row that broke off before its id come again, and count once."""
        rest, row = b"", set[int]()
        async for chunk in response.content.iter_any():
            *blocks, rest = (rest + chunk).split(b"\n\n")
            for block in blocks:
                fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line and line[:1] != b":")
                name, ident = fields.get(b"event", b""), fields.get(b"id")
                if not name:
                    continue
                data = msgspec.json.decode(fields[b"data"])
                if name == b"snapshot":
                    self.segments.append(Segment(data["offset"]))
                elif name != b"reset":
                    row.add(data["offset"])
                if ident is None:
                    continue
                self._last_id = ident.decode()
                if row:
                    self._take(row, int(self._last_id.partition("-")[2]))
                    row = set()

    def _take(self, row: set[int], offset: int) -> None:
        assert row == {offset}, f"events of the rows {row} stand before the id of row {offset}"
        segment = self.segments[-1]
        last = segment.rows[-1] if segment.rows else segment.start
        assert offset > last, f"row {offset} after row {last} on one stream"
        segment.rows.append(offset)


class Reader:
    """Reads all the while. ``told`` grows meanwhile; ``counts`` says how many reads of each kind there were.

    Reads may be answered 500 while ``tolerant`` is set.
    """

    def __init__(
        self,
        api: Api,
        session: aiohttp.ClientSession,
        url: str,
        database: str,
        told: Told,
        counts: Counter[str],
        tolerant: asyncio.Event,
    ) -> None:
        self._api, self._database, self._told, self._counts, self._tolerant = api, database, told, counts, tolerant
        self._connection: asyncpg.Connection[Any] | None = None
        self._latest: tuple[Json, dict[tuple[str, str], int]] | None = None
        """What REST showed last, and what had been acknowledged before it was asked."""
        self._money = JournalMoney()
        self.follower = Follower(session, url)
        self.offset = self.epoch = 0
        """The greatest shown."""

    async def run(self, over: asyncio.Event) -> None:
        """Until it is over; then once more, when everything must answer."""
        try:
            await self._read_until(over)
            await self._hang_up()  # whatever it was at is not over
            answer = await self._api.send("GET", "/api/admin/stats")
            assert answer.status == 200, answer.body
            self._check_sums(answer.json, self._told.highest)
            await self._compare(answer.json, dict(self._told.newest))
        finally:
            await self._hang_up()
        async with _ended_together(self.follower.follow()) as (following,):
            await self._stream_is_complete(following)

    async def _read_until(self, over: asyncio.Event) -> None:
        async with _ended_together(
            self._look(), self._compare_again_and_again(), self.follower.follow(), _set(over)
        ) as tasks:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()

    async def _look(self) -> None:
        """Ask for the sums all the time."""
        while True:
            seen, told = self._told.highest, dict(self._told.newest)
            try:
                async with asyncio.timeout(ANSWER_S):  # wait_for would forget a cancellation that comes with the answer
                    answer = await self._api.send("GET", "/api/admin/stats")
            except (aiohttp.ClientError, TimeoutError):
                self._counts["venue silent"] += 1
            except KeyError:  # not an answer of the venue's own: without request id
                assert self._tolerant.is_set()
            else:
                if answer.status == 200:
                    self._counts["sums read"] += 1
                    self._check_sums(answer.json, seen)
                    self._latest = answer.json, told
                else:
                    assert answer.status == 503 or self._tolerant.is_set(), answer.body
                    self._counts["venue refused"] += 1
            await asyncio.sleep(PAUSE_S)

    async def _compare_again_and_again(self) -> None:
        """Hold what was read last against the journal."""
        while True:
            if self._latest is not None:
                (stats, told), self._latest = self._latest, None
                try:
                    async with asyncio.timeout(ANSWER_S):
                        await self._compare(stats, told)
                except AWAY:
                    self._counts["database silent"] += 1
                    await self._hang_up()
                else:
                    self._counts["sums compared"] += 1
            await asyncio.sleep(PAUSE_S)

    def _check_sums(self, stats: Json, seen: int) -> None:
        """I3 and I8 as REST shows them; I5: what is shown never goes back."""
        offset, epoch = stats["offset"], stats["epoch"]
        assert offset >= seen, f"row {seen} was acknowledged, and REST shows row {offset}"
        assert (offset, epoch) >= (self.offset, self.epoch), f"back from row {self.offset} to {offset}"
        assert epoch >= self.epoch or not epoch, f"back from epoch {self.epoch} to {epoch}"
        self.offset, self.epoch = offset, epoch
        accounts = {name: micros(amount) for name, amount in stats["accounts"].items()}
        assert accounts.pop("total") == 0, stats
        assert sum(accounts.values()) == 0, stats

    async def _compare(self, stats: Json, told: dict[tuple[str, str], int]) -> None:
        """What REST showed is in the journal, with the same sums; so is all that was acknowledged."""
        if self._connection is None:
            self._connection = await asyncpg.connect(self._database)
        connection, offset = self._connection, stats["offset"]
        await connection.execute("begin isolation level repeatable read read only")
        last, rows = await connection.fetchrow('select coalesce(max("offset"), 0), count(*) from journal') or (0, 0)
        missing = [tuple(row) for row in await connection.fetch(ROWS, self._money.offset, offset)]
        keys = list(told)
        found = await connection.fetch(FIND, [who for who, _ in keys], [which for _, which in keys])
        await connection.execute("commit")
        assert last == rows, f"{rows} rows, and the last is {last}"
        assert last >= offset, f"REST shows row {offset}, the journal ends at row {last}"
        assert self._money.offset + len([*self._money.take(missing)]) == offset, "the journal has a gap"
        sums = self._money.sums()
        shown = {kind: micros(stats["accounts"][name]) for name, kind in NAMES.items()}
        assert shown == {kind: sums.get(kind, 0) for kind in shown}, f"REST and journal differ at row {offset}"
        there = {(who, which): where for who, which, where in found}
        assert there == told, "an acknowledged row is not in the journal"

    async def _stream_is_complete(self, following: asyncio.Task[None]) -> None:
        """I10: the stream brings the last row, and each segment is the journal's market rows without a gap."""
        connection = await asyncpg.connect(self._database)
        try:
            found = await connection.fetch("select \"offset\" from journal where stream <> '@ledger' order by 1")
        finally:
            await connection.close()
        rows = [int(record[0]) for record in found]
        async with soon(10):
            while not self._has_seen(rows[-1]):
                assert not following.done() or following.result() is None
                await asyncio.sleep(PAUSE_S)
        for segment in self.follower.segments:
            end = segment.rows[-1] if segment.rows else segment.start
            assert segment.rows == [row for row in rows if segment.start < row <= end], "the stream left something out"

    def _has_seen(self, row: int) -> bool:
        segments = self.follower.segments
        return bool(segments) and max(segments[-1].start, *segments[-1].rows[-1:], 0) >= row

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
            await asyncio.sleep(0)


async def _set(event: asyncio.Event) -> None:
    await event.wait()


@asynccontextmanager
async def _ended_together(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Tasks that are cancelled, and have ended, behind the body."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@asynccontextmanager
async def reading(url: str, database: str) -> AsyncIterator[Counter[str]]:
    """A reader beside a body, who fails with it; how many reads of each kind there were."""
    over, counts = asyncio.Event(), Counter[str]()
    async with client(url) as api, aiohttp.ClientSession() as session:
        task = asyncio.create_task(Reader(api, session, url, database, Told(), counts, asyncio.Event()).run(over))
        async with beside(task):
            yield counts
            over.set()
            await task


@asynccontextmanager
async def beside(*tasks: asyncio.Task[None]) -> AsyncIterator[None]:
    """Tasks beside a body: one that fails ends the body with its error; none outlives it."""
    body = asyncio.current_task()
    assert body is not None
    leaving = False

    def watch(task: asyncio.Task[None]) -> None:
        if not leaving and not task.cancelled() and task.exception() is not None:
            body.cancel()

    for task in tasks:
        task.add_done_callback(watch)
    try:
        yield
    except asyncio.CancelledError:
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                body.uncancel()
                raise error from None
        raise
    finally:
        leaving = True
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
