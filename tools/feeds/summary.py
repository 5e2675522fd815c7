"""What a feed says at its end: what it sent, and what that did."""

from __future__ import annotations

import json
from collections.abc import Sequence

import rich_click as click

from tools.feeds.market_feed import PriceFeed
from tools.output import show_line, show_table

NAMES = ("ticker", "prices", "overtaken", "lastPrice", "liquidations")
COLUMNS = ("ticker", "prices", "overtaken", "last price", "liquidations")


def summary(feeds: Sequence[PriceFeed], *, as_json: bool, seed: int | None = None) -> int:
    """Show what was sent and what that did. The exit code: 1 if a market took no price."""
    rows = [(p.ticker, p.sent, p.overtaken, None if p.last is None else f"{p.last:f}", p.liquidations) for p in feeds]
    if as_json:
        told = {"feeds": [dict(zip(NAMES, row, strict=True)) for row in rows]}
        click.echo(json.dumps(told if seed is None else {"seed": seed, **told}))
    else:
        show_table(COLUMNS, [["-" if cell is None else str(cell) for cell in row] for row in rows])
    for feed in feeds:
        if feed.overtaken and not feed.sent:
            hint = f"{feed.ticker} took no price: another feed sends it newer ones as {feed.source}"
            show_line(f"{hint}. End that one, or use another --source", err=True)
    return 0 if all(feed.sent for feed in feeds) else 1
