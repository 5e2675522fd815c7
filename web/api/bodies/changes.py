"""Changes of a market's parameters: from the body to the command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import asdict

from perps.params import MarketParams, ParamChanges
from perps.wire.base import outside
from perps.wire.listing import ChangesBody
from web.answers.errors import invalid
from web.api.bodies.commands import (
    age,
    band,
    credit_limit,
    least_in_part,
    notional_limit,
    positions_limit,
    seconds,
    step,
)
from web.api.bodies.tiers import tiers_of
from web.api.bodies.units import lots, positive_money, printable, rate, rate_from_zero

_LOTS: Final = ("skew_scale", "max_skew", "max_open_interest")
_RATES: Final = (
    "maker_fee",
    "taker_fee",
    "referral_share",
    "maintenance_rate",
    "liquidation_fee",
    "max_funding_rate",
    "liquidation_buffer",
)
_SECONDS: Final = ("pending_limit", "clock_skew")
_LIMITS: Final[dict[str, Callable[[Any], Any]]] = {
    "house_credit_limit": credit_limit,
    "max_price_age": age,
    "price_band": band,
    "max_positions_per_user": positions_limit,
    "max_notional_per_user": notional_limit,
    "max_step": step,
    "partial_liquidation": least_in_part,
}
_LOT_ANY: Final = 1
"""For a check without a market: a lot that every quantity is a multiple of."""


def check_changes(body: ChangesBody) -> None:
    """Everything about changes that can be wrong without knowing their market."""
    given = asdict(body)
    del given["force"]
    if all(value is None for value in given.values()):
        raise invalid("Name at least one parameter to change.", allowed=[outside(name) for name in given])
    _changes(body, _LOT_ANY)


def changes_of(body: ChangesBody, params: MarketParams) -> ParamChanges:
    """What a body asks to change of a market."""
    return _changes(body, params.lot_size)


def _changes(body: ChangesBody, lot_size: int) -> ParamChanges:
    found: dict[str, Any] = {}
    for name, value in asdict(body).items():
        if name == "force" or value is None:
            continue
        field = outside(name)
        if name in _LOTS:
            value = lots(value, lot_size, field)
        elif name in _RATES:
            value = rate(value, field)
        elif name in _LIMITS:
            value = _LIMITS[name](value)
        elif name == "funding_velocity":
            value = rate_from_zero(value, field)
        elif name in _SECONDS:
            value = seconds(value, field)
        elif name == "tiers":
            value = tiers_of(value, lot_size)
        elif name == "min_order_size":
            value = positive_money(value, field)
        elif isinstance(value, str) and name != "execution":
            value = printable(value, field)
        found[name] = value
    return ParamChanges(**found)
