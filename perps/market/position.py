"""One position: two integers that matter, ``lots`` and ``cash``, and what can be said of it at a price.

q lots, Q micros of "quote cash as if the funding index were 0". Equivalent to average entry + realised PnL + settled
funding, but with nothing to keep in step: entry price and funding paid are for display only.
Source: the (size, cash) account of Synthetix v2 and dYdX v4 ``perpetuals``, with the cumulative funding index.
"""

from __future__ import annotations

from msgspec import Struct

from perps.params import MarketParams
from perps.units import PPB, FundingIndex, Lots, Micros, Millis, Ticks, div_ceil, div_floor


class Position(Struct, frozen=True, array_like=True, gc=False):
    """A position as it stands. Frozen: every change makes a new one, carried by the event that changed it."""

    number: int
    """Its number in its market; its id is ``<ticker>-<number>``."""
    user: str
    lots: Lots
    cash: Micros
    margin: Micros
    """Posted collateral, for display and for the margin account."""
    leverage: int
    entry_cost: Micros
    """|C| paid for the lots still open, for display of the entry price."""
    funding_paid: Micros
    """Settled so far, for display; > 0: the position paid."""
    opened_at: Millis
    referrer: str | None = None
    take_profit: Ticks | None = None
    """The mark at which the whole position is closed with a profit: see ``perps/market/triggers.py`` …"""
    stop_loss: Ticks | None = None
    """… and the one at which it is closed before it loses more."""
    exits_at: Millis = Millis(0)
    """When its owner set them, where orders wait for the next price: no price that was true before closes it by them.
    0: they came with its open, or are older than this rule."""

    @property
    def has_exits(self) -> bool:
        """Whether it has a take-profit or a stop-loss."""
        return self.take_profit is not None or self.stop_loss is not None


def funding_owed(lots: int, index: FundingIndex) -> Micros:
    """Micros that ``lots`` owe at a funding index, counted from index 0: ceil(lots · index / 10⁹).

    Positive: they pay. Rounded up, against the trader, so that no round of funding creates money.
    Source: cumulative index as in dYdX v4 and Synthetix v2.
    """
    return Micros(div_ceil(lots * index, PPB))


def funding_base(position: Position, params: MarketParams, index: FundingIndex) -> Micros:
    """What a position's funding counts from: ``funding_owed`` at its entries, micros. Q − m + sign(q)·entry cost.

    0 in a market that has had no funding: a micro there is a rounding of the first release, which split entry costs
    by themselves.
    """
    if not index and not params.funding_velocity:
        return Micros(0)
    entry = position.entry_cost if position.lots > 0 else -position.entry_cost
    return Micros(position.cash - position.margin + entry)


def funding_since_entry(position: Position, params: MarketParams, index: FundingIndex) -> Micros:
    """What a position has paid in funding so far, settled or not; > 0: it paid. Within a micro or two of each close."""
    owed = funding_owed(position.lots, index) - funding_base(position, params, index)
    return Micros(position.funding_paid + owed)


def equity(position: Position, price: int, unit: int, index: FundingIndex, scale: int = 1) -> Micros:
    """Q + q·P·u − ceil(q·F/10⁹), micros: what would be left at P = ``price``/``scale`` before exit impact and fees.

    Rounded down, where P is between two ticks.
    """
    value = div_floor(position.lots * price * unit, scale)
    return Micros(position.cash + value - funding_owed(position.lots, index))


def notional(lots: int, price: int, unit: int) -> Micros:
    """|q|·P·u, micros, exact."""
    return Micros(abs(lots) * price * unit)


def maintenance(lots: int, price: int, params: MarketParams, scale: int = 1) -> Micros:
    """ceil(|q|·P·u·μ) + L, micros, P = ``price``/``scale``: equity at or below this is liquidated. Rounded up.

    μ is the rate of the position's size.
    """
    exact = notional(lots, price, params.unit) * params.rate_of(lots)
    return Micros(div_ceil(exact, PPB * scale) + params.maintenance_fixed)


