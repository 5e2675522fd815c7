"""Prices: the only way any of them enters the venue."""

from typing import Final

from perps.commands import UpdatePrice
from perps.events import MarketEvents, PriceUpdated
from perps.market.state import Market
from perps.refusals import Fact, RejectCode, Rejected
from perps.units import AMOUNT_MAX, Millis

SOURCE_CLOCK_AHEAD_MS_MAX: Final = 5_000
"""How far a price's own time may run ahead of the venue's before it is refused as nonsense."""


def decide_price(market: Market, command: UpdatePrice, at: Millis) -> MarketEvents | Rejected:
    """Take a price unless it is absurd, older than what is known, or out of its source's sequence.

    Taken in every mode: a halted market still knows its price, it only does nothing about it.
    """
    worth = market.params.max_open_interest * command.price * market.params.unit
    if command.price < 1 or worth > AMOUNT_MAX:
        rule = "price is at least one tick, and maxOpenInterest is worth at most 10^12 at it"
        return Rejected(code=RejectCode.VALIDATION_ERROR, facts={"rule": rule, "price_ticks": command.price})
    source_at = command.source_at
    if source_at is not None and source_at > at + SOURCE_CLOCK_AHEAD_MS_MAX:
        facts: dict[str, Fact] = {"rule": "at is not in the future", "at_ms": source_at, "now_ms": at}
        return Rejected(code=RejectCode.VALIDATION_ERROR, facts=facts)
    known_at = market.source_times.get(command.source)
    if source_at is not None and known_at is not None and source_at < known_at:
        facts = {"at_ms": source_at, "known_at_ms": known_at}
        return Rejected(code=RejectCode.PRICE_STALE, facts=facts)
    known = market.source_sequences.get(command.source)
    if command.sequence is not None and known is not None and command.sequence <= known:
        facts = {"sequence": command.sequence, "known_sequence": known}
        return Rejected(code=RejectCode.PRICE_STALE, facts=facts)
    quote = market.quote_at(market.skew, command.price)
    return (
        PriceUpdated(
            command.price,
            market.mark_given(quote, command.price),
            quote,
            command.source,
            at if source_at is None else min(at, source_at),
            command.reason,
            command.sequence,
            source_at,
        ),
    )
