"""What REST says a venue holds, and the same recomputed by the slow model from prices, fills and deposits alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from tests.endtoend.api import Api, Json
from tests.model.slow_market import SlowMarket
from tests.model.slow_model import SlowVenue, Trade
from tests.model.slow_rules import Rules, micros

AT_ONCE: Final = 8
"""Users asked about at once."""
TIMES: Final = frozenset({"id", "at", "offset", "openedAt", "closedAt"})
"""What says when, or which row."""


@dataclass(frozen=True)
class User:
    """One user as REST shows him. Lists are complete, oldest first."""

    balance: Json
    trades: list[Json]
    transactions: list[Json]
    positions: list[Json]


@dataclass(frozen=True)
class Observed:
    """A venue at rest."""

    users: Mapping[str, User]
    markets: Mapping[str, Json]
    prices: Mapping[str, list[Json]]
    stats: Json

    @property
    def trades(self) -> list[Json]:
        """All trades in journal order."""
        return sorted((trade for user in self.users.values() for trade in user.trades), key=place)

    def of_kind(self, kind: str, side: str | None = None) -> list[Json]:
        """The trades of one kind, and one side."""
        return [trade for trade in self.trades if trade["kind"] == kind and side in (None, trade["side"])]


async def observe(api: Api, users: Iterable[str], tickers: Iterable[str]) -> Observed:
    """Ask for everything. Nobody trades meanwhile."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(user: str) -> User:
        async with limit:
            return User(
                balance=await api.get(f"/api/users/{user}/balance"),
                trades=(await api.pages(f"/api/users/{user}/trades", "trades"))[::-1],
                transactions=(await api.pages(f"/api/users/{user}/transactions", "transactions"))[::-1],
                positions=await api.pages(f"/api/markets/positions/{user}?status=all", "positions"),
            )

    names, listed = list(users), list(tickers)
    found = await asyncio.gather(*(one(user) for user in names))
    prices = {ticker: (await api.pages(f"/api/markets/perps/{ticker}/prices", "prices"))[::-1] for ticker in listed}
    markets = {ticker: (await api.get(f"/api/markets/perps/{ticker}"))["market"] for ticker in listed}
    stats = await api.get("/api/admin/stats")
    return Observed(dict(zip(names, found, strict=True)), markets, prices, stats)


class Replay:
    """The slow model led through a venue's history: prices and fills of each market, in journal order."""

    def __init__(self, observed: Observed, *, house_deposits: Mapping[str, str], referrers: Mapping[str, str]) -> None:
        self.books = SlowVenue(referrers=dict(referrers))
        self._observed = observed
        self._leverages = {
            position["id"]: position["leverage"] for user in observed.users.values() for position in user.positions
        }
        for ticker, market in observed.markets.items():
            first = observed.prices[ticker][0]["indexPrice"]
            self.books.listed(rules_of(market, house_deposits.get(ticker, "0")), first)
        for name, user in observed.users.items():
            for transaction in user.transactions:
                if transaction["type"] in ("deposit", "withdrawal"):
                    self.books.deposited(name, micros(transaction["amount"]))

    def run(self) -> None:
        """Every fill; who is liquidated must be due, and after each row nobody who is due may be left."""
        trades: dict[str, list[Json]] = {ticker: [] for ticker in self._observed.markets}
        for trade in self._observed.trades:
            trades[trade["ticker"]].append(trade)
        for ticker, prices in self._observed.prices.items():
            self._run_market(ticker, prices, trades[ticker])

    def _run_market(self, ticker: str, prices: list[Json], trades: list[Json]) -> None:
        """Markets share nothing but wallets, which have no influence on what happens: each can be led by itself."""
        ticks = {price["offset"]: price for price in prices}
        fills: dict[int, list[Json]] = {}
        for trade in trades:
            fills.setdefault(trade["offset"], []).append(trade)
        for offset in sorted(ticks.keys() | fills.keys()):
            if offset in ticks:
                self.books.priced(ticker, ticks[offset]["indexPrice"])
            for trade in fills.get(offset, []):
                self._fill(trade)
            self._check_nobody_is_due(ticker, offset)

    def _fill(self, shown: Json) -> None:
        market = self.books.markets[shown["ticker"]]
        trade = trade_of(shown, market.rules.lot_size, self._leverages[shown["positionId"]])
        assert trade.index_price == market.index_price, f"{shown} at an index price of {market.index_price}"
        if trade.kind == "liquidation":
            assert self.books.is_liquidatable(trade.position), f"{shown}: it was not due"
        before = self._amounts(trade.user, market)
        self.books.traded(trade)
        moved = {name: after - before[name] for name, after in self._amounts(trade.user, market).items()}
        assert trade.kind == "open" or moved["wallet"] >= 0, f"{shown}: he was billed for leaving"
        paid = {part: micros(amount) for part, amount in shown["fee"].items()}
        if trade.kind != "liquidation":
            assert (paid["platformPaid"], paid["referrerPaid"]) == (moved["fees"], moved["referrer"]), shown
            assert paid["amount"] == moved["fees"] + moved["referrer"], shown
        if trade.kind != "open" and paid["amount"] > 0:  # else nothing was left, and there may be bad debt
            assert micros(shown["realizedPnL"]) == -moved["house"], shown

    def _amounts(self, user: str, market: SlowMarket) -> dict[str, int]:
        referrer = self.books.referrers.get(user)
        wallets = self.books.wallets
        return {
            "wallet": wallets[user],
            "referrer": wallets[referrer] if referrer else 0,
            "fees": self.books.fees,
            "house": market.house,
        }

    def _check_nobody_is_due(self, ticker: str, offset: int) -> None:
        for name, position in self.books.positions.items():
            if position.ticker == ticker:
                assert not self.books.is_liquidatable(name), f"{name} was due after row {offset}, and still stood"

    def check(self) -> None:
        """Every balance the venue shows is what the model holds, to the micro."""
        stats, books = self._observed.stats, self.books
        shown = {name: micros(user.balance["balance"]) for name, user in self._observed.users.items()}
        assert shown == {name: books.wallets[name] for name in shown}
        for market in stats["markets"]:
            slow = books.markets[market["ticker"]]
            held = [micros(market[account]) for account in ("house", "insurance", "margin")]
            assert held == [slow.house, slow.insurance, books.margin(market["ticker"])], market["ticker"]
            assert Fraction(market["skew"]) == slow.skew * slow.rules.lot_size
        accounts = {name: micros(amount) for name, amount in stats["accounts"].items()}
        assert accounts.pop("total") == 0
        assert sum(accounts.values()) == 0
        assert accounts == {
            "wallets": sum(books.wallets.values()),
            "margin": sum(books.margin(ticker) for ticker in books.markets),
            "house": sum(market.house for market in books.markets.values()),
            "insurance": sum(market.insurance for market in books.markets.values()),
            "fees": books.fees,
            "world": books.world,
        }