def withdrawable(position: Position, price: int, params: MarketParams, index: FundingIndex, scale: int = 1) -> Micros:
    """The most micros of margin that can leave a position at ``price``/``scale`` ticks; 0 or less when none can.

    min(m, equity) − max(``initial_margin``, 1), and equity stays above maintenance. What a position has gained on paper
    is in its equity and not in its margin m, so it cannot be taken out; what it has lost is in both bounds. Between two
    ticks each of equity, margin and maintenance is rounded against the trader, to a micro.
    """
    worth = equity(position, price, params.unit, index, scale)
    kept = max(initial_margin(position.lots, price, params, scale), 1)
    spare = worth - maintenance(position.lots, price, params, scale) - 1
    return Micros(min(min(position.margin, worth) - kept, spare))


def initial_margin(lots: int, price: int, params: MarketParams, scale: int = 1) -> Micros:
    """ceil(|q|·P·u / maxLeverage), micros: what an open of this size would need at ``price``, before its impact.

    maxLeverage is that of the size.
    """
    return Micros(div_ceil(notional(lots, price, params.unit), params.leverage_of(lots) * scale))


def is_liquidatable(position: Position, price: int, params: MarketParams, index: FundingIndex, scale: int = 1) -> bool:
    """Equity ≤ maintenance at ``price``/``scale`` ticks: the exact predicate.

    (Q − L − ceil(q·F/10⁹))·scale + q·price·u ≤ ceil(|q|·price·u·μ). Maintenance is rounded up, towards safety, to a
    whole micro/``scale``.
    """
    spare = position.cash - params.maintenance_fixed - funding_owed(position.lots, index)
    value = position.lots * price * params.unit
    rate = params.rate_of(position.lots) if params.tiers else params.maintenance_rate
    return spare * scale + value <= div_ceil(abs(value) * rate, PPB)


def kappa(position: Position, params: MarketParams) -> int:
    """κ = −(Q − L)/q in micros per lot × 10⁹: the key of the liquidation order, which no price or funding moves.

    A long is due when κ ≥ (P·u·(10⁹ − μ)) − F, a short when κ ≤ (P·u·(10⁹ + μ)) − F. Rounded up for longs and down
    for shorts, with 2 micros added for the two roundings of the exact predicate (funding and maintenance, each less
    than one), so that the order is never late; ``is_liquidatable`` has the last word.
    """
    numerator = (params.maintenance_fixed - position.cash + 2) * PPB
    if position.lots > 0:
        return div_ceil(numerator, position.lots)
    return div_floor(-numerator, -position.lots)


def liquidation_price(position: Position, params: MarketParams, index: FundingIndex) -> Ticks:
    """The first price, in ticks, at which ``is_liquidatable`` holds; 0 for a price below that.

    (L − Q + q·F/10⁹)/(q·u·(1 ∓ μ)), solved exactly: longs are due at or below it, shorts at or above it.
    Agrees with dYdX ``(e − s·p)/(|s|·MMF − s)``.
    """
    spare = position.cash - funding_owed(position.lots, index) - params.maintenance_fixed
    worth, rate = abs(position.lots) * params.unit, params.rate_of(position.lots)
    if position.lots > 0:
        return Ticks(max(0, div_floor((1 - spare) * PPB - 1, worth * (PPB - rate))))
    return Ticks(max(0, div_floor((spare - 1) * PPB, worth * (PPB + rate)) + 1))


def bankruptcy_price(position: Position, params: MarketParams, index: FundingIndex) -> Ticks:
    """The first price, in ticks, at which equity is 0 or less: (F/10⁹ − Q/q)/u; 0 for a price below that.

    Longs: rounded down; shorts: rounded up.
    """
    left = position.cash - funding_owed(position.lots, index)
    worth = abs(position.lots) * params.unit
    return Ticks(max(0, div_floor(-left, worth) if position.lots > 0 else div_ceil(left, worth)))


def position_id(ticker: str, number: int) -> str:
    """``BTC-PERP-1042``: an id that carries its ticker, so that a close is routed without a look-up."""
    return f"{ticker}-{number}"


def split_position_id(text: str) -> tuple[str, int] | None:
    """Ticker and number of a position id; None when ``text`` cannot be one."""
    ticker, dash, number = text.rpartition("-")
    if not dash or not ticker or not number.isascii() or not number.isdigit() or len(number) > 14:
        return None
    return ticker, int(number)
