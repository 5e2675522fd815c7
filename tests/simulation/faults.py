"""What goes wrong in a run, and how often: drawn from the seed, so that every run has a temper of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from random import Random

from pykka import ActorDeadError

from actors.ledger import LedgerActor
from actors.look_up import LookUpActor
from actors.market import MarketActor
from actors.supervisor import Supervisor
from perps.commands import SWEEP
from perps.journal import JournalUnavailable, OwnershipLost
from perps.units import Millis
from tests.simulation.clients import WEIGHTS, is_poison
from tests.simulation.machine.journal import Commit, InjectedBug
from tests.simulation.machine.runtime import Limits
from tests.simulation.machine.scheduler import Scheduler, Time

HUNTS = 0.7
"""How often a bug is planned where it may do most harm, if there is such a place."""
HUNT_STEPS = 100

KINDS = ("crash", "takeover", "stop", "bug", "commit", "away", "time", "skew", "snapshot", "image", "watch", "poison")
"""What can be switched off, to see whether a failure needs it."""


@dataclass(frozen=True)
class Plan:
    """A run's temper."""

    steps: int
    yields: float
    """Chance to give way at a point where a task need not."""
    commands: float
    """Commands per step, while fewer than ``in_flight`` wait for an answer."""
    in_flight: int
    rates: dict[str, float]
    """Faults per step (``commit``: per commit), by kind."""
    limits: Limits
    weights: dict[str, int] = field(default_factory=dict)
    prey: tuple[type, ...] = (MarketActor, MarketActor, MarketActor, LedgerActor, LookUpActor, Supervisor)
    """In which actors bugs are planned, if there is no better place."""
    cuts: float = 0.0
    """How often a commit is lost that has a row of kind ``sweep``: consequences that overflowed the row before."""

    def without(self, kinds: tuple[str, ...]) -> Plan:
        """The same, with some kinds of fault switched off."""
        rates = {kind: 0.0 if kind in kinds else rate for kind, rate in self.rates.items()}
        poison = {"poison_market": 0, "poison_ledger": 0} if "poison" in kinds else {}
        return replace(self, rates=rates, weights={**self.weights, **poison})


def draw(random: Random) -> Plan:
    """A plan by chance. Each kind of fault is absent in about half of all runs."""

    def rate(*rates: float) -> float:
        return random.choice(rates) if random.random() < 0.5 else 0.0

    weights = dict(WEIGHTS)
    weights["poison_market"] = random.choice((0, 1, 1, 4))
    weights["poison_ledger"] = random.choice((0, 0, 1))
    weights["crash_of_price"] = random.choice((2, 4, 10))
    weights["list"] = random.choice((1, 2, 10))
    weights["mode"] = random.choice((0, 2, 2))
    weights["again"] = random.choice((2, 12, 40))
    return Plan(
        steps=random.choice((300, 800, 2_000)),
        yields=random.choice((0.0, 0.1, 0.3, 0.6)),
        commands=random.choice((0.03, 0.1, 0.25)),
        in_flight=random.choice((5, 20, 100)),
        rates={
            "crash": rate(0.001, 0.003, 0.01),
            "takeover": rate(0.001, 0.003),
            "stop": rate(0.001, 0.003),
            "bug": rate(0.003, 0.01, 0.03),
            "commit": rate(0.01, 0.03, 0.2),
            "away": rate(0.001, 0.005),
            "time": random.choice((0.005, 0.02)),
            "skew": rate(0.001, 0.005),
            "snapshot": rate(0.002, 0.01),
            "image": rate(0.002),
            "watch": rate(0.01),
        },
        limits=Limits(
            recent_answers=random.choice((2, 10, 500_000, 500_000)),
            rows_per_commit=random.choice((1, 3, 1_024)),
            events_per_commit=random.choice((1, 5, 4_096, 4_096)),
            liquidations_per_row=random.choice((1, 2, 256)),
            rebuild_queue=random.choice((2, 4_096, 4_096)),
            market_deaths=random.choice((1, 5, 5)),
        ),
        weights=weights,
    )


