"""The market actor: sole owner of one market's price and positions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from actors.base import FailStopActor, Interrupted, drain, tell
from actors.limits import ROWS_AHEAD_MAX
from actors.messages import (
    NO_TOKEN,
    Decided,
    Envelope,
    Failure,
    FailureKind,
    ImageTaken,
    MarketDown,
    MarketReady,
    Proceed,
    Ref,
    Refused,
    Stopped,
    TakeImage,
    Unchanged,
    Work,
)
from actors.ports import RowClock
from actors.vitals import Pulse
from perps.commands import MarketCommand
from perps.market.state import Market
from perps.sequencer import NOTHING_HELD, Decision, MarketSide, Moment

Load = Callable[[], Market | None]
"""How a market gets its state, in its own thread: at start-up handed over, after a death replayed from the journal."""


class MarketActor(FailStopActor):
    """Runs each command in its mailbox, in order, and passes rows and refusals on to the ledger.

    The rules are ``MarketSide``'s; this is its mailbox.

    It runs ahead of the journal in memory. When a command breaks it (a bug), the rows before it stand, that command
    is answered ``internal_error``, and the ones behind it go back to the supervisor for its successor.

    What one command leads to may fill many rows (a crash of the price). The ledger gets each as soon as it is made, and
    at most ``ROWS_AHEAD_MAX`` are on their way, so that other markets' rows come between. This market's commands wait:
    the rows are those that one turn would have made. If it ends amid them, its successor finishes them first.
    """

    def __init__(
        self,
        ticker: str,
        incarnation: int,
        load: Load,
        *,
        ledger: Ref,
        supervisor: Ref,
        clock: RowClock,
        pulse: Pulse | None = None,
    ) -> None:
        super().__init__(pulse=pulse)
        self._ticker, self._incarnation, self._load = ticker, incarnation, load
        self._ledger, self._supervisor, self._clock = ledger, supervisor, clock
        self._side = MarketSide(ticker)
        self._is_ready = False
        self._out: list[Decided | Refused | ImageTaken | Proceed] = []
        self._waiting: deque[Work | TakeImage] = deque()
        self._rest: Iterator[Decision] | None = None
        """Further rows of what the last command led to. What waits is done behind them."""
        self._ahead = 0
        """Rows of a crash that are not known to be durable."""

    def on_start(self) -> None:
        """Get the state, begin to finish what a crash cut off, and say ready (pykka's ``start`` does not wait)."""
        try:
            self._side = MarketSide(self._ticker, self._load(), Moment(*self._clock.reading()))
            self._begin(None, self._side.finish())
            self._go_on()
            self._flush()
        except BaseException as error:
            self.pulse.died(error)
            tell(self._supervisor, MarketDown(self._ticker, self._incarnation, type(error).__name__))
            raise Interrupted(repr(error)) from error
        self._say_ready()

    def handle(self, batch: list[Any]) -> None:
        """Execute each command; one ``tell`` to the ledger for all that came of them, but for each row of a crash."""
        for message in batch:
            if isinstance(message, Proceed):
                self._ahead -= 1
            else:
                self._waiting.append(message)
        self._go_on()
        while self._waiting and self._rest is None:
            work = self._waiting.popleft()
            try:
                self._execute(work)
            except BaseException as error:
                reason = f"{self._ticker} failed on this command: {type(error).__name__}"
                if isinstance(work, TakeImage):
                    self._out.append(ImageTaken(work.token, None))
                else:
                    self._out.append(Refused(work, Failure(FailureKind.INTERNAL_ERROR, reason)))
                raise
            self._go_on()
        self._flush()
        self._say_ready()

    def on_death(self, reason: str, queued: list[Any]) -> None:
        """What was decided goes on; what was not begun goes back. Ordered behind this market's last rows."""
        self._ledger.tell([*self._out, *self._last_words(reason, queued)])

    def on_stop(self) -> None:
        """Nothing if the supervisor asked for it. If nobody did, this is a death like any other, and rebuilt."""
        tell(self._ledger, self._last_words("it was stopped", drain(self.actor_ref)))

    def _last_words(self, reason: str, queued: list[Any]) -> list[ImageTaken | Stopped]:
        """Whoever asked for an image waits no longer; commands go back."""
        behind = [work for work in (*self._waiting, *queued) if not isinstance(work, Proceed)]
        no_images = [ImageTaken(work.token, None) for work in behind if isinstance(work, TakeImage)]
        leftovers = tuple(work for work in behind if not isinstance(work, TakeImage))
        stopped = Stopped(stream=self._ticker, incarnation=self._incarnation, reason=reason, leftovers=leftovers)
        return [*no_images, stopped]

    def _execute(self, work: Work | TakeImage) -> None:
        if isinstance(work, TakeImage):
            market = self._side.market
            self._out.append(ImageTaken(work.token, market.image() if market is not None else None))
            return
        envelope, held = (work, NOTHING_HELD) if isinstance(work, Envelope) else (work.envelope, work.held)
        command = envelope.command
        if not isinstance(command, MarketCommand):
            raise TypeError(f"{type(command).__name__} for {self._ticker}")
        if self._clock.now_ms() > envelope.deadline_ms:
            if envelope.token != NO_TOKEN:
                self._out.append(Refused(work, Failure(FailureKind.OVERLOADED, "the command waited past its deadline")))
            return
        decisions, refused = self._side.run(command, Moment(envelope.now_ms, envelope.ahead_ms), held)
        if refused is not None:
            self._out.append(Refused(work, refused))
        elif not self._begin(work, decisions) and envelope.token != NO_TOKEN:
            self._out.append(Refused(work, Unchanged()))

    def _begin(self, work: Work | None, decisions: Iterator[Decision]) -> bool:
        """Take the first row, with the command behind it; whether there is one. ``_go_on`` takes the others."""
        first = next(decisions, None)
        if first is None:
            return False
        self._rest = decisions
        self._add(work, first)
        return True

    def _go_on(self) -> None:
        """Make further rows, and hand each on before the next, as long as the journal keeps up."""
        while self._rest is not None and self._ahead < ROWS_AHEAD_MAX:
            self._flush()
            self.pulse.step()
            self._add(None, next(self._rest))

    def _add(self, work: Work | None, decision: Decision) -> None:
        """A row for the ledger."""
        self._out.append(Decided(work, decision, self._clock.monotonic_ns()))
        if decision.goes_on:
            self._out.append(Proceed(self._ticker, self._incarnation))
            self._ahead += 1
        else:
            self._rest = None

    def _say_ready(self) -> None:
        """Once, when what a crash cut off is finished."""
        if not self._is_ready and self._rest is None:
            self._is_ready = True
            self._supervisor.tell(MarketReady(self._ticker, self._incarnation))

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out:
            self._ledger.tell(out)
