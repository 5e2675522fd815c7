"""The examples do what they say, on a venue that is the real one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from tests.support.slowness import soon
from tests.web.events import listening
from tests.web.venue import ADMIN_KEY, ManualClock, OnMemory, Running, start
from tools.cli import main

ROOT = Path(__file__).parents[2]
BOT = ROOT / "examples" / "bot.py"
AGENT = ROOT / "examples" / "agent.py"
PRICES = ROOT / "examples" / "prices.csv"


@pytest.fixture
async def venue() -> AsyncIterator[Running]:
    """A venue on memory with a market at 10,000."""
    async with aiohttp.ClientSession() as session:
        running = await start(OnMemory(), session)
        await running.market(price="10000")
        yield running
        await running.venue.close()


async def bot(venue: Running, key: str, rounds: int = 1) -> asyncio.subprocess.Process:
    """The bot, as somebody would run it."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *(str(BOT), venue.url, key, "BTC-PERP", str(rounds)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def line(process: asyncio.subprocess.Process) -> str:
    """The next line it prints."""
    assert process.stdout is not None
    async with soon(10):
        return (await process.stdout.readline()).decode().rstrip()


async def test_the_bot_buys_a_fall_and_sells_a_rise(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    async with listening(venue) as stream:
        await stream.next()
        process = await bot(venue, ann.key or "")
        assert await line(process) == "watching BTC-PERP from 10000.00"
        for price, kind in (("9980", "open"), ("10000", "close")):
            await venue.price(price)
            while (event := await stream.next()).name != "trade":
                pass
            assert event.data["kind"] == kind
        async with soon(10):
            out, err = await process.communicate()

    assert (process.returncode, err) == (0, b"")
    bought, sold = out.decode().splitlines()
    assert bought.startswith("bought 0.01 at 9980.00")
    assert sold.startswith("sold at 10000.00, made 0.19")
    assert sold.endswith(" before fees")
    assert Decimal((await ann.balance())["lifetimePnL"]) > Decimal("0.19")


async def test_the_bot_says_why_it_was_refused(venue: Running) -> None:
    poor = await venue.user("poor", "1")  # and 20 would be needed
    process = await bot(venue, poor.key or "")
    assert await line(process) == "watching BTC-PERP from 10000.00"
    await venue.price("9980")
    async with soon(10):
        _, err = await process.communicate()

    assert process.returncode == 1
    assert err.decode().startswith("insufficient_funds: The wallet does not hold enough. (required ")


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_an_example_has_no_more_than_40_lines(example: Path) -> None:
    assert len(example.read_text().splitlines()) <= 40


async def test_the_agent_of_a_market_that_waits_for_the_next_price_trades_too(venue: Running) -> None:
    clock = venue.clock
    assert isinstance(clock, ManualClock)
    await venue.market("SLOW-PERP", "10000", execution="next_price")
    ann = await venue.user("ann", "1000")
    process = await asyncio.create_subprocess_exec(
        sys.executable, *(str(AGENT), venue.url, ann.key or "", "SLOW-PERP", "3"), stdout=asyncio.subprocess.PIPE
    )
    said = [await line(process)]
    for price in ("9980", "10000", "9980"):
        clock.advance(5)
        await venue.price(price, ticker="SLOW-PERP")
        said.append(await line(process))
    async with soon(10):
        assert await process.wait() == 0
    assert [one.split(",")[0] for one in said[1:]] == ["0 closed", "5 closed", "5 closed"]


async def test_the_sample_prices_play_into_a_market(venue: Running) -> None:
    arguments = ["feed", "replay", str(PRICES), "--ticker", "BTC-PERP", "--speed", "max"]

    code = await asyncio.to_thread(main, [*arguments, "--url", venue.url, "--key", ADMIN_KEY])

    assert code == 0
    assert venue.venue.context.model.offset == 1 + 4 * 60, "the listing, and four prices a bar"
