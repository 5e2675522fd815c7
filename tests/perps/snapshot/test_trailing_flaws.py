"""An image whose trailing stops cannot be: a start does not believe it."""

from typing import Any

import pytest
from msgspec.structs import replace

from perps.commands import OrderKind
from perps.snapshot.checks import market_flaw
from perps.snapshot.images import MarketImage
from perps.units import PPB, Ppb, Ticks
from tests.perps.build import BTC, BTC_PRICE, done
from tests.perps.rules.orders.test_exit_orders import holding
from tests.perps.rules.orders.test_trailing_stops import trail


def flaw(**changes: Any) -> str | None:
    venue = holding()
    done(trail(venue))
    done(venue.price(BTC_PRICE + 1_000))
    image = venue.markets[BTC].image()
    (order,) = image.orders
    image = replace(image, orders=(replace(order, **changes),))
    return market_flaw(BTC, MarketImage.from_chunks(list(image.chunks())))


def test_a_stop_as_it_is_can_be() -> None:
    assert flaw() is None


@pytest.mark.parametrize(
    "changes",
    [
        {"callback": Ppb(0)},
        {"callback": Ppb(PPB)},
        {"callback": Ppb(-1)},
        {"callback": Ppb(PPB // 10)},
        {"extreme": Ticks(0)},
        {"extreme": Ticks(BTC_PRICE)},
        {"price": Ticks(BTC_PRICE)},
        {"kind": OrderKind.STOP},
        {"reduces": False},
        {"position": None},
    ],
)
def test_one_whose_price_does_not_follow_from_its_best_mark_and_callback_cannot_be(changes: dict[str, Any]) -> None:
    assert f"order {BTC}-o1 is none" in (flaw(**changes) or "")
