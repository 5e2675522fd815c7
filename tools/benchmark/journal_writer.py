"""Writes a long journal without a venue: the domain decides, and rows go to the database in large batches."""

from __future__ import annotations

from typing import Final

from perps.commands import ClosePosition, CreateUser, MarketCommand, OpenPosition, PriceSource, Side, UpdatePrice
from perps.engine import execute
from perps.events import Event, PositionOpened, encode_events, subject_of, transfers_of
from perps.journal import GENESIS, LEDGER_STREAM, SCHEMA_VERSION, Entry, make_row
from perps.market.position import position_id
from perps.market.state import Market
from perps.money.funds import Funds
from perps.money.ledger import Ledger, Leg
from perps.refusals import Rejected
from perps.rules.users import decide_ledger
from perps.units import MICRO, PPB, Micros, Millis, Ppb, Ticks
from persistence.journal.writer import PostgresJournal
from tools.benchmark.prices import LEVERAGES, PARAMS, PRICE, SIZE, list_market
from tools.errors import ToolError

TICKER: Final = PARAMS.ticker
USERS: Final = 1_000
DEPOSIT: Final = Micros(10**8 * MICRO)
BATCH_ROWS: Final = 5_000


def write_journal(database_url: str, rows: int, positions: int) -> None:
    """Fill an empty database with ``rows`` rows of one market in which ``positions`` positions stay open.

    The rows are users, then opens, then by turns an open, its close and a price.
    """
    with PostgresJournal.acquire(database_url) as journal:
        writer = _Writer(journal)
        writer.begin()
        for number in range(positions):
            writer.open(number)
        number = positions
        while writer.offset < rows:
            number += 1
            writer.close(writer.open(number))
            writer.price(number)
        writer.flush()


class _Writer:
    """Decides, applies, posts, and writes each row as a venue would."""

    def __init__(self, journal: PostgresJournal) -> None:
        self._journal = journal
        self._ledger = Ledger()
        self._funds = Funds(self._ledger)
        self._last_hash = GENESIS
        self._entries: list[Entry] = []
        self.offset = 0

    def begin(self) -> None:
        """Create the market and the users."""
        listed = list_market()
        self._market = Market(listed)
        self._write("list", TICKER, None, (listed,))
        for number in range(USERS):
            command = CreateUser(user=f"u{number}", deposit=DEPOSIT)
            event = decide_ledger(self._ledger, self._funds, command, Millis(0))
            if isinstance(event, Rejected):
                raise ToolError(f"the benchmark could not create a user: {event.code}")
            self._ledger.apply(event)
            self._write("user", LEDGER_STREAM, command.user, (event,))

    def open(self, number: int) -> tuple[str, int]:
        """Open a position, longs and shorts by turns; its owner and number."""
        user = f"u{number % USERS}"
        side, leverage = (Side.LONG, Side.SHORT)[number % 2], LEVERAGES[number % len(LEVERAGES)]
        command = OpenPosition(ticker=TICKER, user=user, side=side, size=SIZE, leverage=leverage)
        event = self._execute("open", user, command)
        if not isinstance(event, PositionOpened):
            raise ToolError(f"the benchmark opened a position and got {event}")
        return user, event.position.number

    def close(self, opened: tuple[str, int]) -> None:
        """Close what ``open`` opened."""
        user, number = opened
        command = ClosePosition(ticker=TICKER, user=user, position_id=position_id(TICKER, number), share=Ppb(PPB))
        self._execute("close", user, command)

    def price(self, number: int) -> None:
        """Set a price that liquidates nobody."""
        command = UpdatePrice(ticker=TICKER, price=Ticks(PRICE + number % 10), source=PriceSource.ORACLE)
        self._execute("price", None, command)

    def flush(self) -> None:
        """Make the collected rows durable."""
        self._journal.append(self._entries)
        self._entries = []

    def _execute(self, kind: str, user: str | None, command: MarketCommand) -> Event:
        held = self._ledger.wallet(user) if user else Micros(0)
        rows = execute(self._market, command, Millis(self.offset), held=held, referrer=None)
        if isinstance(rows, Rejected):
            raise ToolError(f"the benchmark's {kind} command was refused: {rows.code} {dict(rows.facts)}")
        for events in rows:
            self._write(kind, TICKER, user, events)
        return rows[0][0]

    def _write(self, kind: str, stream: str, user: str | None, events: tuple[Event, ...]) -> None:
        legs: list[Leg] = []
        for event in events:
            legs.extend(self._ledger.post(transfers_of(event)))
        keeper: Ledger | Market = self._ledger if stream == LEDGER_STREAM else self._market
        keeper.seq += 1
        self.offset += 1
        subject = subject_of(events[0])
        row = make_row(
            self._last_hash,
            self.offset,
            self._journal.epoch,
            stream,
            keeper.seq,
            Millis(self.offset),
            kind,
            SCHEMA_VERSION,
            user,
            f"bench-{self.offset}" if user else None,
            bytes(16) if user else None,
            encode_events(events),
            self._ledger.wallet(subject) if subject else None,
        )
        self._last_hash = row.hash
        self._entries.append(Entry(row, events, tuple(legs)))
        if len(self._entries) >= BATCH_ROWS:
            self.flush()
