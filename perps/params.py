"""A market's parameters, in integer units."""

from enum import StrEnum
from typing import ClassVar, Final

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict, replace

from perps.units import (
    HOUSE_CREDIT_DEFAULT,
    HOUSE_DEBT_MAX,
    MICRO,
    PICO,
    PPB,
    Lots,
    Micros,
    Millis,
    Pico,
    Ppb,
    div_floor,
)

LEVERAGE_MAX: Final = 1_000

SLICES_MIN: Final = 2
SLICES_MAX: Final = 100
"""Of a TWAP."""

INTERVAL_MS_MIN: Final = 1_000
"""Of a TWAP, from one slice to the next: a market is looked at each second."""

INTERVAL_MS_MAX: Final = 24 * 3_600_000

UNIT_SCALE: Final = PICO * MICRO
"""Tick size × lot size, both pico, of one micro per tick·lot."""

LIQUIDATION_BUFFER: Final = Ppb(PPB // 4)


class MarkSource(StrEnum):
    """Where the mark price, for margin and liquidation, comes from.

    ``index``: the outside price; nobody moves another's liquidation by trading.
    ``quote``: the price of the next small trade, for markets whose price is made by trading.
    """

    INDEX = "index"
    QUOTE = "quote"


class Execution(StrEnum):
    """At which price orders are decided: the one that is there, or the first that is stamped after them."""

    IMMEDIATE = "immediate"
    NEXT_PRICE = "next_price"


PENDING_LIMIT_DEFAULT: Final = Millis(30_000)
CLOCK_SKEW_DEFAULT: Final = Millis(200)


class Mode(StrEnum):
    """What a market lets through. ``reduce_only``: closes. ``halted``: prices and a change of mode.

    ``settled``: as halted; all positions have been closed.
    """

    ENABLED = "enabled"
    REDUCE_ONLY = "reduce_only"
    HALTED = "halted"
    SETTLED = "settled"


class Tier(Struct, frozen=True, array_like=True):
    """What holds for positions up to a size: the whole position is at the rate of its tier."""

    max_lots: Lots
    """The most |q| of it; what is larger is in a later tier."""
    maintenance_rate: Ppb
    max_leverage: int


class ParamChanges(Struct, frozen=True, kw_only=True):
    """What of a market's parameters is to change. A field that is not set stays as it is.

    The others (``FIXED``) are for ever: prices, sizes and money are counted in them, or they were a market's beginning.
    """

    organization_id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    skew_scale: Lots | UnsetType = UNSET
    max_skew: Lots | UnsetType = UNSET
    max_open_interest: Lots | UnsetType = UNSET
    max_leverage: int | UnsetType = UNSET
    min_order_size: Micros | UnsetType = UNSET
    maker_fee: Ppb | UnsetType = UNSET
    taker_fee: Ppb | UnsetType = UNSET
    referral_share: Ppb | UnsetType = UNSET
    maintenance_rate: Ppb | UnsetType = UNSET
    liquidation_fee: Ppb | UnsetType = UNSET
    house_credit_limit: Micros | UnsetType | None = UNSET
    max_price_age: Millis | UnsetType | None = UNSET
    funding_velocity: Ppb | UnsetType = UNSET
    max_funding_rate: Ppb | UnsetType = UNSET
    price_band: Ppb | UnsetType | None = UNSET
    price_confirmations: int | UnsetType = UNSET
    charges_maker_fee: bool | UnsetType = UNSET
    max_positions_per_user: int | UnsetType | None = UNSET
    max_notional_per_user: Micros | UnsetType | None = UNSET
    max_step: Ppb | UnsetType | None = UNSET
    execution: Execution | UnsetType = UNSET
    pending_limit: Millis | UnsetType = UNSET
    clock_skew: Millis | UnsetType = UNSET
    tiers: tuple[Tier, ...] | UnsetType = UNSET
    partial_liquidation: Micros | UnsetType | None = UNSET
    liquidation_buffer: Ppb | UnsetType = UNSET
    deleveraging: bool | UnsetType = UNSET


FIXED: Final = ("ticker", "tick_size", "lot_size", "mark_source", "maintenance_fixed", "house_deposit", "exact_mark")
"""Parameters that never change. The liquidation order rests on ``maintenance_fixed``."""


class Preset(StrEnum):
    """Markets that fit together, for three purposes.

    ``crypto``: follows an outside feed. ``game``: lively, its price is made by trades and stories. ``volatile``: the
    same, wilder. ``binance:…``: leverage, maintenance and size tiers as Binance has them for a coin; for the rest a
    feed of seconds.
    """

    CRYPTO = "crypto"
    GAME = "game"
    VOLATILE = "volatile"
    BINANCE_BTC = "binance:BTC"
    BINANCE_ETH = "binance:ETH"
    BINANCE_SOL = "binance:SOL"
    BINANCE_BNB = "binance:BNB"
    BINANCE_XRP = "binance:XRP"
    BINANCE_DOGE = "binance:DOGE"
    BINANCE_ADA = "binance:ADA"
    BINANCE_LINK = "binance:LINK"
    BINANCE_AVAX = "binance:AVAX"
    BINANCE_LTC = "binance:LTC"
    BINANCE_1000PEPE = "binance:1000PEPE"
    BINANCE_WIF = "binance:WIF"

    @property
    def coin(self) -> str | None:
        """Of a ``binance:…`` preset, which one."""
        exchange, _, coin = self.value.partition(":")
        return coin if exchange == "binance" and coin else None


class MarketParams(Struct, frozen=True, kw_only=True):
    """The rules of one market. Rates are ppb, sizes lots, money micros.

    ``later``: fields added after the first release, as of a command (``perps/commands.py``).
    """

    later: ClassVar[tuple[str, ...]] = (
        "funding_velocity",
        "max_funding_rate",
        "price_band",
        "price_confirmations",
        "charges_maker_fee",
        "max_positions_per_user",
        "max_notional_per_user",
        "max_step",
        "exact_mark",
        "execution",
        "pending_limit",
        "clock_skew",
        "tiers",
        "partial_liquidation",
        "liquidation_buffer",
        "deleveraging",
    )

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
    """What lots pay that bring the skew nearer to 0, where the market ``charges_maker_fee``; all others pay …"""
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
    """How far below 0 the house account may go; None: ``HOUSE_CREDIT_DEFAULT`` (play money)."""
    max_price_age: Millis | None = None
    """Older prices stop trading; None: a price never grows old."""
    funding_velocity: Ppb = Ppb(0)
    """V: by how much the daily funding rate grows in a day while the skew is ``max_skew``, ppb. 0: no funding."""
    max_funding_rate: Ppb = Ppb(0)
    """r_max: the daily funding rate goes no further than this, either way, ppb."""
    price_band: Ppb | None = None
    """A price further than this from the index, as a share of it, is held until it is confirmed; None: any is taken."""
    price_confirmations: int = 3
    """k: a held price is taken when its source has said it so many times, the first included."""
    charges_maker_fee: bool = False
    """False in a market that was listed when ``maker_fee`` was stored and charged to nobody: until an administrator
    changes this, its traders pay what they did.
    """

    max_positions_per_user: int | None = None
    """The most open positions of one user in this market; None: as many as they like."""
    max_notional_per_user: Micros | None = None
    """The most notional of one user's positions in this market, both sides added up, at the index price."""
    max_step: Ppb | None = None
    """The largest move from one price to the next that the listing expects, ppb of the price; None: it says nothing."""
    exact_mark: bool = False
    """Whether liquidations go by the exact quote; False: by the quote rounded down to its tick, as in markets that were
    listed before there was a choice."""
    execution: Execution = Execution.IMMEDIATE
    pending_limit: Millis = PENDING_LIMIT_DEFAULT
    """With ``NEXT_PRICE``: how long an order waits for its price; then it ends …"""
    clock_skew: Millis = CLOCK_SKEW_DEFAULT
    """… and how far a feed's clock may be off: a price decides what was placed this long before its own time."""
    tiers: tuple[Tier, ...] = ()
    """By size, the smallest first; none: ``maintenance_rate`` and ``max_leverage`` hold for every size."""
    partial_liquidation: Micros | None = None
    """A position of at least this notional is liquidated in part, if that is enough; None: every one as a whole."""
    liquidation_buffer: Ppb = LIQUIDATION_BUFFER
    """b: what a part leaves has more than 1 + b times its maintenance."""
    deleveraging: bool = False
    """Whether winners must leave before the house owes more than it and ``house_credit_limit`` can pay."""

    def tier_of(self, lots: int) -> int:
        """The place in ``tiers`` of a position of ``lots``, either sign; 0 without tiers. What no tier covers is in the
        last one.
        """
        tiers, size = self.tiers, abs(lots)
        for place, tier in enumerate(tiers):
            if size <= tier.max_lots:
                return place
        return max(len(tiers) - 1, 0)

    def rate_of(self, lots: int) -> Ppb:
        """μ of a position of ``lots``, either sign."""
        tiers = self.tiers
        return tiers[self.tier_of(lots)].maintenance_rate if tiers else self.maintenance_rate

    def leverage_of(self, lots: int) -> int:
        """The highest leverage of a position of ``lots``, either sign."""
        tiers = self.tiers
        return tiers[self.tier_of(lots)].max_leverage if tiers else self.max_leverage

    def lots_at(self, leverage: int) -> Lots:
        """The largest position that may have this leverage; 0: none may."""
        if not self.tiers:
            return self.max_open_interest if leverage <= self.max_leverage else Lots(0)
        return max((tier.max_lots for tier in self.tiers if leverage <= tier.max_leverage), default=Lots(0))

    @property
    def executes_later(self) -> bool:
        """Whether orders wait for the next price."""
        return self.execution is Execution.NEXT_PRICE

    @property
    def unit(self) -> int:
        """u: micros per tick·lot. A listing rule holds it whole and ≥ 1."""
        return div_floor(self.tick_size * self.lot_size, UNIT_SCALE)

    @property
    def house_credit(self) -> Micros:
        """How far below 0 the house may go, micros."""
        limit = self.house_credit_limit
        return HOUSE_CREDIT_DEFAULT if limit is None else Micros(max(0, min(limit, HOUSE_DEBT_MAX)))


def changed(params: MarketParams, changes: ParamChanges) -> MarketParams:
    """The parameters after a change."""
    return replace(params, **{name: value for name, value in asdict(changes).items() if value is not UNSET})
