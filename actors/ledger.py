"""The ledger actor: sole owner of every account, and of the one order of all rows."""

from __future__ import annotations

from typing import Any

from actors.base import FailStopActor, tell
from actors.limits import EVENTS_PER_COMMIT_MAX
from actors.messages import (
    NO_TOKEN,
    Committed,
    Decided,
    Envelope,
    Failure,
    FailureKind,
    Funded,
    ImageTaken,
    Ref,
    Refused,
    Route,
    Sequenced,
    Stopped,
    TakeImage,
    Token,
    Wire,
    Work,
)
from actors.ports import Clock, Outbox
from actors.vitals import Pulse
from perps.commands import CreateUser, Deposit, LedgerCommand, ListMarket, OpenPosition, Withdraw
from perps.events import LedgerEvent, MarketListed, encode_events, subject_of, transfers_of
from perps.journal import LEDGER_STREAM, SCHEMA_VERSION, Entry, make_row
from perps.money.funds import PLEDGED, Funds
from perps.money.ledger import Ledger, Leg
from perps.refusals import InvariantViolated, RejectCode, Rejected
from perps.rules.trading import hold_bound
from perps.rules.users import check_deposit, decide_ledger
from perps.units import Micros, Ppb

KINDS: dict[type, str] = {CreateUser: "user", Deposit: "deposit", Withdraw: "withdraw"}


