"""``perps snapshot``: the state on disk, now; by the running venue, or straight from the database."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from pathlib import Path
from typing import Final

import rich_click as click

from tools.audit.database import venue_database
from tools.errors import ToolError
from tools.options import SettingsCommand, data_dir_option, database_url_option, find_key, json_option, url_option
from tools.output import show_record

TIMEOUT_S: Final = 3_600.0


FOLLOWER: Final = (sys.executable, "-P", "-m", "tools", "snapshot", "--offline", "--json", "--while-stdin")
"""How a venue has its snapshots taken: by this very command, which ends with it. ``-P``: whatever lies in the working
directory under the name of a package of ours is not it."""


@click.command(cls=SettingsCommand)
@click.option("--offline", is_flag=True, help="Straight from the database, whether a venue runs or not.")
@click.option("--while-stdin", is_flag=True, hidden=True, help="End at the end of standard input.")
@url_option
@click.option("--key", envvar="PERPS_ADMIN_KEY", help="The key to act with.  [default: <data-dir>/admin.key]")
@data_dir_option
@database_url_option
@json_option
def snapshot(
    offline: bool,
    while_stdin: bool,
    url: str,
    key: str | None,
    data_dir: Path,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Take a snapshot of all that is durable by now.

    Start-up begins from the newest one. Taking one needs no venue and disturbs none: it is recovery, and then the
    state it has come to, saved.
    """
    if while_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    taken = _offline(database_url, data_dir) if offline else _by_venue(url, find_key(key, data_dir))
    if as_json:
        click.echo(json.dumps(taken))
    else:
        show_record(taken)


def _end_with_stdin() -> None:
    """Whoever asked for this is gone: a snapshot is stored whole or not at all, so this may end anywhere."""
    while os.read(0, 1 << 16):
        pass
    os._exit(1)


def _by_venue(url: str, key: str) -> dict[str, object]:
    from tools.client import Venue

    async def ask() -> bytes:
        async with Venue(url, key, attempts_max=1, timeout_s=TIMEOUT_S) as venue:
            return await venue.call("POST", "/api/admin/snapshots", None, idempotent=True)

    answer: dict[str, object] = json.loads(asyncio.run(ask()))
    return answer


def _offline(database_url: str | None, data_dir: Path) -> dict[str, object]:
    from perps.venue import JournalCorrupt
    from web import logs
    from web.compose import snapshot_of

    logs.configure("warning")
    with venue_database(database_url, data_dir) as url:
        try:
            taken = snapshot_of(url)
        except JournalCorrupt as error:
            raise ToolError(str(error)) from error
    return {
        "offset": taken.offset,
        "stateHash": taken.state_hash.hex(),
        "size": taken.size,
        "rows": taken.rows,
    }
