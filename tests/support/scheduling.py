"""Which test runs where when pytest has several processes: ``-n``, which is pytest-xdist."""

from __future__ import annotations

from pathlib import PurePosixPath

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.conftest import OTHER_PROCESSES, is_timed


class TimedTestsInTurn(LoadScopeScheduling):  # type: ignore[misc]
    """Tests of venues in processes of their own that say how long things may take run one after another in one worker.

    They are the largest group and so begin first. Beside them run files of longer tests that measure no time, and then
    all other tests, handed out one by one.
    """

    def _split_scope(self, nodeid: str) -> str:
        """Tests of one scope run in the same worker."""
        file = PurePosixPath(nodeid.partition("::")[0])
        if is_timed(file):
            return "timed"
        return str(file) if OTHER_PROCESSES.intersection(file.parts) else nodeid
