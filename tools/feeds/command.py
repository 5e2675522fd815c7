"""``perps feed``: sends prices to a running venue, as an outside feed would."""

from __future__ import annotations

import rich_click as click

from tools.feeds.polling import poll_prices
from tools.feeds.replaying import check_file, replay_file
from tools.feeds.simulating import simulate_feed
from tools.settings import SettingsGroup


@click.group(cls=SettingsGroup)
def feed() -> None:
    """Send recorded, live or simulated prices to markets."""


for _command in (replay_file, check_file, poll_prices, simulate_feed):
    feed.add_command(_command)
