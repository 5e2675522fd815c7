"""Where several refusals apply at once, the first in the contract's order is reported."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.venue import Client, ManualClock, Running

OPEN = "/api/markets/perps/open"
STEEP = {
    "maxLeverage": 10,
    "maintenanceRate": "0.09",
    "takerFee": "0",
    "liquidationFee": "0",
    "skewScale": "100",
    "maxSkew": "5",
    "maxOpenInterest": "5",
    "lotSize": "0.001",
}


def _open(ticker: str = "BTC-PERP", size: object = "20", leverage: object = 10, **more: object) -> dict[str, Any]:
    return {"ticker": ticker, "side": "long", "size": size, "leverage": leverage, **more}


def _close(position: str) -> str:
    return f"/api/markets/perps/{position}/close"


async def _everything(venue: Running, clock: ManualClock) -> dict[str, Client]:
    """A venue with a case for every refusal. Ann has used the id "used" and has 500 left; Bob has a position."""
    for ticker in ("HALTED", "REDUCING", "OLD"):
        await venue.market(ticker, "100", maxPriceAge="1")
    await venue.market("STEEP", "100", **STEEP)
    await venue.market("NARROW", "100", skewScale="1000000", maxSkew="5", maxOpenInterest="10")
    ann, bob = await venue.user("ann", "600"), await venue.user("bob")
    await ann.opened(size="900", clientOrderId="used")
    for ticker in ("HALTED", "OLD"):
        await ann.opened(ticker, "20")
        (await ann.close(f"{ticker}-1")).ok()
        await bob.opened(ticker, "20")
    await bob.opened("HALTED", "20")
    (await bob.close("HALTED-3")).ok()
    await bob.opened()
    await ann.opened("NARROW", "400", leverage=100)
    clock.advance(2)
    await venue.mode("halted", "HALTED")
    await venue.mode("reduce_only", "REDUCING")
    return {
        "anybody": venue.anybody,
        "ann": ann,
        "bob": bob,
        "admin": venue.admin,
        "reader": await venue.key("read", userId="ann"),
    }


PAIRS: list[tuple[str, str, str, str, object]] = [
    ("invalid_json", "unauthorized", "anybody", OPEN, b"{"),
    ("invalid_json", "forbidden", "reader", OPEN, b"{"),
    ("invalid_json", "market_not_found", "ann", "/api/markets/perps/NONE/price", b"{"),
    ("validation_error", "unauthorized", "anybody", OPEN, _open(size="-1")),
    ("validation_error", "unauthorized", "anybody", "/api/admin/markets", {"ticker": "A"}),
    ("validation_error", "forbidden", "reader", OPEN, _open(leverage=0)),
    ("validation_error", "forbidden", "ann", "/api/admin/users", {"userId": "a b"}),
    ("validation_error", "market_not_found", "ann", OPEN, _open("NONE", clientOrderId=" ")),
    ("validation_error", "client_order_id_reused", "ann", OPEN, _open(size="0", clientOrderId="used")),
    ("validation_error", "insufficient_funds", "ann", OPEN, _open(size="1000000.0000001")),
    ("validation_error", "market_not_found", "admin", "/api/markets/perps/NONE/price", {"price": "0"}),
    ("validation_error", "unauthorized", "anybody", "/api/markets/perps/OLD/price", {"price": "1", "at": "now"}),
    ("unauthorized", "market_not_found", "anybody", OPEN, _open("NONE")),
    ("unauthorized", "position_not_found", "anybody", _close("BTC-PERP-99"), {}),
    ("unauthorized", "market_halted", "anybody", OPEN, _open("HALTED")),
    ("forbidden", "market_not_found", "reader", OPEN, _open("NONE")),
    ("forbidden", "market_not_found", "ann", "/api/markets/perps/NONE/price", {"price": "1"}),
    ("forbidden", "user_not_found", "ann", OPEN, _open(userId="nobody")),
    ("forbidden", "position_not_found", "reader", _close("BTC-PERP-99"), {}),
    ("forbidden", "position_closed", "ann", _close("HALTED-3"), {}),
    ("forbidden", "market_halted", "ann", _close("HALTED-2"), {}),
    ("forbidden", "price_stale", "ann", _close("OLD-2"), {}),
    ("forbidden", "client_order_id_reused", "ann", _close("BTC-PERP-2"), {"clientOrderId": "used"}),
    ("forbidden", "price_beyond_limit", "ann", _close("BTC-PERP-2"), {"acceptablePrice": "90000"}),
    ("market_not_found", "user_not_found", "admin", OPEN, _open("NONE", userId="nobody")),
    ("market_not_found", "client_order_id_reused", "ann", OPEN, _open("NONE", clientOrderId="used")),
    ("position_not_found", "client_order_id_reused", "ann", _close("BTC-PERP-99"), {"clientOrderId": "used"}),
    ("position_not_found", "market_halted", "ann", _close("HALTED-99"), {}),
    ("user_not_found", "market_halted", "admin", OPEN, _open("HALTED", userId="nobody")),
    ("user_not_found", "position_size_too_small", "admin", OPEN, _open(size="1", userId="nobody")),
    ("user_not_found", "user_exists", "admin", "/api/admin/users", {"userId": "ann", "referrer": "nobody"}),
    ("client_order_id_reused", "market_halted", "ann", OPEN, _open("HALTED", clientOrderId="used")),
    ("client_order_id_reused", "position_closed", "ann", _close("OLD-1"), {"clientOrderId": "used"}),
    ("client_order_id_reused", "leverage_too_high", "ann", OPEN, _open(leverage=200, clientOrderId="used")),
    ("client_order_id_reused", "insufficient_funds", "ann", OPEN, _open(size="99999", clientOrderId="used")),
    (
        "client_order_id_reused",
        "insufficient_funds",
        "admin",
        "/api/admin/users/ann/withdraw",
        {"amount": "99999", "clientOrderId": "used"},
    ),
    ("user_exists", "parameters_inconsistent", "admin", "/api/admin/users", {"userId": "ann", "referrer": "ann"}),
    (
        "market_exists",
        "parameters_inconsistent",
        "admin",
        "/api/admin/markets",
        {"ticker": "OLD", "organizationId": "o", "name": "n", "price": "1", "maxLeverage": 5000},
    ),
    ("market_halted", "price_stale", "ann", OPEN, _open("HALTED")),
    ("market_halted", "position_closed", "ann", _close("HALTED-1"), {}),
    ("market_halted", "position_size_too_small", "ann", OPEN, _open("HALTED", size="1")),
    ("market_reduce_only", "price_stale", "ann", OPEN, _open("REDUCING")),
    ("market_reduce_only", "leverage_too_high", "ann", OPEN, _open("REDUCING", leverage=200)),
    ("price_stale", "position_closed", "ann", _close("OLD-1"), {}),
    ("price_stale", "position_size_too_small", "ann", OPEN, _open("OLD", size="1")),
    ("price_stale", "insufficient_funds", "ann", OPEN, _open("OLD", size="90000")),
    ("position_size_too_small", "leverage_too_high", "ann", OPEN, _open(size="1", leverage=200)),
    ("position_size_too_small", "price_beyond_limit", "ann", OPEN, _open(size="1", acceptablePrice="1")),
    ("position_size_too_large", "leverage_too_high", "ann", OPEN, _open(size="99999999", leverage=200)),
    ("position_size_too_large", "insufficient_funds", "ann", OPEN, _open(size="99999999")),
    ("leverage_too_high", "max_skew_exceeded", "ann", OPEN, _open("NARROW", "600", 200)),
    ("leverage_too_high", "insufficient_funds", "ann", OPEN, _open(size="900000", leverage=200)),
    ("max_skew_exceeded", "open_interest_exceeded", "ann", OPEN, _open("NARROW", "700", 10)),
    ("max_skew_exceeded", "insufficient_funds", "ann", OPEN, _open("NARROW", "700", 1)),
    ("would_be_liquidated", "price_beyond_limit", "ann", OPEN, _open("STEEP", "500", 10, maxSlippageBps=0)),
    ("price_beyond_limit", "insufficient_funds", "ann", OPEN, _open(size="900000", acceptablePrice="1")),
]


@pytest.mark.parametrize(
    ("earlier", "who", "path", "body"),
    [pytest.param(earlier, *request, id=f"{earlier}-{later}") for earlier, later, *request in PAIRS],
)
async def test_the_first_refusal_in_order_is_reported(
    venue: Running, clock: ManualClock, earlier: str, who: str, path: str, body: object
) -> None:
    clients = await _everything(venue, clock)

    async with venue.unchanged():
        answer = await clients[who].post(path, body)

    assert answer.error()["code"] == earlier


LATER_ALONE: list[tuple[str, str, str, object]] = [
    ("forbidden", "reader", OPEN, _open()),
    ("market_halted", "bob", _close("HALTED-2"), {}),
    ("price_stale", "bob", _close("OLD-2"), {}),
    ("client_order_id_reused", "ann", OPEN, _open(clientOrderId="used")),
    ("leverage_too_high", "ann", OPEN, _open(leverage=200)),
    ("max_skew_exceeded", "ann", OPEN, _open("NARROW", "200", 100)),
    ("would_be_liquidated", "ann", OPEN, _open("STEEP", "500", 10)),
    ("price_beyond_limit", "ann", OPEN, _open("STEEP", "400", 5, maxSlippageBps=0)),
    ("insufficient_funds", "ann", OPEN, _open(size="90000")),
]


@pytest.mark.parametrize(("code", "who", "path", "body"), LATER_ALONE)
async def test_the_later_one_is_reported_when_it_is_alone(
    venue: Running, clock: ManualClock, code: str, who: str, path: str, body: object
) -> None:
    clients = await _everything(venue, clock)

    assert (await clients[who].post(path, body)).error()["code"] == code
