"""What a venue says to the person who started it, once it is ready: what to do now, and where things are."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from perps.client import Venue, VenueError
from tools.addresses import reachable_host
from tools.invocation import program, shown
from tools.venues import DATA_DIR
from web.process.log_sink import say

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ("README.md", "docs/running.md", "docs/api.md")
"""They are there in a clone of the project."""
FIRST_ORDER: Final = {"ticker": "BTC-PERP", "side": "long", "size": "1000", "leverage": 10}
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

    def demo(self, base_url: str, keys: Mapping[str, str], markets: Sequence[str], agents: int) -> None:
        """Say it for a demo that trades. ``keys``: of each person. Only a terminal shows them: a log is kept."""
        person = next(iter(keys))
        lines = (
            f"The demo is on. The prices of {', '.join(markets)} move, and {agents} agents trade.",
            f"To trade in a browser, open http://{reachable_host(self.host)}:{urlsplit(base_url).port}",
            f"To trade as {person}, in another terminal:",
            self._order(base_url, person),
        )
        say(_text(lines, [*self._keys(keys), *self._places(base_url)]))

    def _order(self, base_url: str, person: str) -> str:
        """The command that opens a position."""
        url = f"{self._url(base_url)}/api/markets/perps/open"
        key_file = shlex.quote(os.path.abspath(self.data_dir / f"{person}.key"))
        body = json.dumps(FIRST_ORDER, separators=(",", ":"))
        return f"""  curl -sS {url} -w '\\n' \\
      -H "Authorization: Bearer $(cat {key_file})" \\
      -d '{body}'"""

    def _url(self, base_url: str) -> str:
        """Where a caller on this machine reaches the venue."""
        return f"http://{reachable_host(self.host)}:{urlsplit(base_url).port}"

    def _keys(self, keys: Mapping[str, str]) -> Iterator[Row]:
        for at, (person, key) in enumerate(keys.items()):
            place = shown(self.data_dir / f"{person}.key")
            yield "" if at else "Keys", f"{person}: {key if sys.stderr.isatty() else place}"

    def _next(self) -> Iterator[str]:
        """What to do with a venue that has no market."""
        other = "" if shown(self.data_dir) == str(DATA_DIR) else f" --data-dir {shlex.quote(shown(self.data_dir))}"
        yield "There is no market yet. To list one, in another terminal:"
        yield f"  {program()} {FIRST_MARKET}{other}"
        yield "Or stop the venue and start the demo, where prices move and agents trade:"
        yield f"  {program()} serve --demo"

    def _places(self, base_url: str) -> Iterator[Row]:
        where = "in PERPS_ADMIN_KEY" if self.is_key_in_environment else shown(self.data_dir / "admin.key")
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
