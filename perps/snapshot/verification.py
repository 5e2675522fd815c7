"""Verification: a walk over all rows that names each one that cannot be what was written, and goes on behind it.

Recovery stops at the first such row (``perps/venue.py``). Here the cheap checks, on which nothing builds, go on from
what is stored, so that three altered rows are three findings. What needs the state stops at the first row that cannot
be taken in: every later difference would follow from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from perps.events import SCHEMA_VERSION
from perps.journal import GENESIS, LEDGER_STREAM, Entry, Row, hash_of
from perps.market.state import Market
from perps.money.accounts import (
    FEES,
    WORLD,
    house_account,
    insurance_account,
    margin_account,
    orders_account,
    user_account,
)
from perps.money.ledger import Ledger
from perps.venue import JournalCorrupt, VenueState

FINDINGS_MAX: Final = 100
"""Findings kept; of the rest only the number."""

WALLET: Final = user_account("")


class Finding(Struct, frozen=True, omit_defaults=True):
    """One thing that is not as it must be, and where."""

    problem: str
    offset: int | None = None
    """The journal row it is about, if it is about one."""
    ticker: str | None = None


class Findings:
    """What was found, in order: the first ``FINDINGS_MAX``, and how many there were."""

    def __init__(self, kept_max: int = FINDINGS_MAX) -> None:
        self.kept_max = kept_max
        self.kept: list[Finding] = []
        self.count = 0

    def add(self, problem: str, offset: int | None = None, ticker: str | None = None) -> None:
        """One more; a stream that is not a market's gives no ticker."""
        self.count += 1
        if len(self.kept) < self.kept_max:
            self.kept.append(Finding(problem, offset, None if ticker == LEDGER_STREAM else ticker))

    def told(self) -> list[Finding]:
        """What was kept; if that is not all, a last line says how many more there are."""
        more = self.count - len(self.kept)
        return [*self.kept, Finding(f"and {more} more")] if more else self.kept


