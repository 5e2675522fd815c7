"""Whether what the read model saved beside a state can be of that state: a start shows what it says to everybody.

All that follows from the state is derived from it and compared. What only the rows can tell (a candle of yesterday, two
sums wrong by the same amount) is for ``perps verify``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

from perps.candles import MINUTE_MS
from perps.commands import PriceSource
from perps.market.state import Market
from perps.money.accounts import WORLD, user_account
from perps.venue import VenueState
from web.readside.flows import MINUTES_KEPT, FlowsImage
from web.readside.history import CANDLES_KEPT, INTERVALS, CandleImage, HistoryImage
from web.readside.image import UserImage, ViewImage, ViewsImage
from web.readside.sums import unpacked


def views_flaw(views: ViewsImage, state: VenueState) -> str | None:
    """Why these views cannot be those of a state; None when they can."""
    try:
        if views.volume_from is not None and not 0 <= views.volume_from <= state.offset:
            return f"its volumes count from row {views.volume_from}"
        return _users_flaw(views.users, state) or _markets_flaw(views.markets, state) or _outside_flaw(views, state)
    except ValueError:
        return "one of its sums is no number"


def _outside_flaw(views: ViewsImage, state: VenueState) -> str | None:
    """All money has come from outside: by users, with listings, or by administrators into houses and insurances."""
    outside = sum(unpacked(image.deposited) - unpacked(image.withdrawn) for image in views.users)
    outside += sum(market.params.house_deposit for market in state.markets.values())
    outside += sum(unpacked(view.funded) for view in views.markets.values())
    if outside != -state.ledger.balances.get(WORLD, 0):
        return f"{outside} micros came from outside, the accounts have {-state.ledger.balances.get(WORLD, 0)}"
    return None


def _users_flaw(users: Iterable[UserImage], state: VenueState) -> str | None:
    posted, opened = dict[str, int](), dict[str, list[tuple[str, int]]]()
    for ticker, market in state.markets.items():
        for number, position in sorted(market.positions.items()):
            posted[position.user] = posted.get(position.user, 0) + position.margin
            opened.setdefault(position.user, []).append((ticker, number))
        for order in market.orders.by_number.values():
            posted[order.user] = posted.get(order.user, 0) + order.reserve
    seen = set[str]()
    for image in users:
        if image.user in seen or image.user not in state.ledger.referrers:
            return f"{image.user} is in it twice, or is no user"
        seen.add(image.user)
        flaw = _sums_flaw(image, state.ledger.wallet(image.user), posted.get(image.user, 0))
        flaw = flaw or _list_flaw(image, opened.get(image.user, []))
        if flaw:
            return flaw
    missing = state.ledger.referrers.keys() - seen
    if missing:
        return f"{min(missing)} is not in it"
    return None


def _sums_flaw(image: UserImage, wallet: int, posted: int) -> str | None:
    """What a wallet holds beyond the sums is what others paid it: referrals, and debts that the house bore."""
    deposited, withdrawn, fees = unpacked(image.deposited), unpacked(image.withdrawn), unpacked(image.fees)
    if min(deposited, withdrawn, fees, unpacked(image.volume)) < 0:
        return f"{image.user} has a sum below 0"
    explained = deposited - withdrawn + unpacked(image.pnl) - fees - posted
    if explained > wallet:
        return f"the sums of {image.user} leave {explained} micros, {user_account(image.user)} holds {wallet}"
    return None


def _list_flaw(image: UserImage, opened: list[tuple[str, int]]) -> str | None:
    """The order between markets is not in the state, that within a market is."""
    if sorted(image.positions) != sorted(opened):
        return f"{image.user} has not the positions that the markets have of them"
    last = dict[str, int]()
    for ticker, number in image.positions:
        if number < last.get(ticker, 0):
            return f"{image.user} has {ticker}-{number} behind {ticker}-{last[ticker]}"
        last[ticker] = number
    return None


def _markets_flaw(views: Mapping[str, ViewImage], state: VenueState) -> str | None:
    if views.keys() != state.markets.keys():
        return f"it has not the markets that the state has: {', '.join(sorted(views.keys() ^ state.markets.keys()))}"
    for ticker, view in views.items():
        if not state.markets[ticker].seq <= view.offset <= state.offset or not 0 < view.price_offset <= view.offset:
            return f"{ticker} stands at row {view.offset}, its price at row {view.price_offset}"
        if view.price_source not in frozenset(PriceSource):
            return f"{ticker} has its price from {view.price_source!r}"
        flaw = _history_flaw(view.history, state.markets[ticker]) or _flows_flaw(view.flows, view.offset)
        if flaw:
            return f"{ticker}: {flaw}"
    return None


def _flows_flaw(flows: FlowsImage | None, last: int) -> str | None:
    """Why these flows cannot be; sums of minutes follow from nothing that the state has."""
    if flows is None:
        return None
    latest: dict[int, int] = {}
    for _, start in flows.traders:
        latest[start] = latest.get(start, 0) + 1
    for minute in flows.minutes:
        bought, sold, liquidated = (unpacked(minute[at]) for at in (1, 2, 6))
        start, (*_, told, stands, ended_by) = minute[0], minute
        if min(bought, sold, *minute[3:6]) < 0 or not 0 <= liquidated <= bought + sold or start % MINUTE_MS:
            return f"the flow of a minute cannot be: {minute}"
        if not 0 <= stands <= told or stands != latest.get(start, 0) or not 0 <= ended_by <= last:
            return f"the traders of a minute cannot be: {minute}"
    if any(one[0] >= other[0] or not one[9] for one, other in pairwise(flows.minutes)):
        return "the minutes of its flows are not in order"
    if len(flows.minutes) > MINUTES_KEPT + 1 or any(one[1] > other[1] for one, other in pairwise(flows.traders)):
        return "its flows have too many minutes, or traders in no order"
    return None


def _history_flaw(history: HistoryImage, market: Market) -> str | None:
    minute = history.minute
    if minute is None or minute[0] > market.at or minute[4] != market.quote or _candle_flaw(minute, MINUTE_MS):
        return f"the candle of this minute cannot end at {market.quote}: {minute}"
    if sorted(history.ended) != sorted(INTERVALS.values()):
        return f"candles of {sorted(history.ended)} ms"
    for interval, candles in history.ended.items():
        if len(candles) > CANDLES_KEPT or any(_candle_flaw(candle, interval) for candle in candles):
            return f"a candle of {interval} ms cannot be"
        if any(one[0] >= other[0] for one, other in pairwise(candles)):
            return f"candles of {interval} ms are not in order"
        if candles and candles[-1][0] > minute[0]:
            return f"a candle of {interval} ms begins after this minute"
    return None


def _candle_flaw(candle: CandleImage, interval: int) -> bool:
    start, opened, high, low, closed, volume, count = candle
    ordered = 0 < low <= min(opened, closed) <= max(opened, closed) <= high
    return bool(start % interval) or not ordered or min(unpacked(volume), count) < 0
