"""All threads on one processor, chosen again and again; what they start runs where it likes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from web.process import affinity as processor

pytestmark = pytest.mark.skipif(not processor.IS_POSSIBLE, reason="this system does not let a program choose")

ASK = "import os; print(sorted(os.sched_getaffinity(0)), os.sched_getscheduler(0))"
WHERE_IT_BEGAN = f"{sorted(processor.ALLOWED)} {processor.USUAL}"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    processor.spread()


@pytest.fixture
def busy_elsewhere() -> Iterator[threading.Thread]:
    """A thread of this process that is neither the test's nor about to end."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait, args=(60,))
    thread.start()
    yield thread
    end.set()
    thread.join()


def places(thread: int = 0) -> tuple[frozenset[int], int]:
    """Where a thread may run, and by which policy."""
    return frozenset(os.sched_getaffinity(thread)), os.sched_getscheduler(thread)


def in_a_thread() -> tuple[frozenset[int], int]:
    """The places of a thread that the caller starts."""
    found: list[tuple[frozenset[int], int]] = []
    thread = threading.Thread(target=lambda: found.append(places()))
    thread.start()
    thread.join()
    return found[0]


def told_by_a_program() -> str:
    """The places of a program that the caller starts."""
    return subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True).stdout.strip()


def test_all_threads_come_to_one_processor_and_new_ones_stay_there(busy_elsewhere: threading.Thread) -> None:
    processor.gather()

    here, policy = places()
    assert len(here) == 1
    assert here <= processor.ALLOWED
    assert policy == os.SCHED_BATCH
    assert places(busy_elsewhere.native_id or 0) == (here, policy)
    assert in_a_thread() == (here, policy)


def test_spread_threads_run_where_the_process_began(busy_elsewhere: threading.Thread) -> None:
    processor.gather()

    processor.spread()

    assert places() == (processor.ALLOWED, processor.USUAL)
    assert places(busy_elsewhere.native_id or 0) == (processor.ALLOWED, processor.USUAL)


def test_what_is_started_elsewhere_runs_where_the_process_began() -> None:
    processor.gather()
    before = places()

    with processor.elsewhere():
        program, thread = told_by_a_program(), in_a_thread()

    assert program == WHERE_IT_BEGAN
    assert thread == (processor.ALLOWED, processor.USUAL)
    assert places() == before


def test_a_thread_that_is_starting_something_is_not_brought_back_meanwhile() -> None:
    processor.gather()

    with processor.elsewhere():
        processor.gather()
        program = told_by_a_program()

    assert program == WHERE_IT_BEGAN


async def test_threads_come_together_once_the_machine_has_time_to_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    done = list[str]()
    idle = iter((0.5, 0.1, 0.1, 0.5))
    ended = asyncio.Event()

    async def idle_during(_: float) -> float:
        left = next(idle, None)
        if left is None:
            ended.set()
            await asyncio.Event().wait()
        done.append(f"idle {left}")
        return left or 0.0

    monkeypatch.setattr(processor, "_idle_during", idle_during)
    monkeypatch.setattr(processor, "gather", lambda: done.append("together"))
    monkeypatch.setattr(processor, "spread", lambda: done.append("apart"))

    task = asyncio.create_task(processor.stay_together())
    await asyncio.wait_for(ended.wait(), 10)
    task.cancel()

    assert done == [
        "together",
        "idle 0.5",
        "apart",
        "together",
        "idle 0.1",
        "apart",
        "idle 0.1",
        "idle 0.5",
        "together",
    ]


def test_idle_time_is_of_the_processors_that_the_process_may_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    second = os.sysconf("SC_CLK_TCK")
    statistics = tmp_path / "stat"
    statistics.write_text(
        f"cpu  9 9 9 {90 * second} 9 0 0 0 0 0\n"
        f"cpu0 1 1 1 {30 * second} 0 0 0 0 0 0\n"
        f"cpu1 1 1 1 {20 * second} {5 * second} 0 0 0 0 0\n"
        f"cpu12 1 1 1 {40 * second} 0 0 0 0 0 0\n"
        "intr 1 2 3\n"
    )
    monkeypatch.setattr(processor, "STATISTICS", statistics)

    monkeypatch.setattr(processor, "ALLOWED", frozenset({0, 1}))
    assert processor._idle_s() == 55
    monkeypatch.setattr(processor, "ALLOWED", frozenset({12}))
    assert processor._idle_s() == 40


def test_where_choosing_is_forbidden_threads_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    before = places()
    monkeypatch.setattr(os, "sched_setaffinity", forbidden)

    asyncio.run(asyncio.wait_for(processor.stay_together(), 10))
    with processor.elsewhere():
        program = told_by_a_program()

    assert places() == before
    assert program == WHERE_IT_BEGAN


@pytest.mark.parametrize("missing", [AttributeError("no such call"), OSError(38, "Function not implemented")])
def test_a_system_that_does_not_say_where_a_process_runs_is_left_alone(
    missing: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> int:
        raise missing

    monkeypatch.setattr(os, "sched_getscheduler", fail)

    assert processor._beginning() == (frozenset(), 0)


def test_who_was_elsewhere_goes_where_the_others_have_gone_meanwhile() -> None:
    processor.gather()

    with processor.elsewhere():
        processor.spread()

    assert places() == (processor.ALLOWED, processor.USUAL)


@pytest.mark.parametrize("what", ["sched_setscheduler", "STATISTICS"])
def test_where_it_cannot_go_on_choosing_the_threads_are_left_where_the_process_began(
    what: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    if what == "STATISTICS":
        monkeypatch.setattr(processor, what, tmp_path / "none")
    else:
        monkeypatch.setattr(os, what, forbidden)

    asyncio.run(asyncio.wait_for(processor.stay_together(), 10))

    assert {os.sched_getaffinity(int(task.name)) == processor.ALLOWED for task in processor.TASKS.iterdir()} == {True}
