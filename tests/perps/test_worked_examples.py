"""Examples that others have published, worked with this venue's formulas.

Prices are compared as exact fractions; ours is the first tick on the side of the liquidation, so it is less than a tick
away from theirs. None of them has our fees on the way out: a liquidation price says when, not what is left.
"""

from fractions import Fraction
from math import ceil, floor

import pytest
from msgspec.structs import replace

from perps.engine import apply
from perps.events import MarketListed
from perps.market.position import Position, funding_owed, liquidation_price
from perps.market.pricing import trade_cost
from perps.market.state import Market
from perps.params import MarketParams
from perps.rules.funding import accrue
from perps.rules.rule import Given
from perps.units import MICRO, PICO, PPB, FundingIndex, Lots, Micros, Millis, Pico, Ppb, Ticks
from tests.perps.build import START_MS, index_market, new_position

TICKS_A_UNIT, LOTS_A_UNIT = 100, 10_000
"""A tick is 0.01 and a lot 0.0001, so a lot is worth a micro a tick."""

HOUR_MS = 3_600_000
NO_FUNDING = FundingIndex(0)


def market(**changes: object) -> MarketParams:
    plain = index_market(tick_size=Pico(PICO // TICKS_A_UNIT), lot_size=Pico(PICO // LOTS_A_UNIT))
    assert plain.unit == 1
    return replace(plain, **changes)


def held(size: int, entry: int, margin: int) -> Position:
    """``size`` base units (< 0: short) at ``entry``, with ``margin`` posted."""
    cost = size * entry * MICRO
    return new_position(
        lots=Lots(size * LOTS_A_UNIT),
        cash=Micros(margin * MICRO - cost),
        margin=Micros(margin * MICRO),
        entry_cost=Micros(abs(cost)),
    )


def assert_first_tick(position: Position, params: MarketParams, exact: Fraction) -> None:
    """Ours is the tick at or next to the exact price: below it for a long, above it for a short."""
    ticks = exact * TICKS_A_UNIT
    expected = floor(ticks) if position.lots > 0 else ceil(ticks)
    assert liquidation_price(position, params, NO_FUNDING) == expected


def test_a_dydx_liquidation_price() -> None:
    """dYdX, documentation, Trading, Liquidations, "Isolated Liquidation Price": p' = (e − s·p) / (|s|·MMF − s).

    Its example: 1,000 deposited, 3 ETH short at 3,000, MMF 5 %: (1,000 + 9,000) / (3·0.05 + 3).
    """
    exact = Fraction(1_000 + 9_000) / (3 * Fraction(5, 100) + 3)
    assert exact == Fraction(200_000, 63)  # 3174.603…
    assert_first_tick(held(-3, 3_000, 1_000), market(maintenance_rate=Ppb(PPB // 20)), exact)


@pytest.mark.parametrize(("max_leverage", "maintenance"), [(50, Fraction(1, 100)), (3, Fraction(1, 6))])
@pytest.mark.parametrize("side", [1, -1])
def test_a_hyperliquid_liquidation_price(max_leverage: int, maintenance: Fraction, side: int) -> None:
    """Hyperliquid, documentation, Trading, Liquidations: price − side·margin_available / size / (1 − l·side).

    l = 1/maintenance leverage, margin_available = isolated margin − maintenance margin at the entry. The maintenance
    margin is half of the initial one at the highest leverage: from 1 % at 50x to 16.7 % at 3x. The document has no
    example in numbers: entry, size and margin are ours. A rate of 1/6 is rounded to 10⁻⁹ here.
    """
    rate = Ppb(round(maintenance * PPB))
    l, entry, size, margin = Fraction(rate, PPB), 2_500, 4, 5_000  # noqa: E741 - their name
    assert maintenance == Fraction(1, 2 * max_leverage)
    available = margin - l * size * entry
    exact = entry - side * available / size / (1 - l * side)
    assert_first_tick(held(side * size, entry, margin), market(maintenance_rate=rate), exact)


@pytest.mark.parametrize("side", [1, -1])
def test_a_binance_liquidation_price(side: int) -> None:
    """Binance, support, "How to Calculate Liquidation Price of USDⓈ-M Futures Contracts", isolated, one-way mode:
    (WB + cum − side·size·entry) / (size·MMR − side·size), TMM = UPNL = 0.

    Its bracket for a position of 500,000: MMR 1 %, cum = 250,000·(1 % − 0.5 %) + 50 = 1,300. Size, entry and balance
    are ours. Its maintenance amount lowers what must be there, which is a fixed maintenance below 0 here. A listing
    allows none of those: one rate holds for a whole position.
    """
    maintenance_amount = 250_000 * (Fraction(1, 100) - Fraction(1, 200)) + 50
    assert maintenance_amount == 1_300
    size, entry, balance, rate = 10, 50_000, 50_000, Fraction(1, 100)
    exact = (balance + maintenance_amount - side * size * entry) / (size * rate - side * size)
    params = market(maintenance_rate=Ppb(PPB // 100), maintenance_fixed=Micros(-1_300 * MICRO))
    assert_first_tick(held(side * size, entry, balance), params, exact)


def test_a_synthetix_fill() -> None:
    """Synthetix, SIP-279, Test Cases, "Premium/discount function": 100 ETH at an oracle price of 2,000, a skew of 100
    and a skewScale of 10⁶ fill at 2,000.3, from 2,000.2 to 2,000.4. To the last digit.
    """
    scale, skew, bought = (Lots(size * LOTS_A_UNIT) for size in (10**6, 100, 100))
    index = Ticks(2_000 * TICKS_A_UNIT)
    quoted = Market(MarketListed(market(skew_scale=scale), index, Millis(START_MS)))
    quotes = [quoted.quote_at(at) for at in (skew, skew + bought)]
    assert quotes == [200_020, 200_040]
    cost = trade_cost(bought, index_price=index, unit=1, skew=skew, skew_scale=scale)
    assert Fraction(cost, MICRO) / 100 == Fraction("2000.3")


def test_a_synthetix_funding_accrual() -> None:
    """Synthetix, SIP-279, Test Cases, "Funding rate velocity": 100 ETH long alone at 2,000, a maxFundingVelocity of
    300 % at skew = skewScale = 10⁶ ETH. After 24 hours the rate is 0.03 % a day, and 30 sUSD have been paid.

    Here the velocity is that at ``max_skew``, and the slope is truncated to 10⁻¹⁸ of the notional a day and
    millisecond: 2 micros of the 30.000000. Unobserved time counts for an hour at most, so it is looked at each hour.
    """
    scale = Lots(10**6 * LOTS_A_UNIT)
    params = market(skew_scale=scale, max_skew=scale, funding_velocity=Ppb(3 * PPB), max_funding_rate=Ppb(PPB))
    venue = Market(MarketListed(params, Ticks(2_000 * TICKS_A_UNIT), Millis(START_MS)))
    long = held(100, 2_000, 200_000)
    venue.enter(long)
    for hour in range(1, 25):
        for event in accrue(venue, Given(Millis(START_MS + hour * HOUR_MS))):
            apply(venue, event)

    assert Fraction(venue.funding_rate, 10**18) == pytest.approx(Fraction(3, 10_000), rel=1e-7)
    assert venue.funding_rate <= 3 * 10**14
    owed = funding_owed(long.lots, venue.funding_index)
    assert 30 * MICRO - 2 <= owed <= 30 * MICRO
