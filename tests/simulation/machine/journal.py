"""The journal of the simulated world: what a database may do to its writer, in memory.

A commit may succeed, fail, succeed and be reported as failed, or stay in doubt: written but not yet durable, to be
found or not by whoever owns the shard next. Another owner may take over; reads may be away for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum, auto
from random import Random

from perps.journal import Entry, JournalRefused, JournalUnavailable, OwnershipLost, Row
from perps.snapshot.format import Snapshot
from perps.venue import VenueState
from persistence.journal.order import check_order
from tests.simulation.machine.scheduler import Owner, Scheduler


class Commit(Enum):
    """What becomes of one append."""

    DONE = auto()
    LOST = auto()
    """Not written, and reported as unknown."""
    DONE_UNHEARD = auto()
    """Written, and reported as unknown."""
    DOUBT = auto()
    """Reported as unknown; durable or not is decided later."""
    BROKEN_BEFORE = auto()
    """A bug in the journal's code, before the commit."""
    BROKEN_AFTER = auto()
    """A bug in the journal's code, after the commit."""


class InjectedBug(RuntimeError):
    """A bug that the run has planned for an actor."""


Verdict = Callable[[Iterable[str]], Commit]
"""Says what becomes of the next append."""


class Store:
    """What the database holds. Satisfies ``actors.ports.History``; outlives every process."""

    def __init__(self, scheduler: Scheduler, random: Random, verdict: Verdict) -> None:
        self._scheduler, self._random = scheduler, random
        self.verdict = verdict
        self.epoch = 0
        self.durable: list[Row] = []
        self.stored_snapshots: list[tuple[int, bytes]] = []
        self.away_until_ns = 0
        self.refusals: list[str] = []
        """Rows that no venue should ever have sent: each is a bug."""
        self.on_durable: Callable[[Sequence[Row]], None] = lambda rows: None
        self._doubt: list[Row] = []
        self._answers: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._places: set[tuple[str, int]] = set()
        self._holder: tuple[Owner, int] | None = None

    def acquire(self, owner: Owner, *, by_force: bool = False) -> Session:
        """Become the owner of the shard. Raises ``OwnershipLost`` while another lives, unless it is ``by_force``.

        What was in doubt is decided now: nothing of an earlier owner can become durable after this.
        """
        self.check_there()
        holder = self._holder[0] if self._holder else None
        if holder is not None and holder is not owner and not holder.dead and not by_force:
            raise OwnershipLost("another venue owns the shard")
        self.settle_doubt()
        self.epoch += 1
        self._holder = (owner, self.epoch)
        return Session(self, self._scheduler, owner, self.epoch, len(self.durable))

    def rows(self, after: int = 0) -> Iterator[Row]:
        """Every durable row with ``offset > after``, as of the first one read. Raises ``JournalUnavailable``."""
        self.check_there()
        return self._read(self.durable[after:])

    def rows_of(self, stream: str, after: int = 0) -> Iterator[Row]:
        """Every durable row of one stream with ``market_seq > after``. Raises ``JournalUnavailable``."""
        self.check_there()
        return self._read([row for row in self.durable if row.stream == stream and row.market_seq > after])

    def epoch_and_hash_at(self, offset: int) -> tuple[int, bytes] | None:
        """The epoch and hash of a row. Raises ``JournalUnavailable``."""
        self.check_there()
        row = self.durable[offset - 1] if 0 < offset <= len(self.durable) else None
        return None if row is None else (row.epoch, row.hash)

    def snapshots(self, until: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Stored snapshots, newest first. Raises ``JournalUnavailable``."""
        for offset, stored in reversed(self.stored_snapshots):
            if until is None or offset <= until:
                self.check_there()
                yield offset, stored

    def _read(self, rows: list[Row]) -> Iterator[Row]:
        for number, row in enumerate(rows):
            if number % 64 == 0:
                self._scheduler.pause("reading rows")
                self.check_there()
            yield row

    def look_ups(self, limit_s: float) -> LookUps:
        """A way to ask which row answered a client id."""
        return LookUps(self)

    def answers(self, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], tuple[int, bytes]]:
        """The rows that answered these ids. Raises ``JournalUnavailable``."""
        self._scheduler.pause("before a look-up")
        self.check_there()
        found = {key: self._answers[key] for key in keys if key in self._answers}
        self._scheduler.pause("after a look-up")
        return found

    def keep(self, state: VenueState, *, broken: bool) -> None:
        """Store a snapshot of the present state, perhaps a broken one."""
        if not state.offset:
            return
        stored = bytearray(Snapshot.of(state).encode())
        if broken:
            at = self._random.randrange(len(stored))
            stored[at] ^= 1 << self._random.randrange(8)
        self.stored_snapshots.append((state.offset, bytes(stored)))

    def check_there(self) -> None:
        """Raise ``JournalUnavailable`` while reads are away."""
        if self._scheduler.time.ns < self.away_until_ns:
            raise JournalUnavailable("the store is away")

    def release(self, epoch: int) -> None:
        """An owner gave the shard back."""
        if self._holder is not None and self._holder[1] == epoch:
            self._holder = None

    def begin(self, rows: list[Row]) -> None:
        """Rows are on their way to the disk."""
        self._doubt = rows

    def settle_doubt(self, *, durable: bool | None = None) -> None:
        """Decide what was in doubt: by chance, or as said."""
        rows, self._doubt = self._doubt, []
        if rows and (self._random.random() < 0.5 if durable is None else durable):
            for row in rows:
                self._places.add((row.stream, row.market_seq))
                if row.user_id is not None and row.client_order_id is not None:
                    self._answers[row.user_id, row.client_order_id] = (row.offset, row.fingerprint or b"")
            self.durable.extend(rows)
            self.on_durable(rows)

    def has(self, row: Row) -> bool:
        """Whether this very row is durable."""
        return row.offset <= len(self.durable) and self.durable[row.offset - 1].hash == row.hash

    def check(self, entries: Sequence[Entry], epoch: int, offset: int) -> None:
        """Raise ``JournalRefused`` for what PostgreSQL's constraints would refuse."""
        try:
            check_order(entries, epoch, offset)
            asked: set[tuple[object, ...]] = set()
            for entry in entries:
                row = entry.row
                keys: list[tuple[object, ...]] = [(row.stream, row.market_seq)]
                taken = keys[0] in self._places
                if row.user_id is not None and row.client_order_id is not None:
                    keys.append(("id", row.user_id, row.client_order_id))
                    taken = taken or (row.user_id, row.client_order_id) in self._answers
                if taken or asked.intersection(keys):
                    raise JournalRefused(f"row {row.offset}: {keys} is taken")
                asked.update(keys)
        except JournalRefused as error:
            self.refusals.append(str(error))
            raise


class LookUps:
    """Satisfies ``actors.ports.LookUps``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._closed = False

    def answers(self, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], tuple[int, bytes]]:
        """The rows that answered these ids. Raises ``JournalUnavailable``."""
        if self._closed:
            raise AssertionError("a look-up after the end of its session")
        return self._store.answers(keys)

    def close(self) -> None:
        """From here on nothing may be asked."""
        self._closed = True


class Session:
    """One ownership of the shard. Satisfies ``actors.ports.Journal``."""

    def __init__(self, store: Store, scheduler: Scheduler, owner: Owner, epoch: int, offset: int) -> None:
        self._store, self._scheduler, self._owner = store, scheduler, owner
        self._epoch, self._offset = epoch, offset
        self._closed = False

    @property
    def epoch(self) -> int:
        """This ownership's number."""
        return self._epoch

    def append(self, entries: Sequence[Entry]) -> None:
        """Make rows durable, or whatever chance has the database do."""
        scheduler, store = self._scheduler, self._store
        scheduler.pause("before a commit")
        self._check_mine()
        store.check(entries, self._epoch, self._offset)
        commit = store.verdict(entry.row.kind for entry in entries)
        if commit is Commit.LOST:
            raise JournalUnavailable("lost before the commit")
        if commit is Commit.BROKEN_BEFORE:
            raise InjectedBug("before the commit")
        rows = [entry.row for entry in entries]
        store.begin(rows)
        if commit is Commit.DOUBT:
            raise JournalUnavailable("no answer to the commit")
        scheduler.pause("during a commit")
        if self._owner.dead:
            return
        if store.epoch == self._epoch:
            store.settle_doubt(durable=True)
        elif not store.has(rows[-1]):
            raise JournalUnavailable("the connection broke during the commit")
        if commit is Commit.DONE_UNHEARD:
            raise JournalUnavailable("the connection broke after the commit")
        if commit is Commit.BROKEN_AFTER:
            raise InjectedBug("after the commit")
        self._offset = rows[-1].offset
        scheduler.pause("after a commit")

    def probe(self) -> None:
        """Whether the next append could succeed."""
        self._scheduler.pause("before a probe")
        self._check_mine()
        self._store.check_there()

    def _check_mine(self) -> None:
        if self._owner.dead or self._closed:
            raise JournalUnavailable("the session is closed")
        if self._store.epoch != self._epoch:
            raise OwnershipLost(f"epoch {self._epoch} is over")

    def close(self) -> None:
        """Give the shard back."""
        self._closed = True
        self._store.release(self._epoch)
