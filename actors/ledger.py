"""The ledger actor: sole owner of every account, and of the one order of all rows."""

from __future__ import annotations

from typing import Any

from actors.base import FailStopActor, tell
from actors.limits import EVENTS_PER_COMMIT_MAX
from actors.messages import (
    NO_TOKEN,
    Address,
    Committed,
    Decided,
    Envelope,
    Failure,
    FailureKind,
    Funded,
    ImageTaken,
    Proceed,
    Ref,
    Refused,
    Sequenced,
    Stopped,
    TakeImage,
    Token,
    Wire,
    Work,
)
from actors.ports import Clock, Outbox
from actors.vitals import Pulse
from perps.commands import FundedCommand, LedgerCommand
from perps.refusals import Rejected
from perps.sequencer import NOTHING_HELD, LedgerSide, Origin


class LedgerActor(FailStopActor):
    """Holds money before a market sees a command, and gives each row its offset, its hash and its posted money after.

    The rules are ``LedgerSide``'s; this is its mailbox. Credits become spendable when the journal says ``Committed``.
    """

    def __init__(self, side: LedgerSide, *, clock: Clock, outbox: Outbox, pulse: Pulse | None = None) -> None:
        super().__init__(pulse=pulse)
        self._side, self._clock, self._outbox = side, clock, outbox
        self._markets: dict[str, Ref] = {}
        self._wire: Wire | None = None
        self._rows: list[Sequenced | Refused | ImageTaken | Proceed | Stopped] = []
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
                    self._place(message, now_ns)
                    if self._events >= EVENTS_PER_COMMIT_MAX:
                        self._flush()
                        self.pulse.step()
                case Envelope():
                    self._begin(message, now_ns)
                case Committed(offset=offset):
                    self._side.committed(offset)
                case Refused():
                    self._void(message)
                case ImageTaken() | Proceed():
                    self._rows.append(message)
                case TakeImage(token=token):
                    self._take_image(token)
                case Stopped(stream=stream):
                    if stream in self._markets and not self._markets[stream].is_alive():
                        del self._markets[stream]
                    self._rows.append(message)
                case Address(stream=stream, market=market):
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
        """Decide a command of the ledger's own, or set aside what another one can take and send it to its market."""
        command = envelope.command
        if self._clock.now_ms() > envelope.deadline_ms:
            self._refuse(envelope, Failure(FailureKind.OVERLOADED, "the command waited past its deadline"))
        elif isinstance(command, FundedCommand):
            held = self._side.set_aside(command)
            if isinstance(held, Rejected):
                self._refuse(envelope, held)
            else:
                self._funded.setdefault(command.ticker, []).append(Funded(envelope, held, now_ns))
        elif isinstance(command, LedgerCommand):
            self._decide(envelope, command, now_ns)
        else:
            raise TypeError(f"the ledger does not decide {command!r}")

    def _decide(self, envelope: Envelope, command: LedgerCommand, now_ns: int) -> None:
        outcome = self._side.decide(command, envelope.now_ms)
        if isinstance(outcome, Rejected):
            self._refuse(envelope, outcome)
        else:
            self._place(Decided(envelope, outcome, now_ns), now_ns)

    def _place(self, decided: Decided, now_ns: int) -> None:
        """Give a row its place. What breaks an invariant there never becomes durable: this actor dies of it."""
        work, decision = decided.work, decided.decision
        held, held_ns = (work.held, work.held_ns) if isinstance(work, Funded) else (NOTHING_HELD, 0)
        envelope = work.envelope if isinstance(work, Funded) else work
        origin = Origin(envelope.sender, envelope.client_order_id, envelope.fingerprint) if envelope else None
        entry = self._side.place(decision, origin, held)
        self._events += len(decision.events)
        self._rows.append(
            Sequenced(
                entry,
                envelope.token if envelope else NO_TOKEN,
                envelope.trace_id if envelope else "",
                held_ns,
                decided.decided_ns,
                now_ns,
                decision.liquidations,
                decision.goes_on,
            )
        )

    def _take_image(self, token: Token) -> None:
        """The ledger's own, and a request to every market that is up: one that is down at this moment is left out."""
        asked = sum(tell(market, TakeImage(token)) for market in self._markets.values())
        self._rows.append(ImageTaken(token, self._side.ledger.image(self._side.offset), of=1 + asked))

    def _refuse(self, envelope: Envelope, outcome: Rejected | Failure) -> None:
        self._rows.append(Refused(envelope, outcome))

    def _void(self, refused: Refused) -> None:
        if isinstance(refused.work, Funded):
            self._side.void(refused.work.held)
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
