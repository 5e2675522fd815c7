"""The journal actor: rows become true here, and only then does anything leave."""

from __future__ import annotations

from typing import Any

from actors.base import FailStopActor
from actors.limits import ROWS_PER_COMMIT_MAX
from actors.messages import Committed, Sequenced, Settled, Stages, Stopped, Wire
from actors.ports import Clock, Journal, Outbox


class JournalActor(FailStopActor):
    """Group commit, *commit while collecting*: take all that is queued (bounded), commit, repeat. Never a timer.

    After each commit, in this order: the ledger may spend the credits, the outbox publishes and answers, the
    supervisor remembers the answers. An error from the store kills this actor: the outcome is unknown, the core is
    rebuilt from what the store says then.
    """

    def __init__(self, journal: Journal, *, clock: Clock, outbox: Outbox) -> None:
        super().__init__()
        self._journal, self._clock, self._outbox = journal, clock, outbox
        self._wire: Wire | None = None

    def handle(self, batch: list[Any]) -> None:
        """Commit the rows of ``batch``; a ``Stopped`` goes on when the rows before it are durable."""
        rows: list[Sequenced] = []
        for message in batch:
            match message:
                case Sequenced():
                    rows.append(message)
                    if len(rows) == ROWS_PER_COMMIT_MAX:
                        self._commit(rows)
                        rows = []
                case Stopped():
                    self._commit(rows)
                    rows = []
                    self._wired.supervisor.tell(message)
                case Wire():
                    self._wire = message
                case _:
                    raise TypeError(f"the journal does not take {message!r}")
        self._commit(rows)

    def on_stop(self) -> None:
        """Everything queued before the stop is durable by now: give the shard back."""
        self._journal.close()

    def on_death(self, reason: str, queued: list[Any]) -> None:
        """What was in the batch is in doubt; what was queued is not durable. Recovery finds out."""
        self._journal.close()
        self._outbox.core_failed(f"the journal died: {reason}")

    def _commit(self, rows: list[Sequenced]) -> None:
        if not rows:
            return
        self._journal.append([row.entry for row in rows])
        now_ns = self._clock.monotonic_ns()
        settled = [
            Settled(
                row.entry,
                row.token,
                row.trace_id,
                Stages(row.held_ns, row.decided_ns, row.sequenced_ns, now_ns),
                row.liquidations,
            )
            for row in rows
        ]
        self._wired.ledger.tell(Committed(rows[-1].entry.row.offset))
        self._outbox.settled(settled)
        self._wired.supervisor.tell(settled)

    @property
    def _wired(self) -> Wire:
        if self._wire is None:
            raise RuntimeError("the journal was not wired before its first row")
        return self._wire
