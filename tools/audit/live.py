"""What a running venue answers over REST, beside what its journal leads to at the very same row.

Every answer names the row that it is as of, and nothing leaves a venue before its row is durable. So the rows up to
there can be replayed, and the answer must be equal to the letter, however busy the venue is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from perps.client import Venue
from perps.journal import Row
from perps.market.position import position_id
from perps.market.state import Market
from perps.money.ledger import Ledger
from perps.venue import VenueState
from perps.wire.markets import LIST_MARKETS
from perps.wire.trading import POSITIONS
from perps.wire.venue import STATS
from tools.client import venue_at
from tools.errors import BadAnswer
from tools.settings import Access
from web.answers import decimals, positions

USERS_AT_ONCE: Final = 8
ASKED_MAX: Final = 20
ASK_AGAIN_S: Final = 0.1
POSITIONS_MAX: Final = 500
"""The longest page of a list. A user with more open positions is left out."""

Values = Mapping[str, object]
Offset = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class _Answer(Struct, frozen=True, rename="camel"):
    """The part of an answer that is compared. If a field is missing or has another type, it is not this version's."""


class _Interest(_Answer, frozen=True):
    long: str
    short: str


class _Prices(_Answer, frozen=True):
    """What ``GET /api/markets/perps`` says of a market, without what depends on the time of day."""

    ticker: str
    index_price: str
    mark_price: str
    current_price: str
    skew: str
    open_interest: _Interest


class _Markets(_Answer, frozen=True):
    offset: Offset
    markets: Sequence[_Prices]


class _Numbers(_Answer, frozen=True):
    """What ``GET /api/admin/stats`` says of a market."""

    ticker: str
    status: str
    positions: int
    margin: str
    skew: str
    house: str
    insurance: str


class _Stats(_Answer, frozen=True):
    offset: Offset
    users: int
    accounts: Mapping[str, str]
    markets: Sequence[_Numbers]


class _Shown(_Answer, frozen=True):
    positions: Sequence[dict[str, object]]


class _Positions(_Answer, frozen=True):
    offset: Offset
    perpetuals: _Shown
    next_cursor: str | None


class Said(Struct, frozen=True):
    """One statement of a venue: about itself, a market, or a user's open positions."""

    offset: int
    """The row that it is as of."""
    about: str
    """``venue``, ``market``, ``positions``, or ``markets``: which markets exist."""
    name: str
    """The market's ticker, the user's id, or the list that names the markets; empty for the venue."""
    values: Mapping[str, Values]
    """For positions by id; for lists of markets by ticker, without values; else under the empty text."""


