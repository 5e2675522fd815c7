"""The core: all actors of one shard, started by recovery and stopped in order."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Final

import pykka
import structlog

from actors.base import tell
from actors.clock import VenueClock
from actors.journal import JournalActor
from actors.ledger import LedgerActor
from actors.look_up import LookUpActor
from actors.messages import Probe, Ref, Wire
from actors.ports import History, Journal, Outbox, RowClock
from actors.recovery import OnSnapshot, Recovered, reload_market
from actors.supervisor import StartMarket, Supervisor
from actors.timer import TimerActor
from actors.vitals import Pulse, Vitals
from perps.market.state import Market
from perps.sequencer import LedgerSide

log = structlog.get_logger()

STOP_LOOK_S: Final = 0.25
STOP_LOOKS_MAX: Final = 120
"""How often, every ``STOP_LOOK_S``, to look whether an actor has stopped: for half a minute."""

LOOK_UP_LOOKS_MAX: Final = 1
"""The same for the look-up, which owns nothing: one that waits for its database ends by itself, later."""


class Core:
    """The running actors. ``supervisor`` takes lists of envelopes; everything comes back by the outbox."""

    def __init__(
        self,
        recovered: Recovered,
        journal: Journal,
        history: History,
        *,
        clock: RowClock,
        outbox: Outbox,
        vitals: Vitals | None = None,
        on_snapshot: OnSnapshot | None = None,
        timer: VenueClock | None = None,
    ) -> None:
        """``on_snapshot`` may find a snapshot broken that a market would be rebuilt from, as in ``recovery.begin``.

        ``timer``: the clock by which markets look for what is due; without it somebody else sends ``Tick``.
        """
        state = recovered.state
        self.vitals = vitals = vitals or Vitals(outbox.core_failed)
        """Whether all of them are there and get on."""
        self._stopping = Event()
        self._pulses = {part: vitals.pulse(part) for part in ("supervisor", "ledger", "journal", "look-up", "timer")}
        pulse = self._pulses["journal"]
        journal_ref: Ref = JournalActor.start(journal, clock=clock, outbox=outbox, pulse=pulse)
        pulse.on_idle = lambda: tell(journal_ref, Probe())
        self.journal_ref = journal_ref
        self.look_up_ref: Ref = LookUpActor.start(history, outbox=outbox, pulse=self._pulses["look-up"])
        self.ledger_ref: Ref = LedgerActor.start(
            LedgerSide.of(state, journal.epoch),
            clock=clock,
            outbox=outbox,
            pulse=self._pulses["ledger"],
        )

        def load_market(ticker: str) -> Callable[[], Market]:
            return lambda: reload_market(history, ticker, self._stopping.wait, on_snapshot)

        self.supervisor: Ref = Supervisor.start(
            recovered.answers,
            load_market,
            clock=clock,
            outbox=outbox,
            vitals=vitals,
            pulse=self._pulses["supervisor"],
        )
        self.timer_ref: Ref | None = None
        if timer is not None:
            self.timer_ref = TimerActor.start(timer, outbox=outbox, pulse=self._pulses["timer"])
        wire = Wire(self.ledger_ref, self.journal_ref, self.supervisor, self.look_up_ref)
        for ref in self._refs().values():
            tell(ref, wire)
        for ticker, market in state.markets.items():
            tell(self.supervisor, StartMarket(ticker, _hand_over(market)))

    def stop(self) -> None:
        """Stop in the order of the work: nothing new, then decide, post and commit what is there. Blocking.

        The supervisor stops its markets with it. After this everything that was decided is durable and published
        (if the core was alive), and the shard is given back. What only reads is not waited for.
        """
        self.vitals.expect_stops()
        self._stopping.set()
        for part, ref in self._refs().items():
            looks_max = LOOK_UP_LOOKS_MAX if part == "look-up" else STOP_LOOKS_MAX
            if has_stopped(ref.stop(block=False), self._pulses[part], looks_max):
                continue
            if part == "look-up":
                log.warning("look_up.left_behind")
            else:
                log.error("actor.stop_timed_out", actor=part)

    def _refs(self) -> dict[str, Ref]:
        """Every actor but the markets, in the order in which they stop."""
        refs = {
            "timer": self.timer_ref,
            "supervisor": self.supervisor,
            "ledger": self.ledger_ref,
            "journal": self.journal_ref,
            "look-up": self.look_up_ref,
        }
        return {part: ref for part, ref in refs.items() if ref is not None}


def has_stopped(answer: pykka.Future[bool], pulse: Pulse, looks_max: int = STOP_LOOKS_MAX) -> bool:
    """Wait for an actor that was asked to stop. An actor that was just dying never answers: its end will do too."""
    for _ in range(looks_max):
        try:
            answer.get(timeout=STOP_LOOK_S)
        except pykka.Timeout:
            if pulse.over:
                return True
        else:
            return True
    return False


def _hand_over(market: Market) -> Callable[[], Market]:
    return lambda: market