class Faults:
    """The faults of a run, while they last."""

    def __init__(self, random: Random, plan: Plan, scheduler: Scheduler) -> None:
        self._random, self._plan, self._scheduler = random, plan, scheduler
        self.active = False
        self._rates = {kind: rate for kind, rate in plan.rates.items() if kind != "commit"}
        self._per_step = sum(self._rates.values())
        self._armed: str | None = None
        """An actor as traces name it, or a kind of them."""

    def strike(self) -> str | None:
        """The fault that happens at this step, if one does."""
        left = self._random.random()
        if left < self._per_step:
            for kind, rate in self._rates.items():
                left -= rate
                if left < 0:
                    return kind
        return None

    def verdict(self, kinds: Iterable[str]) -> Commit:
        """What becomes of a commit of rows of these kinds."""
        cuts = self._plan.cuts
        if cuts and self.active and SWEEP in kinds and self._random.random() < cuts:
            return Commit.LOST
        if not self.active or self._random.random() >= self._plan.rates["commit"]:
            return Commit.DONE
        return self._random.choice([each for each in Commit if each is not Commit.DONE])

    def start(self) -> None:
        """From now on."""
        self.active = True

    def arm(self) -> str:
        """Plan a bug for the next actor of some kind that comes to a point where one can be.

        Best for one to whom somebody just sends: he saw it alive, and it dies before the message is there. Or for a
        market that is just being built.
        """
        self._armed = self._random.choice(self._plan.prey).__name__
        sending = [task for task in self._scheduler.tasks if task.where.startswith("before →")]
        if sending and self._random.random() < HUNTS:
            sender = self._random.choice(sending)
            sender.resumes = self._scheduler.steps + HUNT_STEPS
            self._armed = sender.where.removeprefix("before → ")
        starting = [
            task for task in self._scheduler.tasks if type(task.subject) is MarketActor and task.where == "start"
        ]
        if starting and self._random.random() < HUNTS:
            self._armed = self._random.choice(starting).name
        return self._armed

    def stop(self) -> None:
        """No more faults."""
        self.active, self._armed = False, None

    def at_a_message(self, where: str) -> None:
        """Raise ``InjectedBug`` if it is planned for the sender.

        Not in a market: there a bug can be in a command, and a message sent is no part of any.
        """
        if self._armed is not None:
            self._strike(where, market=False)

    def at_the_clock(self) -> None:
        """Raise ``InjectedBug`` if it is planned for who asks the time: before or in the middle of a command."""
        if self._armed is not None:
            self._strike("the clock", market=True)

    def _strike(self, where: str, *, market: bool) -> None:
        task = self._scheduler.current
        if task is None or task.owner.dead or task.subject is None:
            return
        if self._armed in (task.name, type(task.subject).__name__) and (
            market or type(task.subject) is not MarketActor
        ):
            self._armed = None
            task.resumes = self._scheduler.steps + self._random.choice((0, HUNT_STEPS))
            raise InjectedBug(f"planned, at {where}")


def is_planned(error: BaseException | None) -> bool:
    """Whether a run means an actor to die of this: a bug that it struck with, a store that is away or another's by now,
    poison that the actor had in hand, or a neighbour that is dead: why that one died is looked at, too.
    """
    if isinstance(error, InjectedBug | JournalUnavailable | OwnershipLost | ActorDeadError):
        return True
    place = error.__traceback__ if error is not None else None
    while place is not None:
        if is_poison(place.tb_frame.f_locals.get("command")):
            return True
        place = place.tb_next
    return False


class ActorClock:
    """The clock as actors see it. Satisfies ``actors.ports.RowClock``."""

    def __init__(self, time: Time, faults: Faults) -> None:
        self._time, self._faults = time, faults

    def now_ms(self) -> Millis:
        """Wall time."""
        self._faults.at_the_clock()
        return self._time.now_ms()

    def reading(self) -> tuple[Millis, int]:
        """Wall time as it is: the actors take it with its jumps, and have to bear them."""
        return self.now_ms(), 0

    def monotonic_ns(self) -> int:
        """Nanoseconds that never fall."""
        self._faults.at_the_clock()
        return self._time.monotonic_ns()
