"""The journal, its history and its queries in memory: for tests and simulation, with the behaviour of PostgreSQL's.

A ``MemoryStore`` outlives the venue that writes to it: a restart is another ``acquire`` on the same store.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from threading import Lock
from typing import Protocol, Self, TypeVar

from msgspec.structs import replace

from perps.journal import Entry, JournalRefused, JournalUnavailable, OwnershipLost, Row
from perps.projection import Record, merge_order, merge_position, query_rows
from perps.query_rows import (
    STATUS_OPEN,
    Candle,
    EquityRecord,
    FillRecord,
    FundingRecord,
    KeyRecord,
    LegRecord,
    OrderRecord,
    PositionRecord,
    PriceRecord,
)
from persistence.journal.order import check_order


class MemoryStore:
    """What the database would hold. Satisfies ``actors.ports.History``. Safe from any thread."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.epoch = 0
        self.journal: list[Row] = []
        self.fills: list[FillRecord] = []
        self.legs: list[LegRecord] = []
        self.prices: list[PriceRecord] = []
        self.funding: list[FundingRecord] = []
        self.positions: dict[str, PositionRecord] = {}
        self.api_keys: dict[str, KeyRecord] = {}
        self.equity: dict[tuple[str, int], EquityRecord] = {}
        self.saved_snapshots: dict[int, bytes] = {}
        self._position_records: dict[str, Record] = {}
        self.orders: dict[str, Record] = {}
        self._answers: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._places: set[tuple[str, int]] = set()

    def acquire(self) -> "MemoryJournal":
        """Become the owner: begin a new epoch. The owner before can write nothing from here on."""
        with self.lock:
            self.epoch += 1
            return MemoryJournal(self, self.epoch, len(self.journal))

    def rows(self, after: int = 0) -> Iterator[Row]:
        """Every row with ``offset > after``, in order."""
        with self.lock:
            found = self.journal[max(after, 0) :]
        return iter(found)

    def rows_of(self, stream: str, after: int = 0) -> Iterator[Row]:
        """Every row of one stream with ``market_seq > after``, in order."""
        return (row for row in self.rows() if row.stream == stream and row.market_seq > after)

    def epoch_and_hash_at(self, offset: int) -> tuple[int, bytes] | None:
        """The epoch and hash of one row; None if there is no such row."""
        with self.lock:
            row = self.journal[offset - 1] if 0 < offset <= len(self.journal) else None
        return None if row is None else (row.epoch, row.hash)

    def snapshots(self, until: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Offset and bytes of the snapshots, at most at row ``until``, newest first."""
        with self.lock:
            found = sorted(self.saved_snapshots.items(), reverse=True)
        return ((offset, body) for offset, body in found if until is None or offset <= until)

    def save(self, offset: int, body: bytes, *, keep: int, broken: Mapping[int, bytes] | None = None) -> None:
        """Store a snapshot, in place of one at the same row; forget those that are ``broken`` (SHA-256 of their bytes,
        by row), then all but this one and the newest ``keep``.
        """
        with self.lock:
            saved = self.saved_snapshots
            for row, digest in (broken or {}).items():
                if row in saved and sha256(saved[row]).digest() == digest:
                    del saved[row]
            saved[offset] = body
            for old in sorted(saved.keys() - {offset, *sorted(saved)[-keep:]}):
                del saved[old]

    def look_ups(self, limit_s: float) -> "MemoryLookUps":
        """A way to ask which row answered a client id. It answers at once."""
        return MemoryLookUps(self)

    def answers(self, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], tuple[int, bytes]]:
        """Offset and fingerprint of the rows that answered these (sender, client order id) pairs, where there are."""
        with self.lock:
            return {key: self._answers[key] for key in keys if key in self._answers}

    def write(self, entries: Sequence[Entry], epoch: int) -> None:
        """Take in a batch, all of it or, on an exception, none."""
        with self.lock:
            if epoch != self.epoch:
                raise OwnershipLost(f"another venue has taken over: epoch {epoch} is over")
            self._refuse_conflicts(entries)
            for entry in entries:
                row = entry.row
                self.journal.append(row)
                self._places.add((row.stream, row.market_seq))
                if row.user_id is not None and row.client_order_id is not None:
                    self._answers[row.user_id, row.client_order_id] = (row.offset, row.fingerprint or b"")
            self._write_queries(entries)

    def _refuse_conflicts(self, entries: Sequence[Entry]) -> None:
        asked: set[tuple[str, str]] = set()
        places: set[tuple[str, int]] = set()
        for entry in entries:
            row = entry.row
            place = (row.stream, row.market_seq)
            if place in self._places or place in places:
                raise JournalRefused(f"row {row.offset}: {place} is taken")
            places.add(place)
            if row.user_id is not None and row.client_order_id is not None:
                key = (row.user_id, row.client_order_id)
                if key in self._answers or key in asked:
                    raise JournalRefused(f"row {row.offset}: {key} was answered before")
                asked.add(key)

    def _write_queries(self, entries: Sequence[Entry]) -> None:
        found = query_rows(entries, fold=False)
        width = len(FillRecord.__struct_fields__)
        self.fills.extend(FillRecord(*record[:width]) for record in found.fills)
        self.legs.extend(LegRecord(*record) for record in found.legs)
        self.prices.extend(PriceRecord(*record) for record in found.prices)
        self.funding.extend(FundingRecord(*record) for record in found.funding)
        for record in (*found.opened, *found.changed):
            earlier = self._position_records.get(record[0])
            merged = merge_position(earlier, record) if earlier else record
            self._position_records[record[0]] = merged
            self.positions[record[0]] = PositionRecord(*merged)
        for record in (*found.placed, *found.ordered):
            placed = self.orders.get(record[0])
            self.orders[record[0]] = merge_order(placed, record) if placed else record


class MemoryLookUps:
    """Satisfies ``actors.ports.LookUps``, on a ``MemoryStore``."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def answers(self, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], tuple[int, bytes]]:
        """Offset and fingerprint of the rows that answered these (sender, client order id) pairs, where there are."""
        return self._store.answers(keys)

    def close(self) -> None:
        """Nothing to do."""


class MemoryJournal:
    """Satisfies ``actors.ports.Journal``, on a ``MemoryStore``."""

    def __init__(self, store: MemoryStore, epoch: int, offset: int) -> None:
        """Use ``MemoryStore.acquire``."""
        self._store, self._epoch, self._offset = store, epoch, offset
        self._closed = False

    @property
    def epoch(self) -> int:
        """This ownership's number: higher than any before it."""
        return self._epoch

    @property
    def offset(self) -> int:
        """The last row known to be durable; 0 when there is none."""
        return self._offset

    def append(self, entries: Sequence[Entry]) -> None:
        """Make rows and their query records durable: all of them or none. Raises as the port says."""
        if not entries:
            return
        if self._closed:
            raise JournalUnavailable("the journal is closed")
        check_order(entries, self._epoch, self._offset)
        try:
            self._store.write(entries, self._epoch)
        except OwnershipLost:
            self._closed = True
            raise
        self._offset = entries[-1].row.offset

    def probe(self) -> None:
        """Raise ``OwnershipLost`` when another owner has taken over, ``JournalUnavailable`` when closed."""
        if self._closed:
            raise JournalUnavailable("the journal is closed")
        if self._store.epoch != self._epoch:
            self._closed = True
            raise OwnershipLost(f"another venue has taken over: epoch {self._epoch} is over")

    def close(self) -> None:
        """Give the shard back. Idempotent."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Placed(Protocol):
    @property
    def offset(self) -> int: ...
    @property
    def n(self) -> int: ...


Place = tuple[int, int]
"""Offset and n of a record: a list's cursor."""

R = TypeVar("R", bound=_Placed)


def _newest(records: Iterable[R], before: Place | None, limit: int) -> list[R]:
    """The last ``limit`` records before a place, newest first."""
    found = [record for record in records if before is None or (record.offset, record.n) < before]
    return found[: -limit - 1 : -1] if limit > 0 else []


class MemoryQueries:
    """The queries of ``persistence.queries.PostgresQueries`` on a ``MemoryStore``, by plain search."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""

    async def row(self, offset: int) -> Row | None:
        """One journal row."""
        return next(iter(await self.rows_after(offset - 1, 1)), None) if offset > 0 else None

    async def rows_after(self, offset: int, limit: int) -> list[Row]:
        """At most ``limit`` rows after ``offset``, in order."""
        return [row for row, _ in zip(self._store.rows(offset), range(limit), strict=False)]

    async def fills(
        self,
        *,
        user: str | None = None,
        ticker: str | None = None,
        kinds: Sequence[str] | None = None,
        before: Place | None = None,
        limit: int,
    ) -> list[FillRecord]:
        """Fills of a user, a market or both, of these kinds, newest first."""
        if user is None and ticker is None:
            raise ValueError("fills of which user or market?")

        def asked(fill: FillRecord) -> bool:
            return (
                (user is None or fill.user_id == user)
                and (ticker is None or fill.ticker == ticker)
                and (kinds is None or fill.kind in kinds)
            )

        return _newest(self._where(self._store.fills, asked), before, limit)

    async def transactions(self, user: str, *, before: Place | None = None, limit: int) -> list[LegRecord]:
        """Transfers from or to a user's wallet, newest first."""
        wallet = f"user:{user}"
        legs = self._where(self._store.legs, lambda leg: wallet in (leg.source, leg.target))
        return _newest(legs, before, limit)

    async def prices(self, ticker: str, *, before: Place | None = None, limit: int) -> list[PriceRecord]:
        """Prices a market took, newest first."""
        return _newest(self._where(self._store.prices, lambda price: price.ticker == ticker), before, limit)

    async def funding(self, ticker: str, *, before: Place | None = None, limit: int) -> list[FundingRecord]:
        """Hours of a market's funding, newest first."""
        return _newest(self._where(self._store.funding, lambda hour: hour.ticker == ticker), before, limit)

    async def equity(self, user: str, *, since: int, before: int | None = None, limit: int) -> list[EquityRecord]:
        """What a user had, newest first: from the last observation at or before ``since`` on, and before ``before``."""
        with self._store.lock:
            own = sorted(at for name, at in self._store.equity if name == user)
            first = max((at for at in own if at <= since), default=since)
            ats = [at for at in reversed(own) if at >= first and (before is None or at < before)]
            return [self._store.equity[user, at] for at in ats[: max(limit, 0)]]

    async def positions(
        self, user: str, *, status: str, ticker: str | None = None, before: Place | None = None, limit: int
    ) -> list[PositionRecord]:
        """A user's positions, those opened last first. ``status``: see ``PostgresQueries.positions``."""
        with self._store.lock:
            found = [
                position
                for position in self._store.positions.values()
                if position.user_id == user
                and (ticker is None or position.ticker == ticker)
                and (status == "all" or (status == STATUS_OPEN) is (position.status == STATUS_OPEN))
                and (before is None or position.place < before)
            ]
        return sorted(found, key=lambda position: position.place, reverse=True)[:limit]

    async def orders(
        self, user: str, *, status: str, ticker: str | None = None, before: Place | None = None, limit: int
    ) -> list[OrderRecord]:
        """A user's orders, those placed last first. ``status``: see ``PostgresQueries.orders``."""
        with self._store.lock:
            found = [
                order
                for order in (OrderRecord(*record) for record in self._store.orders.values())
                if order.user_id == user
                and (ticker is None or order.ticker == ticker)
                and (status == "all" or (status == STATUS_OPEN) is (order.status == STATUS_OPEN))
                and (before is None or order.placed_offset < before[0])
            ]
        return sorted(found, key=lambda order: -order.placed_offset)[:limit]

    async def order(self, order_id: str) -> OrderRecord | None:
        """One order; None if there never was one."""
        with self._store.lock:
            found = self._store.orders.get(order_id)
        return None if found is None else OrderRecord(*found)

    async def fills_of_order(self, ticker: str, number: int, *, limit: int) -> list[FillRecord]:
        """The fills that an order made, newest first."""
        found = self._where(self._store.fills, lambda fill: (fill.ticker, fill.order_number) == (ticker, number))
        return _newest(found, None, limit)

    async def owner(self, position_id: str) -> str | None:
        """Whose a position was that has been closed, or changed since its open; None of any other."""
        with self._store.lock:
            position = self._store.positions.get(position_id)
        return None if position is None or position.offset == position.opened_offset else position.user_id

    async def candles(
        self, ticker: str, *, interval_ms: int, start_ms: int, end_ms: int, limit: int, newest: bool = True
    ) -> list[Candle]:
        """The newest or oldest ``limit`` candles that begin in [start, end), oldest first, made of all events."""
        events = [
            (price.offset, price.n, price.at, price.quote_price, 0, 0)
            for price in self._where(self._store.prices, lambda price: price.ticker == ticker)
        ] + [
            (fill.offset, fill.n, fill.at, fill.quote_after, abs(fill.cost), 1)
            for fill in self._where(self._store.fills, lambda fill: fill.ticker == ticker)
        ]
        candles: dict[int, Candle] = {}
        for _, _, at, price, volume, count in sorted(events):
            start = at - at % interval_ms
            if start_ms <= start < end_ms:
                old = candles.get(start) or Candle(start, price, price, price, price, 0, 0)
                high, low = max(old.high, price), min(old.low, price)
                candles[start] = Candle(start, old.open, high, low, price, old.volume + volume, old.count + count)
        found = [candles[start] for start in sorted(candles)]
        return (found[-limit:] if newest else found[:limit]) if limit > 0 else []

    def _where(self, records: list[R], asked: Callable[[R], bool]) -> list[R]:
        with self._store.lock:
            return [record for record in records if asked(record)]


class MemoryKeys:
    """``persistence.keys.PostgresKeys`` on a ``MemoryStore``."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def load(self) -> list[KeyRecord]:
        """Every key, also the revoked ones, oldest first."""
        with self._store.lock:
            keys = list(self._store.api_keys.values())
        return sorted(keys, key=lambda key: (key.created_at, key.key_id))

    async def newest(self, *, before: tuple[int, str] | None, limit: int) -> list[KeyRecord]:
        """Keys made last first, the revoked ones too, after the (created_at, key_id) of the last one seen."""
        keys = [key for key in (await self.load())[::-1] if before is None or (key.created_at, key.key_id) < before]
        return keys[:limit]

    async def add(self, key: KeyRecord) -> None:
        """Store a new key. Raises ``JournalRefused`` when its id or digest is known already."""
        with self._store.lock:
            known = self._store.api_keys
            if key.key_id in known or any(key.digest == other.digest for other in known.values()):
                raise JournalRefused(f"API key {key.key_id} is known already")
            known[key.key_id] = key

    async def revoke(self, key_id: str, at: int) -> bool:
        """End a key at ``at`` (milliseconds); a second time changes nothing. False if there never was such a key."""
        with self._store.lock:
            key = self._store.api_keys.get(key_id)
            if key is not None and key.revoked_at is None:
                self._store.api_keys[key_id] = replace(key, revoked_at=at)
            return key is not None
