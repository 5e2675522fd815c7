"""The page in a browser: what one sees is what the venue has, also behind a kill -9."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from playwright.async_api import expect

from tests.endtoend.conftest import Venues
from tests.endtoend.page.browser import visiting
from tests.endtoend.page.rest import Json, Rest
from tests.endtoend.venue_process import ADMIN_KEY, VenueProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ANY_NUMBER = re.compile(r"\d")
CUT_MS = 2_000


async def test_a_visitor_of_the_demo_trades_with_two_clicks_and_the_money_is_what_the_venue_has(venues: Venues) -> None:
    venue: VenueProcess = venues(environment={"PERPS_DEMO": "yes"})
    venue.start()
    async with visiting(venue.url) as visitor, aiohttp.ClientSession() as session:
        rest = Rest(session, venue.url)
        await visitor.come()
        await visitor.is_accessible()
        await visitor.page.get_by_role("button", name="Sign in", exact=True).click()
        await visitor.at("sign-in-demo-alice").click()
        await expect(visitor.at("ticket-submit")).to_have_text(re.compile(r"^Long 1,000 for 10\d\.\d\d$"))
        await visitor.at("ticket-submit").click()
        await expect(visitor.at("toast")).to_contain_text("Filled at")

        position = await rest.position("alice")
        row, pnl = visitor.at(f"position-{position['id']}"), f"position-pnl-{position['id']}"
        await expect(row).to_contain_text("Long 10×")
        first = await visitor.at(pnl).get_attribute("data-value")
        await expect(visitor.at(pnl)).not_to_have_attribute("data-value", str(first))
        await visitor.is_accessible()

        await visitor.at(f"position-close-{position['id']}").click()
        await visitor.at("close-share").fill("50")
        await visitor.is_accessible()
        await visitor.at("close-submit").click()
        await expect(visitor.at("toast").last).to_contain_text("Part of BTC closed")
        left = await rest.position("alice")
        balance = await rest.ask("GET", "/api/users/alice/balance")
        assert Decimal(left["quantity"]) < Decimal(position["quantity"])
        await expect(row).to_contain_text(str(Decimal(left["quantity"])))
        await visitor.shows("wallet-available", Decimal(balance["available"]))


async def test_prices_refusals_and_modes_are_shown_as_the_venue_has_them(venues: Venues) -> None:
    venue: VenueProcess = venues()
    venue.start()
    async with visiting(venue.url, color_scheme="dark") as visitor, aiohttp.ClientSession() as session:
        rest = Rest(session, venue.url)
        await visitor.come()
        await expect(visitor.page.get_by_text("No markets yet").first).to_be_visible()
        key = await rest.begin()
        await expect(visitor.at("market-BTC-PERP")).to_contain_text("10,000.00")
        await visitor.page.get_by_role("button", name="Sign in", exact=True).first.click()
        await visitor.at("sign-in-key").fill("no-such-key")
        await visitor.page.keyboard.press("Enter")
        await expect(visitor.page.get_by_role("alert")).to_contain_text("not known")
        await visitor.page.keyboard.press("Escape")
        await visitor.sign_in(key)

        # More than there is: the field says why, the button says it too, and one click mends it.
        await visitor.at("ticket-size").fill("50000")
        await expect(visitor.at("ticket-refusal")).to_contain_text("You have 1,000.00.")
        await expect(visitor.at("ticket-submit")).to_have_text("Not enough available")
        await visitor.page.get_by_role("button", name=re.compile("^Use ")).click()
        await expect(visitor.at("ticket-submit")).to_have_text(re.compile(r"^Long 9,900 for \d"))
        await visitor.at("ticket-size").fill("1")
        await expect(visitor.at("ticket-refusal")).to_contain_text("The least here is 10.00.")

        # By keyboard alone: the side, the size, and Enter on the button.
        await visitor.page.evaluate("document.activeElement.blur()")
        await visitor.page.keyboard.press("s")
        await visitor.page.keyboard.type("2000")
        await expect(visitor.at("ticket-submit")).to_have_text(re.compile(r"^Short 2,000 for \d"))
        await visitor.page.keyboard.press("Enter")
        position = await _of(rest, visitor.at("position-BTC-PERP-1"))
        assert position["side"] == "short"

        for price in ("9500", "10250.5"):
            await rest.price(price)
            position = await rest.position("ann")
            await visitor.shows("position-pnl-BTC-PERP-1", Decimal(position["unrealizedPnL"]))
            balance = await rest.ask("GET", "/api/users/ann/balance")
            equity = Decimal(balance["balance"]) + Decimal(balance["margin"]) + Decimal(position["unrealizedPnL"])
            await visitor.shows("wallet-equity", equity)

        await rest.ask("POST", "/api/admin/markets/BTC-PERP/mode", {"mode": "reduce_only"})
        await expect(visitor.page.get_by_text("Only closing is possible in this market.")).to_be_visible()
        await rest.price("12000")
        await expect(visitor.at("toast").last).to_contain_text("BTC short was liquidated")
        await expect(visitor.at("position-BTC-PERP-1")).to_have_count(0)
        await visitor.is_accessible()
        await visitor.fits()


async def _of(rest: Rest, row: Any) -> Json:
    await expect(row).to_be_visible()
    return await rest.position("ann")


async def test_exits_fire_while_somebody_looks_and_an_operator_sees_the_books(venues: Venues) -> None:
    venue: VenueProcess = venues()
    venue.start()
    async with visiting(venue.url) as visitor, aiohttp.ClientSession() as session:
        rest = Rest(session, venue.url)
        await visitor.come()
        await visitor.sign_in(await rest.begin())
        await visitor.at("exit-stop").fill("10100")
        await expect(visitor.at("ticket-refusal")).to_contain_text("would close at once")
        await visitor.at("exit-stop").fill("5000")
        await expect(visitor.at("stop-too-late")).to_contain_text("before this stop")
        await visitor.at("exit-stop").fill("9500")
        await visitor.at("ticket-submit").click()
        await expect(visitor.at("position-exits-BTC-PERP-1")).to_contain_text("9,500.00")

        await visitor.at("position-edit-BTC-PERP-1").click()
        await visitor.at("exit-profit").last.fill("11000")
        await visitor.is_accessible()
        await visitor.at("exits-submit").click()
        await expect(visitor.at("position-exits-BTC-PERP-1")).to_contain_text("11,000.00")
        await visitor.at("position-edit-BTC-PERP-1").click()
        await visitor.page.get_by_role("tab", name="Margin").click()
        await visitor.at("margin-amount").fill("50")
        await visitor.at("margin-submit").click()
        await expect(visitor.at("toast").last).to_contain_text("50.00 margin put in")
        position = await rest.position("ann")
        assert (position["stopLoss"], position["takeProfit"]) == ("9500.00", "11000.00")
        assert Decimal(position["margin"]) > 140

        await rest.price("9400")
        await expect(visitor.at("toast").last).to_contain_text("BTC long closed by its stop")
        await visitor.page.get_by_role("link", name="Portfolio", exact=True).first.click()
        balance = await rest.ask("GET", "/api/users/ann/balance")
        await visitor.shows("portfolio-equity", Decimal(balance["balance"]))
        await visitor.shows("portfolio-lifetime", Decimal(balance["lifetimePnL"]))
        await expect(visitor.page.get_by_role("region", name="Rows")).to_contain_text("BTC")
        await expect(visitor.at("leaderboard")).to_have_count(0)
        await visitor.is_accessible()
        await visitor.fits()

        await visitor.page.get_by_role("button", name="open the wallet").click()
        await visitor.page.get_by_role("button", name="Sign out").click()
        await visitor.page.get_by_role("button", name="Sign in", exact=True).first.click()
        await visitor.at("sign-in-key").fill(ADMIN_KEY)
        await visitor.page.keyboard.press("Enter")
        await expect(visitor.at("books")).to_contain_text("0.00")
        await expect(visitor.at("ready")).to_have_text("Ready")
        await visitor.at("post-price").fill("-2")
        await visitor.at("post-submit").click()
        await expect(visitor.at("toast").last).to_contain_text("BTC is at 9,212.00")
        await visitor.at("mode-BTC-PERP").select_option("reduce_only")
        await expect(visitor.at("mode-BTC-PERP")).to_have_value("reduce_only")
        await visitor.is_accessible()
        await visitor.fits()


async def test_a_killed_venue_is_noticed_within_two_seconds_and_nothing_is_lost_or_doubled(venues: Venues) -> None:
    venue: VenueProcess = venues()
    venue.start()
    async with visiting(venue.url) as visitor, aiohttp.ClientSession() as session:
        rest = Rest(session, venue.url)
        key = await rest.begin()
        await visitor.come("BTC-PERP")
        await visitor.sign_in(key)
        await visitor.at("ticket-submit").click()
        await expect(visitor.at("position-BTC-PERP-1")).to_be_visible()

        venue.kill()
        await expect(visitor.at("late")).to_be_visible(timeout=CUT_MS)
        await expect(visitor.at("ticket-submit")).to_have_text("Waiting for the venue")
        await expect(visitor.at("position-BTC-PERP-1")).to_be_visible()
        venue.start()
        await visitor.live()
        await expect(visitor.at("late")).to_have_count(0)
        await expect(visitor.at("toast").last).to_contain_text("nothing missed")

        async with aiohttp.ClientSession() as again:
            rest = Rest(again, venue.url)
            order = {"ticker": "BTC-PERP", "side": "long", "size": "500", "leverage": 5}
            await rest.ask("POST", "/api/markets/perps/open", order, key)
            await rest.price("10100")
            await expect(visitor.at("position-BTC-PERP-2")).to_be_visible()
            balance = await rest.ask("GET", "/api/users/ann/balance")
            await visitor.shows("wallet-available", Decimal(balance["available"]))
            trades = visitor.page.get_by_role("region", name="Trades, newest first").locator("tbody tr")
            await expect(trades).to_have_count(2)
            interest = (await rest.ask("GET", "/api/markets/perps/BTC-PERP"))["market"]["openInterest"]["long"]
            mark = Decimal("10100") * Decimal(interest)
            await expect(visitor.page.locator(".flow .ends .up")).to_contain_text(f"{mark:,.0f}")
