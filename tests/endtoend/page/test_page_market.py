"""Finding a market in the page, and what its chart and list say of it."""

from __future__ import annotations

import re

import aiohttp
import pytest
from playwright.async_api import expect

from tests.endtoend.conftest import Venues
from tests.endtoend.page.browser import visiting
from tests.endtoend.page.rest import Rest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

OTHER = {"ticker": "NOVA-PERP", "name": "Nova Dynamics", "price": "100", "maxLeverage": 10, "houseDeposit": "100000"}


async def test_markets_are_found_starred_and_traded_from_the_list_and_headlines_lie_on_the_chart(
    venues: Venues,
) -> None:
    venue = venues()
    venue.start()
    async with visiting(venue.url) as visitor, aiohttp.ClientSession() as session:
        rest = Rest(session, venue.url)
        key = await rest.begin()
        await rest.ask("POST", "/api/admin/markets", OTHER)
        for reason in ("Before anybody looks", "While somebody looks"):
            if reason.startswith("While"):
                await visitor.come("BTC-PERP")
                await expect(visitor.at("story-mark")).to_have_count(1)
                await expect(visitor.at("story-mark")).to_have_attribute("title", re.compile("Before anybody looks"))
            price = {"change": "0.01", "source": "event", "reason": reason}
            await rest.ask("POST", "/api/markets/perps/BTC-PERP/price", price)
        await expect(visitor.page.get_by_text("While somebody looks").first).to_be_visible()
        await expect(visitor.at("story-mark").last).to_have_attribute("title", re.compile("While somebody looks"))
        await visitor.sign_in(key)

        rows = visitor.page.locator("[data-testid^=market-][aria-current], .mk")
        await expect(rows.first).to_contain_text("BTC")
        await visitor.page.get_by_role("button", name="Favourite NOVA").click()
        await expect(rows.first).to_contain_text("NOVA")
        await visitor.is_accessible()

        await visitor.at("market-NOVA-PERP").hover()
        await visitor.at("market-short-NOVA-PERP").click()
        await expect(visitor.at("ticket-submit")).to_have_text(re.compile(r"^Short .* for "))
        await expect(visitor.page).to_have_url(re.compile("#NOVA-PERP$"))
        await expect(visitor.page.locator("#size")).to_be_focused()

        await visitor.page.evaluate("document.activeElement.blur()")
        await visitor.page.keyboard.press("/")
        await visitor.page.keyboard.type("bitc")
        await visitor.page.keyboard.press("Enter")
        await expect(visitor.page).to_have_url(re.compile("#BTC-PERP$"))
        await visitor.page.keyboard.press("/")
        await visitor.page.keyboard.type("xyz")
        await expect(visitor.page.get_by_text("No market is called ‘xyz’.")).to_be_visible()
        await visitor.page.keyboard.press("Escape")

        open_ = {"ticker": "BTC-PERP", "side": "long", "size": "500", "leverage": 5}
        await rest.ask("POST", "/api/markets/perps/open", open_, key)
        await expect(visitor.at("position-BTC-PERP-1")).to_be_visible()
        await visitor.page.keyboard.press("x")
        await expect(visitor.at("close-submit")).to_be_visible()
