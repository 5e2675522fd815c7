"""Exits of a position by shares, in the page: placed, changed, refused, cancelled and filled as the venue has them."""

from __future__ import annotations

from decimal import Decimal

import aiohttp
import pytest
from playwright.async_api import expect

from tests.endtoend.conftest import Venues
from tests.endtoend.page.browser import visiting
from tests.endtoend.page.rest import Json, Rest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

LONG = {"ticker": "BTC-PERP", "side": "long", "size": "1000", "leverage": 10}


async def _exits(rest: Rest) -> list[Json]:
    return list((await rest.ask("GET", "/api/orders?userId=ann"))["orders"])


async def test_a_position_leaves_by_shares_each_at_a_price_of_its_own(venues: Venues) -> None:
    venue = venues()
    venue.start()
    async with visiting(venue.url) as visitor, aiohttp.ClientSession() as session:
        rest = Rest(session, venue.url)
        key = await rest.begin()
        await rest.ask("POST", "/api/markets/perps/open", LONG, key)
        await visitor.come()
        await visitor.sign_in(key)
        await visitor.at("position-edit-BTC-PERP-1").click()
        await visitor.page.get_by_role("tab", name="In parts").click()
        sheet = visitor.page.get_by_role("dialog")
        await sheet.get_by_test_id("exit-price").fill("11000")
        await expect(visitor.at("exit-submit")).to_have_text("Take-profit for half of it at 11,000.00")
        await visitor.is_accessible()
        await visitor.at("exit-submit").click()
        await expect(visitor.at("exit-order-BTC-PERP-o1")).to_contain_text("half of it")
        [order] = await _exits(rest)
        assert (order["type"], order["price"], Decimal(order["percentage"])) == (
            "take_profit",
            "11000.00",
            Decimal("0.5"),
        )

        await visitor.at("exit-type-stop").click()
        await visitor.at("exit-share").fill("100")
        await visitor.at("exit-price").fill("10100")
        await expect(visitor.at("ticket-refusal")).to_contain_text("waits below the price")
        await expect(visitor.at("exit-price")).to_have_attribute("aria-invalid", "true")
        await visitor.at("exit-price").fill("9500")
        await visitor.at("exit-submit").click()
        await expect(visitor.at("exit-order-BTC-PERP-o2")).to_contain_text("all of it")
        await visitor.is_accessible()

        await visitor.at("exit-edit-BTC-PERP-o1").click()
        await expect(visitor.at("exit-submit")).to_have_text("As it is")
        await visitor.at("exit-share").fill("25")
        await visitor.is_accessible()
        await visitor.at("exit-submit").click()
        await expect(visitor.at("toast").last).to_contain_text("take-profit changed")
        changed = await rest.ask("GET", "/api/orders/BTC-PERP-o1")
        assert Decimal(changed["order"]["percentage"]) == Decimal("0.25")

        await visitor.at("position-parts-BTC-PERP-1").click()
        await visitor.at("exit-cancel-BTC-PERP-o2").click()
        await expect(visitor.at("exit-order-BTC-PERP-o2")).to_have_count(0)
        await visitor.page.keyboard.press("Escape")
        await visitor.fits()

        await rest.price("11000")
        await expect(visitor.at("toast").filter(has_text="BTC take-profit filled")).to_contain_text("closed at 1")
        await expect(visitor.at("order-BTC-PERP-o1")).to_have_count(0)
        left = await rest.position("ann")
        assert Decimal(left["quantity"]) < Decimal("0.08")
        balance = await rest.ask("GET", "/api/users/ann/balance")
        await visitor.shows("wallet-available", Decimal(balance["available"]))
