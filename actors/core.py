"""The core: all actors of one shard, started by recovery and stopped in order."""

from __future__ import annotations

from collections.abc import Callable

import pykka
import structlog

from actors.base import tell
from actors.journal_actor import JournalActor
from actors.ledger_actor import LedgerActor
from actors.look_up_actor import LookUpActor
from actors.messages import Probe, Ref, Wire
from actors.ports import Clock, History, Journal, Outbox
from actors.recovery import Recovered, reload_market
from actors.supervisor import StartMarket, Supervisor
from actors.vitals import Vitals
from perps.market import Market

log = structlog.get_logger()

STOP_TIMEOUT_S = 30.0


class Core:
    """The running actors. ``supervisor`` takes lists of envelopes; everything comes back by the outbox."""

    def __init__(
        self,
        recovered: Recovered,
        journal: Journal,
        history: History,
        *,
        clock: Clock,
        outbox: Outbox,
        vitals: Vitals | None = None,
    ) -> None:
        state = recovered.state
        self.vitals = vitals = vitals or Vitals(outbox.core_failed)
        """Whether all of them are there and get on."""
        pulse = vitals.pulse("journal")
        journal_ref: Ref = JournalActor.start(journal, clock=clock, outbox=outbox, pulse=pulse)
        pulse.on_idle = lambda: tell(journal_ref, Probe())
        self.journal_ref = journal_ref
        self.look_up_ref: Ref = LookUpActor.start(history, outbox=outbox, pulse=vitals.pulse("look-up"))
        self.ledger_ref: Ref = LedgerActor.start(
            state.ledger,
            offset=state.offset,
            last_hash=state.last_hash,
            epoch=journal.epoch,
            taker_fees={ticker: market.params.taker_fee for ticker, market in state.markets.items()},
            clock=clock,
            outbox=outbox,
            pulse=vitals.pulse("ledger"),
        )

        def load_market(ticker: str) -> Callable[[], Market]:
            return lambda: reload_market(history, ticker)

        self.supervisor: Ref = Supervisor.start(
            recovered.answers,
            load_market,
            clock=clock,
            outbox=outbox,
            vitals=vitals,
            pulse=vitals.pulse("supervisor"),
        )
        wire = Wire(self.ledger_ref, self.journal_ref, self.supervisor, self.look_up_ref)
        for ref in (self.journal_ref, self.look_up_ref, self.ledger_ref, self.supervisor):
            tell(ref, wire)
        for ticker, market in state.markets.items():
            tell(self.supervisor, StartMarket(ticker, _hand_over(market)))

    def stop(self) -> None:
        """Stop in the order of the work: nothing new, then decide, post and commit what is there. Blocking.

        The supervisor stops its markets with it. After this everything that was decided is durable and published
        (if the core was alive), and the shard is given back.
        """
        self.vitals.expect_stops()
        for ref in (self.supervisor, self.ledger_ref, self.journal_ref, self.look_up_ref):
            try:
                ref.stop(timeout=STOP_TIMEOUT_S)
            except pykka.Timeout:
                log.error("actor.stop_timed_out", actor=ref.actor_class.__name__)


def _hand_over(market: Market) -> Callable[[], Market]:
    return lambda: market
