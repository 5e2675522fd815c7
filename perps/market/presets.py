"""What a listing is made of where it names nothing itself: the presets, and the steps that suit a price.

Every preset fills at the last price; a listing may say otherwise beside it (ARCHITECTURE.md says why they do not).
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from msgspec import Struct

from perps.params import UNIT_SCALE, Execution, MarkSource, Preset
from perps.units import MICRO, PICO, PPB, Lots, Micros, Millis, Pico, Ppb, div_floor


class Recipe(Struct, frozen=True, kw_only=True):
    """The parameters of a listing that names none. Rates are ppb, money micros."""

    mark_source: MarkSource = MarkSource.INDEX
    max_leverage: int = 100
    depth: Micros = Micros(10**10 * MICRO)
    """The notional, at the listing price, that moves the quote by 100 %."""
    max_skew: Ppb = Ppb(PPB // 1000)
    """A share of the depth …"""
    max_open_interest: Ppb = Ppb(PPB // 500)
    """… and another."""
    taker_fee: Ppb = Ppb(PPB // 1000)
    liquidation_fee: Ppb = Ppb(PPB // 500)
    max_funding_rate: Ppb = Ppb(0)
    velocity_parts: int = 3
    """By default the funding velocity is so many times the highest rate: with 3 the rate is there after 8 hours."""
    max_step: Ppb | None = None
    max_price_age: Millis | None = None
    price_band: Ppb | None = None
    execution: Execution = Execution.IMMEDIATE
    has_usual_steps: bool = True
    """Whether a price of 100 or more has the usual steps."""
    has_brackets: bool = False
    """Whether leverage and maintenance are an exchange's, by size; then the largest step is 1/leverage."""


PLAIN: Final = Recipe()
"""A listing without a preset."""

BRACKETED: Final = Recipe(
    taker_fee=Ppb(PPB // 2000),
    liquidation_fee=Ppb(3 * PPB // 2000),
    max_funding_rate=Ppb(2 * PPB // 1000),
    max_price_age=Millis(10_000),
    price_band=Ppb(PPB // 10),
    has_brackets=True,
)
"""A market with an exchange's size brackets, which bring leverage and maintenance.

Fees and impact fit the lowest maintenance rate that they have, 0.004, and the funding rate the highest leverage, 150.
"""

PRESETS: Final[Mapping[Preset, Recipe]] = {
    Preset.CRYPTO: Recipe(
        max_leverage=20,
        max_funding_rate=Ppb(3 * PPB // 1000),
        max_step=Ppb(2 * PPB // 100),
        max_price_age=Millis(60_000),
        price_band=Ppb(PPB // 10),
    ),
    Preset.GAME: Recipe(
        mark_source=MarkSource.QUOTE,
        max_leverage=3,
        depth=Micros(500_000 * MICRO),
        max_skew=Ppb(65 * PPB // 1000),
        max_open_interest=Ppb(65 * PPB // 1000),
        liquidation_fee=Ppb(PPB // 100),
        max_funding_rate=Ppb(6 * PPB // 100),
        velocity_parts=4,
        max_step=Ppb(5 * PPB // 100),
        has_usual_steps=False,
    ),
    Preset.VOLATILE: Recipe(
        mark_source=MarkSource.QUOTE,
        max_leverage=2,
        depth=Micros(100_000 * MICRO),
        max_skew=Ppb(9 * PPB // 100),
        max_open_interest=Ppb(9 * PPB // 100),
        taker_fee=Ppb(2 * PPB // 1000),
        liquidation_fee=Ppb(2 * PPB // 100),
        max_funding_rate=Ppb(12 * PPB // 100),
        velocity_parts=4,
        max_step=Ppb(10 * PPB // 100),
        has_usual_steps=False,
    ),
    **{preset: BRACKETED for preset in Preset if preset.coin is not None},
}
"""All keep the listing rules; in ``game`` and ``volatile`` trading alone cannot liquidate a fresh position.

For that, with μ = 1/(2·leverage) and o = max_open_interest, 2·o/(1 − o) ≤ μ/(1 + μ).
"""

USUAL_TICK: Final = Pico(PICO // 100)
USUAL_LOT: Final = Pico(PICO // 10_000)
USUAL_FROM: Final = 100 * PICO
DIGITS: Final = 6
"""Significant digits of a price on a tick that suits it; one more if the listing's price has one more."""


class Steps(NamedTuple):
    """The smallest steps of a price and of a quantity, pico."""

    tick: Pico
    lot: Pico


def steps(price: int, tick: Pico | None, lot: Pico | None, recipe: Recipe) -> Steps:
    """Tick and lot of a market at a price (pico), those that were given and those that suit it.

    A tick is 0.01 and a lot 0.0001 from a price of 100 on, where these are usual. Otherwise a price has six digits, and
    a tick of a lot is worth a micro: a lot is worth 0.1 to 1.
    """
    usual = recipe.has_usual_steps and price >= USUAL_FROM
    if tick is None:
        tick = USUAL_TICK if usual else _tick_of(price)
    if lot is None:
        fits = usual and tick * USUAL_LOT % UNIT_SCALE == 0
        lot = USUAL_LOT if fits else Pico(max(div_floor(UNIT_SCALE, tick), 1))
    return Steps(tick, lot)


def scale_of(depth: Micros, lot_worth: int) -> Lots:
    """The skew scale of a depth, lots: floor(depth / what a lot is worth), both micros."""
    return Lots(div_floor(depth, max(lot_worth, 1)))


def cap_of(scale: Lots, share: Ppb) -> Lots:
    """A share of the skew scale, lots, rounded down, so that what fits exactly never turns out too large."""
    return Lots(div_floor(scale * share, PPB))


def _tick_of(price: int) -> Pico:
    """10^(⌊log₁₀ price⌋ − 5), at least a pico; a tenth of it if the price is not on that."""
    tick = 10 ** max(len(str(price)) - DIGITS, 0)
    return Pico(tick if price % tick == 0 else tick // 10)
