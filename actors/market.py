"""The market actor: sole owner of one market's price and positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.base import FailStopActor, Interrupted, drain, tell
from actors.messages import (
    Decided,
    Envelope,
    Failure,
    FailureKind,
    Funded,
    ImageTaken,
    MarketDown,
    MarketReady,
    Ref,
    Refused,
    Stopped,
    TakeImage,
    Work,
)
from actors.ports import Clock
from actors.vitals import Pulse
from perps.commands import (
    ClosePosition,
    CreateUser,
    Deposit,
    ListMarket,
    MarketCommand,
    OpenPosition,
    SetMode,
    UpdatePrice,
    Withdraw,
)
from perps.engine import execute, halted, sweep
from perps.events import CloseReason, MarketEvent, MarketEvents, PositionReduced
from perps.market.state import Market
from perps.market.sums import MarketSums
from perps.refusals import Rejected
from perps.rules.listing import decide_list
from perps.units import Micros, Millis

KINDS: dict[type, str] = {
    OpenPosition: "open",
    ClosePosition: "close",
    UpdatePrice: "price",
    ListMarket: "list",
    SetMode: "mode",
}

NOT_FOR_MARKETS = (CreateUser, Deposit, Withdraw)

Load = Callable[[], Market | None]
"""How a market gets its state, in its own thread: at start-up handed over, after a death replayed from the journal."""


class MarketActor(FailStopActor):
    """Runs ``execute`` on each command in its mailbox, in order, and passes rows and refusals on to the ledger.

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
        clock: Clock,
        pulse: Pulse | None = None,
    ) -> None:
        super().__init__(pulse=pulse)
        self._ticker, self._incarnation, self._load = ticker, incarnation, load
        self._ledger, self._supervisor, self._clock = ledger, supervisor, clock
        self._market: Market | None = None
        self._out: list[Decided | Refused | ImageTaken] = []
        self._behind: list[Work | TakeImage] = []

    def on_start(self) -> None:
        """Get the state, finish liquidations that a crash cut off, and say ready (pykka's ``start`` does not wait)."""
        try:
            self._market = self._load()
            if self._market is not None:
                self._add_rows(None, "sweep", self._market.at, sweep(self._market))
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
            self._out.append(ImageTaken(work.token, self._market.image() if self._market is not None else None))
            return
        envelope = work if isinstance(work, Envelope) else work.envelope
        command = envelope.command
        if isinstance(command, NOT_FOR_MARKETS):
            raise TypeError(f"{type(command).__name__} for {self._ticker}")
        if self._clock.now_ms() > envelope.deadline_ms:
            self._out.append(Refused(work, Failure(FailureKind.OVERLOADED, "the command waited past its deadline")))
            return
        if self._market is None:
            self._list(work, command)
            return
        at = max(self._market.at, envelope.now_ms)
        held, referrer = (work.held, work.referrer) if isinstance(work, Funded) else (Micros(0), None)
        outcome = execute(self._market, command, at, held=held, referrer=referrer)
        if isinstance(outcome, Rejected):
            if outcome.halt:
                event = halted(outcome)
                self._market.apply(event)
                self._add_rows(None, "mode", at, [(event,)])
            self._out.append(Refused(work, outcome))
            return
        self._add_rows(work, KINDS[type(command)], at, outcome)

    def _list(self, work: Work, command: MarketCommand) -> None:
        if not isinstance(command, ListMarket):
            raise TypeError(f"{type(command).__name__} for {self._ticker}, which is not listed")
        at = (work if isinstance(work, Envelope) else work.envelope).now_ms
        outcome = decide_list(command, at)
        if isinstance(outcome, Rejected):
            self._out.append(Refused(work, outcome))
            return
        self._market = Market(outcome)
        self._add_rows(work, "list", at, [(outcome,)])

    def _add_rows(self, work: Work | None, kind: str, at: Millis, rows: list[MarketEvents]) -> None:
        market = self._market
        if market is None:
            return
        market.at = at
        liquidations = sum(_is_liquidation(event) for events in rows for event in events)
        now_ns = self._clock.monotonic_ns()
        for number, events in enumerate(rows, start=1):
            market.seq += 1
            sums = MarketSums.of(market) if number == len(rows) else None
            row = Decided(work, self._ticker, market.seq, kind, at, events, sums, liquidations, now_ns)
            self._out.append(row)
            work, kind, liquidations = None, "sweep", 0

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out:
            self._ledger.tell(out)


def _is_liquidation(event: MarketEvent) -> bool:
    return isinstance(event, PositionReduced) and event.reason is CloseReason.LIQUIDATION