class LedgerActor(FailStopActor):
    """Holds money before a market sees a command, and gives each row its offset, its hash and its posted money after.

    Rows leave for the journal with the balances they lead to already checked: no wallet below 0, Σ = 0, and each
    market's accounts as the market says. Credits become spendable when the journal says ``Committed``.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        offset: int,
        last_hash: bytes,
        epoch: int,
        taker_fees: dict[str, Ppb],
        clock: Clock,
        outbox: Outbox,
        pulse: Pulse | None = None,
    ) -> None:
        super().__init__(pulse=pulse)
        self._ledger, self._funds = ledger, Funds(ledger)
        self._offset, self._last_hash, self._epoch = offset, last_hash, epoch
        self._taker_fees = taker_fees
        self._clock, self._outbox = clock, outbox
        self._markets: dict[str, Ref] = {}
        self._wire: Wire | None = None
        self._rows: list[Sequenced | Refused | ImageTaken | Stopped] = []
        """What goes to the journal, in order. A refusal goes behind the rows it rests on: it leaves when they are
        durable."""
        self._events = 0
        """In those rows."""
        self._funded: dict[str, list[Work]] = {}

    def handle(self, batch: list[Any]) -> None:
        """Take each message in order; one ``tell`` to each neighbour for all that came of them.

        The rows of a crash go in pieces: the first are made durable while the last get their place.
        """
        now_ns = self._clock.monotonic_ns()
        for message in batch:
            match message:
                case Decided():
                    self._sequence(message, now_ns)
                    if self._events >= EVENTS_PER_COMMIT_MAX:
                        self._flush()
                        self.pulse.step()
                case Envelope():
                    self._begin(message, now_ns)
                case Committed(offset=offset):
                    self._funds.committed(offset)
                case Refused():
                    self._void(message)
                case ImageTaken():
                    self._rows.append(message)
                case TakeImage(token=token):
                    self._take_image(token)
                case Stopped(stream=stream):
                    if stream in self._markets and not self._markets[stream].is_alive():
                        del self._markets[stream]
                    self._rows.append(message)
                case Route(stream=stream, market=market):
                    if market is None:
                        self._markets.pop(stream, None)
                    else:
                        self._markets[stream] = market
                case Wire():
                    self._wire = message
                case _:
                    raise TypeError(f"the ledger does not take {message!r}")
        self._flush()

    def on_death(self, reason: str, queued: list[Any]) -> None:
        """Nothing can be trusted without the ledger: the whole core is rebuilt from the journal."""
        self._outbox.core_failed(f"the ledger died: {reason}")

    def _begin(self, envelope: Envelope, now_ns: int) -> None:
        command = envelope.command
        if self._clock.now_ms() > envelope.deadline_ms:
            self._refuse(envelope, Failure(FailureKind.OVERLOADED, "the command waited past its deadline"))
        elif isinstance(command, OpenPosition):
            self._hold(envelope, command, now_ns)
        elif isinstance(command, ListMarket):
            self._pledge(envelope, command, now_ns)
        elif isinstance(command, CreateUser | Deposit | Withdraw):
            self._decide(envelope, command, now_ns)
        else:
            raise TypeError(f"the ledger does not decide {command!r}")

    def _hold(self, envelope: Envelope, command: OpenPosition, now_ns: int) -> None:
        """Set aside what the open can cost, or all there is: the market refuses it if that falls short.

        The market decides so that the refusal reported is the first in precedence, and exact.
        """
        if command.user not in self._ledger.referrers:
            self._refuse(envelope, Rejected(code=RejectCode.USER_NOT_FOUND, facts={"user": command.user}))
            return
        bound = hold_bound(command.size, command.leverage, self._taker_fees[command.ticker])
        held = Micros(min(bound, self._funds.free(command.user)))
        self._funds.hold(command.user, held)
        funded = Funded(envelope, command.user, held, self._ledger.referrers[command.user], now_ns)
        self._funded.setdefault(command.ticker, []).append(funded)

    def _pledge(self, envelope: Envelope, command: ListMarket, now_ns: int) -> None:
        """A listing brings the house's deposit in from outside: hold it against the limit of all deposits."""
        deposit = command.params.house_deposit
        refused = check_deposit(self._ledger, deposit, pledged=self._funds.held(PLEDGED))
        if refused:
            self._refuse(envelope, refused)
            return
        self._funds.hold(PLEDGED, deposit)
        funded = Funded(envelope, PLEDGED, deposit, None, now_ns)
        self._funded.setdefault(command.ticker, []).append(funded)

    def _decide(self, envelope: Envelope, command: LedgerCommand, now_ns: int) -> None:
        outcome = decide_ledger(self._ledger, self._funds, command, envelope.now_ms)
        if isinstance(outcome, Rejected):
            self._refuse(envelope, outcome)
            return
        self._apply(outcome)
        kind = KINDS[type(command)]
        seq = self._ledger.seq
        self._sequence(
            Decided(envelope, LEDGER_STREAM, seq, kind, envelope.now_ms, (outcome,), None, 0, now_ns), now_ns
        )

    def _apply(self, event: LedgerEvent) -> None:
        self._ledger.apply(event)
        self._ledger.seq += 1

    def _sequence(self, decided: Decided, now_ns: int) -> None:
        """Give a row its place: offset, posted money, hash. What breaks an invariant here never becomes durable."""
        work = decided.work
        envelope = work.envelope if isinstance(work, Funded) else work
        if isinstance(work, Funded):
            self._funds.release(work.user, work.held)
        self._offset += 1
        legs: list[Leg] = []
        for event in decided.events:
            transfers = transfers_of(event)
            if transfers:
                legs.extend(self._ledger.post(transfers))
                self._funds.await_commit(self._offset, transfers)
            if isinstance(event, MarketListed):
                self._taker_fees[event.params.ticker] = event.params.taker_fee
        if decided.sums is not None:
            problem = self._ledger.disagreement(decided.sums)
            if problem:
                raise InvariantViolated(f"row {self._offset} ({decided.kind}): {problem}")
        subject = subject_of(decided.events[0])
        row = make_row(
            self._last_hash,
            self._offset,
            self._epoch,
            decided.stream,
            decided.market_seq,
            decided.at,
            decided.kind,
            SCHEMA_VERSION,
            envelope.sender if envelope else None,
            envelope.client_order_id if envelope else None,
            envelope.fingerprint if envelope and envelope.client_order_id is not None else None,
            encode_events(decided.events),
            self._ledger.wallet(subject) if subject else None,
        )
        self._last_hash = row.hash
        self._events += len(decided.events)
        self._rows.append(
            Sequenced(
                Entry(row, decided.events, tuple(legs)),
                envelope.token if envelope else NO_TOKEN,
                envelope.trace_id if envelope else "",
                work.held_ns if isinstance(work, Funded) else 0,
                decided.decided_ns,
                now_ns,
                decided.liquidations,
            )
        )

    def _take_image(self, token: Token) -> None:
        """The ledger's own, and a request to every market that is up: one that is down at this moment is left out."""
        asked = sum(tell(market, TakeImage(token)) for market in self._markets.values())
        self._rows.append(ImageTaken(token, self._ledger.image(self._offset), of=1 + asked))

    def _refuse(self, envelope: Envelope, outcome: Rejected | Failure) -> None:
        self._rows.append(Refused(envelope, outcome))

    def _void(self, refused: Refused) -> None:
        work = refused.work
        if isinstance(work, Funded):
            self._funds.release(work.user, work.held)
        self._rows.append(refused)

    def _flush(self) -> None:
        wire = self._wire
        if wire is None:
            return
        for ticker, works in self._funded.items():
            market = self._markets.get(ticker)
            if market is None or not tell(market, works):
                tell(wire.supervisor, works)
        if self._rows:
            tell(wire.journal, self._rows)
        self._funded, self._rows, self._events = {}, [], 0
