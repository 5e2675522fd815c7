"""Checks the stored snapshots: each is whole, and has the state and the views that the rows lead to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perps.journal import Entry, Row
from perps.snapshot.format import Snapshot, SnapshotBroken, state_hash
from perps.snapshot.verification import Findings, Walker
from tools.audit.views import first_difference
from web.readside.checks import views_flaw
from web.readside.image import decode_views, views_of
from web.readside.model import ReadModel


class SnapshotCheck:
    """Follows the walker row by row, and checks each snapshot when its row has been applied."""

    def __init__(self, findings: Findings, offsets: Sequence[int], read: Callable[[int], bytes]) -> None:
        self.offsets = offsets
        self._waiting = set(offsets)
        self._findings = findings
        self._read = read
        self._model = ReadModel(rows_kept=0)
        """What the rows lead to on the read side. It stops after the last snapshot."""

    def pass_row(self, row: Row, entry: Entry | None, walker: Walker) -> None:
        """The walker has applied this row. ``entry`` is its meaning; None when the state is no longer sound."""
        if not self._waiting:
            return
        if entry is not None:
            self._model.apply(entry)
        if row.offset not in self._waiting:
            return
        self._waiting.discard(row.offset)
        problem = self._problem(row, walker)
        if problem:
            self._findings.add(problem, row.offset)

    def _problem(self, row: Row, walker: Walker) -> str | None:
        try:
            snapshot = Snapshot.decode(self._read(row.offset))
            state, views = snapshot.state(), decode_views(snapshot)
        except SnapshotBroken as broken:
            return f"the snapshot of this row cannot be used: {broken}"
        if snapshot.offset != row.offset:
            return f"the snapshot stored for this row is of row {snapshot.offset}"
        if snapshot.last_hash != row.hash:
            return "the snapshot of this row was taken when the row had another hash"
        if snapshot.epoch != row.epoch:
            return f"the snapshot of this row has epoch {snapshot.epoch}, but the row has epoch {row.epoch}"
        if walker.is_sound and snapshot.hash_of_state() != state_hash(walker.state):
            return "the snapshot of this row has another state than the rows lead to"
        difference = first_difference(views, views_of(self._model)) if walker.is_sound else views_flaw(views, state)
        return f"the views in the snapshot of this row: {difference}" if difference else None
