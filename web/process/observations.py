"""Each hour the venue notes what users have: for the history of their equity, and for the leaderboard.

What is noted is seen in the read model, beside its work, and is no part of the journal: a venue that was down has no
points of that time, and a restored one begins anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import structlog

from actors.clock import VenueClock
from perps.candles import HOUR_MS
from perps.journal import JournalUnavailable
from perps.query_rows import EquityRecord
from web.readside.history import DAY_MS
from web.readside.model import ReadModel
from web.readside.standings import EquityStore, standings

log = structlog.get_logger()

CHECK_S: Final = 1.0
"""How often it is asked whether an hour has begun."""

RETRY_S: Final = 30.0
"""Pause after a round that the database did not take."""

HOURS_KEPT_MS: Final = 8 * DAY_MS
"""How long each hour is kept; then the last of each day. More than the longest window."""


class Observations:
    """Makes the rounds, one at a time. On one event loop."""

    def __init__(self, model: ReadModel, store: EquityStore, clock: VenueClock) -> None:
        self._model, self._store, self._clock = model, store, clock
        self._turn = asyncio.Lock()
        self._hour: int | None = None
        """That of the last round; None: not known yet."""
        self._day = 0
        """That on which old rounds were thinned out."""
        self._noted: dict[str, int] = {}
        """What was noted last of each user, as a hash."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Make rounds from now on."""
        self._task = asyncio.create_task(self._rounds())

    async def stop(self) -> None:
        """Make no more. One that is under way is given up."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> None:
        """Make a round if an hour has begun since the last one. Raises ``JournalUnavailable``."""
        async with self._turn:
            await self._count_old_volumes()
            now_ms = self._clock.now_ms()
            if self._hour is None:
                last = await self._store.round_at(now_ms)
                self._hour = 0 if last is None else last // HOUR_MS
            if now_ms // HOUR_MS <= self._hour:
                return
            await self._round(now_ms)
            self._hour = now_ms // HOUR_MS
            if now_ms // DAY_MS != self._day:
                await self._store.thin(now_ms - HOURS_KEPT_MS)
                self._day = now_ms // DAY_MS

    async def _round(self, now_ms: int) -> None:
        found = await standings(self._model)
        noted = {user: hash(seen) for user, seen in found.items()}
        changed = [
            EquityRecord(user, now_ms, *seen) for user, seen in found.items() if self._noted.get(user) != noted[user]
        ]
        await self._store.add([EquityRecord("", now_ms), *changed])
        self._noted = noted

    async def _count_old_volumes(self) -> None:
        """Once, in a venue whose snapshots come from a version that counted no volumes: what came before them."""
        model = self._model
        if not model.volume_from:
            return
        volumes = await self._store.volumes(model.volume_from)
        for user, volume in volumes.items():
            model.users[user].volume += volume
        model.volume_from = 0

    async def _rounds(self) -> None:
        while True:
            try:
                await self.look()
            except JournalUnavailable as error:
                log.warning("equity.not_noted", error=str(error))
                await asyncio.sleep(RETRY_S)
            await asyncio.sleep(CHECK_S)
