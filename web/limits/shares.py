"""Shares of what a venue has little of: turns to read a large body, the database's connections, time to send a body.

Kept beside the budgets (``admission``), which cannot see what is under way at one moment: 1,000 prices take the event
loop 8 ms, so 100 such bodies at once hold up everybody for 0.8 s; and the read side has four connections, of which a
budget of 100 look-ups a second would let strangers have all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from typing import Final

from actors.shares import Shares
from web.answers.errors import RequestError
from web.auth import STRANGERS
from web.limits.budgets import is_loopback, site

BODIES_WAITING_MAX: Final = 16
"""Large bodies of one sender that may wait for their turn: some 100 ms of everybody else's time."""

STRANGERS_BODIES_WAITING_MAX: Final = 256
"""Of all callers without a key together: they wait for each other only, but each keeps its body in memory."""

LOOK_UPS_MAX: Final = 64
"""Look-ups in the database of one sender at a time."""

STRANGERS_LOOK_UPS_MAX: Final = 64
"""Of all callers without a key together: market data is public, and past rows come from the database."""

ADDRESS_LOOK_UPS_MAX: Final = 16
"""Of those, of one address, so that it takes several to keep everybody else without a key waiting. An address of this
machine has them all: it may be a proxy, which speaks for many."""

STRANGERS_LOOKING_UP: Final = 2
"""How many of those are in the database at a time, of the four connections there are; the others wait for these."""

STRANGERS_WAIT_S: Final = 5.0
"""How long one may wait for that: the others take a few milliseconds each, so the database is in trouble by then."""


class Turns:
    """Large bodies are read one in each turn of the event loop: a line of callers with a key, and one of strangers."""

    def __init__(self) -> None:
        self._known, self._strangers = asyncio.Lock(), asyncio.Lock()
        self._shares = Shares(BODIES_WAITING_MAX)

    @asynccontextmanager
    async def one(self, sender: str | None) -> AsyncIterator[None]:
        """Wait for a turn and have it. ``sender``: None for a stranger. Raises ``rate_limited``."""
        most = BODIES_WAITING_MAX if sender else STRANGERS_BODIES_WAITING_MAX
        with _share(self._shares, sender, most, "large requests"):
            async with self._known if sender else self._strangers:
                try:
                    yield
                finally:
                    await asyncio.sleep(0)


class ReadShares:
    """Look-ups in the database. Strangers wait for each other, so that callers with a key find a connection."""

    def __init__(self) -> None:
        self._shares = Shares(LOOK_UPS_MAX)
        self._places = asyncio.Semaphore(STRANGERS_LOOKING_UP)

    @asynccontextmanager
    async def one(self, sender: str | None, address: str = "") -> AsyncIterator[None]:
        """While a sender has something looked up. ``sender``: None for a stranger, who has an address.

        Raises ``rate_limited``.
        """
        if sender:
            with _share(self._shares, sender, LOOK_UPS_MAX, "look-ups"):
                yield
            return
        own = nullcontext() if is_loopback(address) else self._of_address(site(address))
        with own, _share(self._shares, None, STRANGERS_LOOK_UPS_MAX, "look-ups"):
            wait = asyncio.timeout(STRANGERS_WAIT_S)
            try:
                async with wait, self._places:
                    wait.reschedule(None)
                    yield
            except TimeoutError as error:
                if wait.expired():
                    raise _refused("look-ups", sender, STRANGERS_LOOKING_UP) from error
                raise

    def _of_address(self, address: str) -> AbstractContextManager[None]:
        return _share(self._shares, f"@{address}", ADDRESS_LOOK_UPS_MAX, "look-ups")


class Arrivals:
    """Bodies that are still being sent: each has its time, and none when the venue stops. On one event loop."""

    def __init__(self) -> None:
        self._waits: set[asyncio.Timeout] = set()
        self._ended = False

    @asynccontextmanager
    async def one(self, seconds: float) -> AsyncIterator[None]:
        """The time one body has: none at all after ``end``. Raises ``TimeoutError``."""
        async with asyncio.timeout(0 if self._ended else seconds) as wait:
            self._waits.add(wait)
            try:
                yield
            finally:
                self._waits.discard(wait)

    def end(self) -> None:
        """From now on nobody's body is waited for."""
        self._ended = True
        for wait in self._waits:
            if not wait.expired():
                wait.reschedule(0)


@contextmanager
def _share(shares: Shares, sender: str | None, most: int, what: str) -> Iterator[None]:
    """Count one more for a sender while it is under way."""
    who = STRANGERS if sender is None else sender
    if not shares.take(who, most):
        raise _refused(what, sender, most)
    try:
        yield
    finally:
        shares.give(who)


def _refused(what: str, sender: str | None, limit: int) -> RequestError:
    whose = f"{what} of callers without a key" if sender is None else f"of your {what}"
    return RequestError(
        "rate_limited", f"Too many {whose} are waiting. Nothing was done; retry in 1 s.", {"limit": limit}
    )
