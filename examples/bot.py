"""A trading bot: it buys when the index price has fallen by 0.1 % and sells after a rise of 0.1 %.

It ends after ROUNDS rounds of buying and selling, by default 10. KEY is an API key with the scope ``trade``. The client
sends each command until there is a verdict, and resumes the stream: the venue may stop, crash and start again.

python examples/bot.py http://127.0.0.1:8000 KEY BTC-PERP [ROUNDS]
"""

import sys
from decimal import Decimal

from perps.client import Venue, run

STEP = Decimal("0.001")


async def trade(url: str, key: str, ticker: str, rounds: str = "10") -> None:
    """Buy low and sell high, ``rounds`` times."""
    async with Venue(url, key, retry_s=3600) as venue:
        position, level, left = None, Decimal(0), int(rounds)
        async for price in venue.index_prices(ticker):
            if not level:
                print(f"watching {ticker} from {price}", flush=True)
            if position is None and price <= level * (1 - STEP):
                position, level = (await venue.open(ticker, "long", size=100, leverage=5)).position, price
                print(f"bought {position.quantity} at {position.entry_price}", flush=True)
            elif position is None:
                level = max(level, price)
            elif price >= level * (1 + STEP):
                closed = await venue.close(position.id)
                print(f"sold at {closed.fill.price}, made {closed.pnl} before fees", flush=True)
                position, level, left = None, price, left - 1
            if not left:
                return


if __name__ == "__main__":
    run(trade(*sys.argv[1:]))
