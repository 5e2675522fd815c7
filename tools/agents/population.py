"""The users of a run and their keys. Making them twice is like making them once."""

from __future__ import annotations

import asyncio
from typing import Final

from perps.client import OutcomeUnknown, Refused, Venue
from tools.agents.jobs import SeatPlan
from tools.agents.settings import RunSettings
from tools.errors import ToolError
from tools.key_files import KeyFiles

SCOPES: Final = ("read", "trade")

AT_ONCE: Final = 8
"""Users that are made at the same time. Fewer than the wrong keys that a venue lets pass: see ``KeyFiles``."""


async def markets_of(admin: Venue, settings: RunSettings) -> tuple[str, ...]:
    """The markets to trade in. Errors: ToolError, VenueError."""
    there = {market.ticker: market.status for market in (await admin.list_markets()).markets}
    for ticker in settings.tickers:
        if ticker not in there:
            raise ToolError(f"there is no market {ticker}. The venue has: {', '.join(there) or 'none'}")
    found = settings.tickers or tuple(ticker for ticker, status in there.items() if status == "enabled")
    if not found:
        raise ToolError("no market is enabled. List one: perps market create BTC-PERP --price 10000")
    return found


async def populate(admin: Venue, settings: RunSettings, tickers: tuple[str, ...]) -> list[SeatPlan]:
    """A user with money and a key for each agent. Errors: ToolError, VenueError."""
    try:
        await asyncio.to_thread(settings.keys_dir.mkdir, mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ToolError(f"cannot make {settings.keys_dir} for the keys: {error.strerror or error}") from error
    keys, turns = KeyFiles(admin), asyncio.Semaphore(AT_ONCE)

    async def make(number: int) -> SeatPlan:
        user = settings.user(number)
        async with turns:
            await _user(admin, user, settings.deposit)
            file = settings.keys_dir / f"{user}.key"
            key = await keys.kept(file, user, SCOPES) or await keys.make(file, user, SCOPES, "agent")
        return SeatPlan(number, user, key, settings.strategy(number), settings.ticker(number, tickers))

    return list(await asyncio.gather(*(make(number) for number in range(settings.count))))


async def _user(admin: Venue, user: str, deposit: str) -> None:
    """A user with this deposit, if there is none of the name. Errors: VenueError."""
    while True:
        try:
            await admin.create_user(user, deposit=deposit)
        except OutcomeUnknown:
            continue  # the next answer says whether it was made
        except Refused as error:
            if error.code != "user_exists":
                raise
        return
