"""Writes a long journal without a venue: a sequencer decides, and rows go to the database in large batches."""

from __future__ import annotations

from typing import Final

from perps.commands import ClosePosition, Command, CreateUser, ListMarket, OpenPosition, PriceSource, Side, UpdatePrice
from perps.events import Event, PositionOpened
from perps.journal import Entry
from perps.market.position import position_id
from perps.sequencer import Sequencer
from perps.units import MICRO, PPB, Micros, Millis, Ppb, Ticks
from persistence.journal.writer import PostgresJournal
from tools.benchmark.prices import LEVERAGES, PARAMS, PRICE, SIZE
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
    """Sends commands to a sequencer, and its rows to the database in large batches."""

    def __init__(self, journal: PostgresJournal) -> None:
        self._journal = journal
        self._sequencer = Sequencer(epoch=journal.epoch)
        self._entries: list[Entry] = []
        self.offset = 0

    def begin(self) -> None:
        """Create the market and the users."""
        self._send(None, ListMarket(params=PARAMS, price=Ticks(PRICE)))
        for number in range(USERS):
            self._send(f"u{number}", CreateUser(user=f"u{number}", deposit=DEPOSIT))

    def open(self, number: int) -> tuple[str, int]:
        """Open a position, longs and shorts by turns; its owner and number."""
        user = f"u{number % USERS}"
        side, leverage = (Side.LONG, Side.SHORT)[number % 2], LEVERAGES[number % len(LEVERAGES)]
        command = OpenPosition(ticker=TICKER, user=user, side=side, size=SIZE, leverage=leverage)
        event = self._send(user, command)
        if not isinstance(event, PositionOpened):
            raise ToolError(f"the benchmark's open made {event}")
        return user, event.position.number

    def close(self, opened: tuple[str, int]) -> None:
        """Close what ``open`` opened."""
        user, number = opened
        command = ClosePosition(ticker=TICKER, user=user, position_id=position_id(TICKER, number), share=Ppb(PPB))
        self._send(user, command)

    def price(self, number: int) -> None:
        """Set a price that liquidates nobody."""
        command = UpdatePrice(ticker=TICKER, price=Ticks(PRICE + number % 10), source=PriceSource.ORACLE)
        self._send(None, command)

    def flush(self) -> None:
        """Make the collected rows durable."""
        self._journal.append(self._entries)
        self._entries = []

    def _send(self, user: str | None, command: Command) -> Event:
        """Do a command that must succeed; its event."""
        order_id = f"bench-{self.offset}" if user else None
        sent = self._sequencer.send(command, Millis(self.offset), sender=user or "bench", order_id=order_id)
        if sent.refused is not None:
            raise ToolError(f"the benchmark's {command.kind} was refused: {sent.refused.code} {sent.refused.facts}")
        self._entries.extend(sent.entries)
        self.offset = self._sequencer.ledger_side.offset
        if len(self._entries) >= BATCH_ROWS:
            self.flush()
        return sent.entries[0].events[0]
