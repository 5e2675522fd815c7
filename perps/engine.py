"""One command from its checks to its last consequence: decide, apply, then sweep.

The sweep first makes winners leave for whom the house can hardly pay (only in some markets, and only behind a new
price). It closes whoever is in danger, then whoever wanted to leave at a price that is reached now. Then it fills the
orders that waited for this price.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, NamedTuple

from perps.commands import LedgerCommand, MarketCommand
from perps.effects import Effects
from perps.events import Events, LedgerEvent, MarketEvent, MarketEvents, ModeChanged, PriceUpdated
from perps.journal import Entry, Row, events_of
from perps.market.state import Market
from perps.money.funds import Funds
from perps.money.ledger import Ledger
from perps.params import Mode
from perps.refusals import Rejected
from perps.rules.checks import CLOSED, not_to_be_used
from perps.rules.deleveraging import begins, deleveraging
from perps.rules.funding import EXHAUSTED, accrue, funding_of, is_exhausted, is_worth_a_row
from perps.rules.liquidation import next_liquidation
from perps.rules.orders.exits import Unpaid, next_exit
from perps.rules.orders.next_price import is_pending_due, next_orphan, next_pending
from perps.rules.orders.resting import is_an_entry_due, next_entry
from perps.rules.orders.twap import is_slice_due, next_slice
from perps.rules.rule import Given
from perps.rules.settling import settlement
from perps.rules.table import APPLY, DECIDE, PROJECT
from perps.units import FundingIndex

CONSEQUENCES_PER_ROW_MAX: Final = 256
"""A crash that leads to more than this goes on in further rows, so that no journal row grows without bound.

The same for a settlement.
"""


class Part(NamedTuple):
    """One row of what a command does."""

    events: MarketEvents
    goes_on: bool = False
    """What follows by itself has no room left in it: the next row goes on with it."""


def decide(market: Market | None, command: MarketCommand, given: Given) -> MarketEvents | Rejected:
    """What a command would do to a market now. Changes nothing."""
    decided: MarketEvents | Rejected = DECIDE[type(command)](market, command, given)
    return decided


def decide_ledger(funds: Funds, command: LedgerCommand, given: Given) -> tuple[LedgerEvent, ...] | Rejected:
    """What a command would do to the ledger now. Changes nothing."""
    decided: tuple[LedgerEvent, ...] | Rejected = DECIDE[type(command)](funds, command, given)
    return decided


def apply(market: Market, event: MarketEvent) -> None:
    """Take in what has happened in a market. Trailing stops follow the mark, wherever the event has left it."""
    APPLY[type(event)](market, event)
    if market.orders.trailing.by_number:
        market.orders.follow(market.mark)


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


def execute(market: Market, command: MarketCommand, given: Given) -> tuple[Iterable[Part], Rejected | None]:
    """Decide and apply one command and its consequences: the rows it makes, its own first, and the refusal if any.

    The first row is made at once, each further one when it is asked for: ask for all of them before the next command.
    Funding comes first, at the price and the skew that its time is for. No row when nothing has happened
    (``ObserveTime``). A refusal leaves the market unchanged and makes no row.
    """
    accrued = accrue(market, given) if market.funding_at else ()
    if accrued:
        return _execute_after(market, command, given, accrued)
    decided = decide(market, command, given)
    if isinstance(decided, Rejected):
        return (), decided
    for event in decided:
        apply(market, event)
    following = sweep(market, given, decided)
    first = next(following, None)
    if first is not None:
        return _behind(decided, first, following), None
    return (Part(decided),) if decided else (), None


def _execute_after(
    market: Market, command: MarketCommand, given: Given, accrued: MarketEvents
) -> tuple[Iterable[Part], Rejected | None]:
    """As ``execute``, where funding has ``accrued``. It is taken back if no row is made."""
    before, clock = funding_of(market), (market.funding_at, market.hour_index)
    for noted in accrued:
        apply(market, noted)
    rows: Iterable[Part] = ()
    refused = None
    decided = decide(market, command, given)
    if isinstance(decided, Rejected):
        refused = decided
    else:
        for event in decided:
            apply(market, event)
        following = _exhausted(market) if is_exhausted(market) else sweep(market, given, decided)
        first = next(following, None)
        if first is not None:
            rows = _behind((*accrued, *decided), first, following)
        elif decided or is_worth_a_row(accrued, before, market):
            rows = (Part((*accrued, *decided)),)
    if not rows:
        index, market.funding_rate, market.funding_carry = before
        market.funding_index = FundingIndex(index)
        market.funding_at, market.hour_index = clock
    return rows, refused


def _behind(own: MarketEvents, first: Part, rest: Iterator[Part]) -> Iterator[Part]:
    """A command's own events, with what follows by itself behind them."""
    return chain((Part((*own, *first.events), first.goes_on),), rest)


