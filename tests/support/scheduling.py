"""Which test runs where when pytest has several processes: ``-n``, which is pytest-xdist."""

from __future__ import annotations

from pathlib import PurePosixPath

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.conftest import is_timed


class TimedTestsInTurn(LoadScopeScheduling):  # type: ignore[misc]
    """Tests of venues in processes of their own that say how long things may take run one after another in one worker.

    They are the largest group and so begin first. All other tests are handed out one by one, and run beside them.
    """

    def _split_scope(self, nodeid: str) -> str:
        """Tests of one scope run in the same worker."""
        return "timed" if is_timed(PurePosixPath(nodeid.partition("::")[0])) else nodeid
