"""Months of real prices played into a venue, with fifty traders in four markets."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from random import Random
from typing import Final

from tests.endtoend.api import Answer, Api
from tests.endtoend.market.traders import Request, Strategy, Trader
from tests.support.bitcoin import Candle, dollars, months

HOME: Final = (Strategy.TREND, Strategy.CONTRARIAN, Strategy.GAMBLER, Strategy.SCALER)
TRADERS_PER_MARKET: Final = 12
WHALES: Final = ("whale-1", "whale-2")
WHALE_DEPOSIT: Final = "1000000000"
ATTEMPTS_MAX: Final = 1_000

UP_AND_CRASH: Final = ("2017-11", "2018-01")
"""The way up from 6,445 to 19,891.99, and the crash of December: one hour spans 30 %."""
DOWN: Final = ("2018-11", "2018-12")
"""From 6,540 to 3,457.81."""

HOUSE_DEPOSITS: Final = {"BTC17-DEEP": "1000000"}
MARKETS: Final = {
    "BTC17-DEEP": (UP_AND_CRASH, {"houseDeposit": HOUSE_DEPOSITS["BTC17-DEEP"]}),
    "BTC17-THIN": (UP_AND_CRASH, {"skewScale": "20000", "maxSkew": "15", "maxOpenInterest": "40"}),
    "BTC18-DEEP": (DOWN, {"referralShare": "0.333333333"}),
    "BTC18-THIN": (DOWN, {"skewScale": "20000", "maxSkew": "15", "maxOpenInterest": "40", "takerFee": "0.0005"}),
}
"""Each stretch twice: in a market so deep that no trade moves its quote, and in one where each does and caps bind."""

WHOLE: Final = 10_000
"""Hours: more than any stretch has."""

Before = Callable[[], Awaitable[None]]


@dataclass
class Market:
    """One market's prices and who trades there, in the order in which they act."""

    ticker: str
    candles: Sequence[Candle]
    traders: list[Trader]
    closes: list[int] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Half hours."""
        return 2 * len(self.candles)


@dataclass
class Play:
    """A play that is under way or over, and what came of it."""

    api: Api
    markets: list[Market]
    referrers: dict[str, str]
    before_step: Before
    """Awaited by each market before each of its steps."""
    counts: Counter[str] = field(default_factory=Counter)
    """What was answered: ``open``, ``close``, ``tick``, ``liquidation``, refusals by code; ``retried``."""

    @property
    def users(self) -> set[str]:
        """Everybody who trades."""
        return {trader.user for market in self.markets for trader in market.traders}

    @property
    def steps(self) -> int:
        """Half hours of all markets together."""
        return sum(market.steps for market in self.markets)

    async def run(self, *, in_order: bool) -> None:
        """All markets at once, each from its first candle to its last, and then everybody out.

        ``in_order``: within a market one request follows the other; else all that a half hour brings is sent at once.
        """
        await asyncio.gather(*(self._play(market, in_order=in_order) for market in self.markets))

    async def _play(self, market: Market, *, in_order: bool) -> None:
        for step in range(market.steps):
            await self.before_step()
            candle = market.candles[step // 2]
            ticks = self._tick(market, step, candle.halves[step % 2])
            market.closes.append(candle.halves[step % 2][1])
            if in_order:
                await ticks
                for trader in market.traders:
                    await self._act(trader, step, market.closes)
            else:
                await asyncio.gather(ticks, *(self._act(trader, step, market.closes) for trader in market.traders))
        for trader in market.traders:
            for request in trader.last_requests():
                await self._send(trader, request)

    async def _tick(self, market: Market, step: int, prices: Sequence[int]) -> None:
        """A half hour's prices. Their sequence makes them safe to send again: the second time they are ``stale``."""
        body = [
            {"ticker": market.ticker, "price": dollars(price), "source": "oracle", "sequence": 2 * step + place}
            for place, price in enumerate(prices)
        ]
        attempts = 0
        while True:
            answer = await self.api.verdict("POST", "/api/markets/prices", body)
            assert answer.status == 200, answer.body
            attempts += answer.attempts
            codes = [result["error"]["code"] if "error" in result else "tick" for result in answer.json["results"]]
            assert attempts > 1 or "price_stale" not in codes, answer.body
            self.counts.update(codes)
            if set(codes) <= {"tick", "price_stale"}:
                self.counts["retried"] += attempts > 1
                return
            assert attempts < ATTEMPTS_MAX, answer.body

    async def _act(self, trader: Trader, step: int, closes: Sequence[int]) -> None:
        request = trader.next_request(step, closes)
        if request is not None:
            await self._send(trader, request)

    async def _send(self, trader: Trader, request: Request) -> None:
        key = {} if request.path.startswith("/api/admin") else {"key": trader.key}
        answer = await self.api.verdict("POST", request.path, request.body, **key)
        self._count(request, answer)
        trader.learn(request, answer)

    def _count(self, request: Request, answer: Answer) -> None:
        self.counts[answer.code or request.path.rpartition("/")[2]] += 1
        self.counts["retried"] += answer.attempts > 1
        self.counts["replayed"] += answer.is_replay


async def prepare(api: Api, seed: int, before_step: Before, *, hours: int = WHOLE) -> Play:
    """List the markets, create the users, referrers first. The play begins with ``run``, and is the last ``hours``.

    Referrers are whales or users of the same market.
    """
    keys = {whale: await api.add_user(whale, WHALE_DEPOSIT) for whale in WHALES}
    markets: list[Market] = []
    referrers: dict[str, str] = {}
    for ticker, (stretch, parameters) in MARKETS.items():
        candles = months(*stretch)[-hours:]
        await api.list_market(ticker, dollars(candles[0].open), **parameters)
        random = Random(f"{seed} {ticker}")
        traders: list[Trader] = []
        for number, strategy in enumerate(islice(cycle(HOME), TRADERS_PER_MARKET)):
            user = f"{ticker.lower()}-{number}-{strategy}"
            before = [trader.user for trader in traders]
            referrer = random.choice([None, None, *WHALES, *before])
            keys[user] = await api.add_user(
                user, f"{random.randint(300, 3_000)}.{random.randrange(10**6):06d}", referrer
            )
            if referrer is not None:
                referrers[user] = referrer
            traders.append(_trader(user, ticker, strategy, keys[user], seed))
        traders += [_trader(whale, ticker, Strategy.WHALE, keys[whale], seed) for whale in WHALES]
        random.shuffle(traders)
        markets.append(Market(ticker, candles, traders))
    return Play(api, markets, referrers, before_step)


def _trader(user: str, ticker: str, strategy: Strategy, key: str, seed: int) -> Trader:
    return Trader(user, ticker, strategy, key, Random(f"{seed} {user} {ticker}"))
