"""The whole state of a venue, rebuilt from journal rows: what recovery, verification and every replica run.

``VenueState.apply`` takes one row and checks, before it believes it, that it is the next one: offset, epoch, stream
sequence, hash; and after it, that the money agrees: Σ accounts = 0 by construction, the margin account = Σ margins.
"""

from collections.abc import Iterable

from msgspec import MsgspecError

from perps.engine import apply, apply_ledger, effects_of
from perps.events import SCHEMA_VERSION, Event, Events, LedgerEvent, MarketEvent, MarketListed, subject_of
from perps.journal import GENESIS, LEDGER_STREAM, Entry, Row, events_of, hash_of
from perps.market.state import Market
from perps.market.sums import MarketSums
from perps.money.ledger import Ledger, Leg
from perps.refusals import InvariantViolated
from perps.units import Millis

_UNREPLAYABLE = (MsgspecError, KeyError, ValueError, ArithmeticError, InvariantViolated)
"""What replay stumbles over when a row is not what was written."""


class JournalCorrupt(InvariantViolated):
    """A stored row cannot be what was written. Names the offset; nothing after it is believed."""

    def __init__(self, offset: int, problem: str) -> None:
        super().__init__(f"journal row {offset}: {problem}")
        self.offset = offset
        self.problem = problem


class VenueState:
    """Ledger, markets and the journal's position, all as of ``offset``."""

    def __init__(self) -> None:
        self.offset = 0
        self.epoch = 0
        self.last_hash = GENESIS
        self.at = Millis(0)
        """The latest time of any row: the venue's clock never gives out an earlier one."""
        self.ledger = Ledger()
        self.markets: dict[str, Market] = {}

    def apply(self, row: Row) -> Entry:
        """Check and take in the next row; return it with its meaning. Raises ``JournalCorrupt``."""
        self._check_place(row)
        return self.take_in(row)

    def take_in(self, row: Row) -> Entry:
        """What ``apply`` does once the row's place is known to be right. Raises ``JournalCorrupt``; then nothing more
        of this state is to be believed.
        """
        try:
            entry = self._replay(row)
        except _UNREPLAYABLE as error:
            raise JournalCorrupt(row.offset, f"it cannot be replayed: {error}") from error
        self._check_result(entry)
        self.offset, self.epoch, self.last_hash = row.offset, row.epoch, row.hash
        self.at = max(self.at, row.at)
        return entry

    def _replay(self, row: Row) -> Entry:
        events = _decoded(row)
        legs: list[Leg] = []
        for event in events:
            legs.extend(self.ledger.post(event.transfers))
            if row.stream != LEDGER_STREAM:
                self.markets[row.stream] = _taken_in(self.markets.get(row.stream), row.stream, event)
            elif isinstance(event, LedgerEvent):
                apply_ledger(self.ledger, event)
            else:
                raise InvariantViolated(f"{type(event).__name__} is no event of the ledger")
        return Entry(row, events, effects_of(events), tuple(legs))

    def _check_place(self, row: Row) -> None:
        if row.offset != self.offset + 1:
            raise JournalCorrupt(self.offset + 1, f"missing; the next one there is {row.offset}")
        if row.epoch < self.epoch:
            raise JournalCorrupt(row.offset, f"epoch {row.epoch} after epoch {self.epoch}")
        if row.schema_version > SCHEMA_VERSION:
            raise JournalCorrupt(row.offset, f"schema version {row.schema_version} is newer than this program's")
        if hash_of(self.last_hash, row) != row.hash:
            raise JournalCorrupt(row.offset, "its hash does not follow from its fields and the row before it")

    def _check_result(self, entry: Entry) -> None:
        row = entry.row
        stream: Ledger | Market = self.ledger if row.stream == LEDGER_STREAM else self.markets[row.stream]
        stream.seq += 1
        if row.market_seq != stream.seq:
            raise JournalCorrupt(row.offset, f"{row.stream} sequence {row.market_seq}, expected {stream.seq}")
        if isinstance(stream, Market):
            stream.at = row.at
            problem = self.ledger.disagreement(MarketSums.of(stream))
            if problem:
                raise JournalCorrupt(row.offset, problem)
        subject = subject_of(entry.events)
        balance = self.ledger.wallet(subject) if subject else None
        if balance != row.user_balance:
            raise JournalCorrupt(row.offset, f"{subject} has {balance}, the row says {row.user_balance}")


def replay_market(rows: Iterable[Row], market: Market | None = None) -> Market:
    """One market from the rows of its stream alone, or from a snapshot's and those after it. Raises ``JournalCorrupt``.

    For the restart of one market while its neighbours trade on: it checks the stream's sequence; the hash chain, which
    runs through every row of the shard, is checked at start-up and by verification.
    """
    for row in rows:
        expected = market.seq + 1 if market else 1
        if row.market_seq != expected:
            raise JournalCorrupt(row.offset, f"{row.stream} sequence {row.market_seq}, expected {expected}")
        try:
            for event in _decoded(row):
                market = _taken_in(market, row.stream, event)
        except _UNREPLAYABLE as error:
            raise JournalCorrupt(row.offset, f"it cannot be replayed: {error}") from error
        if market is not None:
            market.seq, market.at = row.market_seq, row.at
    if market is None:
        raise JournalCorrupt(0, "the stream has no rows")
    return market


def _decoded(row: Row) -> Events:
    events = events_of(row)
    if not events:
        raise InvariantViolated("it holds no event")
    return events


def _taken_in(market: Market | None, stream: str, event: Event) -> Market:
    """The market of a stream after one more event: listed by the first, and by no other."""
    if market is None:
        if not isinstance(event, MarketListed) or event.params.ticker != stream:
            raise InvariantViolated(f"{stream} does not begin with its listing")
        return Market(event)
    if not isinstance(event, MarketEvent):
        raise InvariantViolated(f"{type(event).__name__} is no event of a market")
    apply(market, event)
    return market