def _exhausted(market: Market) -> Iterator[Part]:
    """The consequence of an index that has no room left: the market halts, and liquidates nobody."""
    event = ModeChanged(Mode.HALTED, EXHAUSTED)
    apply(market, event)
    return iter((Part((event,)),))


def sweep(market: Market, given: Given, decided: MarketEvents = ()) -> Iterator[Part]:
    """What follows by itself: what is due at the price, or a settlement. Rows of ``CONSEQUENCES_PER_ROW_MAX`` at most.

    ``decided``: what has happened just now. Behind a new price winners may have to leave first.

    Each row is made, and applied, when it is asked for. Run after every change of price or skew, and once after
    recovery (a crash may have fallen between two rows). Nothing is done at a price that nobody may trade at.
    """
    if market.settling is not None:
        following: Iterable[MarketEvent] = settlement(market)
    else:
        at_new_price = market.params.deleveraging and any(type(event) is PriceUpdated for event in decided)
        must_leave = market.deleveraging is not None or (at_new_price and begins(market))
        if not (must_leave or _may_be_due(market, given)) or not_to_be_used(market, given):
            return iter(())
        following = consequences(market, given)
        if must_leave:
            following = chain(deleveraging(market, at_new_price=at_new_price), following)
    return _in_rows(market, following)


def _in_rows(market: Market, following: Iterable[MarketEvent]) -> Iterator[Part]:
    """Apply each event. A full row is given out when it is known that another follows, and before that is applied."""
    row: list[MarketEvent] = []
    for event in following:
        if len(row) == CONSEQUENCES_PER_ROW_MAX:
            yield Part(tuple(row), goes_on=True)
            row = []
        row.append(event)
        apply(market, event)
    if row:
        yield Part(tuple(row))


def _may_be_due(market: Market, given: Given) -> bool:
    """Whether anything can be due now, at the present price: two comparisons a list."""
    mark, scale = market.exact_mark(market.skew)
    if market.order.may_be_due(mark, market.params, market.funding_index, scale):
        return True
    has_orders = bool(market.orders.by_number)
    if not has_orders and market.exits.are_none:
        return False
    mark = market.mark
    if market.exits.reached(mark) or market.orders.trailing.reached(mark):
        return True
    return has_orders and (is_pending_due(market) or is_slice_due(market, given) or is_an_entry_due(market, mark))


def consequences(market: Market, given: Given) -> Iterator[MarketEvent]:
    """All that is due at the present price, one thing a time. The caller applies each before it asks for the next.

    A position whose gain the house cannot pay stands until it can: it is passed over, tried again when others have
    left, and in every later sweep. So a tick can never wedge, and nobody's gain keeps others from being liquidated.
    """
    unpaid = Unpaid()
    has_moved = False
    tries, slices = [0, 0], [0]
    while (event := _consequence(market, given, unpaid, tries, slices)) or (unpaid and has_moved):
        if event is None:
            unpaid, has_moved = Unpaid(), False
            continue
        has_moved = True
        yield event


def _consequence(
    market: Market, given: Given, unpaid: Unpaid, tries: list[int], slices: list[int]
) -> MarketEvent | None:
    """What is due first; None when nothing is. A market in which nobody trades does nothing.

    Liquidations come before exits, the most endangered position first: those with the least margin leave at the best
    quotes, so that there is the least bad debt. Then come orders that waited for this price, first in first out, and
    slices whose time has come. Entries come last, when everybody who had to leave has left. Numbers of positions that
    the house cannot pay are added to ``unpaid``, and whoever is in it is passed over. ``tries``: see ``next_entry``,
    ``slices``: see ``next_slice``.
    """
    if market.mode in CLOSED:
        return None
    ending = next_orphan(market) or next_liquidation(market, unpaid, given.at)
    ending = ending or next_exit(market, market.mark, given, unpaid)
    waited = ending or next_pending(market, given) or next_slice(market, given, slices)
    return waited or next_entry(market, given, tries)
