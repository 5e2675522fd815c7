"""Whether the stored snapshots are whole, and of the state that the rows lead to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perps.journal import Row
from perps.snapshot import Snapshot, SnapshotBroken, state_hash
from perps.verification import Findings, Walker


class SnapshotCheck:
    """Is shown each row behind the walker; checks a snapshot when its row has been passed."""

    def __init__(self, findings: Findings, offsets: Sequence[int], read: Callable[[int], bytes]) -> None:
        self.offsets = offsets
        self._waiting = set(offsets)
        self._findings = findings
        self._read = read

    def pass_row(self, row: Row, walker: Walker) -> None:
        """``walker`` has taken this row."""
        if row.offset not in self._waiting:
            return
        self._waiting.discard(row.offset)
        try:
            snapshot = Snapshot.decode(self._read(row.offset))
            snapshot.state()
        except SnapshotBroken as broken:
            self._findings.add(f"the snapshot of this row cannot be used: {broken}", row.offset)
            return
        if snapshot.offset != row.offset:
            self._findings.add(f"the snapshot of this row is of row {snapshot.offset}", row.offset)
        elif snapshot.last_hash != row.hash:
            self._findings.add("the snapshot of this row was taken of a row with another hash", row.offset)
        elif walker.is_sound and snapshot.state_hash != state_hash(walker.state):
            self._findings.add("the snapshot of this row holds another state than the rows lead to", row.offset)
