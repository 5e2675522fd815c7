"""Orders that wait, in the page: placed, moved, filled, cancelled and refused as the venue has them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

import aiohttp
import pytest
from playwright.async_api import Page, expect

from tests.endtoend.conftest import Venues
from tests.endtoend.page.browser import visiting
from tests.endtoend.page.rest import Json, Rest
from tests.endtoend.venue_process import VenueProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ORDER = "BTC-PERP-o1"


async def _order(rest: Rest, order: str) -> Json:
    found = await rest.ask("GET", f"/api/orders/{order}")
    return dict(found["order"])


async def test_a_limit_order_is_placed_replaced_cancelled_and_another_fills_while_somebody_looks(
    venues: Venues,
) -> None:
    venue: VenueProcess = venues()
    venue.start()
    async with visiting(venue.url) as visitor, aiohttp.ClientSession() as session:
        rest = Rest(session, venue.url)
        await visitor.come()
        await visitor.sign_in(await rest.begin())
        await visitor.at("ticket-type-limit").click()
        await visitor.at("ticket-size").fill("1000")
        await visitor.at("ticket-price").fill("9800")
        await expect(visitor.at("ticket-submit")).to_have_text("Limit long 1,000 at 9,800.00")
        await visitor.is_accessible()
        await visitor.at("ticket-submit").click()
        await expect(visitor.at("toast").last).to_contain_text("Limit long 1,000 BTC at 9,800.00")
        await visitor.shows(f"order-price-{ORDER}", Decimal(9800))
        balance = await rest.ask("GET", "/api/users/ann/balance")
        assert Decimal(balance["held"]) == 101
        await visitor.shows("wallet-available", Decimal(balance["available"]))
        await visitor.shows("wallet-equity", Decimal(1000))
        await visitor.is_accessible()
        await visitor.fits()
        await visitor.page.set_viewport_size({"width": 1440, "height": 900})

        await visitor.at(f"order-edit-{ORDER}").click()
        await visitor.at("order-price").fill("9750")
        await visitor.at("order-size").fill("2000")
        await visitor.is_accessible()
        await visitor.at("order-submit").click()
        await visitor.shows(f"order-price-{ORDER}", Decimal(9750))
        assert (await _order(rest, ORDER))["size"] == "2000.00"

        for typed, stop in (("9500", "9500.00"), ("", None)):
            await visitor.at(f"order-edit-{ORDER}").click()
            await visitor.page.get_by_role("dialog").get_by_test_id("exit-stop").fill(typed)
            await visitor.at("order-submit").click()
            await expect(visitor.at("order-submit")).to_have_count(0)
            assert (await _order(rest, ORDER))["stopLoss"] == stop

        await visitor.at(f"order-cancel-{ORDER}").click()
        await expect(visitor.at(f"order-{ORDER}")).to_have_count(0)
        assert (await _order(rest, ORDER))["reason"] == "owner"

        await visitor.at("ticket-price").fill("9900")
        await visitor.at("exit-stop").fill("9500")
        await visitor.at("ticket-submit").click()
        await expect(visitor.at("order-BTC-PERP-o2")).to_be_visible()
        await rest.price("9850")
        await expect(visitor.at("toast").last).to_contain_text("BTC limit filled")
        await expect(visitor.at("order-BTC-PERP-o2")).to_have_count(0)
        await expect(visitor.at("position-exits-BTC-PERP-1")).to_contain_text("9,500.00")
        balance = await rest.ask("GET", "/api/users/ann/balance")
        await visitor.shows("wallet-available", Decimal(balance["available"]))

        await visitor.page.get_by_role("link", name="Portfolio", exact=True).first.click()
        await visitor.page.get_by_role("tab", name="Orders").click()
        rows = visitor.page.get_by_role("region", name="Rows").locator("tbody tr")
        await expect(rows).to_have_count(2)
        await expect(rows.first).to_contain_text("filled")
        await expect(rows.last).to_contain_text("cancelled by you")
        async with visitor.page.expect_download() as saved:
            await visitor.at("save-csv").click()
        assert "BTC-PERP-o2" in (await (await saved.value).path()).read_text()
        await visitor.is_accessible()


async def test_a_stop_begins_a_position_and_what_the_venue_refuses_is_said_beside_its_field(venues: Venues) -> None:
    venue: VenueProcess = venues()
    venue.start()
    async with visiting(venue.url, color_scheme="dark") as visitor, aiohttp.ClientSession() as session:
        rest = Rest(session, venue.url)
        await visitor.come()
        key = await rest.begin()
        await visitor.sign_in(key)
        await visitor.page.keyboard.press("t")
        await visitor.at("ticket-price").fill("9900")
        await expect(visitor.at("ticket-refusal")).to_contain_text("waits above the price")
        await expect(visitor.at("ticket-submit")).to_have_text("The price must be above 10,000.00")
        await visitor.at("ticket-price").fill("10200")
        await visitor.at("ticket-size").fill("50000")
        await expect(visitor.at("ticket-refusal")).to_contain_text("You have 1,000.00.")
        await visitor.page.get_by_role("button", name=re.compile("^Use ")).click()
        await visitor.at("ticket-size").fill("500")
        await visitor.at("exit-stop").fill("10300")
        await expect(visitor.at("ticket-refusal")).to_contain_text("would close at once")
        await visitor.at("exit-stop").fill("")
        await visitor.at("ticket-expiry").select_option("24")
        await visitor.at("ticket-submit").click()
        await expect(visitor.at(f"order-{ORDER}")).to_contain_text("10,200.00")
        assert (await _order(rest, ORDER))["expiresAt"] is not None
        await visitor.is_accessible()

        await rest.price("10250")
        await expect(visitor.at("toast").last).to_contain_text("BTC stop filled")
        await expect(visitor.at("position-BTC-PERP-1")).to_be_visible()

        # Two more, cancelled together.
        body = {"ticker": "BTC-PERP", "type": "limit", "side": "long", "size": "100", "leverage": 5, "price": "9000"}
        for _ in range(2):
            await rest.ask("POST", "/api/orders", body, key)
        await expect(visitor.at("order-BTC-PERP-o3")).to_be_visible()
        await visitor.at("order-cancel-all").click()
        await expect(visitor.at("toast").last).to_contain_text("2 orders cancelled")
        await expect(visitor.at("orders")).to_have_count(0)


async def test_lines_on_the_chart_are_dragged_and_everything_is_closed_at_once(venues: Venues) -> None:
    venue: VenueProcess = venues()
    venue.start()
    async with visiting(venue.url) as visitor, aiohttp.ClientSession() as session:
        rest = Rest(session, venue.url)
        await visitor.come()
        key = await rest.begin()
        open_ = {"ticker": "BTC-PERP", "side": "long", "size": "500", "leverage": 10, "stopLoss": "9994"}
        await rest.ask("POST", "/api/markets/perps/open", open_, key)
        await rest.ask("POST", "/api/markets/perps/open", open_ | {"size": "200"}, key)
        waits = {"ticker": "BTC-PERP", "type": "limit", "side": "short", "size": "100", "leverage": 5, "price": "10008"}
        await rest.ask("POST", "/api/orders", waits, key)
        await rest.price("10001")
        await visitor.sign_in(key)
        await expect(visitor.at(f"order-{ORDER}")).to_be_visible()

        before = await rest.ask("GET", f"/api/orders/{ORDER}")
        await _drag(visitor.page, 10_008, -30)
        await expect(visitor.at(f"order-price-{ORDER}")).not_to_have_attribute("data-value", before["order"]["price"])
        moved = Decimal((await _order(rest, ORDER))["price"])
        assert 10_008 < moved < 10_100
        await visitor.shows(f"order-price-{ORDER}", moved)

        await _drag(visitor.page, 9_994, 20)
        await expect(visitor.page.get_by_text("9,994.00", exact=True)).to_have_count(1)
        stops = {one["stopLoss"] for one in (await _positions(rest))}
        assert len(stops) == 2
        assert min(map(Decimal, stops)) < 9_994 == max(map(Decimal, stops))

        await visitor.at("close-all").click()
        await visitor.is_accessible()
        await visitor.at("close-all-submit").click()
        await expect(visitor.at("toast").last).to_contain_text("2 closed")
        assert await _positions(rest) == []
        await expect(visitor.at(f"order-{ORDER}")).to_be_visible()

        await visitor.page.get_by_role("link", name="Portfolio", exact=True).first.click()
        await expect(visitor.at(f"order-{ORDER}")).to_be_visible()
        await visitor.page.get_by_role("tab", name="By market").click()
        balance = await rest.ask("GET", "/api/users/ann/balance")
        gained = Decimal(balance["lifetimePnL"]) - Decimal(balance["totalFees"])
        await visitor.shows("by-market-BTC-PERP", gained)
        await visitor.is_accessible()
        await visitor.fits()


async def test_an_order_of_a_market_that_trades_at_the_next_price_is_said_to_wait_for_it(venues: Venues) -> None:
    venue: VenueProcess = venues()
    venue.start()
    async with visiting(venue.url) as visitor, aiohttp.ClientSession() as session:
        rest = Rest(session, venue.url)
        terms = {"maxLeverage": 20, "houseDeposit": "100000", "execution": "next_price", "clockSkew": "0"}
        key = await rest.begin(terms)
        await visitor.come()
        await visitor.sign_in(key)
        await visitor.at("ticket-submit").click()
        await expect(visitor.at("ticket-submit")).to_have_text("Waiting for the next price")
        await expect(visitor.at("ticket-waiting")).to_contain_text("cannot be taken back")
        await expect(visitor.at(f"order-{ORDER}")).to_contain_text("Waiting for the next price")
        await expect(visitor.at(f"order-cancel-{ORDER}")).to_have_count(0)
        await visitor.is_accessible()
        await visitor.fits()
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        body = {"price": "10001", "source": "oracle", "at": now.replace("+00:00", "Z")}
        await rest.ask("POST", "/api/markets/perps/BTC-PERP/price", body)
        await expect(visitor.at("position-BTC-PERP-1")).to_be_visible()
        await expect(visitor.at("ticket-waiting")).to_have_count(0)
        await expect(visitor.at(f"order-{ORDER}")).to_have_count(0)


async def _positions(rest: Rest) -> list[Json]:
    found = await rest.ask("GET", "/api/markets/positions/ann")
    return list(found["perpetuals"]["positions"])


async def _drag(page: Page, price: float, by: float) -> None:
    """Take hold of the line at a price and let go of it so many pixels further down."""
    place = page.locator(".drawing")
    await expect(place.locator("canvas").first).to_be_visible()
    box = await place.bounding_box()
    at = await place.evaluate("(here, price) => here.yOf(price)", price)
    assert box is not None
    assert at is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + float(at)
    await page.mouse.move(x, y)
    await page.mouse.down()
    await page.mouse.move(x, y + by / 2)
    await page.mouse.move(x, y + by)
    await page.mouse.up()
