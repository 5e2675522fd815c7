"""A trading bot: it buys when the index price has fallen by 0.1 % and sells after a rise of 0.1 %.

It ends after ROUNDS rounds of buying and selling, by default 10. KEY is an API key with the scope ``trade``. The client
sends each command until there is a verdict, and resumes the stream: the venue may stop, crash and start again.

python examples/bot.py http://127.0.0.1:8000 KEY BTC-PERP [ROUNDS]
"""

import asyncio
import sys
from contextlib import suppress
from decimal import Decimal

from perps.client import Row, Venue, VenueError

STEP = Decimal("0.001")
PATIENCE_S = 3600.0


def price_in(row: Row) -> Decimal | None:
    """The index price that a row of the stream brings, if it brings one."""
    for event in reversed(row.events):
        if event.name in ("price", "snapshot"):
            data = event.data["markets"][0] if event.name == "snapshot" else event.data
            return Decimal(data["indexPrice"])
    return None


async def trade(url: str, key: str, ticker: str, rounds: int) -> None:
    """Buy low and sell high, ``rounds`` times."""
    async with Venue(url, key, retry_s=PATIENCE_S) as venue:
        position, level = None, Decimal(0)
        async for row in venue.stream([ticker]):
            price = price_in(row)
            if price is None:
                continue
            if position is None and price <= level * (1 - STEP):
                position, level = (await venue.open(ticker, "long", size=100, leverage=5)).position, price
                print(f"bought {position.quantity} at {position.entry_price}", flush=True)
            elif position is not None and price >= level * (1 + STEP):
                closed = await venue.close(position.id)
                print(f"sold at {closed.fill.price}, made {closed.pnl} before fees", flush=True)
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
        try:
            asyncio.run(trade(url, key, ticker, int(rounds[0]) if rounds else 10))
        except VenueError as error:
            sys.exit(str(error))
