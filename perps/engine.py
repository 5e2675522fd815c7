"""One command from its checks to its last consequence: decide, apply, then liquidate whoever that put in danger."""

from typing import Final, assert_never

from perps.commands import ClosePosition, ListMarket, MarketCommand, OpenPosition, SetMode, UpdatePrice
from perps.events import MarketEvent, MarketEvents, ModeChanged
from perps.market.state import Market
from perps.params import Mode
from perps.refusals import InvariantViolated, Rejected
from perps.rules.liquidation import decide_liquidation, next_due
from perps.rules.modes import decide_mode
from perps.rules.prices import decide_price
from perps.rules.trading import decide_close, decide_open
from perps.units import Micros, Millis

LIQUIDATIONS_PER_ROW_MAX: Final = 256
"""A crash that takes more positions than this goes on in further rows, so that no journal row grows without bound."""


def execute(
    market: Market,
    command: MarketCommand,
    at: Millis,
    *,
    held: Micros,
    referrer: str | None,
) -> list[MarketEvents] | Rejected:
    """Decide and apply one command and its liquidations; return the rows it makes, the command's own first.

    ``held`` and ``referrer`` come from the ledger and matter to an open only. A refusal leaves the market unchanged.
    """
    decided = _decide(market, command, at, held, referrer)
    if isinstance(decided, Rejected):
        return decided
    for event in decided:
        market.apply(event)
    consequences = sweep(market)
    first = (*decided, *consequences[0]) if consequences else decided
    return [first, *consequences[1:]]


def sweep(market: Market) -> list[MarketEvents]:
    """Liquidate everybody who is due, most endangered first, in rows of at most ``LIQUIDATIONS_PER_ROW_MAX``.

    Run after every change of price or skew, and once after recovery (a crash may have fallen between two rows).
    When the house cannot pay, the market halts instead: a tick can never wedge.
    """
    rows: list[list[MarketEvent]] = []
    while (position := next_due(market)) is not None:
        outcome = decide_liquidation(market, position)
        event = halted(outcome) if isinstance(outcome, Rejected) else outcome
        if not rows or len(rows[-1]) == LIQUIDATIONS_PER_ROW_MAX:
            rows.append([])
        rows[-1].append(event)
        market.apply(event)
    return [tuple(row) for row in rows]


def halted(refusal: Rejected) -> ModeChanged:
    """The event by which the venue itself halts a market, for the reason a refusal gave."""
    return ModeChanged(Mode.HALTED, refusal.halt or refusal.code)


def _decide(
    market: Market, command: MarketCommand, at: Millis, held: Micros, referrer: str | None
) -> MarketEvents | Rejected:
    match command:
        case OpenPosition():
            opened = decide_open(market, command, at, held=held, referrer=referrer)
            return opened if isinstance(opened, Rejected) else (opened,)
        case ClosePosition():
            reduced = decide_close(market, command, at)
            return reduced if isinstance(reduced, Rejected) else (reduced,)
        case UpdatePrice():
            return decide_price(market, command, at)
        case SetMode():
            return decide_mode(command)
        case ListMarket():
            raise InvariantViolated(f"{market.ticker} is listed already")
        case _:
            assert_never(command)
