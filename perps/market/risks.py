"""What a listing's parameters leave open, by formula: a listing is warned of it, and is a listing all the same."""

from typing import Literal, NamedTuple

from perps.market.reach import worst_exit
from perps.params import MarketParams
from perps.units import PPB, Ppb, div_floor


class Risk(NamedTuple):
    """One thing that somebody can make use of."""

    code: Literal["max_step_undeclared", "gap_risk", "executes_at_last_price"]
    step: Ppb
    """The smallest move from one price to the next that opens it, ppb of the price."""


def safe_step(params: MarketParams) -> Ppb:
    """The largest move from one price to the next that leaves no bad debt: μ − worst exit impact, ppb, at least 0.

    A position just above its maintenance loses the move, and then leaves at the worst quote.
    """
    return Ppb(max(params.maintenance_rate - worst_exit(params), 0))


def one_way_fee(params: MarketParams) -> Ppb:
    """What a trade costs somebody who refers himself: takerFee·(1 − referralShare), ppb, rounded down."""
    return Ppb(div_floor(params.taker_fee * (PPB - params.referral_share), PPB))


def risks(params: MarketParams) -> tuple[Risk, ...]:
    """What is open: bad debt by a gap, and trades at a price that is already old."""
    found: list[Risk] = []
    step = params.max_step
    if step is None:
        found.append(Risk("max_step_undeclared", safe_step(params)))
    elif step > safe_step(params):
        found.append(Risk("gap_risk", safe_step(params)))
    if not params.executes_later:
        found.append(Risk("executes_at_last_price", one_way_fee(params)))
    return tuple(found)
