"""Prices: the only way any of them enters the venue."""

from typing import Final

from perps.commands import PriceSource, UpdatePrice
from perps.effects import Effects, Holding, Priced
from perps.events import HoldEnded, PriceHeld, PriceUpdated
from perps.market.holding import HeldPrice, is_near
from perps.market.state import Market
from perps.refusals import Fact, RejectCode, Rejected
from perps.rules.rule import CommandRule, EventRule, Given
from perps.units import AMOUNT_MAX, PPB, Millis, Ppb, Ticks, div_floor

SOURCE_CLOCK_AHEAD_MS_MAX: Final = 5_000
"""How far a price's own time may run ahead of the venue's before it is refused as nonsense."""


FEEDS: Final = (PriceSource.ORACLE, PriceSource.AGENT)
"""Sources that report what has happened elsewhere; the others say what happens here."""

NEEDS_TIME: Final = (
    "a feed's price has at, its own time, in a market with execution next_price: it decides older orders"
)

HOLD_MS: Final = 30_000
"""How long a price is held for another one that confirms it. Then the index counts again."""


def decide_price(market: Market, command: UpdatePrice, given: Given) -> tuple[PriceUpdated | PriceHeld] | Rejected:
    """Take a price unless it is absurd, older than what is known, or out of its source's sequence.

    One beyond the market's band is held; see ``_held``.

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
    if source_at is None and is_timed(market, command.source):
        facts = {"rule": NEEDS_TIME, "source": command.source}
        return Rejected(code=RejectCode.VALIDATION_ERROR, facts=facts)
    known_at = market.source_times.get(command.source)
    if source_at is not None and known_at is not None and source_at < known_at:
        facts = {"at_ms": source_at, "known_at_ms": known_at}
        return Rejected(code=RejectCode.PRICE_STALE, facts=facts)
    known = market.source_sequences.get(command.source)
    if command.sequence is not None and known is not None and command.sequence <= known:
        facts = {"sequence": command.sequence, "known_sequence": known}
        return Rejected(code=RejectCode.PRICE_STALE, facts=facts)
    at = given.at if source_at is None else Millis(min(given.at, source_at + given.ahead_ms))
    held = _held(market, price, command.source, at, given)
    if held is not None:
        return (PriceHeld(price, command.source, held, command.reason, command.sequence, source_at),)
    quote = market.quote_at(market.skew, price)
    return (
        PriceUpdated(
            price,
            market.mark_given(quote, price),
            quote,
            command.source,
            at,
            command.reason,
            command.sequence,
            source_at,
            _orders_before(market, command.source, at, given),
        ),
    )


def is_timed(market: Market, source: PriceSource) -> bool:
    """Whether prices of this source must say their own time: a feed's, where orders are decided at the next price."""
    return market.params.executes_later and source in FEEDS


def _orders_before(market: Market, source: PriceSource, at: Millis, given: Given) -> Millis | None:
    """Which orders a price decides: those placed before this. None where it decides whatever there is.

    A feed's counts from its own time, less what its clock may be off: one that arrives late is no gift to whoever
    knows it already. What the venue itself says counts from its receipt: nobody knew it before.
    """
    if not market.params.executes_later:
        return None
    return Millis(at - market.params.clock_skew) if source in FEEDS else given.at


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


def _held(market: Market, price: Ticks, source: PriceSource, at: Millis, given: Given) -> HeldPrice | None:
    """What waits after a price, if it is not to be taken.

    A price near the index is taken. One near the held price confirms it, if it is of the same source and later: the
    k-th is taken. If it is not, what is held stays as it is. One that is near neither is held anew.
    """
    band, held = market.params.price_band, market.held_price
    if band is None or is_near(price, market.index_price, band):
        return None
    count = 1
    if held is not None and is_near(price, held.price, band):
        if source is not held.source or at <= held.at:
            return held
        count = held.count + 1
    if count >= market.params.price_confirmations:
        return None
    return HeldPrice(price, count, source, at, Millis(given.at + HOLD_MS))


def hold_is_over(market: Market, given: Given) -> bool:
    """Whether a price has waited in vain."""
    return market.held_price is not None and given.at >= market.held_price.until


def apply_price(market: Market, event: PriceUpdated) -> None:
    """The index price is this from here on; nothing is held."""
    market.index_price, market.price_at, market.held_price = event.price, event.at, None
    _note_source(market, event)
    if event.orders_before is not None:
        market.decided_before = event.orders_before
        market.orders.make_ready(event.orders_before, market.params)


def apply_held(market: Market, event: PriceHeld) -> None:
    """The index stays; a price waits."""
    market.held_price = event.held
    _note_source(market, event)


def apply_hold_ended(market: Market, _: HoldEnded) -> None:
    """Nothing waits."""
    market.held_price = None


def _note_source(market: Market, event: PriceUpdated | PriceHeld) -> None:
    if event.source_at is not None:
        market.source_times[event.source] = event.source_at
    if event.sequence is not None:
        market.source_sequences[event.source] = event.sequence


def project_price(event: PriceUpdated) -> Effects:
    """A price, with the quote and mark that follow from it."""
    return (Priced(event.price, event.mark, event.quote, event.source, event.reason, event.sequence),)


def project_held(event: PriceHeld) -> Effects:
    """What waits."""
    return (Holding(event.held),)


def project_hold_ended(_: HoldEnded) -> Effects:
    """Nothing waits."""
    return (Holding(None),)


COMMANDS = (CommandRule(UpdatePrice, decide_price),)
EVENTS = (
    EventRule(PriceUpdated, apply_price, project_price),
    EventRule(PriceHeld, apply_held, project_held),
    EventRule(HoldEnded, apply_hold_ended, project_hold_ended),
)
