"""Topics: what a block is about. Whoever follows one of a block's topics gets it.

A ticker or ``MARKETS``; a user's trades and positions, of one market or of all; a user's money.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

Topics = frozenset[str]
"""What a subscriber follows."""

Tickers = frozenset[str] | None
"""None: all markets."""

MARKETS: Final = "markets"
"""No ticker: those have capitals only."""

ALL_MONEY: Final = "money"

MIXED: Final = "mixed"
"""Nothing is about it: who follows it follows markets and a user, and gets the state of both to begin with."""


def user(name: str | None, ticker: str = "") -> str:
    """Trades and positions of a user, or of all (None); of one market, or of all. No user id has a slash."""
    return f"users/{ticker}" if name is None else f"user:{name}/{ticker}"


def money(name: str) -> str:
    """A user's balance."""
    return f"money:{name}"


def of_markets(tickers: Tickers) -> Topics:
    """What a follower of these markets follows."""
    return frozenset((MARKETS,)) if tickers is None else tickers


def of_user(name: str | None, tickers: Tickers) -> Topics:
    """What a follower of a user, or of all users (None), follows: trades of these markets, and all of the money."""
    trades: Iterable[str] = ("",) if tickers is None else tickers
    return frozenset((ALL_MONEY if name is None else money(name), *(user(name, ticker) for ticker in trades)))
