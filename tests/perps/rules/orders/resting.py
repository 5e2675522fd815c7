"""Building blocks for tests of resting orders."""

from typing import Any

from perps.commands import (
    CancelOrder,
    OrderKind,
    PlaceOrder,
    ReplaceOrder,
    Side,
)
from perps.events import (
    Events,
)
from perps.refusals import Rejected
from perps.units import MICRO, Micros, Ticks
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    STORY_PRICE,
    Books,
    index_market,
    quote_market,
)

LONG, SHORT = Side.LONG, Side.SHORT
LIMIT, STOP = OrderKind.LIMIT, OrderKind.STOP
UP, DOWN = BTC_PRICE * 102 // 100, BTC_PRICE * 98 // 100


def books(**changes: Any) -> Books:
    venue = Books((index_market(house_deposit=10_000 * MICRO, **changes), BTC_PRICE), (quote_market(), STORY_PRICE))
    for user, referrer in (("ann", None), ("bob", "ann"), ("cid", None)):
        venue.add_user(user, referrer=referrer)
    return venue


def place(
    venue: Books, user: str, kind: OrderKind, side: Side, price: int, size: int = 1_000, **more: Any
) -> Events | Rejected:
    fields: dict[str, Any] = {"ticker": BTC, "leverage": 10, "size": Micros(size * MICRO), **more}
    return venue.send(PlaceOrder(user=user, order=kind, side=side, price=Ticks(price), **fields))


def cancel(venue: Books, user: str, number: int, **more: Any) -> Events | Rejected:
    return venue.send(CancelOrder(ticker=BTC, user=user, order_id=f"{BTC}-o{number}", **more))


def change(venue: Books, user: str, number: int, price: int, size: int = 1_000, **more: Any) -> Events | Rejected:
    fields: dict[str, Any] = {"leverage": 10, "size": Micros(size * MICRO), "price": Ticks(price), **more}
    return venue.send(ReplaceOrder(ticker=BTC, user=user, order_id=f"{BTC}-o{number}", **fields))
