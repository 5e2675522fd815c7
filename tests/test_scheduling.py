"""How the tests are handed out to several processes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.support.scheduling import TimedTestsInTurn, longest_first

TIMED = [f"tests/faults/test_disk.py::test_{number}" for number in range(3)]
OTHERS = [f"tests/perps/test_units.py::test_{number}" for number in range(40)]


class Worker:
    """One that runs what it gets."""

    shutting_down = False

    def __init__(self) -> None:
        self.waiting: list[int] = []
        self.gateway = SimpleNamespace(id="gw")

    def send_runtest_some(self, indices: list[int]) -> None:
        self.waiting += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def test_each_test_runs_once_those_that_are_timed_in_one_worker_and_what_is_done_is_forgotten() -> None:
    options: Any = SimpleNamespace(tx=["2*popen"], loadscopereorder=True, numprocesses=2, maxprocesses=None)
    config: Any = SimpleNamespace(option=options, getvalue=lambda name: getattr(options, name))
    scheduling = TimedTestsInTurn(config, SimpleNamespace(loadscopesched=lambda *_: None))
    workers = [Worker(), Worker()]
    tests = [*OTHERS, *TIMED]
    for worker in workers:
        scheduling.add_node(worker)
    for worker in workers:
        scheduling.add_node_collection(worker, tests)
    scheduling.schedule()

    ran: dict[int, list[str]] = {0: [], 1: []}
    while any(worker.waiting for worker in workers):
        for number, worker in enumerate(workers):
            if worker.waiting:
                test = worker.waiting.pop(0)
                ran[number].append(tests[test])
                scheduling.mark_test_complete(worker, test)

    assert sorted(ran[0] + ran[1]) == sorted(tests)
    assert ran[0][:3] == TIMED
    assert scheduling.tests_finished
    assert not any(scheduling.assigned_work.values())


def test_the_slow_ones_come_first_and_all_else_keeps_its_order() -> None:
    def item(name: str, *marks: str) -> Any:
        return SimpleNamespace(name=name, get_closest_marker=lambda mark: mark if mark in marks else None)

    items = [item("a"), item("b", "slow"), item("c", "timeout"), item("d", "timeout", "slow")]
    longest_first(items)

    assert [one.name for one in items] == ["b", "d", "a", "c"]
