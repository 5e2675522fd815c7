"""What must be refused, and change nothing."""

from __future__ import annotations

from typing import Final

from tests.web.venue import Client, Json, Running

OPEN: Final = "/api/markets/perps/open"


async def refused(venue: Running, client: Client, path: str, body: object, status: int, code: str) -> Json:
    """Post what must be refused, and see that nothing has changed."""
    async with venue.unchanged():
        return (await client.post(path, body)).refused(status, code)


def open_body(ticker: str = "BTC-PERP", size: str = "1000", **more: object) -> Json:
    """A long of ten times, unless ``more`` says otherwise."""
    return {"ticker": ticker, "side": "long", "size": size, "leverage": 10, **more}
