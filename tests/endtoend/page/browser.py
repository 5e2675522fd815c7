"""A browser with the venue's page in it, and what must hold for whatever it shows."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Locator, Page, Request, async_playwright, expect

PAGE: Final = Path(__file__).parents[3] / "web" / "page"
BROWSERS: Final = ("chromium-headless-shell", "chromium", "google-chrome")
INSTALL: Final = "apt-get install chromium-headless-shell, or name a browser in PERPS_BROWSER"
AXE: Final = PAGE / "node_modules" / "axe-core" / "axe.min.js"
DESK: Final = {"width": 1440, "height": 900}
WIDTHS: Final = (360, 390, 720, 1024, 1280, 1440, 1920, 3840)
TOO_WIDE: Final = """
(() => {
  const named = (found) => found.map((one) => `${one.tagName} ${one.className}`);
  const cut = [...document.querySelectorAll(innerWidth < 1280 ? ".book .scroll" : ".book .scroll, .desk .over")]
    .filter((one) => one.scrollWidth > one.clientWidth);
  const beyond = [...document.querySelectorAll("body *")]
    .filter((one) => one.getBoundingClientRect().right > innerWidth && !one.closest(".over, .scroll, .canvas"));
  return document.documentElement.scrollWidth > innerWidth ? ["the page", ...named(beyond)] : named(cut);
})()"""
"""What reaches beyond the window, if the page can be scrolled sideways; positions and orders that do not show whole."""
TRIES: Final = 40
"""To look again while the page settles in a window of another size, two seconds in all."""
SHOWN_MS: Final = 10_000


def browser_path(*, needs_page: bool = True) -> str:
    """The browser to test with. Without one, or without the page it needs, the test is skipped; in CI it fails."""
    found = os.environ.get("PERPS_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)
    why = None
    if found is None:
        why = f"there is no browser: {INSTALL}"
    elif needs_page and not (PAGE / "built" / "index.html").exists():
        why = "the page has not been built: make page"
    if why is not None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    assert found is not None
    return found


class Visitor:
    """Somebody who looks at a venue's page. Its requests and what its console says are kept."""

    def __init__(self, browser: Browser, page: Page, url: str) -> None:
        self.browser, self.page, self.url = browser, page, url
        self.asked: list[str] = []
        self.said: list[str] = []
        page.on("request", self._ask)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("console", lambda line: self.said.append(line.text) if line.type in ("error", "warning") else None)

    def _ask(self, request: Request) -> None:
        self.asked.append(request.url)

    def at(self, testid: str) -> Locator:
        """A part of the page by its stable handle."""
        return self.page.get_by_test_id(testid)

    async def come(self, market: str = "") -> None:
        """Open the page, and wait until it is live."""
        await self.page.goto(f"{self.url}/{market and f'#{market}'}")
        await self.live()

    async def live(self) -> None:
        """Wait until the page is live."""
        await expect(self.at("connection")).to_have_attribute("data-phase", "live")

    async def number(self, testid: str) -> Decimal:
        """The exact value behind what is shown."""
        text = await self.at(testid).get_attribute("data-value")
        assert text is not None, f"{testid} shows no number yet"
        return Decimal(text)

    async def shows(self, testid: str, value: Decimal) -> None:
        """Wait until exactly this value is shown: as it is written, with or without zeros behind it."""
        digits = f"{value.normalize():f}"
        zeros = r"0*" if "." in digits else r"(\.0*)?"
        await expect(self.at(testid)).to_have_attribute("data-value", re.compile(f"^{re.escape(digits)}{zeros}$"))

    async def sign_in(self, key: str) -> None:
        """Paste a key."""
        await self.page.get_by_role("button", name="Sign in", exact=True).first.click()
        await self.at("sign-in-key").fill(key)
        await self.page.keyboard.press("Enter")
        await expect(self.at("wallet-available")).to_have_attribute("data-value", re.compile("."))

    async def is_accessible(self) -> None:
        """What axe finds: nothing."""
        await self.page.evaluate(AXE.read_text())
        found = await self.page.evaluate(
            "axe.run(document, {resultTypes: ['violations']}).then(({violations}) => violations.map("
            "({id, nodes}) => `${id}: ${nodes.map(({target}) => target).join(' ')}`))"
        )
        assert not found, found

    async def fits(self) -> None:
        """Nothing is wider than the window, however wide that is."""
        for width in WIDTHS:
            await self.page.set_viewport_size({"width": width, "height": 900})
            wide = await self.page.evaluate(TOO_WIDE)
            for _ in range(TRIES):
                if not wide:
                    break
                await asyncio.sleep(0.05)
                wide = await self.page.evaluate(TOO_WIDE)
            assert not wide, f"at {width} px these are wider: {wide}"

    def asked_nobody_else(self) -> None:
        """Every request went to the venue."""
        assert [url for url in self.asked if not url.startswith((f"{self.url}/", "data:"))] == []
        assert self.asked


@asynccontextmanager
async def visiting(
    url: str, *, needs_page: bool = True, shown_ms: float = SHOWN_MS, **how: object
) -> AsyncIterator[Visitor]:
    """A visitor with a browser of their own. Whatever the page asked and complained about is checked at the end.

    A line that was cut is no complaint: the browser says so on its own.
    """
    path = browser_path(needs_page=needs_page)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        context = await browser.new_context(**{"viewport": DESK, "locale": "en-GB", **how})  # type: ignore[arg-type]
        context.set_default_timeout(shown_ms)
        expect.set_options(timeout=shown_ms)
        visitor = Visitor(browser, await context.new_page(), url)
        try:
            yield visitor
        finally:
            await browser.close()
    visitor.asked_nobody_else()
    assert [line for line in visitor.said if "Failed to load resource" not in line and "net::ERR" not in line] == []
