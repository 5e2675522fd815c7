"""One agent at work: it hears its streams, lets its strategy decide again and again, and survives what goes wrong."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final

from perps.agents.line import Line
from perps.agents.strategy import Seat, Strategy
from perps.client import OutcomeUnknown, Refused, Row, Unavailable, VenueError

PAUSE_S_MAX: Final = 30.0
"""The longest pause after failures in a row."""
CATCH_UP_S: Final = 2.0
"""At the end: how long the own stream may take to tell the last trade."""
FRAMES_MAX: Final = 3
"""Lines of a traceback that are shown."""
CLOSING_ROUNDS: Final = 10
"""How often an agent tries to leave all its positions at the end."""

TopUp = Callable[[], Awaitable[object]]


class Trader:
    """An agent. ``pace``: how much faster than usual it decides. ``decisions_max``: after so many it ends.

    ``top_up`` gives it money when it has none left, no position and no order.
    """

    def __init__(
        self,
        seat: Seat,
        kind: type[Strategy],
        line: Line,
        *,
        pace: float = 1.0,
        decisions_max: int | None = None,
        top_up: TopUp | None = None,
    ) -> None:
        self.seat, self.decisions, self.failures = seat, 0, 0
        self.state, self.problem = "waiting", ""
        """``waiting`` ``trading`` ``ended`` ``crashed``; and why it ended or crashed, in a few lines."""
        self.begun_equity: float | None = None
        self.begun_paid_in = 0.0
        self._line, self._pace, self._decisions_max, self._top_up = line, pace, decisions_max, top_up
        self._pauses = Random(seat.random.getrandbits(64))
        self._woken, self._begun, self._heard = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._failed = asyncio.Event()
        self._failure: Exception | None = None
        seat.wake = self._woken.set
        self._kind = kind
        self._strategy: Strategy | None = None

    @property
    def strategy(self) -> Strategy:
        """What decides. Errors: whatever the strategy's own ``__init__`` raises."""
        if self._strategy is None:
            self._strategy = self._kind(self.seat)
        return self._strategy

    @property
    def equity(self) -> float:
        """USD now."""
        return self.seat.account.equity(self.seat.markets)

    @property
    def gain(self) -> float:
        """What the equity has gained since the beginning, without what was paid in, USD."""
        if self.begun_equity is None:
            return 0.0
        return self.equity - self.begun_equity - (self.seat.account.paid_in - self.begun_paid_in)

    def take_market(self, row: Row) -> None:
        """Hear a row of the markets' stream, after ``seat.markets``. Raises nothing: others hear it too."""
        try:
            self._tell(row, is_own=False)
        except Exception as error:  # noqa: BLE001 - a strategy's own code can fail in any way
            self._failure = error
            self._failed.set()
        self._look()

    def take_own(self, row: Row) -> None:
        """Hear a row of the own stream."""
        self.seat.account.take(row)
        self._tell(row, is_own=True)
        self._heard.set()
        self._look()

    async def run(self, stop: asyncio.Event) -> None:
        """Trade until ``stop``. What goes wrong is in ``state`` and ``problem``; nothing is raised."""
        parts = [asyncio.create_task(part) for part in (self._listen(), self._work(stop), self._fail())]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in parts:
                if part.done() and (error := part.exception()) is not None:
                    self._note(error)
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
        if self.state in ("waiting", "trading"):
            self.state = "ended"

    async def step(self) -> None:
        """One decision. Errors: Refused if the key is no longer valid; what is no VenueError is the strategy's own."""
        self.decisions += 1
        try:
            await self.strategy.decide()
            self.failures = 0
        except Refused as error:
            self.failures += 1
            if error.status == 401:
                raise
            account = self.seat.account
            is_broke = error.code == "insufficient_funds" and not account.positions and not account.orders
            if is_broke and self._top_up is not None:
                await self._top_up()
                return
            with suppress(VenueError):  # it is counted
                await self.strategy.refused(error)
        except (Unavailable, OutcomeUnknown):
            self.failures += 1

    def next_pause(self) -> float:
        """Seconds to the next decision: longer after each failure in a row, at most ``PAUSE_S_MAX``."""
        usual = self._kind.every_s * self._pauses.uniform(0.5, 1.5) / self._pace
        return min(usual * float(1 << min(self.failures, 10)), PAUSE_S_MAX)

    async def leave_all(self) -> None:
        """Cancel what rests and close what is open. Errors: VenueError."""
        desk = self.seat.desk
        await desk.cancel_orders()
        for _ in range(CLOSING_ROUNDS):
            with suppress(OutcomeUnknown):
                closed = await desk.close_all_positions()
                for order in (result.order for result in closed.results if result.order):
                    await desk.wait_for_order(order.id)
                if not closed.remaining and all(result.closed for result in closed.results):
                    break
            await asyncio.sleep(1.0 / self._pace)
        self.seat.account.balance = await desk.get_balance()

    async def _fail(self) -> None:
        """Raise what the strategy raised when it heard the markets."""
        await self._failed.wait()
        raise self._failure or RuntimeError("it failed")

    async def _listen(self) -> None:
        async for row in self._line.stream(user=self.seat.user):
            self.take_own(row)

    async def _work(self, stop: asyncio.Event) -> None:
        await _first(stop, self._begun)
        if stop.is_set():
            return
        self.state = "trading"
        while not stop.is_set() and self.decisions != self._decisions_max:
            await self.step()
            if self.decisions != self._decisions_max:
                await self._pause(stop)
        await self._catch_up()

    async def _pause(self, stop: asyncio.Event) -> None:
        """Wait for the next turn, for ``stop``, or to be woken. After failures only ``stop`` shortens the pause."""
        woken = self._woken if not self.failures else asyncio.Event()
        with suppress(TimeoutError):
            await asyncio.wait_for(_first(stop, woken), self.next_pause())
        self._woken.clear()

    async def _catch_up(self) -> None:
        """Wait until the stream has told what the answers have told."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP_S):
                while self.seat.account.offset < self.seat.desk.offset:
                    self._heard.clear()
                    await self._heard.wait()

    def _tell(self, row: Row, *, is_own: bool) -> None:
        for event in row.events:
            if is_own or event.data.get("ticker") == self.seat.ticker:
                self.strategy.see(event)

    def _look(self) -> None:
        """The first time that both streams have told where things stand, the agent begins."""
        if not self._begun.is_set() and self.seat.markets.is_known and self.seat.account.balance is not None:
            self.begun_equity, self.begun_paid_in = self.equity, self.seat.account.paid_in
            self._begun.set()

    def _note(self, error: BaseException) -> None:
        if isinstance(error, VenueError):
            self.state, self.problem = "ended", str(error)
        else:
            self.state, self.problem = "crashed", brief(error)


def brief(error: BaseException) -> str:
    """An exception in a few lines: where it was raised in the strategy's own code, and what it says."""
    here = Path(__file__).parent
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).parent != here] or list(frames)
    lines = [f"{Path(one.filename).name}:{one.lineno} in {one.name}: {one.line}" for one in own[-FRAMES_MAX:]]
    return "\n".join([*lines, *(line.strip() for line in traceback.format_exception_only(error))])


async def _first(*events: asyncio.Event) -> None:
    """Wait for any of these."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
