"""The supervisor: the routing table, the life of the market actors, and one answer per client id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from actors.answers import Answers, Step
from actors.base import FailStopActor, drain, tell
from actors.limits import MARKET_DEATHS_MAX, MARKET_DEATHS_WINDOW_MS, REBUILD_QUEUE_MAX
from actors.market import Load, MarketActor
from actors.messages import (
    Address,
    Envelope,
    Failure,
    FailureKind,
    Funded,
    ImageTaken,
    LookedUp,
    MarketDown,
    MarketReady,
    Proceed,
    Ref,
    Refused,
    Repeated,
    Reply,
    Settled,
    Stopped,
    TakeImage,
    Tick,
    Token,
    Wire,
    Work,
)
from actors.ports import Outbox, RowClock
from actors.timer import is_observation, observation
from actors.vitals import Pulse, Vitals
from perps.commands import FundedCommand, ListMarket, MarketCommand
from perps.refusals import RejectCode, Rejected

log = structlog.get_logger()

MARKETS_STOP_NS = 20 * 10**9
"""How long all markets together may take to decide what is queued and stop."""


LoadMarket = Callable[[str], Load]
"""Gives the way to rebuild one market from the journal, by ticker."""


@dataclass(frozen=True, slots=True)
class StartMarket:
    """At start-up: a market exists; ``load`` hands its state over. Travels inside one process only."""

    ticker: str
    load: Load


@dataclass(slots=True)
class _Slot:
    """One market's place in the routing table."""

    ref: Ref | None
    incarnation: int = 0
    """Which actor of all that were ever started; so that a late word of a predecessor is not taken for this one's."""
    ready: bool = False
    waiting: list[Work] = field(default_factory=list)
    deaths_ms: list[int] = field(default_factory=list)
    down: str | None = None
    listing: Token | None = None
    """Whose listing made it, while that is not durable yet: until then the market exists only as a wish."""
    listers: list[Envelope] = field(default_factory=list)
    """Who wants to list it too: refused when the market exists, tried in turn if it does not come to that."""


