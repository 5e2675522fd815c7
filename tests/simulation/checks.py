"""What must hold at every step, and what must hold at rest. A run's first complaint ends it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actors.messages import (
    NO_TOKEN,
    Failure,
    FailureKind,
    ImageTaken,
    Outcome,
    Repeated,
    Reply,
    Sequenced,
    Settled,
    Token,
    Unchanged,
)
from actors.recovery import Recovered
from perps.commands import CancelOrders, SetCancelTimer
from perps.events import decode_events, own_of
from perps.journal import Entry, Row
from perps.refusals import Rejected
from perps.snapshot.format import state_hash
from perps.snapshot.images import MarketImage, digest
from perps.venue import VenueState, replay_market
from tests.perps.build import full_state
from tests.simulation.answers import LASTING, answers, unfounded
from tests.simulation.machine.host import Listener, Process
from tests.simulation.machine.journal import Store
from tests.simulation.machine.runtime import Runtime
from tests.simulation.machine.scheduler import Scheduler
from tests.simulation.oracle import Oracle
from tests.simulation.orders import Attempt, Orders, Status


class Checks(Listener):
    """Hears everything; ``complaints`` is empty as long as nothing is wrong."""

    def __init__(self, store: Store, scheduler: Scheduler) -> None:
        self._store, self._scheduler = store, scheduler
        self.complaints: list[str] = []
        self.orders = Orders()
        self.oracle = Oracle(self.complain)
        self.runtime: Runtime | None = None
        self.answered_by_core: set[tuple[str, Token]] = set()
        self.outcomes: dict[str, int] = {}
        self._acknowledged: dict[int, bytes] = {}
        self._sent: dict[bytes, int] = {}
        """By hash of a row: how many rows were durable when it was sent to the journal."""
        store.on_durable = self.durable

    def complain(self, problem: str) -> None:
        """Note what is wrong."""
        self.complaints.append(problem)

    def durable(self, rows: Sequence[Row]) -> None:
        """Rows became durable: each is followed, and none may belong to a command that was refused. I4, I5, I7, I9."""
        for row in rows:
            entry = self.oracle.follow(row, self._sent.get(row.hash, row.offset))
            if entry is None or row.client_order_id is None or row.user_id is None:
                continue
            if not self.orders.may_become_a_row(row.user_id, row.client_order_id, row.fingerprint or b""):
                self.complain(f"I4/I13 row {row.offset}: {row.user_id} {row.client_order_id} was told it has no effect")

    def sequenced(self, message: object) -> None:
        """Rows are sent to the journal."""
        if isinstance(message, list):
            for row in message:
                if isinstance(row, Sequenced):
                    self._sent[row.entry.row.hash] = len(self._store.durable)

    def settled(self, process: Process, rows: list[Settled]) -> None:
        """I8: nothing leaves the core before it is durable."""
        for settled in rows:
            if not self._store.has(settled.entry.row):
                self.complain(f"I8 row {settled.entry.row.offset} left the core and is not durable")
        self._answered_once(process, [settled.token for settled in rows if settled.token])

    def replied(self, process: Process, replies: list[Reply]) -> None:
        """A refusal leaves behind the rows it rests on. Nobody waits for what time does."""
        replies = [(token, outcome) for token, outcome in replies if token != NO_TOKEN]
        self._answered_once(process, [token for token, _ in replies])
        for token, outcome in replies:
            if isinstance(outcome, Rejected):
                attempt = self.orders.by_token[token]
                problem = unfounded(outcome, attempt.order.command, self.oracle.state)
                if problem and not self._overtaken(process):
                    self.complain(f"I8 {outcome.code} for {attempt.order}: {problem}")

    def _answered_once(self, process: Process, tokens: list[Token]) -> None:
        for token in tokens:
            key = (process.name, token)
            if key in self.answered_by_core:
                self.complain(f"token {token} was answered twice: {self.orders.by_token[token]}")
            self.answered_by_core.add(key)

    def recovered(self, process: Process, recovered: Recovered) -> None:
        """I6: what recovery finds is what a plain replay of every row gives."""
        state, truth = recovered.state, self.oracle.state
        if state.offset == truth.offset and (dump(state) != dump(truth) or state_hash(state) != state_hash(truth)):
            self.complain(f"I6 {process.name} recovered something else at row {state.offset}")

    def image_taken(self, process: Process, taken: ImageTaken) -> None:
        """I6, I8: what an actor holds in memory is what a replay of the durable rows gives, at the row it names."""
        image, rows = taken.image, self._store.durable
        if image is None:
            return
        if isinstance(image, MarketImage):
            ticker, seq = image.head.params.ticker, image.head.seq
            own = [row for row in rows if row.stream == ticker and row.market_seq <= seq]
            right = bool(own) and own[-1].market_seq == seq and digest(replay_market(own).image().chunks())
        else:
            state = VenueState()
            for row in rows[: image.offset]:
                state.apply(row)
            right = state.offset == image.offset and digest(state.ledger.image(image.offset).chunks())
        if right != digest(image.chunks()):
            self.complain(f"I6 {process.name}: an image is not what its rows give: {image}")

    def published(self, process: Process, entry: Entry) -> None:
        """I10: each row once, in order; and only durable ones."""
        offset = entry.row.offset
        if offset != process.published + 1:
            self.complain(f"I10 row {offset} was published after row {process.published}")
        if not self._store.has(entry.row):
            self.complain(f"I8 row {offset} was published and is not durable")

    def answered(self, process: Process, token: Token, outcome: Outcome) -> None:
        """A caller got his answer: I1, I4, I8, I13."""
        attempt = self.orders.by_token[token]
        name = outcome.kind if isinstance(outcome, Failure) else type(outcome).__name__.lower()
        self.outcomes[name] = self.outcomes.get(name, 0) + 1
        match outcome:
            case Settled(entry=entry):
                self._done(process, attempt, entry.row)
            case Repeated(offset=offset):
                if offset > len(self._store.durable):
                    self.complain(f"I8 {attempt.order} is answered by row {offset}, which is not durable")
                    return
                self._done(process, attempt, self._store.durable[offset - 1])
            case Rejected(code=code):
                self.orders.refused(attempt, for_good=code in LASTING)
            case Failure(kind=FailureKind.OUTCOME_UNKNOWN):
                attempt.status = Status.UNKNOWN
            case Failure():
                self.orders.refused(attempt, for_good=False)
            case Unchanged() if isinstance(attempt.order.command, CancelOrders | SetCancelTimer):
                self.orders.refused(attempt, for_good=False)
            case Unchanged():
                self.complain(f"{attempt.order} is said to have changed nothing")

    def _overtaken(self, process: Process) -> bool:
        """Whether another owns the shard by now: what an old owner says of the present need not be so any more."""
        return self._store.epoch != process.epoch

    def _done(self, process: Process, attempt: Attempt, row: Row) -> None:
        order = attempt.order
        attempt.status, attempt.offset = Status.DONE, row.offset
        if not self._store.has(row):
            self.complain(f"I1 {order} was acknowledged by row {row.offset}, which is not durable")
            return
        if process.published < row.offset and not self._overtaken(process):
            self.complain(f"I8 {order} was acknowledged by row {row.offset}, which its readers do not have yet")
        if order.order_id is not None and (row.user_id, row.client_order_id, row.fingerprint) != (
            order.sender,
            order.order_id,
            attempt.digest,
        ):
            self.complain(f"I4 {order} was acknowledged by row {row.offset} of {row.user_id} {row.client_order_id}")
        event = own_of(decode_events(row.payload))
        if not answers(order.command, row.stream, event):
            self.complain(f"I1 {order} was acknowledged by row {row.offset}: {event}")
        first = self._acknowledged.setdefault(row.offset, row.hash)
        if first != row.hash:
            self.complain(f"I1 row {row.offset} is not the one that was acknowledged before")

    def at_every_step(self) -> str | None:
        """The first thing that is wrong, if anything is."""
        if self._store.refusals:
            self.complain(f"I4/I5 the journal was sent what it must refuse: {self._store.refusals[0]}")
        if self.runtime is not None:
            for word in self.runtime.errors:
                if "timed_out" in word and not any(task.asleep for task in self._scheduler.tasks):
                    self.complain(f"I12 a stop could not be waited for: {word}")
            self.runtime.errors.clear()
            for death in self.runtime.deaths:
                self.complain(death)
        return self.complaints[0] if self.complaints else None

    def at_the_end(self) -> None:
        """I1 for everything that was ever acknowledged."""
        for offset, known in self._acknowledged.items():
            if offset > len(self._store.durable) or self._store.durable[offset - 1].hash != known:
                self.complain(f"I1 row {offset} was acknowledged and is gone")

    def at_rest(self, process: Process) -> None:
        """Nothing is in flight: everybody has his answer, nothing is held, and memory is what the journal says. I6."""
        waiting = [self.orders.by_token[token].order for token in process.waiting]
        if waiting:
            self.complain(f"liveness: {len(waiting)} were never answered, the first: {waiting[0]}")
        actors = {task.name: task.subject for task in self._scheduler.tasks if task.owner is process}
        ledger: Any = actors.get("ledger")
        supervisor: Any = actors.get("supervisor")
        if ledger is None or supervisor is None or "journal" not in actors or "lookup" not in actors:
            self.complain(f"liveness: the core does not run: {sorted(actors)}")
            return
        self.oracle.check_at_rest([ticker for ticker, slot in supervisor._slots.items() if slot.down])
        if ledger._side.funds.in_flight != (0, 0):
            self.complain(f"liveness: holds and credits in flight at rest: {ledger._side.funds.in_flight}")
        if supervisor._answers._in_flight:
            self.complain(f"liveness: client ids in flight at rest: {list(supervisor._answers._in_flight)[:3]}")
        markets = {}
        for ticker, slot in supervisor._slots.items():
            if slot.waiting or slot.listing is not None or not (slot.ready or slot.down):
                self.complain(f"liveness: {ticker} is neither ready nor down: {slot}")
            actor: Any = actors.get(f"market {ticker}")
            if slot.ready and (actor is None or actor._side.market is None):
                self.complain(f"liveness: {ticker} is called ready and has no market: {slot}")
            elif slot.ready and ledger._markets.get(ticker) is not slot.ref:
                self.complain(f"the ledger has no route to {ticker}: all its opens take the long way")
            elif slot.ready:
                markets[ticker] = actor._side.market
        truth = self.oracle.state
        if set(supervisor._slots) != set(truth.markets):
            self.complain(f"markets {sorted(supervisor._slots)} run, {sorted(truth.markets)} are listed")
        if (ledger._side.offset, ledger._side.last_hash) != (truth.offset, truth.last_hash):
            self.complain(f"I6 the ledger stands at row {ledger._side.offset}, the journal at row {truth.offset}")
        stands = full_state(
            truth.ledger, {ticker: truth.markets[ticker] for ticker in markets if ticker in truth.markets}
        )
        if full_state(ledger._side.ledger, markets) != stands:
            self.complain(f"I6 what the actors hold at row {truth.offset} is not what the journal says")


def dump(state: Any) -> object:
    """All of a venue's state, as values that compare."""
    return (state.offset, state.epoch, state.last_hash, full_state(state.ledger, state.markets))
