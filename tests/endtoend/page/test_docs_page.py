"""``/docs`` in a browser: a stranger makes a first trade with what is written there, and sees it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import pytest
from playwright.async_api import Locator, Page, expect

from perps.wire.keys import CREATE_KEY
from perps.wire.markets import LIST_MARKET
from perps.wire.operation import Operation
from perps.wire.page import DEMO
from perps.wire.streams import MAKE_TICKET
from perps.wire.trading import OPEN, POSITIONS
from perps.wire.users import CREATE_USER
from tests.endtoend.conftest import Venues
from tests.endtoend.page.browser import visiting
from tests.endtoend.page.rest import Json
from tests.endtoend.venue_process import ADMIN_KEY, VenueProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

SHOWN_MS: Final = 90_000
"""Each press of a button draws all operations anew: a second on an idle machine, many on a busy one."""
FOLLOWED: Final = re.compile(r"/api/sse/users/me\?ticket=")
"""What the page says to open in another tab."""


class Reference:
    """The page, and what somebody does who reads it."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def sign_in(self, key: str) -> None:
        """Enter a key, in the place of the one before."""
        await self._page.locator(".auth-wrapper .btn.authorize").click()
        form = self._page.locator(".auth-container")
        await expect(form.get_by_role("button", name="Close")).to_be_visible()
        if await form.get_by_text("Logout", exact=True).count():
            await form.get_by_text("Logout", exact=True).click()
        await form.locator("input").fill(key)
        await form.get_by_role("button", name="Apply credentials").click()
        await form.get_by_role("button", name="Close").click()

    async def execute(self, operation: Operation, **places: str) -> Json:
        """Try an operation out with its example as it stands: what the page shows of the answer."""
        tag = operation.tag.replace(" ", "_")
        block = self._page.locator(f"[id='operations-{tag}-{operation.name}']")
        await block.locator(".opblock-summary-control").click()
        await block.get_by_role("button", name="Try it out").click()
        for name, value in places.items():
            await block.locator(f"[data-param-name='{name}'] input").fill(value)
        await block.get_by_role("button", name="Execute").click()
        answer = block.locator(".live-responses-table .response")
        await expect(answer.locator(".response-col_status")).to_have_text(re.compile(rf"^{operation.status}\b"))
        shown: Json = msgspec.json.decode(await _code(answer))
        return shown


async def _code(answer: Locator) -> str:
    return str(await answer.locator("code.language-json").first.text_content())


@asynccontextmanager
async def reading(venue: VenueProcess) -> AsyncIterator[tuple[Reference, Page]]:
    """A stranger with the page open; at its end, whatever it asked for came from the venue."""
    async with visiting(venue.url, needs_page=False, shown_ms=SHOWN_MS) as visitor:
        await visitor.page.goto(f"{venue.url}/docs")
        await expect(visitor.page.get_by_text("A first trade on this page.")).to_be_visible()
        yield Reference(visitor.page), visitor.page


async def test_a_stranger_of_the_demo_makes_a_first_trade_and_follows_it(venues: Venues) -> None:
    venue: VenueProcess = venues(environment={"PERPS_DEMO": "yes"})
    venue.start()
    async with reading(venue) as (reference, page):
        people = (await reference.execute(DEMO))["people"]
        await reference.sign_in(next(person["key"] for person in people if person["userId"] == "alice"))
        position = (await reference.execute(OPEN))["position"]["id"]
        listed = await reference.execute(POSITIONS, userId="me")
        assert [one["id"] for one in listed["perpetuals"]["positions"]] == [position]

        ticket = await reference.execute(MAKE_TICKET)
        await expect(page.get_by_text(FOLLOWED)).to_be_visible()
        tab = await page.context.new_page()
        await tab.goto(f"{venue.url}/api/sse/users/me?ticket={ticket['ticket']}", wait_until="commit")
        await expect(tab.locator("body")).to_contain_text(f'"id":"{position}"')


async def test_who_runs_a_bare_venue_makes_its_first_market_user_and_trade(venues: Venues) -> None:
    venue: VenueProcess = venues()
    venue.start()
    async with reading(venue) as (reference, _):
        await reference.sign_in(ADMIN_KEY)
        await reference.execute(LIST_MARKET)
        await reference.execute(CREATE_USER)
        made = await reference.execute(CREATE_KEY)
        await reference.sign_in(made["key"])
        position = (await reference.execute(OPEN))["position"]["id"]
        listed = await reference.execute(POSITIONS, userId="me")
        assert [one["id"] for one in listed["perpetuals"]["positions"]] == [position]
