"""What a world's file may say. A listing has the fields of the contract; the other tables are here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from perps.wire.base import Number, Text, Ticker, UserId, by_default
from perps.wire.listing import MarketBody
from perps.wire.operation import Scope
from tools.worlds.places import Places

STORY_SECONDS: Final = 2
"""``every`` of stories has so many numbers: the shortest and the longest pause."""

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,15}$", description="1 to 16 small letters, digits and -.")]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class Table(Struct, kw_only=True, forbid_unknown_fields=True):
    """One table of the file."""


class User(Table):
    """Somebody to create. ``deposit``: what is paid in altogether, at least."""

    user_id: UserId
    deposit: Number | None = None
    referrer: UserId | None = None


class Key(Table):
    """A key to make, and the name of the file that keeps it, in the venue's data directory."""

    file: str
    scopes: list[Scope]
    user_id: UserId | None = None
    label: Text | None = None
    on_page: bool = False
    """The venue's page offers it to browsers on the same machine."""


class ProcessFeed(Table, tag="process", tag_field="kind"):
    """Simulated prices: ``tools.feeds.price_process``."""

    markets: list[Ticker]
    volatility: Annotated[float, Meta(gt=0, le=0.05)] = 0.0001
    """Typical size of a step, as a fraction of the price."""
    interval: Seconds = 1.0
    seed: int | None = None


class FileFeed(Table, tag="file", tag_field="kind"):
    """Recorded prices from a CSV file, as for ``perps feed replay``."""

    market: Ticker
    file: str
    speed: Annotated[float, Meta(gt=0)] = 60.0
    """Recorded seconds per real second."""
    repeat: bool = False
    """Begin again at the end, for ever."""


class HttpFeed(Table, tag="http", tag_field="kind"):
    """Live prices from addresses that answer with JSON, as for ``perps feed http``: of several, the middle one."""

    market: Ticker
    urls: Annotated[list[str], Meta(min_length=1)]
    json_path: str
    time_path: str | None = None
    interval: Seconds = 1.0
    timeout: Seconds = 5.0
    max_age: Seconds = 30.0
    max_spread: Annotated[float, Meta(ge=0)] = 0.02


class Stories(Table, tag="stories", tag_field="kind"):
    """What happens, from a CSV file: ``at,ticker,change,reason``."""

    file: str
    repeat: bool = False
    """Begin again a minute after the last story."""
    every: Annotated[list[Seconds], Meta(min_length=STORY_SECONDS, max_length=STORY_SECONDS)] | None = None
    """The shortest and the longest pause: then the stories come for ever, in an order that nobody knows, without regard
    to their ``at``. Each comes once before any comes again.
    """


Feed = ProcessFeed | FileFeed | HttpFeed | Stories


class Agents(Table):
    """Some agents with one strategy. Their users are made with the world; each trades in one of the markets."""

    strategy: str
    """The name of one that comes with perps, or ``FILE.py:Class``."""
    count: Annotated[int, Meta(ge=1, le=1000)] = 1
    markets: list[Ticker] | None = None
    """In turn: the first agent the first market. By default all of the world."""
    deposit: Number = by_default("25000")
    size: Annotated[float, Meta(gt=0)] = 1000.0
    """USD of notional that an open usually takes."""
    leverage: Annotated[int, Meta(ge=1, le=1000)] = 2
    """At most the market's."""
    pause: Seconds | None = None
    """About so many seconds between two decisions. By default the strategy's own ``every_s``."""
    seed: int | None = None
    """Decides all chance of these agents."""


TABLES: Final[dict[str, type[Struct]]] = {"markets": MarketBody, "users": User, "keys": Key, "agents": Agents}
"""Lists of tables in the file, and what each table is. ``feeds`` has a kind each."""
FEEDS: Final[dict[str, type[Struct]]] = {
    "process": ProcessFeed,
    "file": FileFeed,
    "http": HttpFeed,
    "stories": Stories,
}


class Listing(Struct, frozen=True, kw_only=True):
    """A market of the file: what the contract makes of it, and the fields that the file gives, in snake_case."""

    body: MarketBody
    given: dict[str, Any]


class World(Struct, kw_only=True):
    """A whole file. ``places`` finds the line of a table or of one of its keys, for a message."""

    file: Path
    places: Places
    name: str
    markets: list[Listing]
    users: list[User]
    keys: list[Key]
    feeds: list[Feed]
    agents: list[Agents]

    @property
    def tickers(self) -> list[str]:
        """The markets of the file."""
        return [market.body.ticker for market in self.markets]

    def strategy(self, agents: Agents) -> str:
        """What decides for these agents. A path begins at the folder of the file."""
        place, colon, name = agents.strategy.rpartition(":")
        return f"{self.file.parent / place}:{name}" if colon and place.endswith(".py") else agents.strategy
