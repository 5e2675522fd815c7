"""``perps serve``: checks the settings and hands them to ``web.compose``, which runs the venue."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import rich_click as click

from tools.addresses import HOST, PORT, PORT_MAX
from tools.argument_types import Real, Whole
from tools.cli import Loading
from tools.errors import ToolError
from tools.invocation import serve_on
from tools.settings import ServeCommand, data_dir_option_else, database_url_option
from tools.venues import DATA_DIR, DEMO_DATA_DIR
from web.process.data_directory import ADMIN_KEY_CHARACTERS_MIN

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from tools.worlds.world import World
    from web.compose import Companion, ServeSettings

PARTITION_ROWS_MIN: Final = 100
PARTITION_ROWS_MAX: Final = 1_000_000_000
DEMO: Final = "demo"
"""The world of ``--demo``."""
CLOCKS: Final = ("real", "manual")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")


@click.command(cls=ServeCommand)
@click.option("--host", default=HOST, show_default=True, help="The address to listen on; 0.0.0.0 is every address.")
@click.option("--port", type=Whole(0, PORT_MAX), default=PORT, show_default=True, help="The port; 0 is any free one.")
@data_dir_option_else(f"{DATA_DIR}; {DEMO_DATA_DIR} with --demo, game-data with --world game")
@database_url_option
@click.option(
    "--demo/--no-demo", default=False, show_default=True, help="Add sample markets, users, moving prices and agents."
)
@click.option(
    "--world",
    metavar="FILE|NAME",
    help="Add the markets, users, prices and agents of a world's file; or of demo, game or crypto, which are there.",
)
@click.option(
    "--demo-sign-in/--no-demo-sign-in",
    default=True,
    show_default=True,
    help="Let browsers on this machine trade as the demo's people. Say no before a proxy here lets others in.",
)
@click.option(
    "--snapshot-rows",
    type=Whole(1),
    default=100_000,
    show_default=True,
    help="Take a snapshot after this many journal rows.",
)
@click.option(
    "--snapshot-seconds",
    type=Real(1),
    default=300.0,
    show_default=True,
    help="Take a snapshot after this many seconds, if there is a new row.",
)
@click.option(
    "--partition-rows",
    type=Whole(PARTITION_ROWS_MIN, PARTITION_ROWS_MAX),
    help="Rows in each part of the journal that perps archive can move away. Only for a new database, which keeps it."
    "  [default: 1000000]",
)
@click.option(
    "--one-processor/--all-processors",
    default=True,
    show_default=True,
    help="Keep all threads on one processor, which is quicker.",
)
@click.option(
    "--clock",
    type=click.Choice(CLOCKS, case_sensitive=False),
    default="real",
    show_default=True,
    help="manual: time stands still, and an administrator advances it (POST /api/admin/clock/advance). For tests.",
)
@click.option(
    "--rate-limit",
    type=Whole(0),
    default=20_000,
    show_default=True,
    help="Points a second that one user, or one key without a user, may spend; 0 is no limit.",
)
@click.option(
    "--rate-limit-address",
    type=Whole(0),
    default=1_000,
    show_default=True,
    help="The same for callers without a key, by their address; 0 is no limit. This machine's own have none.",
)
@click.option(
    "--cors-origin",
    "cors_origins",
    multiple=True,
    help="A site whose pages may use the API, such as https://example.org; repeat it for more; * is every site.",
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    help="A name under which callers reach the venue; repeat it for more; * is any."
    "  [default: localhost and the host above]",
)
@click.option(
    "--public-leaderboard",
    is_flag=True,
    help="Let anybody see the leaderboard, with the names of users; else it is for administrators.",
)
@click.option(
    "--log-level",
    type=click.Choice(LOG_LEVELS, case_sensitive=False),
    default="info",
    show_default=True,
    help="The least important log lines to write to stderr.",
)
def serve(
    host: str,
    port: int,
    data_dir: Path | None,
    database_url: str | None,
    demo: bool,
    world: str | None,
    demo_sign_in: bool,
    snapshot_rows: int,
    snapshot_seconds: float,
    partition_rows: int | None,
    one_processor: bool,
    clock: str,
    rate_limit: int,
    rate_limit_address: int,
    cors_origins: tuple[str, ...],
    allowed_hosts: tuple[str, ...],
    public_leaderboard: bool,
    log_level: str,
) -> int:
    """Run the venue until SIGTERM or Ctrl-C.

    A new venue is bare: list a market, or start with --demo to see markets that move, or with --world game for a game.
    Once it is ready, the venue says what to do next.

    Without --database-url the venue runs its own PostgreSQL server in the data directory.

    PERPS_ADMIN_KEY sets the administrator's key. Without it, the first start makes a key and writes it to
    <data-dir>/admin.key.

    SIGUSR1 makes the venue write to stderr what each of its threads is doing. Exit code 70: the event loop stood still
    for a minute.
    """
    if not host or any(character.isspace() for character in host):
        raise click.BadParameter("give an IP address or a host name", param_hint="--host")
    admin_key = os.environ.get("PERPS_ADMIN_KEY") or None
    if admin_key is not None and not (admin_key.isascii() and admin_key.isprintable() and " " not in admin_key):
        raise click.UsageError("PERPS_ADMIN_KEY: use printable ASCII characters without spaces")
    if admin_key is not None and len(admin_key) < ADMIN_KEY_CHARACTERS_MIN:
        raise click.UsageError(
            f"PERPS_ADMIN_KEY is shorter than {ADMIN_KEY_CHARACTERS_MIN} characters and could be guessed:"
            f" use {ADMIN_KEY_CHARACTERS_MIN} random ones or more"
        )

    from tools.worlds.reading import path_of, read_world

    asked = read_world(path_of(world or DEMO)) if world or demo else None
    data_dir = data_dir or (Path(f"{asked.name}-data") if asked else DATA_DIR)

    with Loading():
        from tools.snapshot_follower import FOLLOWER
        from web.compose import ServeSettings
        from web.compose import serve as run
        from web.limits.admission import RequestLimits
        from web.limits.origins import sites
        from web.process.snapshots import SnapshotPolicy

    page_keys: dict[str, str] = {}
    settings = ServeSettings(
        host=host,
        port=port,
        data_dir=data_dir,
        database_url=database_url,
        admin_key=admin_key,
        snapshots=SnapshotPolicy(rows=snapshot_rows, seconds=snapshot_seconds),
        snapshot_command=FOLLOWER,
        partition_rows=partition_rows,
        clock_is_manual=clock.lower() == "manual",
        log_level=log_level.lower(),
        one_processor=one_processor,
        requests=RequestLimits(key_points_per_s=rate_limit, address_points_per_s=rate_limit_address),
        sites=sites(host, allowed_hosts, cors_origins),
        public_leaderboard=public_leaderboard,
        demo_keys=page_keys if demo_sign_in else {},
        on_port=serve_on,
    )
    return run(settings, _companion(settings, asked, page_keys))


def _companion(settings: ServeSettings, world: World | None, page_keys: dict[str, str]) -> Companion:
    """What runs beside the venue: the world, which puts the keys that the page may use into ``page_keys``; without a
    world, the one that says what to do next.
    """
    from tools.welcome import Welcome
    from tools.worlds.run import run_world
    from web.process.log_sink import say

    welcome = Welcome(
        settings.host,
        settings.data_dir,
        is_key_in_environment=settings.admin_key is not None,
        has_own_database=settings.database_url is not None,
    )
    if world is None:
        return welcome.bare

    async def run(base_url: str, admin_key: str, stop: asyncio.Event) -> None:
        def ready(keys: Mapping[str, str]) -> None:
            page_keys.update({key.user_id: keys[key.file] for key in world.keys if key.on_page and key.user_id})
            welcome.world(base_url, world, keys)

        try:
            await run_world(base_url, admin_key, stop, world, keys_in=settings.data_dir, ready=ready)
        except ToolError as error:
            say(f"perps: error: {error}. The venue runs without the world")

    return run
