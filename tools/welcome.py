"""What a venue says to the person who started it, once it is ready: what to do now, and where things are."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from perps.client import Venue, VenueError
from perps.params import Preset
from perps.wire.listing import MarketBody
from tools.addresses import reachable_host
from tools.invocation import program, shown
from tools.output import counted
from tools.venues import DATA_DIR
from tools.worlds.agents import users_of
from tools.worlds.world import World
from web.process.log_sink import say
from web.process.running_venues import ADMIN_KEY

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ("README.md", "docs/running.md", "docs/api.md")
"""They are there in a clone of the project."""
NAMED_MAX: Final = 4
"""So many markets of a world are named."""
LEVERAGE: Final = {Preset.CRYPTO: 10, Preset.GAME: 3, Preset.VOLATILE: 2}
"""What a first order takes in a market of a preset."""
FIRST_MARKET: Final = "market create BTC-PERP --price 10000"

Row = tuple[str, str]


@dataclass(frozen=True)
class Welcome:
    """For a venue that listens on ``host`` and keeps its key in ``data_dir``."""

    host: str
    data_dir: Path
    is_key_in_environment: bool
    """The administrator's key is in PERPS_ADMIN_KEY, and not in a file."""
    has_own_database: bool
    """The database is elsewhere than in ``data_dir``."""

    async def bare(self, base_url: str, admin_key: str, stop: asyncio.Event) -> None:
        """Say it for a venue without a demo. If it has no market yet: how to get one."""
        try:
            async with Venue(base_url, retry_s=0) as venue:
                count = (await venue.list_markets()).count
        except VenueError:
            count = 1
        if not stop.is_set():
            say(_text(() if count else self._next(), self._places(base_url)))

    def world(self, base_url: str, world: World, keys: Mapping[str, str]) -> None:
        """Say it for a world that moves. ``keys``: by the names of their files. Only a terminal shows them: a log is
        kept.
        """
        agents = counted(len(users_of(world)), "agent")
        markets = ", ".join(world.tickers[:NAMED_MAX]) + (" and others" if len(world.tickers) > NAMED_MAX else "")
        lines = [
            f"The world {world.name!r} is on. The prices of {markets} move, and {agents} trade.",
        ]
        traders = [key for key in world.keys if key.user_id and "trade" in key.scopes]
        if traders and world.markets:
            lines += [
                f"To trade as {traders[0].user_id}, in another terminal:",
                self._order(base_url, traders[0].file, world.markets[0].body),
            ]
        say(_text(lines, [*self._keys(world, keys), *self._places(base_url)]))

    def _order(self, base_url: str, key_file: str, market: MarketBody) -> str:
        """The command that opens a position."""
        url = f"{self._url(base_url)}/api/markets/perps/open"
        path = shlex.quote(os.path.abspath(self.data_dir / key_file))
        most = LEVERAGE[market.preset] if market.preset else 10
        order = {"ticker": market.ticker, "side": "long", "size": "1000", "leverage": market.max_leverage or most}
        body = json.dumps(order, separators=(",", ":"))
        return f"""  curl -sS {url} -w '\\n' \\
      -H "Authorization: Bearer $(cat {path})" \\
      -d '{body}'"""

    def _url(self, base_url: str) -> str:
        """Where a caller on this machine reaches the venue."""
        return f"http://{reachable_host(self.host)}:{urlsplit(base_url).port}"

    def _keys(self, world: World, keys: Mapping[str, str]) -> Iterator[Row]:
        for at, key in enumerate(world.keys):
            place = shown(self.data_dir / key.file)
            shown_key = keys[key.file] if sys.stderr.isatty() else place
            yield "" if at else "Keys", f"{key.user_id or 'scope ' + ', '.join(key.scopes)}: {shown_key}"

    def _next(self) -> Iterator[str]:
        """What to do with a venue that has no market."""
        other = "" if shown(self.data_dir) == str(DATA_DIR) else f" --data-dir {shlex.quote(shown(self.data_dir))}"
        yield "There is no market yet. To list one, in another terminal:"
        yield f"  {program()} {FIRST_MARKET}{other}"
        yield "Or stop the venue and start the demo, where prices move and agents trade:"
        yield f"  {program()} serve --demo"

    def _places(self, base_url: str) -> Iterator[Row]:
        where = "in PERPS_ADMIN_KEY" if self.is_key_in_environment else shown(self.data_dir / ADMIN_KEY)
        yield "Page", f"{self._url(base_url)} in a browser"
        yield "Admin key", where
        yield "Try it", f"{self._url(base_url)}/docs in a browser: the API, with a key to trade by hand"
        if docs := [shown(ROOT / page) for page in DOCS if (ROOT / page).exists()]:
            yield "Docs", ", ".join(docs)
        yield "Data", shown(self.data_dir) + (" and the database of --database-url" if self.has_own_database else "")
        yield "Stop", "Ctrl-C" if sys.stdin.isatty() else f"kill {os.getpid()}"


def _text(lines: Iterable[str], rows: Iterable[Row]) -> str:
    """Lines with space between them, then a table of names and what they mean."""
    table = "\n".join(f"  {name:<10} {text}" for name, text in rows)
    return "\n".join(["", *(f"  {line}\n" for line in lines), f"{table}\n"])
