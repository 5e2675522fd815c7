"""A market's parameters, and the rules a listing must keep."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import astuple

from perps.refusals import Fact, RejectCode, Rejected
from perps.units import (
    AMOUNT_MAX,
    INTEGER_MAX,
    MICRO,
    PICO,
    PPB,
    Lots,
    Micros,
    Millis,
    Pico,
    Ppb,
    Ticks,
    div_ceil,
    div_floor,
)

LEVERAGE_MAX: Final = 1_000


class MarkSource(StrEnum):
    """Where the mark price, for margin and liquidation, comes from.

    ``index``: the outside price; nobody moves another's liquidation by trading.
    ``quote``: the price of the next small trade, for markets whose price is made by trading.
    """

    INDEX = "index"
    QUOTE = "quote"


class Mode(StrEnum):
    """What a market lets through. ``reduce_only``: closes. ``halted``: nothing but a change of mode."""

    ENABLED = "enabled"
    REDUCE_ONLY = "reduce_only"
    HALTED = "halted"


class MarketParams(Struct, frozen=True, kw_only=True):
    """The rules of one market. Rates are ppb, sizes lots, money micros."""

    ticker: str
    organization_id: str
    name: str
    tick_size: Pico
    lot_size: Pico
    mark_source: MarkSource
    skew_scale: Lots
    """Ks: the skew at which the quote stands 100 % above or below the index."""
    max_skew: Lots
    """K_max: the most |Σ signed lots| that an order may leave behind, unless it brings the skew nearer to 0."""
    max_open_interest: Lots
    """The most lots open on one side."""
    max_leverage: int
    min_order_size: Micros
    maker_fee: Ppb
    taker_fee: Ppb
    referral_share: Ppb
    """The referrer's part of a fee."""
    maintenance_rate: Ppb
    """μ: a position whose equity is at or below μ of its notional is liquidated."""
    liquidation_fee: Ppb
    maintenance_fixed: Micros = Micros(0)
    """L: added to the maintenance of every position."""
    house_deposit: Micros = Micros(0)
    house_credit_limit: Micros | None = None
    """How far below 0 the house account may go; None: as far as it takes (play money)."""
    max_price_age: Millis | None = None
    """Older prices stop trading; None: a price never grows old."""

    @property
    def unit(self) -> int:
        """u: micros per tick·lot. ``check_params`` holds it whole and ≥ 1."""
        return div_floor(self.tick_size * self.lot_size, PICO * MICRO)


