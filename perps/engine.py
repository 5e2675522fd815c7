"""One command from its checks to its last consequence: decide, apply, then sweep.

The sweep closes whoever is in danger, then whoever wanted to leave at a price that is reached now.
"""

from typing import Final

from perps.commands import LedgerCommand, MarketCommand
from perps.effects import Effects
from perps.events import Events, LedgerEvent, MarketEvent, MarketEvents, ModeChanged
from perps.journal import Entry, Row, events_of
from perps.market.state import Market
from perps.money.funds import Funds
from perps.money.ledger import Ledger
from perps.params import Mode
from perps.refusals import Rejected
from perps.rules.funding import EXHAUSTED, accrue, funding_of, is_exhausted, is_worth_a_row
from perps.rules.liquidation import decide_liquidation, next_due
from perps.rules.modes import halted
from perps.rules.orders import next_entry
from perps.rules.rule import Given
from perps.rules.table import APPLY, DECIDE, PROJECT
from perps.rules.triggers import decide_exit
from perps.units import FundingIndex

CONSEQUENCES_PER_ROW_MAX: Final = 256
"""A crash that leads to more than this goes on in further rows, so that no journal row grows without bound."""


def decide(market: Market | None, command: MarketCommand, given: Given) -> MarketEvents | Rejected:
    """What a command would do to a market now. Changes nothing."""
    decided: MarketEvents | Rejected = DECIDE[type(command)](market, command, given)
    return decided


def decide_ledger(funds: Funds, command: LedgerCommand, given: Given) -> tuple[LedgerEvent, ...] | Rejected:
    """What a command would do to the ledger now. Changes nothing."""
    decided: tuple[LedgerEvent, ...] | Rejected = DECIDE[type(command)](funds, command, given)
    return decided


def apply(market: Market, event: MarketEvent) -> None:
    """Take in what has happened in a market."""
    APPLY[type(event)](market, event)


def apply_ledger(ledger: Ledger, event: LedgerEvent) -> None:
    """Take in what has happened in the ledger; its money moves by ``Ledger.post``."""
    APPLY[type(event)](ledger, event)


def effects_of(events: Events) -> tuple[Effects, ...]:
    """What each event of a row shows to readers."""
    return tuple([PROJECT[type(event)](event) for event in events])


def entry_of(row: Row) -> Entry:
    """A stored row with its meaning, but without its legs: the balances they left only a replay knows."""
    events = events_of(row)
    return Entry(row, events, effects_of(events), ())


def execute(market: Market, command: MarketCommand, given: Given) -> tuple[list[MarketEvents], Rejected | None]:
    """Decide and apply one command and its consequences: the rows it makes, its own first, and the refusal if any.

    Funding comes first, at the price and the skew that its time is for. No row when nothing has happened
    (``ObserveTime``). A refusal leaves the market unchanged and makes no row, but for one that shows the market cannot
    go on: its row halts the market.
    """
    accrued = accrue(market, given) if market.funding_at else ()
    if accrued:
        return _execute_after(market, command, given, accrued)
    decided = decide(market, command, given)
    if isinstance(decided, Rejected):
        return _refused(market, decided, ())
    for event in decided:
        apply(market, event)
    consequences = sweep(market, given)
    if not consequences:
        return [decided] if decided else [], None
    return [(*decided, *consequences[0]), *consequences[1:]], None


def _execute_after(
    market: Market, command: MarketCommand, given: Given, accrued: MarketEvents
) -> tuple[list[MarketEvents], Rejected | None]:
    """As ``execute``, where funding has ``accrued``. It is taken back if no row is made."""
    before, clock = funding_of(market), (market.funding_at, market.hour_index)
    for noted in accrued:
        apply(market, noted)
    rows: list[MarketEvents] = []
    refused = None
    decided = decide(market, command, given)
    if isinstance(decided, Rejected):
        rows, refused = _refused(market, decided, accrued)
    else:
        for event in decided:
            apply(market, event)
        consequences = _exhausted(market) if is_exhausted(market) else sweep(market, given)
        if consequences:
            rows = [(*accrued, *decided, *consequences[0]), *consequences[1:]]
        elif decided or is_worth_a_row(accrued, before, market):
            rows = [(*accrued, *decided)]
    if not rows:
        index, market.funding_rate, market.funding_carry = before
        market.funding_index = FundingIndex(index)
        market.funding_at, market.hour_index = clock
    return rows, refused


def _exhausted(market: Market) -> list[MarketEvents]:
    """The consequence of an index that has no room left: the market halts, and liquidates nobody."""
    event = ModeChanged(Mode.HALTED, EXHAUSTED)
    apply(market, event)
    return [(event,)]


def _refused(market: Market, refused: Rejected, accrued: MarketEvents) -> tuple[list[MarketEvents], Rejected]:
    if refused.halt is None:
        return [], refused
    event = halted(refused)
    apply(market, event)
    return [(*accrued, event)], refused


def sweep(market: Market, given: Given) -> list[MarketEvents]:
    """Do all that is due at the present price, one thing a time, in rows of at most ``CONSEQUENCES_PER_ROW_MAX``.

    Run after every change of price or skew, and once after recovery (a crash may have fallen between two rows).
    When the house cannot pay, the market halts instead: a tick can never wedge.
    """
    rows: list[list[MarketEvent]] = []
    tries = [0, 0]
    while (event := _consequence(market)) or (event := next_entry(market, given, tries)):
        if not rows or len(rows[-1]) == CONSEQUENCES_PER_ROW_MAX:
            rows.append([])
        rows[-1].append(event)
        apply(market, event)
    return [tuple(row) for row in rows]


def _consequence(market: Market) -> MarketEvent | None:
    """What is due first; None when nothing is. A halted market does nothing.

    Liquidations come before exits, the most endangered position first: those with the least margin leave at the best
    quotes, so that there is the least bad debt.
    """
    if market.mode is Mode.HALTED:
        return None
    mark = market.mark
    position = next_due(market, mark)
    if position is not None:
        return _or_halt(decide_liquidation(market, position))
    leaving = market.exits.first_due(mark)
    if leaving is not None:
        return _or_halt(decide_exit(market, market.positions[leaving], mark))
    return None


def _or_halt(outcome: MarketEvent | Rejected) -> MarketEvent:
    return halted(outcome) if isinstance(outcome, Rejected) else outcome
