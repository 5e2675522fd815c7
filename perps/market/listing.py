"""The rules a listing must keep, so that no order and no price can ever break a market."""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import astuple

from perps.market.funding import FUNDING_DAYS, INDEX_MAX
from perps.market.reach import largest_interest, largest_skew, worst_exit
from perps.params import LEVERAGE_MAX, UNIT_SCALE, MarketParams, MarkSource
from perps.refusals import Fact, RejectCode, Rejected
from perps.units import AMOUNT_MAX, INTEGER_MAX, PPB, Ppb, Ticks, div_ceil, div_floor

TICKS_IN_MAINTENANCE: Final = 10
"""One tick of the price is at most so small a part of the maintenance margin: a price that had to be rounded to its
tick, or trades that moved it by one, liquidate nobody who was not about to be.
"""

BUFFER_MIN: Final = Ppb(PPB // 100)
"""The least liquidation buffer: with less, the parts of two large positions at one mark that trading makes could push
each other over the edge lot by lot, in one sweep.
"""

CONFIRMATIONS_MAX: Final = 100
"""The most often that a source must say a price that is held."""

CLOCK_SKEW_MS_MAX: Final = 5_000
"""The most that a feed's clock may be off, where orders wait for the next price."""

PENDING_MS_MIN: Final = 1_000
PENDING_MS_MAX: Final = 3_600_000
"""How long they wait, at least (beside the clock's error) and at most."""
TIERS_MAX: Final = 32
"""The most size tiers: with every command the venue asks each whether anybody in it is due."""

Rule = tuple[str, bool, dict[str, Fact]]
"""A rule in words, whether it holds, and what it compares."""


def check_params(params: MarketParams, price: Ticks, present: MarketParams | None = None) -> Rejected | None:
    """Return the first rule that ``params`` breaks at ``price``, with what it compared; or None.

    ``present``: what the market has now, if it is there already. Its tick may be too coarse: it was listed before there
    was that rule, or its price has fallen. Then only a lower maintenance rate, which makes it worse, is refused.
    """
    for rules in (
        _ranges(params, price),
        _solvency(params, price),
        _steps(params, price, present),
        _funding(params, price),
        _prices(params),
        _execution(params),
        _tiers(params),
        _parts(params),
    ):
        for rule, holds, compared in rules:
            if not holds:
                return Rejected(code=RejectCode.PARAMETERS_INCONSISTENT, facts={"rule": rule, **compared})
    return None


def _ranges(params: MarketParams, price: Ticks) -> Iterator[Rule]:
    """What each parameter may be by itself (formulas: "Units"): u = tick·lot is a whole number of micros, ≥ 1."""
    tick, lot = params.tick_size, params.lot_size
    yield "every parameter fits 63 bits", all(abs(value) <= INTEGER_MAX for value in _integers(params)), {}
    yield "price is a whole number of ticks, at least 1", price >= 1, {"price_ticks": price}
    yield (
        "tickSize × lotSize is a whole number of micros, at least 1",
        tick > 0 and lot > 0 and tick * lot % UNIT_SCALE == 0,
        {"tick_size_pico": tick, "lot_size_pico": lot},
    )
    yield "0 < maxSkew < skewScale", 0 < params.max_skew < params.skew_scale, _depth(params)
    yield "0 < maxOpenInterest", params.max_open_interest > 0, _interest(params)
    worth = params.max_open_interest * price * params.unit
    yield (
        "maxOpenInterest is worth at most 10^12 at this price",
        worth <= AMOUNT_MAX,
        {"worth_micros": worth, "worth_max_micros": AMOUNT_MAX, **_fits(params, price)},
    )
    leverage, order, deposit = params.max_leverage, params.min_order_size, params.house_deposit
    yield (
        f"1 ≤ maxLeverage ≤ {LEVERAGE_MAX}",
        1 <= leverage <= LEVERAGE_MAX,
        {"max_leverage": leverage, "allowed": LEVERAGE_MAX},
    )
    yield "0 ≤ referralShare ≤ 1", 0 <= params.referral_share <= PPB, {"referral_share_ppb": params.referral_share}
    yield (
        "0 ≤ makerFee and 0 ≤ takerFee",
        params.maker_fee >= 0 and params.taker_fee >= 0,
        {"maker_fee_ppb": params.maker_fee, "taker_fee_ppb": params.taker_fee},
    )
    yield (
        "makerFee ≤ takerFee",
        not params.charges_maker_fee or params.maker_fee <= params.taker_fee,
        {"maker_fee_ppb": params.maker_fee, "taker_fee_ppb": params.taker_fee},
    )
    yield "0 < minOrderSize", order > 0, {"min_order_size_micros": order}
    positions, notional = params.max_positions_per_user, params.max_notional_per_user
    yield "1 ≤ maxPositionsPerUser", positions is None or positions >= 1, {}
    yield "0 < maxNotionalPerUser", notional is None or notional > 0, {}
    yield "0 ≤ houseCreditLimit", params.house_credit_limit is None or params.house_credit_limit >= 0, {}
    yield (
        "deleveraging needs a houseCreditLimit: what the house can pay",
        not params.deleveraging or params.house_credit_limit is not None,
        {},
    )
    yield "0 ≤ houseDeposit ≤ 10^12", 0 <= deposit <= AMOUNT_MAX, {"house_deposit_micros": deposit}


def _solvency(params: MarketParams, price: Ticks) -> Iterator[Rule]:
    """What keeps a liquidation solvent (formulas: "Liquidation"): maintenance covers the way out.

    A liquidation never pays better than closing: its fee is at least the taker's. The worst exit is the whole
    open-interest cap leaving at the far skew cap, (K_max + OI_max/2)/Ks, or, since reductions pass every cap, the last
    of a side leaving when only the other side is left, OI_max/Ks. With ``mark_source = quote`` maintenance also covers
    the mark's widest swing.
    """
    rate, fees = params.maintenance_rate, params.liquidation_fee + params.taker_fee
    maintenance: dict[str, Fact] = {"maintenance_rate_ppb": rate}
    charged: dict[str, Fact] = {"taker_fee_ppb": params.taker_fee, "liquidation_fee_ppb": params.liquidation_fee}
    yield (
        "with markSource quote: 2 × maxOpenInterest ≤ maintenanceRate × (skewScale - maxOpenInterest)",
        params.mark_source is MarkSource.INDEX or _survives_a_swing(params),
        {"needed_ppb": _widest_swing(params), **maintenance, **_interest(params), **_fits(params, price)},
    )
    yield (
        "0 < maintenanceRate < 1/maxLeverage",
        rate > 0 and rate * params.max_leverage < PPB,
        {**maintenance, "max_leverage": params.max_leverage},
    )
    fixed = params.maintenance_fixed
    yield "0 ≤ maintenanceFixed", fixed >= 0, {"maintenance_fixed_micros": fixed}
    yield "takerFee ≤ liquidationFee", params.taker_fee <= params.liquidation_fee, charged
    impact = worst_exit(params)
    yield (
        "liquidationFee + takerFee + worst exit impact ≤ maintenanceRate",
        fees + impact <= rate,
        {
            **charged,
            "worst_exit_impact_ppb": impact,
            "needed_ppb": fees + impact,
            **maintenance,
            **_depth(params),
            **_interest(params),
            **_fits(params, price),
        },
    )


def _steps(params: MarketParams, price: Ticks, present: MarketParams | None) -> Iterator[Rule]:
    """What keeps one step of the price small beside margin: a tick, and the largest move that the listing expects."""
    tick, rate, step, leverage = params.tick_size, params.maintenance_rate, params.max_step, params.max_leverage
    yield (
        f"{TICKS_IN_MAINTENANCE} × tickSize ≤ maintenanceRate × price",
        rate * price >= TICKS_IN_MAINTENANCE * PPB or (present is not None and rate >= present.maintenance_rate),
        {
            "tick_size_pico": tick,
            "largest_tick_size_pico": div_floor(rate * price * tick, TICKS_IN_MAINTENANCE * PPB),
            "price_ticks": price,
            "smallest_price_ticks": div_ceil(TICKS_IN_MAINTENANCE * PPB, max(rate, 1)),
            "maintenance_rate_ppb": rate,
        },
    )
    if step is not None:
        yield "0 < maxStep", step > 0, {"max_step_ppb": step}
        yield (
            "maxLeverage × maxStep ≤ 1",
            leverage * step <= PPB,
            {"max_step_ppb": step, "max_leverage": leverage, "largest_leverage": div_floor(PPB, max(step, 1))},
        )


def _funding(params: MarketParams, price: Ticks) -> Iterator[Rule]:
    """What keeps funding slower than margin, and its index within 63 bits for ten years at the highest rate."""
    velocity, rate, leverage = params.funding_velocity, params.max_funding_rate, params.max_leverage
    named: dict[str, Fact] = {"funding_velocity_ppb": velocity, "max_funding_rate_ppb": rate}
    yield (
        "fundingVelocity and maxFundingRate are both 0 or both above 0",
        min(velocity, rate) >= 0 and (velocity > 0) == (rate > 0),
        named,
    )
    yield (
        "maxFundingRate × maxLeverage ≤ 1/3",
        3 * rate * leverage <= PPB,
        {"max_funding_rate_ppb": rate, "max_leverage": leverage},
    )
    grown, interest = price * params.unit * rate * FUNDING_DAYS, params.max_open_interest
    yield (
        "ten years at maxFundingRate fit the funding index, at this price and for the whole maxOpenInterest",
        grown <= INDEX_MAX and interest * grown <= INDEX_MAX * PPB,
        {"max_funding_rate_ppb": rate, "price_ticks": price, **_interest(params)},
    )


def _prices(params: MarketParams) -> Iterator[Rule]:
    """Which prices are believed at once."""
    band, confirmations = params.price_band, params.price_confirmations
    yield "0 < priceBand ≤ 1", band is None or 0 < band <= PPB, {"price_band_ppb": band or 0}
    yield (
        f"1 ≤ priceConfirmations ≤ {CONFIRMATIONS_MAX}",
        1 <= confirmations <= CONFIRMATIONS_MAX,
        {"price_confirmations": confirmations, "allowed": CONFIRMATIONS_MAX},
    )


def _execution(params: MarketParams) -> Iterator[Rule]:
    """How long an order waits for the next price: longer than a price may be late, and not for ever."""
    skew, limit = params.clock_skew, params.pending_limit
    times: dict[str, Fact] = {"clock_skew_ms": skew, "pending_limit_ms": limit}
    yield "0 ≤ clockSkew ≤ 5 s", 0 <= skew <= CLOCK_SKEW_MS_MAX, times
    yield (
        "clockSkew + 1 s ≤ pendingLimit ≤ 3,600 s: an order needs time until the feed's next price",
        skew + PENDING_MS_MIN <= limit <= PENDING_MS_MAX,
        times,
    )


def _tiers(params: MarketParams) -> Iterator[Rule]:
    """By size: what is larger keeps more and may have less leverage. The other rules hold for the first tier's numbers,
    which are the strictest for the house.
    """
    tiers = params.tiers
    if not tiers:
        return
    yield f"there are at most {TIERS_MAX} tiers", len(tiers) <= TIERS_MAX, {"tiers": len(tiers), "allowed": TIERS_MAX}
    first, last = tiers[0], tiers[-1]
    yield (
        "the first tier has the market's maintenanceRate and maxLeverage",
        (first.maintenance_rate, first.max_leverage) == (params.maintenance_rate, params.max_leverage),
        {
            "maintenance_rate_ppb": params.maintenance_rate,
            "max_leverage": params.max_leverage,
            "first_maintenance_rate_ppb": first.maintenance_rate,
            "first_max_leverage": first.max_leverage,
        },
    )
    for number, (before, tier) in enumerate(zip((None, *tiers), tiers, strict=False), start=1):
        named: dict[str, Fact] = {
            "tier": number,
            "max_quantity_lots": tier.max_lots,
            "maintenance_rate_ppb": tier.maintenance_rate,
            "max_leverage": tier.max_leverage,
        }
        yield "0 < maxQuantity of each tier ≤ 2^63", 0 < tier.max_lots <= INTEGER_MAX, named
        yield "1 ≤ maxLeverage of each tier", tier.max_leverage >= 1, named
        yield (
            "0 < maintenanceRate < 1/maxLeverage in each tier",
            tier.maintenance_rate > 0 and tier.maintenance_rate * tier.max_leverage < PPB,
            named,
        )
        yield (
            "from tier to tier maxQuantity rises, maintenanceRate does not fall and maxLeverage does not rise",
            before is None
            or (
                before.max_lots < tier.max_lots
                and before.maintenance_rate <= tier.maintenance_rate
                and before.max_leverage >= tier.max_leverage
            ),
            named,
        )
    yield (
        "the last tier's maxQuantity is at least maxOpenInterest",
        last.max_lots >= params.max_open_interest,
        {"max_quantity_lots": last.max_lots, **_interest(params)},
    )


def _parts(params: MarketParams) -> Iterator[Rule]:
    """When a liquidation closes a part, and how much of it."""
    least, buffer = params.partial_liquidation, params.liquidation_buffer
    yield "0 < partialLiquidation", least is None or least > 0, {"partial_liquidation_micros": least or 0}
    yield (
        "0.01 ≤ liquidationBuffer ≤ 1",
        BUFFER_MIN <= buffer <= PPB,
        {"liquidation_buffer_ppb": buffer, "least_buffer_ppb": BUFFER_MIN},
    )


def _depth(params: MarketParams) -> dict[str, Fact]:
    return {"max_skew_lots": params.max_skew, "skew_scale_lots": params.skew_scale}


def _fits(params: MarketParams, price: Ticks) -> dict[str, Fact]:
    """The largest caps that would fit, each with all else as it is, and how far trading could then move the quote."""
    interest = largest_interest(params, price)
    return {
        "largest_open_interest_lots": interest,
        "largest_skew_lots": largest_skew(params),
        "trading_range_ppb": div_floor(PPB * interest, max(params.skew_scale, 1)),
    }


def _interest(params: MarketParams) -> dict[str, Fact]:
    return {"max_open_interest_lots": params.max_open_interest}


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
