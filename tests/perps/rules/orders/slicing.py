"""Building blocks for tests of TWAP orders."""

from typing import Any

from perps.commands import ObserveTime, PlaceTwap, Side
from perps.events import Events, OrderPlaced
from perps.market.order import Order
from perps.market.position import Position
from perps.market.twap import Twap
from perps.refusals import Rejected
from perps.units import MICRO, Micros, Millis
from tests.perps.build import BTC, Books, done, events_of
from tests.perps.rules.orders.resting import LONG

MINUTE = 60_000


def twap(
    venue: Books, user: str = "bob", side: Side = LONG, size: int = 1_000, slices: int = 4, **more: Any
) -> Events | Rejected:
    """Place a TWAP of ``size`` dollars, a slice a minute if nothing else is said."""
    fields: dict[str, Any] = {"ticker": BTC, "leverage": 10, "interval": Millis(MINUTE), **more}
    return venue.send(PlaceTwap(user=user, side=side, size=Micros(size * MICRO), slices=slices, **fields))


def begun(venue: Books, user: str = "bob", side: Side = LONG, **more: Any) -> Order:
    """A TWAP that has been placed: as it was before its first slice."""
    (placed,) = events_of(OrderPlaced, twap(venue, user, side, **more))
    assert isinstance(placed, OrderPlaced)
    return placed.order


def look(venue: Books, wait_ms: int = 0, ticker: str = BTC) -> Events:
    """Let time pass, then look at the market once."""
    venue.at = Millis(venue.at + wait_ms)
    return done(venue.send(ObserveTime(ticker=ticker)))


def slices_of(venue: Books, number: int, ticker: str = BTC) -> Twap:
    """How far a TWAP that rests has come."""
    found = venue.markets[ticker].orders.by_number[number].twap
    assert found is not None
    return found


def position_of(venue: Books, user: str = "bob", ticker: str = BTC) -> Position | None:
    """The one position of a user."""
    own = [position for position in venue.markets[ticker].positions.values() if position.user == user]
    assert len(own) <= 1
    return own[0] if own else None
