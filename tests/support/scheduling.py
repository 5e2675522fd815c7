"""Which test runs where when pytest has several processes: ``-n``, which is pytest-xdist."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.conftest import OTHER_PROCESSES, is_timed


class TimedTestsInTurn(LoadScopeScheduling):  # type: ignore[misc]
    """Tests of venues in processes of their own that say how long things may take run one after another in one worker.

    They are the largest group and so begin first. Beside them run files of longer tests that measure no time, and then
    all other tests, handed out one by one, the long ones first.
    """

    def _split_scope(self, nodeid: str) -> str:
        """Tests of one scope run in the same worker."""
        file = PurePosixPath(nodeid.partition("::")[0])
        if is_timed(file):
            return "timed"
        return str(file) if OTHER_PROCESSES.intersection(file.parts) else nodeid

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """As in the class above, which keeps each scope that is done and counts the tests of all at each test."""
        super().mark_test_complete(node, item_index, duration)
        work = self.assigned_work[node]
        scope = self._split_scope(self.registered_collections[node][item_index])
        if all(work[scope].values()):
            del work[scope]


def longest_first(items: list[pytest.Item]) -> None:
    """In place: what is marked as slow before all else. What begins last then ends soon, and no worker waits long."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
