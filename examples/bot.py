"""A trading bot on REST and SSE: it buys when the index price has fallen by 0.1 % and sells after a rise of 0.1 %.

It ends after ROUNDS rounds of buying and selling, by default 10. KEY is an API key with the scope ``trade``.

python examples/bot.py http://127.0.0.1:8000 KEY BTC-PERP [ROUNDS]
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from decimal import Decimal
from typing import Any
from uuid import uuid4

import aiohttp

STEP = Decimal("0.001")


async def prices(venue: aiohttp.ClientSession, ticker: str) -> AsyncIterator[Decimal]:
    """The index price now, then each new one. After a broken connection it resumes where it was."""
    event, last_id = "", ""
    while True:
        with suppress(aiohttp.ClientError, TimeoutError):
            headers = {"Last-Event-ID": last_id} if last_id else {}
            async with venue.get("/api/sse/markets", params={"tickers": ticker}, headers=headers) as stream:
                stream.raise_for_status()
                async for line in stream.content:
                    field, _, value = line.decode().rstrip("\n").partition(": ")
                    if field == "event":
                        event = value
                    elif field == "id":
                        last_id = value
                    elif field == "data" and event == "snapshot":
                        yield Decimal(json.loads(value)["markets"][0]["indexPrice"])
                    elif field == "data" and event == "price":
                        yield Decimal(json.loads(value)["indexPrice"])
        await asyncio.sleep(1)


async def post(venue: aiohttp.ClientSession, path: str, **body: object) -> dict[str, Any]:
    """Send a command under one client id until it is done, once, or refused. A refusal ends the bot."""
    body["clientOrderId"] = uuid4().hex
    while True:
        with suppress(aiohttp.ClientError, TimeoutError):
            async with venue.post(path, json=body) as response:
                answer: dict[str, Any] = await response.json()
            if response.status < 400:
                return answer
            if response.status not in (429, 503):
                raise SystemExit("{code}: {message}".format(**answer["error"]))
        await asyncio.sleep(1)


async def trade(url: str, key: str, ticker: str, rounds: int) -> None:
    """Buy low and sell high, ``rounds`` times."""
    timeout = aiohttp.ClientTimeout(total=None, sock_read=60)  # a quiet stream sends a comment every 15 s
    async with aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {key}"}, timeout=timeout) as venue:
        position, level = None, Decimal(0)
        async for price in prices(venue, ticker):
            if position is None and price <= level * (1 - STEP):
                order = {"ticker": ticker, "side": "long", "size": "100", "leverage": 5}
                position, level = (await post(venue, "/api/markets/perps/open", **order))["position"], price
                print(f"bought {position['quantity']} at {position['entryPrice']}", flush=True)
            elif position is not None and price >= level * (1 + STEP):
                closed = await post(venue, f"/api/markets/perps/{position['id']}/close")
                print(f"sold at {closed['position']['exitPrice']}, made {closed['pnl']} before fees", flush=True)
                position, level, rounds = None, price, rounds - 1
            elif position is None:
                if not level:
                    print(f"watching {ticker} from {price}", flush=True)
                level = max(level, price)
            if rounds == 0:
                return


if __name__ == "__main__":
    url, key, ticker, *rounds = sys.argv[1:]
    with suppress(KeyboardInterrupt):
        asyncio.run(trade(url, key, ticker, int(rounds[0]) if rounds else 10))
