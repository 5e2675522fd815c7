"""A venue whose market executes at the next price, and the end of what waits there."""

from typing import Any

from perps.commands import (
    ChangeMargin,
    ObserveTime,
    PriceSource,
    Side,
    UpdatePrice,
)
from perps.events import (
    Events,
    OrderCancelled,
    OrderPlaced,
    PositionOpened,
)
from perps.market.order import Order
from perps.params import Execution
from perps.refusals import Rejected
from perps.units import MICRO, Micros, Millis, Ticks
from tests.perps.build import BTC, BTC_PRICE, Books, done, events_of, index_market
from tests.perps.rules.orders.resting import LONG

SKEW = 200
"""The allowed clock skew, ms."""


class Waiting(Books):
    """A venue whose market executes at the next price."""

    def __init__(self, **changes: Any) -> None:
        params = index_market(
            house_deposit=100_000 * MICRO, execution=Execution.NEXT_PRICE, clock_skew=Millis(SKEW), **changes
        )
        super().__init__((params, BTC_PRICE))
        for user, referrer in (("ann", None), ("bob", "ann"), ("cid", None)):
            self.add_user(user, referrer=referrer)

    def wait(self, ms: int) -> None:
        self.at = Millis(self.at + ms)

    def feed(self, price: int = BTC_PRICE, *, late_ms: int = 0, source: PriceSource = PriceSource.ORACLE) -> Events:
        """A price of a feed, stamped ``late_ms`` before it comes."""
        at = Millis(self.at - late_ms)
        return done(self.send(UpdatePrice(ticker=BTC, price=Ticks(price), source=source, source_at=at)))

    def next(self, price: int = BTC_PRICE) -> Events:
        """The price that decides what waits."""
        self.wait(SKEW + 1)
        return self.feed(price)

    def look(self) -> Events:
        return done(self.send(ObserveTime(ticker=BTC)))

    def order(self, side: Side = LONG, size: int = 1_000, user: str = "bob", **more: Any) -> Order:
        """An open that waits."""
        (placed,) = done(self.open(user, side, size * MICRO, **more))
        assert isinstance(placed, OrderPlaced)
        return placed.order

    def hold(self, side: Side = LONG, size: int = 1_000, user: str = "bob", **more: Any) -> PositionOpened:
        """An open that has been filled."""
        self.order(side, size, user, **more)
        (filled,) = events_of(PositionOpened, self.next(self.markets[BTC].index_price))
        assert isinstance(filled, PositionOpened)
        return filled

    def margin(self, user: str, number: int, amount: int) -> Events | Rejected:
        return self.send(ChangeMargin(ticker=BTC, user=user, position_id=f"{BTC}-{number}", amount=Micros(amount)))


def ends(events: Events) -> list[tuple[int, str]]:
    return [(event.order.number, event.reason) for event in events_of(OrderCancelled, events)]
