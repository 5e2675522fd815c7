"""An agent on the venue's channel: with each price it takes the side of the move, SIZE positions in one frame.

Before that it closes those that it has, in one frame too. It ends after ROUNDS prices, by default 20. KEY is an API key
with the scope ``trade``. What is cut is sent again with the same client order id, and the stream resumes: the venue
may stop, crash and start again.

python examples/agent.py http://127.0.0.1:8000 KEY BTC-PERP [ROUNDS]
"""

import asyncio
import sys
from contextlib import suppress
from decimal import Decimal

from perps.client import Agent, VenueError

SIZE = 5
PATIENCE_S = 3600.0


async def trade(url: str, key: str, ticker: str, rounds: int) -> None:
    """Follow the price for so many rounds."""
    async with Agent(url, key, retry_s=PATIENCE_S) as agent:
        last, mine = Decimal(0), list[str]()
        async for row in agent.stream([ticker]):
            for event in row.events:
                if event.name == "snapshot":
                    last = Decimal(event.data["markets"][0]["indexPrice"])
                    print(f"watching {ticker} from {last}", flush=True)
                if event.name != "price" or (price := Decimal(event.data["indexPrice"])) == last:
                    continue
                closed = await asyncio.gather(*(agent.close(position) for position in mine))
                side = "long" if price > last else "short"
                opened = await asyncio.gather(*(agent.open(ticker, side, size=100, leverage=5) for _ in range(SIZE)))
                last, mine, rounds = price, [one.position.id for one in opened], rounds - 1
                print(f"{len(closed)} closed, made {sum(Decimal(one.pnl) for one in closed)}; {side} now", flush=True)
                if not rounds:
                    return


if __name__ == "__main__":
    url, key, ticker, *given = sys.argv[1:]
    with suppress(KeyboardInterrupt):
        try:
            asyncio.run(trade(url, key, ticker, int(given[0]) if given else 20))
        except VenueError as error:
            sys.exit(str(error))
