"""An agent on the venue's channel: with each price it closes what it has, and opens SIZE positions on the move's side.

It ends after ROUNDS prices, by default 20. KEY is an API key with the scope ``trade``. The venue may stop, crash and
start again. So may this program: it keeps nothing that the venue does not know.

python examples/agent.py http://127.0.0.1:8000 KEY BTC-PERP [ROUNDS]
"""

import asyncio
import sys

from perps.client import Agent, run

SIZE = 5


async def trade(url: str, key: str, ticker: str, rounds: str = "20") -> None:
    """Follow the price for so many rounds."""
    async with Agent(url, key, retry_s=3600) as agent:
        last, done = None, 0
        async for price in agent.index_prices(ticker):
            if last is None:
                print(f"watching {ticker} from {price}", flush=True)
            else:
                closed, side = await agent.leave(ticker), "long" if price > last else "short"
                await asyncio.gather(*(agent.open(ticker, side, size=100, leverage=5) for _ in range(SIZE)))
                made, done = (await agent.get_balance("me")).lifetime_pnl, done + 1
                print(f"{len(closed)} closed, {side} now, made {made} before fees", flush=True)
            if done == int(rounds):
                return
            last = price


if __name__ == "__main__":
    run(trade(*sys.argv[1:]))
