"""Compares two images of the read model, and names the first place where they differ."""

from __future__ import annotations

from collections.abc import Sequence

from web.readside.image import UserImage, ViewImage, ViewsImage


def first_difference(found: ViewsImage, right: ViewsImage) -> str | None:
    """The first place where the stored image is not what the rows lead to; None if they are equal.

    Volumes and flows that do not count from the first row, as in a snapshot of an older version, are not compared.
    """
    counts = found.volume_from == right.volume_from
    names, order = [user.user for user in found.users], [user.user for user in right.users]
    if names != order:
        return _names("users", names, order)
    tickers, listed = list(found.markets), list(right.markets)
    if tickers != listed:
        return _names("markets", tickers, listed)
    for user, of_rows in zip(found.users, right.users, strict=True):
        shown = user if counts else user._replace(volume=of_rows.volume)
        if shown != of_rows:
            return _field(f"user {user.user}", UserImage._fields, shown, of_rows)
    for ticker, market in found.markets.items():
        of_rows_too = market.flows is not None and market.flows.is_whole
        shown_market = market if of_rows_too else market._replace(flows=right.markets[ticker].flows)
        if shown_market != right.markets[ticker]:
            return _market(ticker, shown_market, right.markets[ticker])
    return None


def _market(ticker: str, found: ViewImage, right: ViewImage) -> str:
    but_history = found._replace(history=right.history)
    if but_history != right:
        return _field(f"market {ticker}", ViewImage._fields, but_history, right)
    if found.history.minute != right.history.minute:
        return f"market {ticker}: its minute is {found.history.minute}, the rows lead to {right.history.minute}"
    for interval, candles in right.history.ended.items():
        stored = found.history.ended.get(interval, [])
        for one, other in zip(stored, candles, strict=False):
            if one != other:
                return f"market {ticker}: a candle of {interval} ms is {one}, the rows lead to {other}"
        if len(stored) != len(candles):
            return f"market {ticker}: {len(stored)} candles of {interval} ms, the rows lead to {len(candles)}"
    return f"market {ticker}: candles of {sorted(found.history.ended)} ms"


def _names(what: str, found: Sequence[str], right: Sequence[str]) -> str:
    known, wanted = set(found), set(right)
    missing, added = [name for name in right if name not in known], [name for name in found if name not in wanted]
    if missing:
        return f"{what}: {missing[0]} is missing"
    if added:
        return f"{what}: {added[0]} is there, and no row leads to it"
    return f"{what}: not in the order that the rows lead to, or one of them twice"


def _field(what: str, names: Sequence[str], found: Sequence[object], right: Sequence[object]) -> str:
    name, one, other = next(
        (name, one, other) for name, one, other in zip(names, found, right, strict=True) if one != other
    )
    return f"{what}: {name} is {one}, the rows lead to {other}"
