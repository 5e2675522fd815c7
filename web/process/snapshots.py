"""When snapshots are taken: when they are due or when somebody asks; one at a time, and one for all who ask meanwhile.

Another program takes them, so no mailbox and no request waits for one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from msgspec import Struct

from actors.ports import Clock
from web.metrics import Metrics
from web.process.snapshot_taking import SnapshotFailed, SnapshotStalled, SnapshotTaken
from web.process.watchdog import Problem
from web.readside.model import ReadModel

log = structlog.get_logger()

CHECK_S: Final = 1.0
"""How often it is asked whether one is due."""

RETRY_S: Final = 30.0
"""Pause after one that failed."""

TakeSnapshot = Callable[[], Awaitable[SnapshotTaken]]


class SnapshotPolicy(Struct, frozen=True, kw_only=True):
    """When a snapshot is due: this many rows after the last one, or this many seconds if there is any new row."""

    rows: int = 100_000
    seconds: float = 300.0


class Snapshots:
    """Takes snapshots when they are due or asked for. A failed one costs nothing but a warning."""

    def __init__(
        self, take: TakeSnapshot, model: ReadModel, metrics: Metrics, policy: SnapshotPolicy, clock: Clock
    ) -> None:
        self._take, self._model, self._metrics, self._policy = take, model, metrics, policy
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Task[SnapshotTaken] | None = None
        self._tasks: set[asyncio.Task[object]] = set()
        self._last_s = 0.0
        self._stopped = False
        self.last_offset = 0
        """The newest snapshot known."""
        self.problem: Problem | None = None
        """Why the last one failed, and since when they do; None when it did not."""

    def start(self, last_offset: int) -> None:
        """Take them as they come due, from now on; the venue began from the one at ``last_offset``, or at 0."""
        self.last_offset = last_offset
        self._last_s = asyncio.get_running_loop().time()
        self._hold(asyncio.create_task(self._run()))

    @property
    def age_s(self) -> float:
        """Seconds since the last one was taken; since the start, if none was; 0 while there is no row to take."""
        if not self._last_s or self._model.offset == self.last_offset:
            return 0.0
        return asyncio.get_running_loop().time() - self._last_s

    async def stop(self) -> None:
        """Take no more. One that is being taken is given up: a snapshot is stored whole or not at all."""
        self._stopped = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def take(self) -> SnapshotTaken:
        """Take one of every row that is durable by now.

        Raises what the taking raised, and ``SnapshotFailed`` when the venue stops.
        All callers who ask while one is being taken share the next one.
        """
        self._check_running()
        if self._next is None:
            self._next = asyncio.create_task(self._take_next())
            self._hold(self._next)
        shared = self._next
        try:
            return await asyncio.shield(shared)
        except asyncio.CancelledError:
            if shared.cancelled():  # and not who asked
                self._check_running()
            raise

    def _check_running(self) -> None:
        if self._stopped:
            raise SnapshotFailed("the venue is stopping")

    async def _take_next(self) -> SnapshotTaken:
        async with self._one_at_a_time:
            self._next = None
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            try:
                taken = await self._take()
            except Exception as error:
                self._failed(error)
                raise
            self._done(taken, loop.time() - began_s)
        return taken

    def _done(self, taken: SnapshotTaken, took_s: float) -> None:
        self.last_offset, self._last_s = taken.offset, asyncio.get_running_loop().time()
        self.problem = None
        self._metrics.snapshots.labels("taken").inc()
        self._metrics.snapshot_seconds.observe(took_s)
        log.info(
            "snapshot.taken",
            offset=taken.offset,
            rows=taken.rows,
            bytes=taken.size,
            state_hash=taken.state_hash.hex(),
            took_ms=round(took_s * 1000),
        )

    def _failed(self, error: Exception) -> None:
        """The whole error goes to the log only: anybody may read ``problem``, and an error may name a user's money."""
        stalled = isinstance(error, SnapshotStalled)
        self._metrics.snapshots.labels("stalled" if stalled else "failed").inc()
        since = self.problem.since if self.problem else self._clock.now_ms()
        why = "it made no progress and was ended" if stalled else "the log says why"
        self.problem = Problem(f"none could be taken: {why}", since)
        log.warning("snapshot.failed", error=repr(error))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(CHECK_S)
            if not self._due():
                continue
            try:
                await self.take()
            except Exception:  # noqa: BLE001 - said already; the journal is whole without it: try again later
                if self._stopped:
                    return
                await asyncio.sleep(RETRY_S)

    def _hold(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _due(self) -> bool:
        new_rows = self._model.offset - self.last_offset
        waited_s = asyncio.get_running_loop().time() - self._last_s
        return new_rows >= self._policy.rows or (new_rows > 0 and waited_s >= self._policy.seconds)
