"""Delisting: a halted market closes all positions at one price, and is settled.

The price is X = S·(1 + K/(2·Ks)) of the moment it begins: what all would get together if they left one after the other,
in any order. So nobody gains by the order, and the house pays exactly what it would have paid.
"""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from perps.commands import SettleMarket
from perps.effects import Effects, Status
from perps.events import CloseReason, MarketSettling, ModeChanged, OrderCancelled, PositionReduced
from perps.market.position import Position, funding_owed
from perps.market.pricing import settlement_cost
from perps.market.settling import Settling
from perps.market.state import Market
from perps.params import Mode
from perps.refusals import RejectCode, Rejected
from perps.rules.checks import fill_of, reject, unconfirmed
from perps.rules.closing import reduce
from perps.rules.orders.resting import cancelled
from perps.rules.rule import CommandRule, EventRule, Given
from perps.units import Lots

SETTLED: Final = "settled"
"""Why a settled market takes nothing."""


def decide_settle(market: Market, _: SettleMarket, __: Given) -> tuple[MarketSettling] | Rejected:
    """Begin to settle a halted market, if its house can pay what the winners get; the engine closes the positions.

    By one pass over all positions: losers pay at most their margin, and the insurance what it has of the rest. What
    traders would gain together (R) would count debts that nobody pays. The price may be old: it is the administrator's
    decision, and a market whose feed is dead must be able to end.
    """
    if market.mode is not Mode.HALTED:
        return reject(RejectCode.MARKET_NOT_HALTED, mode=market.mode)
    refused = unconfirmed(market)
    if refused:
        return refused
    settling = Settling(market.index_price, market.skew, market.params.skew_scale, len(market.positions))
    gained = lost = debts = 0
    for position in market.positions.values():
        gain = _gain(market, settling, position)
        gained += max(gain, 0)
        lost += min(max(-gain, 0), position.margin)
        debts += max(-gain - position.margin, 0)
    collected = lost + min(debts, max(market.insurance, 0))
    available = market.can_pay + collected
    if gained > max(available, 0):
        return reject(
            RejectCode.HOUSE_CANNOT_PAY,
            house_micros=market.house,
            collected_micros=collected,
            payout_micros=gained,
            missing_micros=gained - available,
            credit_limit_micros=market.params.house_credit,
        )
    return (MarketSettling(settling),)


def settlement(market: Market) -> Iterator[OrderCancelled | PositionReduced | ModeChanged]:
    """What is left to do in a market that settles. The caller applies each event before it asks for the next.

    Resting orders are cancelled first. Losers come before winners, so that the house is
    never asked for more than it has to have in the end.
    """
    settling = market.settling
    if settling is None:
        return
    for number in sorted(market.orders.by_number):  # a replaced one is last in the dictionary until the next start
        yield cancelled(market, market.orders.by_number[number], SETTLED)
    standing = market.positions.values()
    for _, number in sorted((_gain(market, settling, each) > 0, each.number) for each in standing):
        position = market.positions[number]
        out = fill_of(market, Lots(-position.lots))
        fill = replace(out, cost=settlement_cost(-position.lots, settling, market.unit))
        yield reduce(market, position, abs(position.lots), CloseReason.SETTLEMENT, fill)
    yield ModeChanged(Mode.SETTLED, SETTLED)


def _gain(market: Market, settling: Settling, position: Position) -> int:
    """What a position gets beyond its margin, micros; < 0: what it loses."""
    cost = settlement_cost(-position.lots, settling, market.unit)
    return position.cash - funding_owed(position.lots, market.funding_index) - cost - position.margin


def apply_settling(market: Market, event: MarketSettling) -> None:
    """Everybody leaves at this price, whatever else happens."""
    market.settling = event.settling


def project_settling(_: MarketSettling) -> Effects:
    """Still halted; and why."""
    return (Status(Mode.HALTED, "settling"),)


COMMANDS = (CommandRule(SettleMarket, decide_settle),)
EVENTS = (EventRule(MarketSettling, apply_settling, project_settling),)