class Walker:
    """Takes every row of a shard in the order of offsets, from the first, and tells ``findings`` what is wrong."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self.state = VenueState()
        self.is_sound = True
        """Whether ``state`` is what the rows so far lead to. Once False, it stays as it is."""
        self.offset = 0
        """Of the last row seen."""
        self.last_hash = GENESIS
        """As stored in the last row seen."""
        self.epoch = 0
        self._previous: tuple[bytes, ...] = (GENESIS,)
        """What the next row's hash may build on: the last row's stored hash; where that is wrong, also what it should
        have been; after a gap nothing is known."""
        self._streams: dict[str, tuple[int, int]] = {}
        """By stream: sequence and time of its last row."""

    def take(self, row: Row) -> Entry | None:
        """Check one row; with its meaning while the state is sound."""
        self._check_offset(row)
        self._check_epoch(row)
        self._check_hash(row)
        self._check_stream(row)
        return self._take_in(row)

    def _check_offset(self, row: Row) -> None:
        expected, self.offset = self.offset + 1, row.offset
        if row.offset == expected:
            return
        self._previous = ()
        self.is_sound = False
        if row.offset < expected:
            self._findings.add("this offset is there twice", row.offset, row.stream)
        elif row.offset == expected + 1:
            self._findings.add(f"missing; the next row there is {row.offset}", expected)
        else:
            self._findings.add(f"missing, with all rows up to {row.offset - 1}", expected)

    def _check_epoch(self, row: Row) -> None:
        if row.epoch < self.epoch:
            self._findings.add(f"epoch {row.epoch} after epoch {self.epoch}", row.offset, row.stream)
        self.epoch = row.epoch
        if row.schema_version > SCHEMA_VERSION:
            problem = f"schema version {row.schema_version} is newer than this program's, {SCHEMA_VERSION}"
            self._findings.add(problem, row.offset, row.stream)
            self.is_sound = False

    def _check_hash(self, row: Row) -> None:
        computed = [hash_of(previous, row) for previous in self._previous]
        self.last_hash = row.hash
        self._previous = (row.hash,)
        if computed and row.hash not in computed:
            problem = "its hash does not follow from its fields and the row before it: one of the two was altered"
            self._findings.add(problem, row.offset, row.stream)
            self._previous = (row.hash, *computed)

    def _check_stream(self, row: Row) -> None:
        seq, at = self._streams.get(row.stream, (0, row.at))
        self._streams[row.stream] = (row.market_seq, row.at)
        if row.market_seq != seq + 1:
            problem = f"{row.stream} sequence {row.market_seq} where {seq + 1} must follow"
            self._findings.add(problem, row.offset, row.stream)
            keeper = self._keeper(row.stream)
            if keeper is not None:
                keeper.seq = row.market_seq - 1
        if row.at < at and row.stream != LEDGER_STREAM:
            self._findings.add(f"{at - row.at} ms before the market's row before it", row.offset, row.stream)

    def _keeper(self, stream: str) -> Ledger | Market | None:
        return self.state.ledger if stream == LEDGER_STREAM else self.state.markets.get(stream)

    def _take_in(self, row: Row) -> Entry | None:
        if not self.is_sound:
            return None
        try:
            return self.state.take_in(row)
        except JournalCorrupt as corrupt:
            self._findings.add(f"{corrupt.problem}; behind it only the chain is checked", row.offset, row.stream)
            self.is_sound = False
            return None


def contradictions(state: VenueState) -> Iterator[Finding]:
    """What of a state contradicts itself, counted anew from every account and position: nothing, if all is well."""
    ledger, offset = state.ledger, state.offset
    if ledger.total():
        yield Finding(f"all accounts together hold {ledger.total()} micros, not 0", offset)
    known = {FEES, WORLD}
    for ticker in state.markets:
        known |= {margin_account(ticker), house_account(ticker), insurance_account(ticker), orders_account(ticker)}
    for account, amount in ledger.balances.items():
        if account.startswith(WALLET):
            if amount < 0:
                yield Finding(f"{account} holds {amount} micros", offset)
            if account.removeprefix(WALLET) not in ledger.referrers:
                yield Finding(f"{account} holds {amount} micros, but there is no such user", offset)
        elif account not in known:
            yield Finding(f"{account} holds {amount} micros, but there is no such account", offset)
    for ticker, market in state.markets.items():
        for problem in _contradictions_of_market(market, ledger):
            yield Finding(problem, offset, ticker)


def _contradictions_of_market(market: Market, ledger: Ledger) -> Iterator[str]:
    positions = market.positions.values()
    margin = sum(position.margin for position in positions)
    held = ledger.balances.get(margin_account(market.ticker), 0)
    if margin != held:
        yield f"{margin_account(market.ticker)} holds {held} micros, its positions have {margin}"
    counted = (
        sum(position.lots for position in positions if position.lots > 0),
        -sum(position.lots for position in positions if position.lots < 0),
        sum(position.cash for position in positions),
    )
    running = (market.long_lots, market.short_lots, market.cash)
    if counted != running:
        yield f"long lots, short lots and cash are {running} in its sums, {counted} in its positions"
    yield from _contradictions_of_orders(market, ledger)
    for position in positions:
        if position.user not in ledger.referrers:
            yield f"position {position.number} belongs to {position.user}, who is no user"
        elif position.referrer != ledger.referrers[position.user]:
            yield f"position {position.number} has the referrer {position.referrer}, {position.user} another"
        if position.number >= market.next_number:
            yield f"position {position.number} stands, but the next one would be {market.next_number}"


def _contradictions_of_orders(market: Market, ledger: Ledger) -> Iterator[str]:
    reserved = sum(order.reserve for order in market.orders.by_number.values())
    held = ledger.balances.get(orders_account(market.ticker), 0)
    if reserved != held:
        yield f"{orders_account(market.ticker)} holds {held} micros, its orders have {reserved}"
    for number, order in market.orders.by_number.items():
        if order.user not in ledger.referrers:
            yield f"order {number} belongs to {order.user}, who is no user"
        elif order.referrer != ledger.referrers[order.user]:
            yield f"order {number} has the referrer {order.referrer}, {order.user} another"
        if number >= market.next_order:
            yield f"order {number} rests, but the next one would be {market.next_order}"
