"""The journal actor: rows become true here, and only then does anything leave."""

from __future__ import annotations

from typing import Any

from actors.base import FailStopActor, tell
from actors.limits import EVENTS_PER_COMMIT_MAX, ROWS_PER_COMMIT_MAX
from actors.messages import Committed, ImageTaken, Probe, Proceed, Refused, Sequenced, Settled, Stages, Stopped, Wire
from actors.ports import Clock, Journal, Outbox
from actors.vitals import Pulse
from perps.commands import ListMarket


class JournalActor(FailStopActor):
    """Group commit, *commit while collecting*: take all that is queued (bounded), commit, repeat. Never a timer.

    After each commit, in this order: the ledger may spend the credits, the outbox publishes and answers, the
    supervisor remembers the answers. (It hears of listings first: who is told of a market may use it at once.)

    Any error from the store kills this actor, and the core is rebuilt from what the store says then. An unknown outcome
    is found out that way; a row that was refused came from a memory that is wrong.
    """

    def __init__(self, journal: Journal, *, clock: Clock, outbox: Outbox, pulse: Pulse | None = None) -> None:
        super().__init__(pulse=pulse)
        self._journal, self._clock, self._outbox = journal, clock, outbox
        self._wire: Wire | None = None

    def handle(self, batch: list[Any]) -> None:
        """Commit the rows of ``batch``. All else that is in it goes on when the rows before it are durable."""
        rows: list[Sequenced] = []
        events = 0
        behind: list[Refused | Proceed | Stopped] = []
        images: list[ImageTaken] = []
        probe = False
        for message in batch:
            match message:
                case Sequenced():
                    rows.append(message)
                    events += len(message.entry.events)
                    if len(rows) >= ROWS_PER_COMMIT_MAX or events >= EVENTS_PER_COMMIT_MAX:
                        self._commit(rows)
                        rows, events = [], 0
                case Refused() | Proceed() | Stopped():
                    behind.append(message)
                case ImageTaken():
                    images.append(message)
                case Probe():
                    probe = True
                case Wire():
                    self._wire = message
                case _:
                    raise TypeError(f"the journal does not take {message!r}")
        self._commit(rows)
        if behind:
            tell(self._wired.supervisor, behind)
        for image in images:
            self._outbox.image(image)
        if probe and not rows:
            self.pulse.doing = "asking whether its database is there"
            self._journal.probe()

    def on_stop(self) -> None:
        """Everything queued before the stop is durable by now: give the shard back."""
        self._journal.close()

    def on_death(self, reason: str, queued: list[Any]) -> None:
        """What was in the batch is in doubt; what was queued is not durable. Recovery finds out."""
        try:
            self._journal.close()
        finally:
            self._outbox.core_failed(f"the journal died: {reason}")

    def _commit(self, rows: list[Sequenced]) -> None:
        if not rows:
            return
        self.pulse.step()
        self.pulse.doing = "committing"
        self._journal.append([row.entry for row in rows])
        now_ns = self._clock.monotonic_ns()
        settled = [
            Settled(
                row.entry,
                row.token,
                row.trace_id,
                Stages(row.held_ns, row.decided_ns, row.sequenced_ns, now_ns),
                row.liquidations,
                row.goes_on,
            )
            for row in rows
        ]
        tell(self._wired.ledger, Committed(rows[-1].entry.row.offset))
        listings = [row for row in settled if row.entry.row.kind == ListMarket.kind]
        if listings:
            tell(self._wired.supervisor, listings)
        self._outbox.settled(settled)
        tell(self._wired.supervisor, settled)

    @property
    def _wired(self) -> Wire:
        if self._wire is None:
            raise RuntimeError("the journal was not wired before its first row")
        return self._wire
