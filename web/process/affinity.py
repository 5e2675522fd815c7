"""On which processors the venue's threads run: all of them on one, which the kernel chooses.

One thread of an interpreter runs at a time. On several processors each hand-over to another thread wakes a processor
that finds the interpreter still taken; on one it is a change of context. Two things are asked of the kernel for every
thread: one processor for all, and that a thread that wakes waits until the running one pauses (``SCHED_BATCH``), which
it does when it gives the interpreter up. Together they brought 30 to 45 % more opens per second, and an alone one was
answered after 0.62 instead of 0.82 ms.

The kernel chooses again every few seconds: for a moment the threads may run anywhere. On a machine that has no time to
spare they may always, until it has: one processor shared with others is less than a share of each. What the operator
had set at the start is kept: threads stay on the processors that the process began with, and so does a policy that is
not the usual one.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger()

CHOOSE_EVERY_S: Final = 5.0
"""How long threads stay where they are before the kernel is asked again."""

CHOOSING_S: Final = 0.01
"""For how long they may run anywhere then: long enough to sleep and be woken."""

IDLE_MIN: Final = 0.2
"""Processors that must be idle meanwhile, on the average, for the threads to be brought together again."""

TASKS: Final = Path("/proc/self/task")
"""The process's threads, each a directory; Linux has it."""

PROCESSOR_FIELD: Final = 36
"""Of the main thread's ``stat``, counted behind its name: the processor it ran on last."""

STATISTICS: Final = Path("/proc/stat")
IDLE: Final = re.compile(r"^cpu(\d+) +\d+ +\d+ +\d+ +(\d+) +(\d+)", re.ASCII | re.MULTILINE)
"""A processor's line of it: its number, how long it was idle, and how long idle but for a disk it waited for."""


def _beginning() -> tuple[frozenset[int], int]:
    """Where this process may run, and by which policy; nowhere, on a system that does not say."""
    try:
        return frozenset(os.sched_getaffinity(0)), os.sched_getscheduler(0)
    except (AttributeError, OSError):  # it has no such calls, or its C library only names them
        return frozenset(), 0


ALLOWED, USUAL = _beginning()
"""The processors that the process began with, and its policy then."""

IS_POSSIBLE: Final = bool(ALLOWED) and TASKS.is_dir()

_placing = threading.Lock()
_present: tuple[Set[int], int] = (ALLOWED, USUAL)
"""Where all threads are, and by which policy."""
_elsewhere = set[int]()
"""Threads that are about to start something: they are left alone."""


async def stay_together() -> None:
    """Keep the process's threads on one processor until cancelled; ends at once where that cannot be done.

    However it ends, they may run anywhere then.
    """
    try:
        while IS_POSSIBLE:
            await asyncio.to_thread(gather)
            idle = await _idle_during(CHOOSE_EVERY_S)
            await asyncio.to_thread(spread)
            await asyncio.sleep(CHOOSING_S)
            while idle < IDLE_MIN:
                idle = await _idle_during(CHOOSE_EVERY_S)
    except (
        OSError,
        RuntimeError,
        MemoryError,
    ) as error:  # a sandbox that does not allow it; no thread, no memory for it
        log.info("processor.not_chosen", error=repr(error))
    finally:
        with suppress(OSError):
            spread()


def gather() -> None:
    """Bring every thread to the processor that the main one runs on. Raises ``OSError`` where that is forbidden."""
    if IS_POSSIBLE:
        _place_all({_processor()}, os.SCHED_BATCH if os.SCHED_OTHER == USUAL else USUAL)


def spread() -> None:
    """Let every thread run where the process began. Raises ``OSError`` where that is forbidden."""
    if IS_POSSIBLE:
        _place_all(ALLOWED, USUAL)


@contextmanager
def elsewhere() -> Iterator[None]:
    """What the calling thread starts meanwhile, programs or threads, may run where this process began.

    Both inherit where their starter may run. At the end the thread goes where the others are by then.
    """
    if not IS_POSSIBLE:
        yield
        return
    thread = threading.get_native_id()
    with _placing, suppress(OSError):  # forbidden: then nobody is brought anywhere for long
        _elsewhere.add(thread)
        _place(thread, ALLOWED, USUAL)
    try:
        yield
    finally:
        with _placing, suppress(OSError):
            _elsewhere.discard(thread)
            _place(thread, *_present)


async def _idle_during(seconds: float) -> float:
    """How many of the processors that the process may use have nothing to do, on the average, from now on."""
    loop = asyncio.get_running_loop()
    before, began = await asyncio.to_thread(_idle_s), loop.time()
    await asyncio.sleep(seconds)
    return (await asyncio.to_thread(_idle_s) - before) / (loop.time() - began)


def _idle_s() -> float:
    """For how long they have had nothing to do since the machine was started, all together."""
    idle = 0
    for number, *ticks in IDLE.findall(STATISTICS.read_text(encoding="utf-8")):
        if int(number) in ALLOWED:
            idle += sum(map(int, ticks))
    return idle / os.sysconf("SC_CLK_TCK")


def _place_all(processors: Set[int], policy: int) -> None:
    global _present
    placed = set[int]()
    with _placing:
        _present = processors, policy
        while threads := {int(task.name) for task in TASKS.iterdir()} - placed:  # more: started by one not yet placed
            for thread in threads - _elsewhere:
                with suppress(ProcessLookupError):  # it has ended meanwhile
                    _place(thread, processors, policy)
            placed |= threads


def _place(thread: int, processors: Set[int], policy: int) -> None:
    os.sched_setaffinity(thread, processors)
    if os.sched_getscheduler(thread) != policy:
        os.sched_setscheduler(thread, policy, os.sched_param(0))


def _processor() -> int:
    """The processor that the main thread runs on."""
    stat = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace")
    return int(stat.rpartition(")")[2].split()[PROCESSOR_FIELD])