class Supervisor(FailStopActor):
    """Every command passes here first; refusals and durable rows come back here last.

    It refuses what it can without looking at state (unknown ticker, market down, client id reused) and passes the rest
    on. A market that dies is rebuilt from the journal while the others trade; what it had not begun waits for it.
    """

    def __init__(
        self,
        answers: Answers,
        load_market: LoadMarket,
        *,
        clock: RowClock,
        outbox: Outbox,
        vitals: Vitals | None = None,
        pulse: Pulse | None = None,
    ) -> None:
        super().__init__(pulse=pulse)
        self._vitals = vitals or Vitals(outbox.core_failed)
        self._answers, self._load_market = answers, load_market
        self._clock, self._outbox = clock, outbox
        self._slots: dict[str, _Slot] = {}
        self._incarnations = 0
        self._wire: Wire | None = None
        self._to_ledger: list[Envelope | Refused | Address | TakeImage | ImageTaken] = []
        self._to_market: dict[str, list[Work]] = {}
        self._to_look_up: list[Envelope] = []
        self._replies: list[Reply] = []

    def handle(self, batch: list[Any]) -> None:
        """Take each message in order; one ``tell`` to each neighbour for all that came of them."""
        for message in batch:
            match message:
                case Envelope():
                    self._admit(message)
                case Settled():
                    self._settled(message)
                case Refused():
                    self._refused(message)
                case Funded():
                    self._work(_ticker_of(message), message)
                case Tick():
                    self._observe()
                case TakeImage():
                    self._to_ledger.append(message)
                case LookedUp():
                    self._looked_up(message)
                case Proceed():
                    self._proceed(message)
                case Stopped():
                    self._bury(message)
                case MarketReady():
                    self._ready(message)
                case MarketDown():
                    self._give_up(message.stream, message.incarnation, message.reason)
                case Wire():
                    self._wire = message
                case StartMarket():
                    self._start(message.ticker, message.load)
                case _:
                    raise TypeError(f"the supervisor does not take {message!r}")
        self._flush()

    def on_death(self, reason: str, queued: list[Any]) -> None:
        """Nobody routes any more: the whole core is rebuilt."""
        self._outbox.core_failed(f"the supervisor died: {reason}")
        self._stop_markets()

    def on_stop(self) -> None:
        """The markets live no longer than the routing table: each decides what is queued, then stops."""
        self._stop_markets()

    def _stop_markets(self) -> None:
        refs = [slot.ref for slot in self._slots.values() if slot.ref is not None]
        for ref in refs:
            ref.stop(block=False)
        give_up_ns = self._clock.monotonic_ns() + MARKETS_STOP_NS
        for ref in refs:
            left_s = max(0, give_up_ns - self._clock.monotonic_ns()) / 1e9
            if not ref.actor_stopped.wait(left_s):
                log.error("market.stop_timed_out", actor=str(ref))

    def _admit(self, envelope: Envelope) -> None:
        command = envelope.command
        ticker = getattr(command, "ticker", None)
        if ticker is not None and not isinstance(command, ListMarket):
            slot = self._slots.get(ticker)
            if slot is None or slot.listing is not None:
                unknown = Rejected(code=RejectCode.MARKET_NOT_FOUND, facts={"ticker": ticker})
                self._replies.append((envelope.token, unknown))
                return
        step = self._answers.admit(envelope)
        if step is Step.BEGIN:
            self._begin(envelope)
        elif step is Step.LOOK_UP:
            self._to_look_up.append(envelope)
        elif not isinstance(step, Step):
            self._replies.append((envelope.token, step))

    def _begin(self, envelope: Envelope) -> None:
        """Send a command to whoever has it first: the ledger for money, its market otherwise."""
        command = envelope.command
        if isinstance(command, ListMarket):
            self._list(command.ticker, envelope)
        elif isinstance(command, FundedCommand) and self._slots[command.ticker].down is None:
            self._to_ledger.append(envelope)
        elif isinstance(command, MarketCommand):
            self._work(command.ticker, envelope)
        else:
            self._to_ledger.append(envelope)

    def _list(self, ticker: str, envelope: Envelope) -> None:
        """A market begins with its listing. Until that is durable, another listing waits for what becomes of it."""
        listed = self._slots.get(ticker)
        if listed is not None and listed.listing is not None:
            listed.listers.append(envelope)
        elif listed is not None:
            self._refuse(envelope, _exists(ticker))
        else:
            self._start(ticker, lambda: None)
            self._slots[ticker].listing = envelope.token
            self._to_ledger.append(envelope)

    def _observe(self) -> None:
        """Every market that is up looks for what is due."""
        now_ms, ahead_ms = self._clock.reading()
        for ticker, slot in self._slots.items():
            if slot.ready and slot.listing is None:
                self._to_market.setdefault(ticker, []).append(observation(ticker, now_ms, ahead_ms))

    def _work(self, ticker: str, work: Work) -> None:
        """Pass on to a market, or keep it for the market's successor; but not an observation: the next one comes."""
        slot = self._slots.get(ticker)
        if is_observation(work) and not (slot and slot.ready):
            return
        if slot is None:
            self._refuse(work, Rejected(code=RejectCode.MARKET_NOT_FOUND, facts={"ticker": ticker}))
        elif slot.down:
            self._refuse(work, _unavailable(ticker, slot.down))
        elif slot.ready:
            self._to_market.setdefault(ticker, []).append(work)
        elif len(slot.waiting) < REBUILD_QUEUE_MAX:
            slot.waiting.append(work)
        else:
            self._refuse(work, Failure(FailureKind.OVERLOADED, f"{ticker} is being rebuilt and its queue is full"))

    def _refuse(self, work: Work, outcome: Rejected | Failure) -> None:
        """End a command. One that holds money goes by the ledger, which voids the hold and sends it back."""
        refused = Refused(work, outcome)
        if isinstance(work, Funded):
            self._to_ledger.append(refused)
        else:
            self._refused(refused)

    def _refused(self, refused: Refused) -> None:
        work = refused.work
        envelope = work.envelope if isinstance(work, Funded) else work
        for token in (envelope.token, *self._answers.ended(envelope)):
            self._replies.append((token, refused.outcome))
        command = envelope.command
        if isinstance(command, ListMarket):
            slot = self._slots.get(command.ticker)
            if slot is not None and slot.listing == envelope.token:
                self._forget(command.ticker, slot)

    def _settled(self, settled: Settled) -> None:
        row = settled.entry.row
        if row.client_order_id is not None and row.user_id is not None and row.fingerprint is not None:
            waiting = self._answers.done(row.user_id, row.client_order_id, row.fingerprint, row.offset)
            self._replies.extend((token, Repeated(row.offset)) for token in waiting)
        if row.kind == ListMarket.kind:
            slot = self._slots.get(row.stream)
            if slot is not None:
                slot.listing = None
                listers, slot.listers = slot.listers, []
                for envelope in listers:
                    self._refuse(envelope, _exists(row.stream))

    def _looked_up(self, looked_up: LookedUp) -> None:
        envelope = looked_up.envelope
        if looked_up.failure is not None:
            self._refuse(envelope, Failure(FailureKind.UNAVAILABLE, looked_up.failure))
            return
        step = self._answers.looked_up(envelope, looked_up.found)
        if isinstance(step, Step):
            self._begin(envelope)
            return
        for token in (envelope.token, *self._answers.ended(envelope)):
            self._replies.append((token, step))

    def _start(self, ticker: str, load: Load) -> None:
        """Start an actor for a market; it says ready when it has its state."""
        slot = self._slots.setdefault(ticker, _Slot(ref=None))
        self._incarnations += 1
        slot.incarnation = self._incarnations
        slot.ready = False
        slot.ref = MarketActor.start(
            ticker,
            slot.incarnation,
            load,
            ledger=self._wired.ledger,
            supervisor=self.actor_ref,
            clock=self._clock,
            pulse=self._vitals.pulse("market", ticker),
        )

    def _ready(self, ready: MarketReady) -> None:
        slot = self._slots.get(ready.stream)
        if slot is None or slot.ref is None or slot.incarnation != ready.incarnation:
            return
        slot.ready = True
        self._to_ledger.append(Address(ready.stream, slot.ref))
        waiting, slot.waiting = slot.waiting, []
        if waiting:
            self._to_market.setdefault(ready.stream, []).extend(waiting)
        self._outbox.market_health(ready.stream, None)

    def _proceed(self, proceed: Proceed) -> None:
        slot = self._slots.get(proceed.stream)
        if slot is not None and slot.ref is not None and slot.incarnation == proceed.incarnation:
            tell(slot.ref, proceed)

    def _bury(self, stopped: Stopped) -> None:
        """A market died, its last rows are durable, and the ledger sends it nothing any more: rebuild it."""
        slot = self._slots.get(stopped.stream)
        if slot is None or slot.ref is None or slot.incarnation != stopped.incarnation:
            return
        left = drain(slot.ref)
        self._to_ledger.extend(ImageTaken(work.token, None) for work in left if isinstance(work, TakeImage))
        behind = [work for work in left if not isinstance(work, TakeImage | Proceed)]
        left_over = [work for work in (*stopped.leftovers, *behind) if not is_observation(work)]
        slot.waiting = [*left_over, *slot.waiting]
        slot.ready = False
        now_ms = self._clock.now_ms()
        slot.deaths_ms = [at for at in slot.deaths_ms if at > now_ms - MARKET_DEATHS_WINDOW_MS] + [now_ms]
        log.warning("market.died", ticker=stopped.stream, reason=stopped.reason, deaths=len(slot.deaths_ms))
        if len(slot.deaths_ms) > MARKET_DEATHS_MAX:
            self._give_up(
                stopped.stream, slot.incarnation, f"it died {len(slot.deaths_ms)} times; last: {stopped.reason}"
            )
            return
        self._outbox.market_health(stopped.stream, f"being rebuilt: {stopped.reason}")
        self._start(stopped.stream, self._load_market(stopped.stream))

    def _give_up(self, ticker: str, incarnation: int, reason: str) -> None:
        """A market that cannot be rebuilt stays down; its neighbours trade on."""
        slot = self._slots.get(ticker)
        if slot is None or slot.incarnation != incarnation:
            return
        slot.down, slot.ready = reason, False
        waiting, slot.waiting = slot.waiting, []
        for work in waiting:
            self._refuse(work, _unavailable(ticker, reason))
        if slot.listing is None:
            log.error("market.down", ticker=ticker, reason=reason)
            self._outbox.market_health(ticker, reason)
        elif self._slots.get(ticker) is slot:
            self._forget(ticker, slot)

    def _forget(self, ticker: str, slot: _Slot) -> None:
        """A listing that came to nothing leaves no market behind.

        Nor a route to its actor: the ledger must not send there what belongs to the next listing under this ticker.
        """
        del self._slots[ticker]
        self._to_ledger.append(Address(ticker, None))
        for envelope in slot.listers:
            self._begin(envelope)
        if slot.ref is not None:
            slot.ref.stop(block=False)
        self._outbox.market_health(ticker, None)

    def _flush(self) -> None:
        for ticker, works in self._to_market.items():
            slot = self._slots.get(ticker)
            if slot is None or slot.ref is None or not slot.ready or not tell(slot.ref, works):
                self._keep(ticker, works)
        self._to_market = {}
        if self._to_ledger:
            self._wired.ledger.tell(self._to_ledger)
        if self._to_look_up:
            self._wired.look_up.tell(self._to_look_up)
        if self._replies:
            self._outbox.replies(self._replies)
        self._to_ledger, self._to_look_up, self._replies = [], [], []

    def _keep(self, ticker: str, works: list[Work]) -> None:
        """The market died under our hands; its ``Stopped`` is on the way or just came, and its successor takes these.

        They wait for it here until it is ready: what an actor is told that then cannot be built is lost.
        """
        slot = self._slots.get(ticker)
        if slot is not None:
            slot.ready = False
        for work in works:
            self._work(ticker, work)

    @property
    def _wired(self) -> Wire:
        if self._wire is None:
            raise RuntimeError("the supervisor was not wired before its first command")
        return self._wire


def _ticker_of(funded: Funded) -> str:
    command = funded.envelope.command
    if not isinstance(command, MarketCommand):
        raise TypeError(f"{command!r} goes to no market")
    return command.ticker


def _exists(ticker: str) -> Rejected:
    return Rejected(code=RejectCode.MARKET_EXISTS, facts={"ticker": ticker})


def _unavailable(ticker: str, reason: str) -> Failure:
    return Failure(FailureKind.UNAVAILABLE, f"{ticker} is down: {reason}")
