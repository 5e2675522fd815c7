"""The event loop is watched: one that stands is told of, counted and in the end ended; a frozen process is not."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from actors.vitals import Busy, Vitals
from tests.conftest import Event
from tests.endtoend.venue_process import until
from web.metrics import Metrics
from web.process.clock import SystemClock
from web.process.last_words import LOOP_BLOCKED_EXIT
from web.process.loop_watch import BLOCKED_AFTER_S, LOOP_BLOCKED_MAX_S, LoopWatch
from web.process.watchdog import Watchdog

ROOT: Final = Path(__file__).parents[3]

VENUE: Final = """
import asyncio, sys, threading, time
from actors.vitals import Vitals
from web.process import logs
from web.process.clock import SystemClock
from web.process.loop_watch import LoopWatch
from web.metrics import Metrics
from web.process.watchdog import Watchdog

def the_culprit():
    time.sleep(300)

looks = threading.Semaphore(0)

class Counted(LoopWatch):
    def look(self, now_s):
        super().look(now_s)
        looks.release()

def be_looked_at():
    while looks.acquire(blocking=False):
        pass
    assert looks.acquire(timeout=30) and looks.acquire(timeout=30)

def until_told_and_looked_at():
    be_looked_at()
    print("in a turn", flush=True)
    sys.stdin.readline()
    be_looked_at()

async def main():
    metrics = Metrics()
    dog = Watchdog(Counted(metrics, max_s={max_s}), SystemClock(), metrics)
    dog.watch(Vitals(print))
    print("up", flush=True)
    {body}
    dog.stop()
    print("blocked", int(metrics.loop_blocked._value.get()), metrics.loop_blocked_seconds._value.get())

logs.configure("warning")
asyncio.run(main())
"""
"""A watched loop in a process of its own, and what happens on it."""


PROCESS_S: Final = 45.0
"""Longest wait for a process, however busy the machine is."""


@contextmanager
def _process(code: str, *, stderr: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """A program of these lines; it does not outlive its test."""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _until_stopped(process: subprocess.Popen[str]) -> None:
    """Wait until a process that was sent SIGSTOP stands."""
    until(
        lambda: Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T" or None,
        within_s=PROCESS_S,
        what="a process that stands",
    )


def _counts(metrics: Metrics) -> tuple[float, float]:
    return metrics.loop_blocked._value.get(), metrics.loop_blocked_seconds._value.get()


async def test_a_blocked_loop_is_told_of_once_with_its_stack_and_counted(error_lines: list[Event]) -> None:
    metrics = Metrics()
    watch = LoopWatch(metrics)
    watch.look(0.0)
    watch.look(BLOCKED_AFTER_S - 0.1)
    assert _counts(metrics) == (0, 0)
    for now in (1.0, 1.2, 3.5):
        watch.look(now)
    assert _counts(metrics) == (1, 3.5)
    (line,) = error_lines
    assert line["event"] == "loop.blocked"
    assert "test_a_blocked_loop_is_told_of_once" in line["stack"]
    error_lines.clear()

    await asyncio.sleep(0)
    watch.look(3.7)
    await asyncio.sleep(0)
    watch.look(3.9)

    assert _counts(metrics) == (1, 3.5)
    assert error_lines == []


async def test_a_loop_that_stays_blocked_is_ended_with_the_reason(error_lines: list[Event]) -> None:
    ends: list[str] = []
    watch = LoopWatch(Metrics(), end=ends.append)
    watch.look(0.0)
    watch.look(LOOP_BLOCKED_MAX_S - 0.1)
    assert ends == []
    watch.look(LOOP_BLOCKED_MAX_S)
    assert ends == ["the event loop has been blocked for 60 s"]
    error_lines.clear()


async def test_a_loop_that_takes_its_turns_is_not_blocked_however_long_it_runs() -> None:
    metrics = Metrics()
    watch = LoopWatch(metrics)
    for second in range(1_000):
        watch.look(second)
        await asyncio.sleep(0)
    assert _counts(metrics) == (0, 0)


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_the_process_of_a_loop_that_stays_blocked_ends_and_says_where_everybody_stood() -> None:
    with _process(VENUE.format(body="the_culprit()", max_s=1.5)) as process:
        _, said = process.communicate(timeout=PROCESS_S)
    assert process.returncode == LOOP_BLOCKED_EXIT
    assert "perps: error: the event loop has been blocked for" in said
    assert said.count('"event":"loop.blocked"') == 1
    words = said.partition("perps: error:")[2]
    assert words.count("Thread 0x") >= 2
    assert "in the_culprit" in words


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("room", [0, 200], ids=["none", "a little"])
def test_a_process_whose_stderr_nobody_reads_is_ended_all_the_same(room: int) -> None:
    """The reason may find room and the stacks none: whoever writes them must not keep the interpreter."""
    ours, theirs = os.pipe()
    size = fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 4096)
    os.write(theirs, b"x" * (size - room))
    try:
        with _process(VENUE.format(body="the_culprit()", max_s=1.5), stderr=theirs) as process:
            process.communicate(timeout=PROCESS_S)
    finally:
        os.close(ours)
        os.close(theirs)
    assert process.returncode == LOOP_BLOCKED_EXIT


ASKED: Final = """
import os, signal
from web.process import last_words, logs

