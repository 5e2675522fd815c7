"""A price beyond a market's ``priceBand``: what callers and readers see while it waits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.conftest import Starter
from tests.web.events import listening
from tests.web.refused import OPEN, open_body, refused
from tests.web.shapes import DECIMAL, TIME, fits, number, words
from tests.web.venue import ManualClock, Running

HELD = {"price": DECIMAL, "source": words, "count": number, "until": TIME}


async def _held(venue: Running, ticker: str = "BANDED") -> Any:
    return (await venue.anybody.get(f"/api/markets/perps/{ticker}")).ok()["market"]["heldPrice"]


async def test_a_far_price_waits_is_shown_and_stops_all_trade(venue: Running, clock: ManualClock) -> None:
    await venue.market("BANDED", "100", priceBand="0.1", priceConfirmations=2)
    ann = await venue.user("ann")
    await ann.opened("BANDED", leverage=20)
    clock.advance(1)
    taken = await venue.price("50", "BANDED", source="oracle")

    held = await _held(venue)
    fits(held, HELD)
    assert (held["price"], held["source"], held["count"]) == ("50.00", "oracle", 1)
    assert (taken["market"]["heldPrice"], taken["liquidations"]) == (held, 0)
    assert taken["market"]["indexPrice"] == "100.00"
    details = {"heldPrice": "50.00", "indexPrice": "100.00", "confirmed": 1, "needed": 2}
    assert await refused(venue, ann, OPEN, open_body("BANDED"), 409, "price_unconfirmed") == details
    quote = "/api/markets/perps/quote"
    assert await refused(venue, ann, quote, open_body("BANDED"), 409, "price_unconfirmed") == details
    close = "/api/markets/perps/BANDED-1/close"
    assert await refused(venue, ann, close, {}, 409, "price_unconfirmed") == details
    assert "waits" in (await venue.anybody.get("/readyz")).ok()["warnings"]["BANDED"]

    clock.advance(1)
    confirmed = await venue.price("50", "BANDED", source="oracle")
    assert (confirmed["market"]["heldPrice"], confirmed["liquidations"]) == (None, 1)
    assert "warnings" not in (await venue.anybody.get("/readyz")).ok()


async def test_a_stream_tells_what_waits(venue: Running, clock: ManualClock) -> None:
    await venue.market("BANDED", "100", priceBand="0.1")
    async with listening(venue, "?tickers=BANDED") as events:
        await events.next()
        await venue.price("150", "BANDED", source="agent")
        told = await events.next()
        await venue.price("101", "BANDED")
        after = await events.next()

    assert told.name == "hold"
    fits(told.data["heldPrice"], HELD)
    assert (told.data["ticker"], told.data["heldPrice"]["price"]) == ("BANDED", "150.00")
    assert after.name == "price"
    assert await _held(venue) is None


async def test_a_hold_outlives_a_restart(starter: Starter) -> None:
    venue = await starter()
    await venue.market("BANDED", "100", priceBand="0.1")
    await venue.price("150", "BANDED")
    before = await _held(venue)

    again = await starter.restart(venue)
    assert await _held(again) == before is not None


async def test_a_market_lists_its_band_and_without_one_takes_any_price(venue: Running) -> None:
    await venue.market("BANDED", "100", priceBand="0.25", priceConfirmations=7)
    banded = (await venue.anybody.get("/api/markets/perps/BANDED")).ok()["market"]
    free = (await venue.anybody.get("/api/markets/perps/BTC-PERP")).ok()["market"]

    assert (banded["priceBand"], banded["priceConfirmations"]) == ("0.25", 7)
    assert (free["priceBand"], free["priceConfirmations"]) == (None, 3)
    await venue.price("1")
    assert await _held(venue, "BTC-PERP") is None


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("priceBand", "0", "parameters_inconsistent"),
        ("priceBand", "-0.1", "validation_error"),
        ("priceBand", "1.1", "validation_error"),
        ("priceBand", "0.0000000001", "validation_error"),
        ("priceBand", "some", "validation_error"),
        ("priceBand", True, "validation_error"),
        ("priceBand", [], "validation_error"),
        ("priceConfirmations", 0, "validation_error"),
        ("priceConfirmations", 1_000, "validation_error"),
        ("priceConfirmations", "3", "validation_error"),
        ("priceConfirmations", 1.5, "validation_error"),
        ("priceConfirmations", None, "validation_error"),
        ("priceConfirmations", True, "validation_error"),
    ],
)
async def test_a_band_that_cannot_be_is_refused(venue: Running, field: str, value: object, code: str) -> None:
    body = {"ticker": "X", "organizationId": "o", "name": "n", "price": "100", field: value}
    answer = await venue.admin.post("/api/admin/markets", body)

    assert (answer.status, answer.error()["code"]) == ({"validation_error": 400}.get(code, 422), code)
