"""A client for a venue: asynchronous, typed with the contract, and stubborn.

    async with Venue("http://127.0.0.1:8000", key) as venue:
        opened = await venue.open("BTC-PERP", "long", size=1000, leverage=10)
        async for row in venue.stream(tickers=["BTC-PERP"]):
            ...

Reading order: ``venue`` with ``positions`` and ``orders`` (every operation as a method), ``lists`` (pages),
``requests`` (an operation and its values as one request), ``sending`` (one request until there is a verdict),
``stream`` (events, row by row), ``errors``, ``rounding`` (a price on its tick), ``running`` (a program's main);
``agent`` and ``channel`` (the same on one WebSocket). It needs aiohttp, msgspec and ``perps.wire``, and nothing of the
process that serves the venue.
"""

from perps.client.agent import Agent
from perps.client.errors import BadAnswer, OutcomeUnknown, Refused, Unavailable, VenueError
from perps.client.lists import Listing
from perps.client.requests import NOTHING, Exact
from perps.client.running import run
from perps.client.sending import Retry, without_password
from perps.client.stream import Event, Row
from perps.client.venue import Venue
from perps.wire.orders.order import Pending

__all__ = [
    "NOTHING",
    "Agent",
    "BadAnswer",
    "Event",
    "Exact",
    "Listing",
    "OutcomeUnknown",
    "Pending",
    "Refused",
    "Retry",
    "Row",
    "Unavailable",
    "Venue",
    "VenueError",
    "run",
    "without_password",
]