def rules_of(market: Json, house_deposit: str) -> Rules:
    """The rules a market shows."""
    return Rules.of(
        ticker=market["ticker"],
        lot_size=market["lotSize"],
        skew_scale=market["skewScale"],
        taker_fee=market["takerFee"],
        liquidation_fee=market["liquidationFee"],
        referral_share=market["referralShare"],
        maintenance_rate=market["maintenanceRate"],
        tick_size=market["tickSize"],
        mark_is_quote=market["markSource"] == "quote",
        mark_is_exact=market["exactMark"],
        house_deposit=house_deposit,
    )


def trade_of(shown: Json, lot_size: Fraction, leverage: int) -> Trade:
    """A trade of REST, whose ``side`` is the position's, as a fill, which buys or sells."""
    buys = (shown["side"] == "long") is (shown["kind"] == "open")
    lots = Fraction(shown["quantity"]) / lot_size
    assert lots.denominator == 1, shown
    count = int(lots) if buys else -int(lots)
    price = Fraction(shown["indexPrice"])
    return Trade(shown["userId"], shown["ticker"], shown["positionId"], shown["kind"], count, price, leverage)


def place(shown: Json) -> tuple[int, int]:
    """Where in the journal a listed thing stands: row, and place in the row."""
    offset, _, n = shown["id"].partition("-")
    return int(offset), int(n)


def differences(one: Observed, other: Observed) -> list[str]:
    """What differs, apart from what may: times, offsets, and the order in which rows of different markets came."""
    found = [f"accounts: {one.stats['accounts']} / {other.stats['accounts']}"]
    found = found if one.stats["accounts"] != other.stats["accounts"] else []
    found += _unequal("market", _by_ticker(one), _by_ticker(other))
    for name in one.users.keys() | other.users.keys():
        mine, others = one.users[name], other.users[name]
        found += _unequal(f"{name}, balance", _timeless(mine.balance), _timeless(others.balance))
        found += _unequal(f"{name}, position", _by_id(mine.positions), _by_id(others.positions))
        found += _unequal(f"{name}, trades", _by_market(mine.trades), _by_market(others.trades))
    for ticker in one.markets:
        prices = [[_timeless(price) for price in seen.prices[ticker]] for seen in (one, other)]
        found += [] if prices[0] == prices[1] else [f"{ticker}: other prices"]
    return found


def _unequal(what: str, one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    keys = sorted(one.keys() | other.keys())
    return [f"{what} {key}: {one.get(key)} / {other.get(key)}" for key in keys if one.get(key) != other.get(key)]


def _by_ticker(seen: Observed) -> Json:
    return {market["ticker"]: _timeless(market) for market in seen.stats["markets"]}


def _by_id(positions: list[Json]) -> Json:
    return {position["id"]: _timeless(position) for position in positions}


def _by_market(trades: list[Json]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for trade in trades:
        found.setdefault(trade["ticker"], []).append(_timeless(trade))
    return found


def _timeless(shown: Json) -> Json:
    return {name: value for name, value in shown.items() if name not in TIMES}
