"""What the slow model knows of a market's parameters: exact fractions, from the decimals of its listing."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

Number = int | str | Fraction
MICROS = 1_000_000


def exact(value: Number) -> Fraction:
    """A number as given by a decimal string, exactly. Floats are not taken."""
    if isinstance(value, float):
        raise TypeError("a float is not exact")
    return Fraction(value)


def micros(value: Number) -> int:
    """Whole micros of an amount of money such as ``"12.34"``."""
    amount = exact(value) * MICROS
    if amount.denominator != 1:
        raise ValueError(f"{value} is not a whole number of micros")
    return int(amount)


@dataclass(frozen=True)
class Rules:
    """What of a market's parameters the money depends on."""

    ticker: str
    lot_value: Fraction
    """Micros that one lot costs at an index price of 1."""
    lot_size: Fraction
    """Base units of one lot."""
    skew_scale: Fraction
    """Lots."""
    taker_fee: Fraction
    liquidation_fee: Fraction
    referral_share: Fraction
    maintenance_rate: Fraction = Fraction(0)
    maintenance_fixed: int = 0
    tick_size: Fraction = Fraction(1, 100)
    mark_is_quote: bool = False
    house_deposit: int = 0
    max_skew: Fraction = Fraction(1)
    """Lots."""
    funding_velocity: Fraction = Fraction(0)
    max_funding_rate: Fraction = Fraction(0)
    max_price_age: int | None = None
    """Milliseconds."""
    house_credit: int = 0
    """How far below 0 the house may go, micros."""
    price_band: Fraction | None = None
    price_confirmations: int = 1
    maker_fee: Fraction | None = None
    """None: as the taker's."""
    mark_is_exact: bool = False
    """Otherwise a mark that is the quote is rounded down to its tick."""
    waits_for_price: bool = False
    """Whether orders are decided at the next price only."""
    clock_skew: int = 0
    """Milliseconds that a feed's clock may be off."""
    tiers: tuple[tuple[int, Fraction, int], ...] = ()
    """By size: the most lots, the maintenance rate, the highest leverage."""
    max_leverage: int = 1
    min_order_size: int = 0
    parts_from: int | None = None
    """The notional from which on a position is liquidated in part, micros."""
    buffer: Fraction = Fraction(0)
    """What a part leaves has more than 1 + this times its maintenance."""

    def rate(self, lots: int) -> Fraction:
        """The maintenance rate of a position: that of the first tier that is large enough."""
        fitting = [rate for most, rate, _ in self.tiers if abs(lots) <= most]
        return fitting[0] if fitting else self.maintenance_rate

    def leverage(self, lots: int) -> int:
        """The highest leverage of a position."""
        fitting = [leverage for most, _, leverage in self.tiers if abs(lots) <= most]
        return fitting[0] if fitting else self.max_leverage

    @staticmethod
    def of(
        *,
        ticker: str,
        lot_size: Number,
        skew_scale: Number,
        taker_fee: Number,
        liquidation_fee: Number,
        referral_share: Number,
        maintenance_rate: Number = 0,
        maintenance_fixed: Number = 0,
        tick_size: Number = "0.01",
        mark_is_quote: bool = False,
        house_deposit: Number = 0,
        max_skew: Number = 1,
        funding_velocity: Number = 0,
        max_funding_rate: Number = 0,
        max_price_age: int | None = None,
        house_credit: Number = 0,
        price_band: Number | None = None,
        price_confirmations: int = 1,
        maker_fee: Number | None = None,
        mark_is_exact: bool = False,
        waits_for_price: bool = False,
        clock_skew: int = 0,
        tiers: tuple[tuple[Number, Number, int], ...] = (),
        max_leverage: int = 1,
        min_order_size: Number = 0,
        parts_from: Number | None = None,
        buffer: Number = 0,
    ) -> Rules:
        """From the numbers of the listing request: ``skew_scale`` and ``lot_size`` in base units, money in units."""
        return Rules(
            ticker=ticker,
            lot_value=exact(lot_size) * MICROS,
            lot_size=exact(lot_size),
            skew_scale=exact(skew_scale) / exact(lot_size),
            taker_fee=exact(taker_fee),
            liquidation_fee=exact(liquidation_fee),
            referral_share=exact(referral_share),
            maintenance_rate=exact(maintenance_rate),
            maintenance_fixed=micros(maintenance_fixed),
            tick_size=exact(tick_size),
            mark_is_quote=mark_is_quote,
            house_deposit=micros(house_deposit),
            max_skew=exact(max_skew) / exact(lot_size),
            funding_velocity=exact(funding_velocity),
            max_funding_rate=exact(max_funding_rate),
            max_price_age=max_price_age,
            house_credit=micros(house_credit),
            price_band=None if price_band is None else exact(price_band),
            price_confirmations=price_confirmations,
            maker_fee=None if maker_fee is None else exact(maker_fee),
            mark_is_exact=mark_is_exact,
            waits_for_price=waits_for_price,
            clock_skew=clock_skew,
            tiers=tuple((int(exact(most) / exact(lot_size)), exact(rate), best) for most, rate, best in tiers),
            max_leverage=max_leverage,
            min_order_size=micros(min_order_size),
            parts_from=None if parts_from is None else micros(parts_from),
            buffer=exact(buffer),
        )
