"""The core: all actors of one shard, started by recovery and stopped in order."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pykka
import structlog

from actors.answers import Answers
from actors.base import tell
from actors.journal_actor import JournalActor
from actors.ledger_actor import LedgerActor
from actors.look_up_actor import LookUpActor
from actors.messages import Ref, Wire
from actors.ports import Clock, History, Journal, Outbox
from actors.supervisor import StartMarket, Supervisor
from perps.journal import Entry, JournalUnavailable
from perps.market import Market
from perps.venue import VenueState, replay_market

log = structlog.get_logger()

STOP_TIMEOUT_S = 30.0

RELOAD_PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Between attempts to read a dead market's rows back, in its successor's own thread."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """A venue's state and its answered client ids, as of the last durable row."""

    state: VenueState
    answers: Answers


def recover(history: History, on_entry: Callable[[Entry], object]) -> Recovered:
    """Rebuild everything from the journal: what every start is.

    ``on_entry`` sees each row after it has been checked and applied. A snapshot, once there are any, becomes the
    state to begin from here. Raises ``JournalCorrupt`` at the first row that cannot be what was written.
    """
    state, answers = VenueState(), Answers()
    for row in history.rows(state.offset):
        entry = state.apply(row)
        if row.user_id is not None and row.client_order_id is not None and row.fingerprint is not None:
            answers.done(row.user_id, row.client_order_id, row.fingerprint, row.offset)
        on_entry(entry)
    return Recovered(state, answers)


class Core:
    """The running actors. ``supervisor`` takes lists of envelopes; everything comes back by the outbox."""

    def __init__(
        self, recovered: Recovered, journal: Journal, history: History, *, clock: Clock, outbox: Outbox
    ) -> None:
        state = recovered.state
        self.journal_ref: Ref = JournalActor.start(journal, clock=clock, outbox=outbox)
        self.look_up_ref: Ref = LookUpActor.start(history, outbox=outbox)
        self.ledger_ref: Ref = LedgerActor.start(
            state.ledger,
            offset=state.offset,
            last_hash=state.last_hash,
            epoch=journal.epoch,
            taker_fees={ticker: market.params.taker_fee for ticker, market in state.markets.items()},
            clock=clock,
            outbox=outbox,
        )

        def load_market(ticker: str) -> Callable[[], Market]:
            return lambda: _reload(history, ticker)

        self.supervisor: Ref = Supervisor.start(recovered.answers, load_market, clock=clock, outbox=outbox)
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
        for ref in (self.supervisor, self.ledger_ref, self.journal_ref, self.look_up_ref):
            try:
                ref.stop(timeout=STOP_TIMEOUT_S)
            except pykka.Timeout:
                log.error("actor.stop_timed_out", actor=ref.actor_class.__name__)


def _reload(history: History, ticker: str) -> Market:
    """A market from its rows, however often the store does not answer at first. Raises ``JournalCorrupt``."""
    for pause_s in RELOAD_PAUSES_S:
        try:
            return replay_market(history.rows_of(ticker))
        except JournalUnavailable as error:
            log.warning("market.cannot_reload_yet", ticker=ticker, error=str(error), retry_in_s=pause_s)
            time.sleep(pause_s)
    return replay_market(history.rows_of(ticker))


def _hand_over(market: Market) -> Callable[[], Market]:
    return lambda: market
