"""A run: a world made from one seed, driven step by step, then left alone, and looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from actors.limits import DEADLINE_MS
from actors.messages import Envelope
from perps.units import Millis
from tests.simulation.checks import Checks
from tests.simulation.clients import OPENING_MARKETS, OPENING_USERS, Clients
from tests.simulation.faults import ActorClock, Faults, Plan, draw, is_planned
from tests.simulation.machine.host import Process
from tests.simulation.machine.journal import Store
from tests.simulation.machine.runtime import on_scheduler
from tests.simulation.machine.scheduler import NS_PER_MS, Scheduler, TaskDied, Time
from tests.simulation.orders import Order, Status
from tests.support.twins import twins

REST_STEPS_MAX = 20_000
"""Steps within which everything in flight must be answered once nothing goes wrong any more."""

TWIN_EVERY = 3
"""Every so manieth command of a market is done by one that was restored from its image, too."""

BURSTS = (1, 1, 1, 2, 8)
"""Commands that come at once."""

Trace = Callable[[str], None]


class Violation(Exception):
    """Something does not hold. The message says what; seed and step reproduce it."""

    def __init__(self, seed: int, step: int, problem: str) -> None:
        super().__init__(f"seed {seed}, step {step}: {problem}")
        self.seed, self.step, self.problem = seed, step, problem


@dataclass
class Report:
    """What a run came to."""

    seed: int
    steps: int = 0
    """Of the scheduler."""
    rows: int = 0
    attempts: int = 0
    processes: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    deleveraged: int = 0
    """Times that somebody was made to leave."""


def run(
    seed: int,
    *,
    steps: int | None = None,
    without: tuple[str, ...] = (),
    trace: Trace | None = None,
    plan: Plan | None = None,
) -> Report:
    """Run one seed. ``steps`` cuts it short, ``without`` switches kinds of fault off. Raises ``Violation``.

    The seed draws the plan too, unless one is given.
    """
    random = Random(seed)
    plan = (draw(random) if plan is None else plan).without(without)
    world = World(seed, random, plan, trace)
    with (
        on_scheduler(
            world.scheduler, plan.limits, world.faults.at_a_message, world.checks.sequenced, is_planned
        ) as runtime,
        twins(world.checks.complain, every=TWIN_EVERY),
    ):
        world.checks.runtime = runtime
        try:
            world.live(plan.steps if steps is None else min(steps, plan.steps))
            world.rest()
        finally:
            world.end()
    return world.report()


class World:
    """Everything of one run."""

    def __init__(self, seed: int, random: Random, plan: Plan, trace: Trace | None) -> None:
        self.seed, self._random, self._plan, self._trace = seed, random, plan, trace
        self.time = Time()
        self.scheduler = Scheduler(random, self.time, yields=plan.yields)
        self.faults = Faults(random, plan, self.scheduler)
        self.clock = ActorClock(self.time, self.faults)
        self.store = Store(self.scheduler, random, self.faults.verdict)
        self.checks = Checks(self.store, self.scheduler)
        self.clients = Clients(random, self.checks.oracle.state, self.checks.orders.recent, plan.weights)
        self._tokens = count(1)
        self._processes: list[Process] = []
        self._step = 0
        self._seen: dict[str, int] = {}

    def live(self, steps: int) -> None:
        """Commands and faults, step by step."""
        self._start()
        self._until(lambda: self._serving.open)
        for order in self.clients.opening():
            self._send(order)
        self._until(self._begun)
        self.faults.start()
        for _ in range(steps):
            self._step += 1
            self._act()
            self._look()

    def rest(self) -> None:
        """No more faults: everything must be answered, what is in doubt must be told, and the venue must work."""
        self.faults.stop()
        self.store.away_until_ns = 0
        for process in self._processes[:-1]:
            self._kill(process)
        if self._serving.stopping and not self._serving.dead:
            self._until(lambda: self._serving.ended is not None)
        if self._serving.dead or self._serving.ended is not None:
            self._start()
        self._quiet()
        self._find_out_who_owns()
        self.checks.at_rest(self._serving)
        self._look()
        for round_ in range(2):
            for order in self.checks.orders.in_doubt():
                self._note("retry", order)
                self._send(Order(order.command, order.sender, order.order_id, fresh=False))
            self._quiet()
            self._look()
            if round_ == 0 and self._random.random() < 0.5:
                self._note("one more crash")
                self._kill(self._serving)
                self._start()
                self._quiet()
        self._prove_it_works()
        self.checks.at_rest(self._serving)
        self.checks.at_the_end()
        self._look()

    def end(self) -> None:
        """Leave nothing behind."""
        for process in self._processes:
            self.scheduler.kill(process)

    def report(self) -> Report:
        """What came of it."""
        checks = self.checks
        return Report(
            seed=self.seed,
            steps=self.scheduler.steps,
            rows=len(self.store.durable),
            attempts=len(checks.orders.by_token),
            processes=len(self._processes),
            outcomes=checks.outcomes,
            faults=self._seen,
            deleveraged=checks.oracle.deleveragings.count,
        )

    def _act(self) -> None:
        chance, faults = self._random, self.faults
        serving = self._serving
        if serving.dead or serving.ended is not None:
            if chance.random() < 0.1:
                self._start()
            else:
                self._turn()
        elif chance.random() < self._plan.commands and self._wants_more(serving):
            for _ in range(chance.choice(BURSTS)):
                self._send(self.clients.next())
        else:
            kind = faults.strike()
            if kind is None:
                self._turn()
            else:
                self._happen(kind, serving)

    def _wants_more(self, serving: Process) -> bool:
        """Whether clients send more: not too much at once, and seldom at closed doors."""
        if not serving.open:
            return self._random.random() < 0.05
        return len(serving.waiting) < self._plan.in_flight

    def _begun(self) -> bool:
        state = self.checks.oracle.state
        return len(state.markets) == OPENING_MARKETS and len(state.ledger.referrers) == OPENING_USERS

    def _happen(self, kind: str, serving: Process) -> None:
        """A fault, or something else that comes by chance."""
        chance = self._random
        self._count(kind)
        match kind:
            case "crash":
                self._kill(serving)
            case "takeover":
                self._start(by_force=True)
            case "stop":
                serving.ask_to_stop()
            case "bug":
                self._count(f"bug in {self.faults.arm()}")
            case "away":
                self.store.away_until_ns = self.time.ns + chance.randrange(1, 10_000) * NS_PER_MS
            case "skew":
                self.time.skew_ms = chance.choice((0, -3_600_000, 3_600_000, 12_000))
            case "snapshot":
                self.store.keep(self.checks.oracle.state, broken=chance.random() < 0.3)
            case "image":
                serving.take_image()
            case "watch":
                serving.watch()
            case _:
                until_ns = self.scheduler.sleepers(stops_only=True)
                ns = chance.choice((1, 100, 3_000, 11_000, 70_000)) * NS_PER_MS
                self._pass(ns if until_ns is None else min(ns, until_ns // 2))

    def _turn(self) -> None:
        """One step of one task; when all wait, time goes on to the first that waits for it."""
        try:
            task = self.scheduler.step()
        except TaskDied as died:
            raise Violation(self.seed, self._step, f"{died} died of {died.__cause__!r}, which nobody planned") from died
        if task is not None:
            if self._trace is not None:
                self._note(task.owner.name, f"{task.name}:", task.where)
            return
        until_ns = self.scheduler.sleepers()
        if until_ns is not None:
            self._pass(until_ns)

    def _pass(self, ns: int) -> None:
        self._note("time", ns / 1e9, "s pass")
        self.time.advance(ns)
        self.scheduler.wake()
        for process in self._processes:
            if not process.dead:
                process.expire()

    def _send(self, order: Order) -> None:
        living = [process for process in self._processes[-3:] if not process.dead and process.open]
        process = self._random.choice(living) if living and self._random.random() < 0.1 else self._serving
        token = next(self._tokens)
        attempt = self.checks.orders.sent(order, token, self._processes.index(process))
        now_ms = self.time.now_ms()
        envelope = Envelope(
            command=order.command,
            token=token,
            trace_id=str(token),
            sender=order.sender,
            client_order_id=order.order_id,
            fresh=order.fresh,
            fingerprint=attempt.digest,
            now_ms=now_ms,
            deadline_ms=Millis(now_ms + DEADLINE_MS),
        )
        self._note(process.name, "←", token, order)
        failure = process.send(envelope)
        if failure is not None:
            self.checks.answered(process, token, failure)

    def _start(self, *, by_force: bool = False) -> None:
        process = Process(f"p{len(self._processes) + 1}", self.scheduler, self.store, self.clock, self.checks)
        self._note(process.name, "starts", "by force" if by_force else "")
        self._processes.append(process)
        process.start(by_force=by_force)

    def _kill(self, process: Process) -> None:
        if process.dead:
            return
        self._note(process.name, "is killed")
        self.scheduler.kill(process)
        for token in process.waiting:
            self.checks.orders.by_token[token].status = Status.UNKNOWN
        process.waiting.clear()

    def _until(self, reached: Callable[[], bool]) -> None:
        for _ in range(REST_STEPS_MAX):
            if reached():
                return
            self._turn()
            self._look()
        self.checks.complain(f"liveness: not at rest after {REST_STEPS_MAX} steps")
        self._look()

    def _quiet(self) -> None:
        """Until nothing moves any more."""
        self._until(self._still)

    def _still(self) -> bool:
        scheduler, serving = self.scheduler, self._serving
        return (
            serving.open
            and serving.idle
            and not any(task.ready is None or task.wake_ns is not None or task.ready() for task in scheduler.tasks)
        )

    def _find_out_who_owns(self) -> None:
        """The watchdog looks twice at a venue with nothing to do: if it was overtaken meanwhile, it learns it now."""
        for _ in range(2):
            self._serving.watch()
            self._pass(10**9)
        self._quiet()

    def _prove_it_works(self) -> None:
        """Every wallet can be emptied, every market that is not down takes a price."""
        state = self.checks.oracle.state
        serving = self._serving
        orders = [
            self.clients.withdrawal(user, state.ledger.wallet(user))
            for user in state.ledger.referrers
            if state.ledger.wallet(user)
        ]
        orders += [self.clients.plain_deposit(user) for user in list(state.ledger.referrers)[:1]]
        orders += [
            self.clients.price(ticker, market.index_price)
            for ticker, market in state.markets.items()
            if ticker not in serving.health
        ]
        first = len(self.checks.orders.by_token)
        for order in orders:
            self._send(order)
        self._quiet()
        for attempt in list(self.checks.orders.by_token.values())[first:]:
            if attempt.status is not Status.DONE:
                self.checks.complain(f"liveness: the venue at rest did not do {attempt.order}: {attempt.status}")

    def _look(self) -> None:
        problem = self.checks.at_every_step()
        if problem:
            self._note(problem)
            raise Violation(self.seed, self._step, problem)

    def _count(self, fault: str) -> None:
        self._note("fault:", fault)
        self._seen[fault] = self._seen.get(fault, 0) + 1

    def _note(self, *words: object) -> None:
        if self._trace is not None:
            self._trace(f"{self._step:5} {self.scheduler.steps:6} {' '.join(map(str, words))}")

    @property
    def _serving(self) -> Process:
        return self._processes[-1]
