"""The slow model from outside: all books from nothing but what the REST interface shows::

        books = recompute_balances(
            markets=[Rules.of(ticker="BTC-PERP", tick_size="0.01", lot_size="0.0001", skew_scale="1000",
                              taker_fee="0.001", liquidation_fee="0.002", referral_share="0.5")],
            deposits=[("ann", "1000"), ("bob", "1000"), ("bob", "-20")],      # withdrawals are negative
            referrers={"ann": "bob"},
            trades=[Trade.of(user="ann", ticker="BTC-PERP", position="BTC-PERP-1", kind="open", side="buy",
                             quantity="0.2", lot_size="0.0001", index_price="50000.00", leverage=10), ...])
        books.wallets["ann"]    # micros, to the last one

``trades`` are *all* trades of these markets in journal order (the skew they meet follows from those before them).
Deposits and trades need no common order: money has no influence on a price. Margin in and out
comes with how many trades were before it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from tests.model.slow_model import SlowVenue, Trade
from tests.model.slow_rules import Number, Rules, micros


def recompute_balances(
    *,
    markets: Iterable[Rules],
    deposits: Iterable[tuple[str, Number]],
    trades: Iterable[Trade],
    referrers: Mapping[str, str | None] | None = None,
    margins: Iterable[tuple[int, str, int]] = (),
) -> SlowVenue:
    """What every account must hold after ``trades``, from public facts alone.

    ``deposits`` in units of the quote currency (strings), withdrawals negative. ``margins``: behind how many trades
    margin went into which position, in micros; out of it: negative. Returns the books: ``wallets`` by
    user, ``positions``, ``fees``, and per market ``house``, ``insurance`` and ``margin(ticker)``, in micros.
    """
    venue = SlowVenue(referrers=dict(referrers or {}))
    for rules in markets:
        venue.listed(rules, 1)
    for user, amount in deposits:
        venue.deposited(user, micros(amount))
    moves = defaultdict[int, list[tuple[str, int]]](list)
    for behind, position, amount in margins:
        moves[behind].append((position, amount))
    for behind, trade in enumerate(trades):
        for position, amount in moves.pop(behind, ()):
            venue.margin_moved(position, amount)
        venue.traded(trade)
    for position, amount in (move for left in moves.values() for move in left):
        venue.margin_moved(position, amount)
    return venue
