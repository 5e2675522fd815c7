"""How fast recorded prices are read and sent. Limits are of processor time, and more on a slow machine."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.support.slowness import in_time
from tests.tools.feeds.files.support import START_S, file_of
from tests.web.venue import ADMIN_KEY, OnMemory, start
from tools.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

MINUTES: Final = 365 * 24 * 60
SENT: Final = 10_000
PER_S: Final = 2_000


def bars(count: int) -> str:
    """So many bars of a minute, near 10,000."""
    chance, price, rows = random.Random(1), 10_000.0, ["time,open,high,low,close"]
    for number in range(count):
        close = round(price * (1 + chance.uniform(-0.0005, 0.0005)), 2)
        high, low = max(price, close) + 1, min(price, close) - 1
        rows.append(f"{START_S + 60 * number},{price:.2f},{high:.2f},{low:.2f},{close:.2f}")
        price = close
    return "\n".join(rows)


def test_a_year_of_minutes_is_checked_within_three_seconds(tmp_path: Path) -> None:
    file = tmp_path / "year.csv"
    file.write_text(bars(MINUTES))
    began = time.process_time()
    assert file_of(file).read_through().prices == 4 * MINUTES
    took_s = time.process_time() - began
    print(f"{MINUTES:,} bars: {took_s:.1f} s")
    assert in_time(took_s, 3.0)


async def test_two_thousand_prices_a_second_go_into_a_market_at_the_greatest_speed(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    await asyncio.to_thread(file.write_text, bars(SENT // 4))
    async with aiohttp.ClientSession() as session:
        venue = await start(OnMemory(), session)
        try:
            await venue.market(price="10000")
            command = ["feed", "replay", str(file), "--ticker", "BTC-PERP", "--speed", "max"]
            began = time.process_time()
            assert await asyncio.to_thread(main, [*command, "--url", venue.url, "--key", ADMIN_KEY]) == 0
            took_s = time.process_time() - began
            assert venue.venue.context.model.offset == 1 + SENT
        finally:
            await venue.venue.close()
    print(f"{SENT:,} prices, venue and feed together: {SENT / took_s:,.0f} /s")
    assert in_time(took_s, SENT / PER_S)
