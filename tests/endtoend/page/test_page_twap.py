"""TWAP orders and trailing stops in the page: what runs by itself is shown as the venue has it."""

from __future__ import annotations

import re
from decimal import Decimal

import aiohttp
import pytest
from playwright.async_api import expect

from tests.endtoend.conftest import Venues
from tests.endtoend.page.browser import visiting
from tests.endtoend.page.rest import Rest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ORDER = "BTC-PERP-o1"
LONG = {"ticker": "BTC-PERP", "side": "long", "size": "1000", "leverage": 10}


async def test_a_twap_is_placed_in_the_ticket_runs_part_by_part_and_is_cancelled(venues: Venues) -> None:
    venue = venues()
    venue.start()
    async with visiting(venue.url) as visitor, aiohttp.ClientSession() as session:
        rest = Rest(session, venue.url)
        await visitor.come()
        await visitor.sign_in(await rest.begin())
        await visitor.page.keyboard.press("w")
        await visitor.at("ticket-size").fill("1000")
        await visitor.at("twap-slices").fill("200")
        await expect(visitor.at("twap-slices")).to_have_attribute("aria-invalid", "true")
        await expect(visitor.at("ticket-submit")).to_have_text("Check the parts")
        await visitor.at("twap-slices").fill("50")
        await visitor.at("twap-unit").select_option("s")
        await visitor.at("twap-every").fill("2")
        await expect(visitor.at("twap-schedule")).to_contain_text("50 parts of about 20.00")
        await expect(visitor.at("ticket-submit")).to_have_text("TWAP long 1,000 over 98 s")
        await expect(visitor.at("ticket-preview")).to_contain_text("101.00")
        await visitor.is_accessible()
        await visitor.at("ticket-submit").click()
        await expect(visitor.at("toast").last).to_contain_text("TWAP long 1,000 BTC in 50 parts")
        await expect(visitor.at("position-BTC-PERP-1")).to_be_visible()
        running = visitor.at(f"order-twap-{ORDER}")
        await expect(running).to_contain_text(re.compile(r"^[2-9] of 50 parts.* left, .*next"))
        await visitor.is_accessible()
        await visitor.fits()

        await visitor.at(f"order-cancel-{ORDER}").click()
        await expect(visitor.at(f"order-{ORDER}")).to_have_count(0)
        order = (await rest.ask("GET", f"/api/orders/{ORDER}"))["order"]
        assert (order["reason"], 2 <= order["twap"]["done"] < 50) == ("owner", True)
        balance = await rest.ask("GET", "/api/users/ann/balance")
        await visitor.shows("wallet-available", Decimal(balance["available"]))
        assert Decimal(balance["held"]) == 0


async def test_a_trailing_stop_follows_the_price_in_the_page_and_leaves_when_it_comes_back(venues: Venues) -> None:
    venue = venues()
    venue.start()
    async with visiting(venue.url, color_scheme="dark") as visitor, aiohttp.ClientSession() as session:
        rest = Rest(session, venue.url)
        key = await rest.begin()
        await rest.ask("POST", "/api/markets/perps/open", LONG, key)
        await visitor.come()
        await visitor.sign_in(key)
        await visitor.at("position-edit-BTC-PERP-1").click()
        await visitor.page.get_by_role("tab", name="In parts").click()
        await visitor.at("exit-type-trailing_stop").click()
        await visitor.at("exit-callback").fill("1")
        await visitor.is_accessible()
        await visitor.at("exit-submit").click()
        await expect(visitor.at(f"exit-order-{ORDER}")).to_contain_text("Trailing stop")
        await visitor.page.keyboard.press("Escape")

        shown = Decimal(0)
        for price in ("10100", "10300.77", "10250"):
            await rest.price(price)
            order = (await rest.ask("GET", f"/api/orders/{ORDER}"))["order"]
            shown = Decimal(order["price"])
            await visitor.shows(f"order-price-{ORDER}", shown)
        assert shown == Decimal("10197.76")
        await visitor.fits()

        await visitor.at(f"order-edit-{ORDER}").click()
        await visitor.at("exit-callback").fill("2")
        await visitor.at("exit-submit").click()
        await expect(visitor.at("toast").last).to_contain_text("trailing stop changed")
        order = (await rest.ask("GET", f"/api/orders/{ORDER}"))["order"]
        await visitor.shows(f"order-price-{ORDER}", Decimal(order["price"]))
        assert Decimal(order["callback"]) == Decimal("0.02")

        await rest.price("10000")
        await expect(visitor.at("toast").filter(has_text="trailing stop")).not_to_have_count(0)
        await expect(visitor.at(f"order-{ORDER}")).to_have_count(0)
        left = await rest.position("ann")
        assert Decimal(left["quantity"]) < Decimal("0.06")