logs.configure()
last_words.say_when_asked()
os.kill(os.getpid(), signal.SIGUSR1)
print("goes on")
"""


@pytest.mark.timeout(60)
def test_who_asks_where_the_threads_stand_stops_nobody_when_nobody_reads_the_answer() -> None:
    ours, theirs = os.pipe()
    os.write(theirs, b"x" * fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 4096))
    try:
        with _process(ASKED, stderr=theirs) as process:
            said, _ = process.communicate(timeout=PROCESS_S)
    finally:
        os.close(ours)
        os.close(theirs)
    assert said == "goes on\n"


ASKED_WHILE_BUSY: Final = """
import sys, threading
from web.process import last_words, logs

logs.configure()

def deep(depth):
    return depth and deep(depth - 1)

def busy():
    while not over.is_set():
        deep(200)

over = threading.Event()
last_words.say_when_asked()
threads = [threading.Thread(target=busy) for _ in range(3)]
for thread in threads:
    thread.start()
print("busy", flush=True)
sys.stdin.readline()
over.set()
for thread in threads:
    thread.join()
print("goes on")
"""


@pytest.mark.timeout(60)
def test_who_asks_a_busy_process_again_and_again_does_it_no_harm() -> None:
    with _process(ASKED_WHILE_BUSY) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "busy\n"
        pause, signals = threading.Event(), 100
        for _ in range(signals):
            process.send_signal(signal.SIGUSR1)
            pause.wait(0.005)
        said, answers = process.communicate("enough\n", timeout=PROCESS_S)
    assert process.returncode == 0, answers[-2000:]
    assert said == "goes on\n"
    assert answers.count("perps: asked where its threads stand\n") > 1
    assert answers.count(", in deep\n") > 1


FROZEN_S: Final = 6.0
"""Of these a watchdog may count a look and a busy machine's delays: not half of them."""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_process_that_is_frozen_and_thawed_has_no_blocked_loop() -> None:
    """It is frozen within a turn that the watchdog waits for, and that ends when it has looked again."""
    with _process(VENUE.format(body="until_told_and_looked_at()", max_s=FROZEN_S / 2)) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["up\n", "in a turn\n"]
        process.send_signal(signal.SIGSTOP)
        _until_stopped(process)
        time.sleep(FROZEN_S)
        process.send_signal(signal.SIGCONT)
        counts, said = process.communicate("go on\n", timeout=PROCESS_S)
    assert process.returncode == 0, said
    assert float(counts.split()[2]) < FROZEN_S / 2


async def test_a_watchdog_that_cannot_look_says_so_once_and_shows_it_until_it_can(
    error_lines: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = Metrics()
    loop_watch = LoopWatch(metrics)
    dog = Watchdog(loop_watch, SystemClock(), metrics)
    failed, looked = threading.Semaphore(0), threading.Semaphore(0)

    def fail(_: float) -> None:
        failed.release()
        raise RuntimeError("a thread that is no thread")

    def look(_: float) -> None:
        looked.release()

    monkeypatch.setattr(loop_watch, "look", fail)
    dog.watch(Vitals(print))
    try:
        assert await asyncio.to_thread(_many, failed)
        (problem,) = dog.problems().items()
        assert problem[0] == "watchdog"
        assert problem[1].why == "cannot look: RuntimeError"
        assert problem[1].since is not None
        assert [line["event"] for line in error_lines] == ["watchdog.failed"]
        error_lines.clear()

        monkeypatch.setattr(loop_watch, "look", look)
        assert await asyncio.to_thread(_many, looked)
        assert dog.problems() == {}
    finally:
        await asyncio.to_thread(dog.stop)


async def test_a_watchdog_that_can_look_now_and_then_does_not_say_so_each_time(
    error_lines: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = Metrics()
    loop_watch = LoopWatch(metrics)
    dog = Watchdog(loop_watch, SystemClock(), metrics)
    looks, count = threading.Semaphore(0), 0

    def fail_now_and_then(_: float) -> None:
        nonlocal count
        count += 1
        looks.release()
        if count % 2:
            raise RuntimeError("now and then")

    monkeypatch.setattr(loop_watch, "look", fail_now_and_then)
    dog.watch(Vitals(print))
    try:
        assert await asyncio.to_thread(_many, looks)
        assert await asyncio.to_thread(_many, looks)
    finally:
        await asyncio.to_thread(dog.stop)
    assert [line["event"] for line in error_lines] == ["watchdog.failed"]
    error_lines.clear()


async def test_a_stuck_part_is_told_of_once_also_if_telling_fails(
    error_lines: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = Metrics()
    dog, told = Watchdog(LoopWatch(metrics), SystemClock(), metrics), 0

    def fail(_: object) -> str:
        nonlocal told
        told += 1
        raise RuntimeError("no stack")

    monkeypatch.setattr("web.process.watchdog.stack_of", fail)
    stuck = Busy("journal", "committing", 1.0, 1, None)
    with pytest.raises(RuntimeError):
        dog._show([stuck])
    dog._show([stuck])

    assert told == 1
    assert dog.problems()["journal"].why == "committing for 1.0 s"


def _many(looks: threading.Semaphore) -> bool:
    """More than two looks: the one before the last is over."""
    return all(looks.acquire(timeout=5) for _ in range(4))
