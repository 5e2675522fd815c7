"""What the demo starts with: sample markets, agents and two people. Setting it up twice is like setting it up once."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from perps.client import Refused, Venue
from perps.wire.lists import LIMIT_MAX
from perps.wire.markets import LIST_MARKET, MarketAnswer
from tools.demo.key_files import KeyFiles

MARKETS: Final[tuple[Mapping[str, str | int], ...]] = (
    {
        "ticker": "BTC-PERP",
        "organization_id": "bitcoin",
        "name": "Bitcoin",
        "price": "64000.00",
        "preset": "crypto",
        "depth": "1280000000",
        "house_deposit": "1000000",
    },
    {
        "ticker": "ETH-PERP",
        "organization_id": "ethereum",
        "name": "Ether",
        "price": "3200.00",
        "preset": "crypto",
        "depth": "960000000",
        "house_deposit": "1000000",
    },
    {
        "ticker": "NOVA-PERP",
        "organization_id": "nova-dynamics",
        "name": "Nova Dynamics",
        "price": "120.00",
        "preset": "game",
        "depth": "2400000",
        "house_deposit": "250000",
    },
)
"""Two markets with an outside price, and one organisation of a game, whose price follows trades and stories."""

FEED_VOLATILITY: Final[Mapping[str, float]] = {"BTC-PERP": 1e-4, "ETH-PERP": 1.3e-4}
"""The markets with a feed, and the volatility of a second in normal weather."""

STORY_TICKER: Final = "NOVA-PERP"
STORIES: Final[tuple[tuple[str, float], ...]] = (
    ("A test flight lands upright", 0.02),
    ("A launch is called off for weather", -0.01),
    ("A rival shows a larger rocket", -0.02),
    ("The space agency orders six flights", 0.03),
    ("An engine fails on the stand", -0.03),
    ("A well-known fund buys in", 0.015),
    ("The founder sells some shares", -0.015),
    ("The first crew comes home", 0.025),
)
"""What happens to the organisation, and by what fraction that moves its price."""

PEOPLE: Final = ("alice", "bob")
PERSON_DEPOSIT: Final = "10000"
AGENT_DEPOSIT: Final = "25000"


@dataclass(frozen=True)
class AgentPlan:
    """One agent: who, where and how. ``size`` is USD of notional, ``pause_s`` the usual time between two decisions."""

    user: str
    ticker: str
    strategy: str
    size: float
    leverage: int
    pause_s: float


AGENTS: Final = (
    AgentPlan("agent-btc-momentum", "BTC-PERP", "momentum", 2500.0, 20, 1.5),
    AgentPlan("agent-btc-reversion", "BTC-PERP", "reversion", 2000.0, 10, 2.0),
    AgentPlan("agent-btc-noise", "BTC-PERP", "noise", 800.0, 20, 1.0),
    AgentPlan("agent-eth-momentum", "ETH-PERP", "momentum", 1500.0, 20, 1.7),
    AgentPlan("agent-eth-noise", "ETH-PERP", "noise", 600.0, 10, 1.2),
    AgentPlan("agent-nova-momentum", "NOVA-PERP", "momentum", 2500.0, 2, 2.5),
    AgentPlan("agent-nova-reversion", "NOVA-PERP", "reversion", 2500.0, 2, 2.2),
    AgentPlan("agent-nova-noise", "NOVA-PERP", "noise", 1200.0, 3, 1.4),
)
"""Their strategies are examples of ``perps.agents``."""


async def prepare(admin: Venue, data_dir: Path) -> dict[str, str]:
    """Create the markets and users that do not exist yet. The key of each person, which a file keeps in ``data_dir``.

    Errors: VenueError; then call it again.
    """
    tickers = {market.ticker for market in (await admin.list_markets()).markets}
    for parameters in MARKETS:
        if parameters["ticker"] not in tickers:
            await _unless(admin.call(LIST_MARKET, MarketAnswer, **parameters), "market_exists")
    there = await _users_there(admin)
    deposits = {plan.user: AGENT_DEPOSIT for plan in AGENTS} | dict.fromkeys(PEOPLE, PERSON_DEPOSIT)
    for user, deposit in deposits.items():
        if user not in there:
            await _unless(admin.create_user(user, deposit=deposit), "user_exists")
    keys = KeyFiles(admin)
    return {person: await keys.key_of(person, data_dir / f"{person}.key") for person in PEOPLE}


async def _users_there(admin: Venue) -> set[str]:
    """The demo's users that exist already: a second start sends no request that would be refused."""
    wanted = {plan.user for plan in AGENTS} | set(PEOPLE)
    there: set[str] = set()
    async for user in admin.list_users(limit=LIMIT_MAX):
        there |= wanted & {user.user_id}
        if there == wanted:
            break
    return there


async def _unless(making: Awaitable[object], code: str) -> None:
    """Make it, or find that it exists: then the venue refuses with ``code``."""
    try:
        await making
    except Refused as error:
        if error.code != code:
            raise
