"""The bot that newcomers copy trades on through a kill -9 of its venue."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from perps.client import Venue
from tests.endtoend.conftest import Venues
from tests.endtoend.venue_process import ADMIN_KEY
from tests.support.slowness import soon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

BOT = Path(__file__).parents[2] / "examples" / "bot.py"


async def test_the_bot_survives_a_kill_9_of_the_venue_and_does_everything_once(venues: Venues) -> None:
    venue = venues()
    await asyncio.to_thread(venue.start)
    async with Venue(venue.url, ADMIN_KEY, retry_s=60.0) as admin:
        await admin.list_market("BTC-PERP", "btc", "Bitcoin", 10_000)
        await admin.create_user("ann", 1000)
        key = (await admin.create_key(["trade"], user_id="ann")).key
        arguments = (str(BOT), venue.url, key, "BTC-PERP", "2")
        bot = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
        assert bot.stdout is not None
        try:
            async with soon(60):
                lines = [await bot.stdout.readline()]
                for price in (9980, 10_000, 9980, 10_000):
                    await admin.set_price("BTC-PERP", price)
                    await asyncio.to_thread(venue.kill)  # while the bot's command is on its way, or before
                    await asyncio.to_thread(venue.start)
                    lines.append(await bot.stdout.readline())
                assert await bot.wait() == 0
        finally:
            if bot.returncode is None:
                bot.kill()
                await bot.wait()
        trades = [trade.kind async for trade in admin.list_user_trades("ann")]
    assert [line.split()[0] for line in lines] == [b"watching", b"bought", b"sold", b"bought", b"sold"]
    assert trades == ["close", "open", "close", "open"]
