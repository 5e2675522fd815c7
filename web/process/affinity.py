"""All of the venue's threads on one processor, which the kernel chooses again every few seconds.

Kept because it brings 17 % more opens per second with 64 in flight, 11 % with 256, and one alone waits 0.90 instead of
1.27 ms (medians of ten runs each, alternating, on two processors that others used too; 30 to 45 % on an idle machine).

One thread of an interpreter runs at a time. On several processors each hand-over to another thread wakes a processor
that finds the interpreter still taken; on one it is a change of context, and with ``SCHED_BATCH`` the thread that
wakes waits until the running one gives the interpreter up. Where nothing is idle, threads run anywhere: one processor
shared with others is less than a share of each. What the operator set at the start is kept: the processors, and a
policy that is not the usual one.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger()

CHOOSE_EVERY_S: Final = 5.0
"""How long threads stay where they are before the kernel chooses again."""

CHOOSING_S: Final = 0.01
"""For how long they may run anywhere then: long enough to sleep and be woken."""

IDLE_MIN: Final = 0.2
"""Processors that must be idle meanwhile, on average, for the threads to be brought together again."""

TASKS: Final = Path("/proc/self/task")
"""The process's threads, each a directory; only Linux has it."""

PROCESSOR_FIELD: Final = 36
"""Of the main thread's ``stat``, counted after its name: the processor it ran on last."""

STATISTICS: Final = Path("/proc/stat")
IDLE: Final = re.compile(r"^cpu(\d+) +\d+ +\d+ +\d+ +(\d+) +(\d+)", re.ASCII | re.MULTILINE)
"""A processor's line of it: its number, how long it was idle, and how long idle but waiting for a disk."""

Place = tuple[frozenset[int], int]
"""Where a thread may run, and by which policy."""


def _beginning() -> Place:
    """Where this process may run; nowhere, on a system that does not say."""
    try:
        return frozenset(os.sched_getaffinity(0)), os.sched_getscheduler(0)
    except (AttributeError, OSError):  # it has no such calls, or its C library only names them
        return frozenset(), 0


ALLOWED, USUAL = _beginning()
"""The processors that the process began with, and its policy then."""

IS_POSSIBLE: Final = bool(ALLOWED) and TASKS.is_dir()

_present: Place = (ALLOWED, USUAL)
"""Where all threads are, but for those ``_elsewhere``."""
_elsewhere = set[int]()


async def stay_together() -> None:
    """Keep the threads on one processor until cancelled, or until that is forbidden; then they may run anywhere."""
    try:
        while IS_POSSIBLE:
            await asyncio.to_thread(gather)
            idle = await _idle_during(CHOOSE_EVERY_S)
            await asyncio.to_thread(spread)
            await asyncio.sleep(CHOOSING_S)
            while idle < IDLE_MIN:
                idle = await _idle_during(CHOOSE_EVERY_S)
    except (OSError, RuntimeError, MemoryError) as error:  # forbidden; no thread, no memory for it
        log.info("processor.not_chosen", error=repr(error))
    finally:
        with suppress(OSError):
            spread()


def gather() -> None:
    """Bring every thread to the processor that the main one runs on. Raises ``OSError`` where that is forbidden."""
    if IS_POSSIBLE:
        stat = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace")
        processor = int(stat.rpartition(")")[2].split()[PROCESSOR_FIELD])
        _place_all((frozenset({processor}), os.SCHED_BATCH if os.SCHED_OTHER == USUAL else USUAL))


def spread() -> None:
    """Let every thread run where the process began. Raises ``OSError`` where that is forbidden."""
    if IS_POSSIBLE:
        _place_all((ALLOWED, USUAL))


@contextmanager
def elsewhere() -> Iterator[None]:
    """What the calling thread starts meanwhile, programs or threads, inherits the place where the process began."""
    thread = threading.get_native_id()
    _elsewhere.add(thread)
    with suppress(OSError):  # forbidden: then no thread was moved
        _place(thread, (ALLOWED, USUAL))
    try:
        yield
    finally:
        _elsewhere.discard(thread)
        with suppress(OSError):
            _place(thread, _present)


async def _idle_during(seconds: float) -> float:
    """How many of ``ALLOWED`` have nothing to do, on average, from now on."""
    loop = asyncio.get_running_loop()
    before, began = await asyncio.to_thread(_idle_s), loop.time()
    await asyncio.sleep(seconds)
    return (await asyncio.to_thread(_idle_s) - before) / (loop.time() - began)


def _idle_s() -> float:
    """For how long they have had nothing to do since the machine was started, all together."""
    found = IDLE.findall(STATISTICS.read_text(encoding="utf-8"))
    ticks = sum(int(idle) + int(waiting) for number, idle, waiting in found if int(number) in ALLOWED)
    return ticks / os.sysconf("SC_CLK_TCK")


def _place_all(place: Place) -> None:
    global _present
    _present = place
    for thread in {int(task.name) for task in TASKS.iterdir()} - _elsewhere:
        with suppress(ProcessLookupError):  # it has ended meanwhile
            _place(thread, place)


def _place(thread: int, place: Place) -> None:
    if IS_POSSIBLE:
        os.sched_setaffinity(thread, place[0])
        if os.sched_getscheduler(thread) != place[1]:
            os.sched_setscheduler(thread, place[1], os.sched_param(0))