class Difference(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One value that differs between two places."""

    field: str
    journal: str
    """What the rows up to ``offset`` lead to."""
    offset: int
    ticker: str | None = None
    position_id: str | None = None
    memory: str | None = None
    """What the running venue says."""
    tables: str | None = None
    """What the query tables hold."""


ABSENT: Final = "absent"
"""Stands for the value if one side does not have the other's market or position."""


async def ask_venue(access: Access, *, not_before: int = 0) -> list[Said]:
    """What the venue says about itself and each market.

    A row that has just become durable shows in the venue's answers a moment later. So this asks again, a few times,
    until the answer is as of row ``not_before`` or later.
    """
    async with venue_at(access) as venue:
        markets = await venue.call(LIST_MARKETS, _Markets)
        for _ in range(ASKED_MAX):
            if markets.offset >= not_before:
                break
            await asyncio.sleep(ASK_AGAIN_S)
            markets = await venue.call(LIST_MARKETS, _Markets)
        stats = await venue.call(STATS, _Stats)
    return [
        _listed(markets.offset, "market", (shown.ticker for shown in markets.markets)),
        *(Said(markets.offset, "market", shown.ticker, {"": _prices(shown)}) for shown in markets.markets),
        _listed(stats.offset, "stats", (own.ticker for own in stats.markets)),
        *(Said(stats.offset, "market", own.ticker, {"": _numbers(own)}) for own in stats.markets),
        Said(stats.offset, "venue", "", {"": {"users": stats.users, **stats.accounts}}),
    ]


def _listed(offset: int, name: str, tickers: Iterable[str]) -> Said:
    return Said(offset, "markets", name, {ticker: {} for ticker in tickers})


async def ask_positions(access: Access, users: Sequence[str], tell: Callable[[int], object]) -> list[Said]:
    """What the venue says about these users' open positions. Users with more than ``POSITIONS_MAX`` are left out."""
    said: list[Said] = []
    waiting = iter(users)

    async def work(venue: Venue) -> None:
        for user in waiting:
            answer = await venue.call(POSITIONS, _Positions, user_id=user, status="open", limit=POSITIONS_MAX)
            if answer.next_cursor is None:
                by_id = {str(position.get("id")): position for position in answer.perpetuals.positions}
                if len(by_id) < len(answer.perpetuals.positions):
                    raise BadAnswer(f"{access.url} gave an answer that no venue gives: {user} has a position twice")
                said.append(Said(answer.offset, "positions", user, by_id))
            tell(len(said))

    async with venue_at(access) as venue:
        await asyncio.gather(*(work(venue) for _ in range(USERS_AT_ONCE)))
    return said


class Follower:
    """A state that follows the journal to the rows that the venue's answers are as of."""

    def __init__(self, state: VenueState, rows_after: Callable[[int], Iterator[Row]]) -> None:
        self.state = state
        self._rows_after = rows_after
        self._rows = rows_after(state.offset)
        self._owned: dict[str, list[tuple[str, int]]] | None = None

    def follow(self, offset: int) -> bool:
        """Apply all rows up to ``offset``; False if it does not exist or has passed. Raises ``JournalCorrupt``."""
        while self.state.offset < offset:
            row = next(self._rows, None)
            if row is None:  # the end of the journal when this page was read; there may be more by now
                self._rows = self._rows_after(self.state.offset)
                row = next(self._rows, None)
            if row is None:
                return False
            self.state.apply(row)
            self._owned = None
        return self.state.offset == offset

    def owners(self) -> list[str]:
        """Users with open positions."""
        users = (position.user for market in self.state.markets.values() for position in market.positions.values())
        return sorted(set(users))

    def owned_by(self, user: str) -> Sequence[tuple[str, int]]:
        """Tickers and numbers of a user's open positions."""
        if self._owned is None:
            self._owned = {}
            for ticker, market in self.state.markets.items():
                for position in market.positions.values():
                    self._owned.setdefault(position.user, []).append((ticker, position.number))
        return self._owned.get(user, ())


def differences_in_memory(follower: Follower, said: Iterable[Said]) -> Iterator[Difference]:
    """Where the venue's statements are not what the rows lead to. Raises ``JournalCorrupt``."""
    for words in sorted(said, key=lambda words: words.offset):
        if not follower.follow(words.offset):
            stands = str(follower.state.offset)
            yield Difference("offset", stands, words.offset, memory=str(words.offset))
            return
        expected = _expected(follower, words)
        for key in sorted(words.values.keys() | expected.keys()):
            if words.about == "markets" and key not in expected:
                continue  # a market that the journal does not have is reported with its own statement
            yield from _unequal(words, key, words.values.get(key), expected.get(key))


def _unequal(words: Said, key: str, memory: Values | None, journal: Values | None) -> Iterator[Difference]:
    named = Difference("", "", words.offset)
    if words.about == "market":
        named = msgspec.structs.replace(named, ticker=words.name)
    elif words.about == "positions":
        named = msgspec.structs.replace(named, ticker=key.rpartition("-")[0], position_id=key)
    elif words.about == "markets":
        named = msgspec.structs.replace(named, ticker=key)
    if memory is None or journal is None:
        there = "open" if words.about == "positions" else "listed"
        sides = [ABSENT if side is None else there for side in (memory, journal)]
        field = words.name if words.about == "markets" else words.about
        yield msgspec.structs.replace(named, field=field, memory=sides[0], journal=sides[1])
        return
    for name in journal:
        if words.about == "market" and name not in memory:
            continue  # each list says a part of a market
        value = memory.get(name, ABSENT)
        if journal[name] != value:
            yield msgspec.structs.replace(named, field=name, memory=str(value), journal=str(journal[name]))


def _expected(follower: Follower, words: Said) -> Mapping[str, Values]:
    state = follower.state
    match words.about:
        case "venue":
            return {"": {"users": len(state.ledger.referrers), **account_sums(state.ledger)}}
        case "market":
            market = state.markets.get(words.name)
            return {} if market is None else {"": market_values(market)}
        case "markets":
            return {ticker: {} for ticker in state.markets}
        case _:
            return {position_id(*place): _position(state, *place) for place in follower.owned_by(words.name)}


def _position(state: VenueState, ticker: str, number: int) -> Values:
    market = state.markets[ticker]
    shown = positions.open_position(market.positions[number], market.params, market.mark, market.funding_index)
    told: dict[str, object] = msgspec.to_builtins(shown)
    return told


def market_values(market: Market) -> Values:
    """A market's numbers, by the names that REST gives them."""
    tick, lot = market.params.tick_size, market.params.lot_size
    return {
        "indexPrice": decimals.price(market.index_price, tick),
        "markPrice": decimals.price(market.mark, tick),
        "currentPrice": decimals.price(market.quote, tick),
        "openInterest.long": decimals.quantity(market.long_lots, lot),
        "openInterest.short": decimals.quantity(market.short_lots, lot),
        "skew": decimals.quantity(market.skew, lot),
        "status": market.mode,
        "positions": len(market.positions),
        "margin": decimals.money(market.margin),
        "house": decimals.money(market.house),
        "insurance": decimals.money(market.insurance),
    }


def account_sums(ledger: Ledger) -> Values:
    """Sums of the accounts of each kind, by the names that REST gives them."""
    sums = dict.fromkeys(("wallets", "margin", "house", "insurance", "fees", "world"), 0)
    for account, amount in ledger.balances.items():
        kind = account.partition(":")[0]
        sums["wallets" if kind == "user" else kind] += amount
    return {name: decimals.money(amount) for name, amount in (*sums.items(), ("total", ledger.total()))}


def _prices(shown: _Prices) -> Values:
    return {
        "indexPrice": shown.index_price,
        "markPrice": shown.mark_price,
        "currentPrice": shown.current_price,
        "skew": shown.skew,
        "openInterest.long": shown.open_interest.long,
        "openInterest.short": shown.open_interest.short,
    }


def _numbers(own: _Numbers) -> Values:
    return {name: getattr(own, name) for name in ("status", "positions", "margin", "skew", "house", "insurance")}
