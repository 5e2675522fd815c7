"""Prices: the only way any of them enters the venue."""

from typing import Final

from perps.commands import UpdatePrice
from perps.effects import Effects, Priced
from perps.events import PriceUpdated
from perps.market.state import Market
from perps.refusals import Fact, RejectCode, Rejected
from perps.rules.rule import CommandRule, EventRule, Given
from perps.units import AMOUNT_MAX, PPB, Millis, Ppb, Ticks, div_floor

SOURCE_CLOCK_AHEAD_MS_MAX: Final = 5_000
"""How far a price's own time may run ahead of the venue's before it is refused as nonsense."""


def decide_price(market: Market, command: UpdatePrice, given: Given) -> tuple[PriceUpdated] | Rejected:
    """Take a price unless it is absurd, older than what is known, or out of its source's sequence.

    Taken in every mode: a halted market still knows its price, it only does nothing about it. The source's own time
    is held against the system's clock; where the venue's time runs ahead of that, the price's time runs ahead with it.
    """
    price = _asked(market, command)
    if isinstance(price, Rejected):
        return price
    worth = market.params.max_open_interest * price * market.params.unit
    if price < 1 or worth > AMOUNT_MAX:
        rule = "price is at least one tick, and maxOpenInterest is worth at most 10^12 at it"
        return Rejected(code=RejectCode.VALIDATION_ERROR, facts={"rule": rule, "price_ticks": price})
    source_at, now = command.source_at, given.at - given.ahead_ms
    if source_at is not None and source_at > now + SOURCE_CLOCK_AHEAD_MS_MAX:
        facts: dict[str, Fact] = {"rule": "at is not in the future", "at_ms": source_at, "now_ms": now}
        return Rejected(code=RejectCode.VALIDATION_ERROR, facts=facts)
    known_at = market.source_times.get(command.source)
    if source_at is not None and known_at is not None and source_at < known_at:
        facts = {"at_ms": source_at, "known_at_ms": known_at}
        return Rejected(code=RejectCode.PRICE_STALE, facts=facts)
    known = market.source_sequences.get(command.source)
    if command.sequence is not None and known is not None and command.sequence <= known:
        facts = {"sequence": command.sequence, "known_sequence": known}
        return Rejected(code=RejectCode.PRICE_STALE, facts=facts)
    quote = market.quote_at(market.skew, price)
    return (
        PriceUpdated(
            price,
            market.mark_given(quote, price),
            quote,
            command.source,
            given.at if source_at is None else Millis(min(given.at, source_at + given.ahead_ms)),
            command.reason,
            command.sequence,
            source_at,
        ),
    )


def changed(price: Ticks, change: Ppb) -> Ticks:
    """S·(1 + c) for c ≥ 0, S/(1 + |c|) for c < 0, rounded to the nearest tick, half up; a tick away for c ≠ 0 at least.

    So the same fraction up and then down leads back, to within a tick.
    """
    if not change:
        return price
    grown = PPB + abs(change)
    over, under = (grown, PPB) if change > 0 else (PPB, grown)
    nearest = div_floor(2 * price * over + under, 2 * under)
    return Ticks(max(nearest, price + 1) if change > 0 else min(nearest, price - 1))


def _asked(market: Market, command: UpdatePrice) -> Ticks | Rejected:
    """The price that a command asks for. A change goes no further than leverage lets margins follow: 1/maxLeverage."""
    if command.price is not None and command.change is None:
        return command.price
    if command.change is None or command.price is not None:
        return Rejected(code=RejectCode.VALIDATION_ERROR, facts={"rule": "either price or change"})
    leverage = market.params.max_leverage
    if abs(command.change) * leverage > PPB:
        facts: dict[str, Fact] = {
            "rule": "-1/maxLeverage ≤ change ≤ 1/maxLeverage",
            "change_ppb": command.change,
            "largest_change_ppb": div_floor(PPB, leverage),
            "max_leverage": leverage,
        }
        return Rejected(code=RejectCode.VALIDATION_ERROR, facts=facts)
    return changed(market.index_price, command.change)


def apply_price(market: Market, event: PriceUpdated) -> None:
    """The index price is this from here on."""
    market.index_price, market.price_at = event.price, event.at
    if event.source_at is not None:
        market.source_times[event.source] = event.source_at
    if event.sequence is not None:
        market.source_sequences[event.source] = event.sequence


def project_price(event: PriceUpdated) -> Effects:
    """A price, with the quote and mark that follow from it."""
    return (Priced(event.price, event.mark, event.quote, event.source, event.reason, event.sequence),)


COMMANDS = (CommandRule(UpdatePrice, decide_price),)
EVENTS = (EventRule(PriceUpdated, apply_price, project_price),)
