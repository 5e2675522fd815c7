"""An administrator changes a market's parameters while it runs."""

from collections.abc import Iterable

from perps.commands import UpdateMarket
from perps.effects import Effects, ParamsSet
from perps.events import HoldEnded, ParamsChanged
from perps.market.funding import index_bound
from perps.market.listing import check_params
from perps.market.position import Position, is_liquidatable
from perps.market.state import Market
from perps.params import MarketParams, changed
from perps.refusals import Fact, RejectCode, Rejected
from perps.rules.rule import CommandRule, EventRule, Given
from perps.units import Millis


def decide_update(
    market: Market, command: UpdateMarket, given: Given
) -> tuple[ParamsChanged | HoldEnded, ...] | Rejected:
    """Change some parameters. All of them then keep the listing rules at the present price, and fit what stands.

    A change by which standing positions become liquidatable is refused, unless it is forced: then the engine liquidates
    them behind it. Funding has been counted up to now under the old parameters. Who no longer holds back far prices
    holds none.
    """
    params = changed(market.params, command.changes)
    broken = check_params(params, market.index_price, market.params) or _misfit(market, params)
    if broken:
        return broken
    endangered = 0 if command.force else _endangered(market, params)
    if endangered:
        return Rejected(code=RejectCode.WOULD_BE_LIQUIDATED, facts={"positions": endangered, "rule": "or force it"})
    event = ParamsChanged(params, given.at)
    if market.held_price is not None and params.price_band is None:
        return event, HoldEnded()
    return (event,)


def _misfit(market: Market, params: MarketParams) -> Rejected | None:
    """What of the new parameters does not fit the positions and the funding index that are there."""
    skew, side = abs(market.skew), max(market.long_lots, market.short_lots)
    rules: tuple[tuple[str, bool, dict[str, Fact]], ...] = (
        (
            "skewScale changes only while nobody holds a position",
            params.skew_scale == market.params.skew_scale or not side,
            {"skew_scale_lots": market.params.skew_scale, "open_interest_lots": side},
        ),
        (
            "maxSkew is not below the present skew",
            params.max_skew >= skew,
            {"max_skew_lots": params.max_skew, "skew_lots": skew},
        ),
        (
            "maxOpenInterest is not below the present open interest of a side",
            params.max_open_interest >= side,
            {"max_open_interest_lots": params.max_open_interest, "open_interest_lots": side},
        ),
        (
            "execution changes only while no order waits for the next price",
            params.execution is market.params.execution or not market.orders.pending,
            {"pending_orders": len(market.orders.pending)},
        ),
        (
            "maxOpenInterest leaves the funding index room",
            abs(market.funding_index) < index_bound(params.max_open_interest),
            {"max_open_interest_lots": params.max_open_interest, "funding_index": market.funding_index},
        ),
    )
    for rule, holds, compared in rules:
        if not holds:
            return Rejected(code=RejectCode.PARAMETERS_INCONSISTENT, facts={"rule": rule, **compared})
    return None


def _endangered(market: Market, params: MarketParams) -> int:
    """How many positions are liquidatable under the new parameters, and are not under the present ones."""
    mark, scale = market.exact_mark(market.skew)
    now, index = market.params, market.funding_index
    due: Iterable[Position]
    if params.tiers != now.tiers:  # the order knows who is due by its own tiers only
        due = market.positions.values()
    elif not market.order.may_be_due(mark, params, index, scale):
        return 0
    else:
        due = (market.positions[number] for number in market.order.candidates(mark, params, index, scale))
    return sum(
        is_liquidatable(each, mark, params, index, scale) and not is_liquidatable(each, mark, now, index, scale)
        for each in due
    )


def apply_changed(market: Market, event: ParamsChanged) -> None:
    """These parameters hold from here on. Funding that is switched on counts from now; switched off, its rate is 0."""
    had_funding, had_tiers = market.params.funding_velocity, market.params.tiers
    market.params = event.params
    market.orders.rekey(event.params, market.decided_before if event.params.executes_later else None)
    if event.params.tiers != had_tiers:
        market.order.rekey(market.positions.values(), event.params)
    if not event.params.funding_velocity:
        market.funding_rate, market.funding_carry, market.funding_at = 0, 0, Millis(0)
    elif not had_funding:
        market.funding_at = event.at


def project_changed(event: ParamsChanged) -> Effects:
    """The parameters, for readers."""
    return (ParamsSet(event.params),)


COMMANDS = (CommandRule(UpdateMarket, decide_update),)
EVENTS = (EventRule(ParamsChanged, apply_changed, project_changed),)
