"""The market actor: sole owner of one market's price and positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.base import FailStopActor, Interrupted, drain, tell
from actors.messages import (
    NO_TOKEN,
    Decided,
    Envelope,
    Failure,
    FailureKind,
    ImageTaken,
    MarketDown,
    MarketReady,
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
        self._out: list[Decided | Refused | ImageTaken] = []
        self._behind: list[Work | TakeImage] = []

    def on_start(self) -> None:
        """Get the state, finish liquidations that a crash cut off, and say ready (pykka's ``start`` does not wait)."""
        try:
            self._side = MarketSide(self._ticker, self._load(), Moment(*self._clock.reading()))
            self._add(None, self._side.finish())
            self._flush()
        except BaseException as error:
            self.pulse.died(error)
            tell(self._supervisor, MarketDown(self._ticker, self._incarnation, type(error).__name__))
            raise Interrupted(repr(error)) from error
        self._supervisor.tell(MarketReady(self._ticker, self._incarnation))

    def handle(self, batch: list[Any]) -> None:
        """Execute each command; one ``tell`` to the ledger for all that came of them."""
        for position, work in enumerate(batch):
            try:
                self._execute(work)
            except BaseException as error:
                self._behind = batch[position + 1 :]
                reason = f"{self._ticker} failed on this command: {type(error).__name__}"
                if isinstance(work, TakeImage):
                    self._out.append(ImageTaken(work.token, None))
                else:
                    self._out.append(Refused(work, Failure(FailureKind.INTERNAL_ERROR, reason)))
                raise
        self._flush()

    def on_death(self, reason: str, queued: list[Any]) -> None:
        """What was decided goes on; what was not begun goes back. Ordered behind this market's last rows."""
        self._ledger.tell([*self._out, *self._last_words(reason, [*self._behind, *queued])])

    def on_stop(self) -> None:
        """Nothing if the supervisor asked for it. If nobody did, this is a death like any other, and rebuilt."""
        tell(self._ledger, self._last_words("it was stopped", drain(self.actor_ref)))

    def _last_words(self, reason: str, behind: list[Work | TakeImage]) -> list[ImageTaken | Stopped]:
        """Whoever asked for an image waits no longer; commands go back."""
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
        elif decisions:
            self._add(work, decisions)
        elif envelope.token != NO_TOKEN:
            self._out.append(Refused(work, Unchanged()))

    def _add(self, work: Work | None, decisions: list[Decision]) -> None:
        """Rows for the ledger; the command stands behind the first of them."""
        now_ns = self._clock.monotonic_ns()
        for decision in decisions:
            self._out.append(Decided(work, decision, now_ns))
            work = None

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out:
            self._ledger.tell(out)
