"""``perps serve``: settings in, ``web.compose`` does the rest."""

import os
import sys
from pathlib import Path
from typing import Final

import rich_click as click

from tools.settings import ServeCommand, data_dir_option, database_url_option
from tools.values import Real, Whole
from tools.venue_address import HOST, PORT, PORT_MAX

ADMIN_KEY_CHARACTERS_MIN: Final = 20
"""A shorter key is taken, with a warning."""

LOG_LEVELS = ("debug", "info", "warning", "error")


@click.command(cls=ServeCommand)
@click.option("--host", default=HOST, show_default=True, help="The address to listen on.")
@click.option("--port", type=Whole(0, PORT_MAX), default=PORT, show_default=True, help="0: any free one.")
@data_dir_option
@database_url_option
@click.option(
    "--demo/--no-demo", default=False, show_default=True, help="Sample markets, users, a moving feed and agents."
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
    help="Take a snapshot after this time, if there is any new row.",
)
@click.option(
    "--one-processor/--all-processors",
    default=True,
    show_default=True,
    help="Keep the venue's threads on one processor, which the kernel chooses: quicker.",
)
@click.option("--log-level", type=click.Choice(LOG_LEVELS, case_sensitive=False), default="info", show_default=True)
def serve(
    host: str,
    port: int,
    data_dir: Path,
    database_url: str | None,
    demo: bool,
    snapshot_rows: int,
    snapshot_seconds: float,
    one_processor: bool,
    log_level: str,
) -> int:
    """Run the venue until SIGTERM or Ctrl-C.

    Without a database URL it runs on an embedded PostgreSQL in the data directory. PERPS_ADMIN_KEY sets the
    administrator's key; without it one is made once and written to <data-dir>/admin.key.

    SIGUSR1: every thread says on stderr where it stands. Exit code 70: the event loop stood still for a minute.
    """
    if not host or any(character.isspace() for character in host):
        raise click.BadParameter("an address or a name", param_hint="--host")
    admin_key = os.environ.get("PERPS_ADMIN_KEY") or None
    if admin_key is not None and not (admin_key.isascii() and admin_key.isprintable() and " " not in admin_key):
        raise click.UsageError("PERPS_ADMIN_KEY: printable ASCII without spaces")
    if admin_key is not None and len(admin_key) < ADMIN_KEY_CHARACTERS_MIN:
        print(
            f"perps: warning: PERPS_ADMIN_KEY has {len(admin_key)} characters and may be guessed:"
            f" take {ADMIN_KEY_CHARACTERS_MIN} random ones or more",
            file=sys.stderr,
        )

    from tools.sample.demo import run_demo
    from tools.snapshot_follower import FOLLOWER
    from web.compose import ServeSettings
    from web.compose import serve as run
    from web.process.snapshots import SnapshotPolicy

    return run(
        ServeSettings(
            host=host,
            port=port,
            data_dir=data_dir,
            database_url=database_url,
            admin_key=admin_key,
            snapshots=SnapshotPolicy(rows=snapshot_rows, seconds=snapshot_seconds),
            snapshot_command=FOLLOWER,
            log_level=log_level.lower(),
            one_processor=one_processor,
        ),
        run_demo if demo else None,
    )