def check_params(params: MarketParams, price: Ticks) -> Rejected | None:
    """Return the first listing rule that ``params`` breaks at ``price``, with what it compared; or None.

    Rules (formulas: "Units" and "Liquidation"): u is a whole number ≥ 1; 0 < K_max < Ks;
    0 < μ < 1/max_leverage ≤ 1; L ≥ 0; liquidation fee ≥ taker fee (a liquidation never pays better than closing);
    liquidation fee + taker fee + worst exit impact ≤ μ. The worst exit is the whole open-interest cap leaving at the
    far skew cap, (K_max + OI_max/2)/Ks, or, since reductions pass every cap, the last of a side leaving when only the
    other side is left, OI_max/Ks. With ``mark_source = quote`` maintenance also covers the mark's widest swing.
    """
    unit_scale = PICO * MICRO
    worst_lots_twice = params.max_open_interest + max(2 * params.max_skew, params.max_open_interest)
    worst_impact = div_ceil(PPB * worst_lots_twice, 2 * max(params.skew_scale, 1))
    worth = params.max_open_interest * price * params.unit
    maintenance: dict[str, Fact] = {"maintenance_rate_ppb": params.maintenance_rate}
    depth: dict[str, Fact] = {"max_skew_lots": params.max_skew, "skew_scale_lots": params.skew_scale}
    interest: dict[str, Fact] = {"max_open_interest_lots": params.max_open_interest}
    fees: dict[str, Fact] = {"taker_fee_ppb": params.taker_fee, "liquidation_fee_ppb": params.liquidation_fee}
    needed = params.liquidation_fee + params.taker_fee + worst_impact
    rules: tuple[tuple[str, bool, Mapping[str, Fact]], ...] = (
        ("every parameter fits 63 bits", all(abs(value) <= INTEGER_MAX for value in _integers(params)), {}),
        ("price is a whole number of ticks, at least 1", price >= 1, {"price_ticks": price}),
        (
            "tickSize × lotSize is a whole number of micros, at least 1",
            params.tick_size > 0 and params.lot_size > 0 and params.tick_size * params.lot_size % unit_scale == 0,
            {"tick_size_pico": params.tick_size, "lot_size_pico": params.lot_size},
        ),
        ("0 < maxSkew < skewScale", 0 < params.max_skew < params.skew_scale, depth),
        (
            "with markSource quote: 2 × maxOpenInterest ≤ maintenanceRate × (skewScale - maxOpenInterest)",
            params.mark_source is MarkSource.INDEX or _survives_a_swing(params),
            {"needed_ppb": _widest_swing(params), **maintenance, **interest},
        ),
        ("0 < maxOpenInterest", params.max_open_interest > 0, interest),
        (
            "maxOpenInterest is worth at most 10^12 at this price",
            worth <= AMOUNT_MAX,
            {"worth_micros": worth, "worth_max_micros": AMOUNT_MAX},
        ),
        (
            f"1 ≤ maxLeverage ≤ {LEVERAGE_MAX}",
            1 <= params.max_leverage <= LEVERAGE_MAX,
            {"max_leverage": params.max_leverage, "allowed": LEVERAGE_MAX},
        ),
        ("0 ≤ referralShare ≤ 1", 0 <= params.referral_share <= PPB, {"referral_share_ppb": params.referral_share}),
        (
            "0 ≤ makerFee and 0 ≤ takerFee",
            params.maker_fee >= 0 and params.taker_fee >= 0,
            {"maker_fee_ppb": params.maker_fee, "taker_fee_ppb": params.taker_fee},
        ),
        ("0 < minOrderSize", params.min_order_size > 0, {"min_order_size_micros": params.min_order_size}),
        ("0 ≤ houseCreditLimit", params.house_credit_limit is None or params.house_credit_limit >= 0, {}),
        (
            "0 ≤ houseDeposit ≤ 10^12",
            0 <= params.house_deposit <= AMOUNT_MAX,
            {"house_deposit_micros": params.house_deposit},
        ),
        (
            "0 < maintenanceRate < 1/maxLeverage",
            params.maintenance_rate > 0 and params.maintenance_rate * params.max_leverage < PPB,
            {**maintenance, "max_leverage": params.max_leverage},
        ),
        ("0 ≤ maintenanceFixed", params.maintenance_fixed >= 0, {"maintenance_fixed_micros": params.maintenance_fixed}),
        ("takerFee ≤ liquidationFee", params.taker_fee <= params.liquidation_fee, fees),
        (
            "liquidationFee + takerFee + worst exit impact ≤ maintenanceRate",
            needed <= params.maintenance_rate,
            {**fees, "worst_exit_impact_ppb": worst_impact, "needed_ppb": needed, **maintenance, **depth, **interest},
        ),
    )
    for rule, holds, compared in rules:
        if not holds:
            return Rejected(code=RejectCode.PARAMETERS_INCONSISTENT, facts={"rule": rule, **compared})
    return None


def _survives_a_swing(params: MarketParams) -> bool:
    """Whether maintenance covers the widest swing of a mark that trading makes: from one side's cap to the other's.

    A position is only known to be sound at the mark S·(1 − OI/Ks), and may have to leave at S·(1 + OI/Ks): the swing,
    2·OI/(Ks − OI) of the notional, must fit into μ, or a gang can make bad debt for the house and collect it.
    """
    interest = params.max_open_interest
    return 2 * interest * PPB <= params.maintenance_rate * (params.skew_scale - interest)


def _widest_swing(params: MarketParams) -> Ppb:
    """2·OI/(Ks − OI), rounded up: the maintenance rate that a quote-marked market needs."""
    return Ppb(div_ceil(2 * params.max_open_interest * PPB, max(params.skew_scale - params.max_open_interest, 1)))


def _integers(params: MarketParams) -> list[int]:
    return [value for value in astuple(params) if isinstance(value, int)]
