"""Who does best: made when somebody asks, for all who ask within some seconds, and never on the way of a command."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from heapq import nsmallest
from typing import Final, NamedTuple

from actors.clock import VenueClock
from perps.query_rows import EquityRecord
from perps.units import Millis
from web.readside.history import DAY_MS
from web.readside.model import ReadModel
from web.readside.standings import EquityStore, Standing, standings

BOARD_NS: Final = 10_000_000_000
"""How long a leaderboard is shown before it is made again; longer if it takes long to make …"""

SHARE: Final = 20
"""… so many times as long as that takes, so that it never takes more than a twentieth of the event loop."""

LISTED_MAX: Final = 1_000
"""Users in a leaderboard: the best."""

WINDOWS: Final[Mapping[str, int | None]] = {"24h": DAY_MS, "7d": 7 * DAY_MS, "all": None}
"""Milliseconds. None: since the beginning."""


class Place(NamedTuple):
    """One user in a leaderboard. Micros; ``gain``, ``pnl`` and ``volume`` are of its window."""

    user: str
    equity: int
    gain: int
    pnl: int
    volume: int


class Board(NamedTuple):
    """The leaderboards of one window."""

    at: Millis
    since: int | None
    """When those were observed from whom the window counts; None: it counts from the beginning."""
    offset: int
    tag: str
    """Another for each that is made."""
    ranked: Mapping[str, Sequence[Place]]
    """The best first: by ``lifetimePnL``, ``equity`` (what was gained) and ``volume``."""


class Leaderboards:
    """Those of all windows. On one event loop."""

    def __init__(self, model: ReadModel, store: EquityStore, clock: VenueClock) -> None:
        self._model, self._store, self._clock = model, store, clock
        self._run, self._made = secrets.token_hex(4), 0
        self._boards: dict[str, tuple[int, Board]] = {}
        """By window: until when it is shown, and what."""
        self._turn = asyncio.Lock()

    async def board(self, window: str) -> Board:
        """A window's leaderboards. Raises ``JournalUnavailable``."""
        async with self._turn:
            until_ns, board = self._boards.get(window, (0, None))
            began_ns = self._clock.monotonic_ns()
            if board is None or began_ns >= until_ns:
                board = await self._make(window)
                took_ns = self._clock.monotonic_ns() - began_ns
                self._boards[window] = began_ns + max(BOARD_NS, SHARE * took_ns), board
            return board

    async def _make(self, window: str) -> Board:
        at, offset, span = self._clock.now_ms(), self._model.offset, WINDOWS[window]
        since = None if span is None else await self._store.round_at(at - span)
        now = await standings(self._model)
        then = {} if since is None else await self._store.before(list(now), since)
        self._made += 1
        ranked = await asyncio.to_thread(_ranked, now, then)
        return Board(at, since, offset, f'"{self._run}-{self._made}"', ranked)


def _ranked(now: Mapping[str, Standing], then: Mapping[str, EquityRecord]) -> dict[str, list[Place]]:
    places = [_place(user, standing, then.get(user)) for user, standing in now.items()]
    return {
        "lifetimePnL": nsmallest(LISTED_MAX, places, key=lambda place: (-place.pnl, place.user)),
        "equity": nsmallest(LISTED_MAX, places, key=lambda place: (-place.gain, place.user)),
        "volume": nsmallest(LISTED_MAX, places, key=lambda place: (-place.volume, place.user)),
    }


def _place(user: str, now: Standing, then: EquityRecord | None) -> Place:
    """What a user has done since then; None: the user came later."""
    gain = now.equity - now.paid_in
    if then is None:
        return Place(user, now.equity, gain, now.pnl, now.volume)
    return Place(user, now.equity, gain - (then.equity - then.paid_in), now.pnl - then.pnl, now.volume - then.volume)
