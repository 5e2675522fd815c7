"""One thread, any interleaving: every task is a greenlet, and chance decides which one goes on.

A task gives way where threads could be switched and anybody would notice: when it waits, and (if chance has it) around
each message, each commit and each word to the outside. All chance comes from one ``random.Random``, all time from one
``Time`` that moves only when it is told to, so a seed is a run.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from greenlet import GreenletExit, getcurrent, greenlet

from perps.units import Millis

NS_PER_MS = 10**6
START_MS = 1_700_000_000_000
LONG_SHARE = 0.1
"""Of the times that a task gives way, how often it does so for long."""
LONG_STEPS = 60
"""At most how long that is, in steps of the others."""


class Time:
    """The time of the whole simulated world. Satisfies ``actors.ports.RowClock``.

    Wall time may jump to either side (``skew_ms``); monotonic time never falls.
    """

    def __init__(self) -> None:
        self.ns = 0
        self.skew_ms = 0

    def now_ms(self) -> Millis:
        """Wall time."""
        return Millis(START_MS + self.skew_ms + self.ns // NS_PER_MS)

    def reading(self) -> tuple[Millis, int]:
        """Wall time as it is: the actors take it with its jumps, and have to bear them."""
        return self.now_ms(), 0

    def monotonic_ns(self) -> int:
        """Time since the beginning of the run."""
        return self.ns

    def advance(self, ns: int) -> None:
        """Let time pass."""
        self.ns += max(ns, 0)


class Owner:
    """A process of the simulated world: its tasks die together, and what they do after that has no effect."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False

    def is_dead(self) -> bool:
        """Whether it has died meanwhile."""
        return self.dead


class Task:
    """One thread of the simulated world."""

    __slots__ = ("greenlet", "name", "owner", "ready", "resumes", "subject", "wake_ns", "where")

    def __init__(self, name: str, owner: Owner, body: Callable[[], object], hub: greenlet, subject: object) -> None:
        self.name, self.owner, self.subject = name, owner, subject
        self.greenlet = greenlet(body, parent=hub)
        self.ready: Callable[[], bool] | None = None
        """What it waits for; None when it can go on."""
        self.wake_ns: int | None = None
        """When it stops waiting, whatever happens."""
        self.where = "start"
        self.resumes = 0
        """The step before which it does not go on while others can: a thread may get no turn for long."""

    @property
    def asleep(self) -> bool:
        """Whether it waits for time alone."""
        return self.ready is _never


class Stuck(Exception):
    """A task waits for something that can never come."""


class TaskDied(Exception):
    """A task ended by an exception. Its cause says which; no fault that a run plans does so."""


class Scheduler:
    """Runs tasks one at a time, the next one by chance."""

    def __init__(self, random: Random, time: Time, *, yields: float) -> None:
        self.random, self.time = random, time
        self.yields = yields
        """The chance that a task gives way at a point where it need not."""
        self.tasks: list[Task] = []
        self.current: Task | None = None
        self.steps = 0
        self._hub: greenlet = getcurrent()

    def spawn(self, name: str, owner: Owner, body: Callable[[], object], subject: object = None) -> Task:
        """A new task; it begins when chance has it."""
        task = Task(name, owner, body, self._hub, subject)
        self.tasks.append(task)
        return task

    def step(self) -> Task | None:
        """Let one task go on to its next stop; None when all wait for what only the outside or time can bring."""
        runnable = [task for task in self.tasks if task.ready is None or task.ready()]
        if not runnable:
            return None
        prompt = [task for task in runnable if task.resumes <= self.steps] or runnable
        task = prompt[int(self.random.random() * len(prompt))]
        self.run(task)
        return task

    def sleepers(self, *, stops_only: bool = False) -> int | None:
        """Nanoseconds until the first waiting task's time is up; None when nobody waits for time.

        ``stops_only``: of those who wait for another task to stop.
        """
        tasks = [task for task in self.tasks if not (stops_only and task.asleep)]
        ends = [task.wake_ns for task in tasks if task.wake_ns is not None]
        return max(min(ends) - self.time.ns, 0) if ends else None

    def wake(self) -> None:
        """End the waiting of those whose time is up."""
        for task in self.tasks:
            if task.wake_ns is not None and task.wake_ns <= self.time.ns:
                task.ready = task.wake_ns = None

    def run(self, task: Task) -> None:
        """Let this task go on to its next stop. Raises ``TaskDied``."""
        self.steps += 1
        self.current = task
        task.ready = task.wake_ns = None
        try:
            task.greenlet.switch()
        except Exception as error:
            raise TaskDied(f"{task.owner.name} {task.name}") from error
        finally:
            self.current = None
        if task.greenlet.dead and task in self.tasks:
            self.tasks.remove(task)

    def pause(self, where: str) -> None:
        """Called by a task: perhaps let others go on first."""
        task = self.current
        if task is None or task.owner.dead:
            return
        chance = self.random.random()
        if chance < self.yields:
            task.where = where
            if chance < self.yields * LONG_SHARE:
                task.resumes = self.steps + int(self.random.random() * LONG_STEPS)
            self._hub.switch()

    def wait(self, ready: Callable[[], bool], where: str, timeout_ns: int | None = None) -> bool:
        """Called by a task: let others go on until ``ready`` holds or the time is up. Whether it holds.

        Raises ``GreenletExit`` in a process that has died meanwhile.
        """
        task = self.current
        if task is None:
            raise Stuck(f"nobody to wait: {where}")
        if task.owner.dead:
            raise GreenletExit
        task.ready, task.where = ready, where
        task.wake_ns = None if timeout_ns is None else self.time.ns + timeout_ns
        self._hub.switch()
        return ready()

    def sleep(self, seconds: float) -> None:
        """Called by a task: wait for time alone."""
        self.wait(_never, f"asleep {seconds} s", int(seconds * 1e9))

    def kill(self, owner: Owner) -> None:
        """End a process at once, as kill -9 does: whatever its tasks still do on their way out has no effect."""
        owner.dead = True
        for task in [task for task in self.tasks if task.owner is owner]:
            self.tasks.remove(task)
            self.current = task
            task.greenlet.throw(GreenletExit)
            self.current = None


def _never() -> bool:
    return False
