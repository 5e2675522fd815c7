"""``perps snapshot``: save the state now, by the running venue or straight from the database."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import rich_click as click

from tools.audit.database import venue_database
from tools.errors import ToolError
from tools.output import show_record
from tools.settings import (
    Access,
    SettingsCommand,
    access_to,
    data_dir_option,
    database_url_option,
    json_option,
    key_option,
    url_option,
)

if TYPE_CHECKING:
    from web.process.snapshot_taking import SnapshotTaken

TIMEOUT_S: Final = 3_600.0


@click.command(cls=SettingsCommand)
@click.option("--offline", is_flag=True, help="Read the database directly, with or without a running venue.")
@url_option
@key_option
@data_dir_option
@database_url_option
@json_option
def snapshot(
    offline: bool,
    url: str | None,
    key: str | None,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Save the venue's state now, so that the next start is quick.

    A venue starts from the newest snapshot and reads only the rows after it. The running venue takes the snapshot, or
    with --offline this command does it from the database. Neither delays trading.
    """
    taken = _offline(database_url, data_dir) if offline else _by_venue(access_to(url, key, data_dir))
    if as_json:
        click.echo(json.dumps(taken))
    else:
        show_record(taken)


def _by_venue(access: Access) -> dict[str, object]:
    from perps.wire.venue import TAKE_SNAPSHOT
    from tools.client import venue_at

    async def ask() -> dict[str, object]:
        async with venue_at(access, retry_s=0, timeout_s=TIMEOUT_S) as venue:
            return await venue.call(TAKE_SNAPSHOT, dict[str, object])

    return asyncio.run(ask())


def _offline(database_url: str | None, data_dir: Path | None) -> dict[str, object]:
    from perps.snapshot.format import SnapshotBroken
    from perps.venue import JournalCorrupt
    from web.compose import snapshot_of
    from web.process import logs

    logs.configure("warning")
    with venue_database(database_url, data_dir) as url:
        try:
            taken = snapshot_of(url)
        except (JournalCorrupt, SnapshotBroken) as error:
            raise ToolError(str(error)) from error
    return record(taken)


def record(taken: SnapshotTaken) -> dict[str, object]:
    """A stored snapshot as it is shown; the venue answers the same."""
    return {
        "offset": taken.offset,
        "stateHash": taken.state_hash.hex(),
        "size": taken.size,
        "rows": taken.rows,
    }
