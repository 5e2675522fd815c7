"""Bitcoin from July 2017 to October 2019, every hour, with 200 traders who use all that a market has.

``make test`` plays the first half year, with the crash of December 2017; ``make test-faults`` plays all of it. Each
hour brings four prices to the venue's own sequencer. The traders follow a script: a seed decides who acts, when and
how; what they can do follows from the state of the venue. In the end the books must balance, and the venue rebuilt
from its rows, or from a snapshot and the rows behind it, must be the one that traded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Final

import pytest

from perps.commands import (
    CancelOrder,
    CancelOrders,
    ChangeMargin,
    ClosePosition,
    Command,
    Deposit,
    ObserveTime,
    OpenPosition,
    OrderKind,
    PlaceExit,
    PlaceOrder,
    PlaceTwap,
    ReplaceOrder,
    SetTriggers,
    Side,
)
from perps.events import CloseReason, OrderPlaced, PositionReduced
from perps.market.order import Order, order_id
from perps.market.position import Position, position_id
from perps.refusals import Rejected
from perps.snapshot.format import Snapshot, state_hash
from perps.units import MICRO, PPB, Lots, Micros, Millis, Ppb, Ticks
from tests.perps.build import BTC, Books, done, full_state, index_market
from tests.support.bitcoin import all_hours

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SEED: Final = 2017
TRADERS: Final = tuple(f"trader-{number}" for number in range(200))
DEPOSIT: Final = 20_000 * MICRO
HOUSE: Final = 50_000_000 * MICRO
ACTIONS_AN_HOUR: Final = 3
QUARTER_MS: Final = 900_000
SOME_HOURS: Final = 4_500

OFTEN: Final = 200
HAPPENED: Final = (
    "FundingAccrued",
    "PositionOpened",
    "PositionIncreased",
    "PositionChanged",
    "OrderPlaced",
    "OrderReplaced",
    "OrderCancelled",
    *(CloseReason.OWNER, CloseReason.TAKE_PROFIT, CloseReason.STOP_LOSS, CloseReason.LIQUIDATION),
    CloseReason.TRAILING_STOP,
    "twap placed",
)
"""Each so often, or the script is not worth its time."""


class Play:
    """The venue, and traders who act one at a time."""

    def __init__(self) -> None:
        first = all_hours()[0]
        params = index_market(
            house_deposit=HOUSE,
            skew_scale=Lots(10**9),
            max_skew=Lots(10**6),
            max_open_interest=Lots(2 * 10**6),
            max_leverage=20,
            max_funding_rate=3 * PPB // 1000,
            funding_velocity=9 * PPB // 1000,
            maker_fee=PPB // 2000,
            charges_maker_fee=True,
        )
        self.books = Books((params, first.open))
        self.random = Random(SEED)
        self.counts = Counter[str]()
        """Of events by name, closes by reason, placed orders by kind, refusals by code."""
        self.best = dict[int, int]()
        """The best mark of each trailing stop, by its order's number."""
        for number, user in enumerate(TRADERS):
            self.books.add_user(user, DEPOSIT, None if number % 3 else TRADERS[number // 2] if number else None)

    @property
    def price(self) -> int:
        return self.books.markets[BTC].index_price

    def near(self, bps: int) -> Ticks:
        """A price up to so many bps above the index price, or below it for a negative number."""
        return Ticks(self.price * (10_000 + self.random.randint(*sorted((bps, bps // 20)))) // 10_000)

    def send(self, command: Command) -> None:
        outcome = self.books.send(command)
        if isinstance(outcome, Rejected):
            self.counts[outcome.code] += 1
            return
        self.count(outcome)

    def count(self, events: tuple[object, ...]) -> None:
        for event in events:
            self.counts[type(event).__name__] += 1
            if isinstance(event, PositionReduced):
                self.counts[event.reason] += 1
            elif isinstance(event, OrderPlaced):
                self.counts[f"{event.order.kind.value} placed"] += 1

    def hour(self, *prices: int) -> None:
        for price in prices:
            self.count(done(self.books.price(price)))
            self.follow()
            self.books.at = Millis(self.books.at + QUARTER_MS)
        self.send(ObserveTime(ticker=BTC))
        for _ in range(ACTIONS_AN_HOUR):
            self.act(self.random.choice(TRADERS))

    def follow(self) -> None:
        """The mark is the index price here: each trailing stop has seen the best one since it was placed."""
        orders = self.books.markets[BTC].orders
        for number, order in orders.by_number.items():
            if order.trails:
                better = max if order.side is Side.LONG else min
                self.best[number] = better(self.best.get(number, order.extreme), self.price)
                assert orders.present(order).extreme == self.best[number]

    def act(self, user: str) -> None:
        market = self.books.markets[BTC]
        own = [position for position in market.positions.values() if position.user == user]
        resting = [order for order in market.orders.by_number.values() if order.user == user]
        if self.books.ledger.wallet(user) < 100 * MICRO and not own and not resting:
            done(self.books.send(Deposit(user=user, amount=Micros(DEPOSIT))))
        choices: list[Callable[[], Command]] = [lambda: self.open(user), lambda: self.order(user)]
        choices.append(lambda: self.slices(user))
        if own:
            position = self.random.choice(own)
            choices += [lambda: self.close(position), lambda: self.exits(position), lambda: self.margin(position)]
            choices += [lambda: self.open(user, position), lambda: self.trail(position)]
        if resting:
            order = self.random.choice(resting)
            choices += [lambda: self.replace(order), lambda: self.cancel(order)]
        self.send(self.random.choice(choices)())

    def open(self, user: str, position: Position | None = None) -> Command:
        side = self.random.choice(list(Side))
        if position is not None:
            side = Side.LONG if position.lots > 0 else Side.SHORT
        sign = 1 if side is Side.LONG else -1
        return OpenPosition(
            ticker=BTC,
            user=user,
            side=side,
            size=self.size(),
            leverage=self.random.randint(1, 20),
            take_profit=None if position else self.near(sign * 1_500),
            stop_loss=None if position else self.near(-sign * 800),
            position=None if position is None else position_id(BTC, position.number),
        )

    def order(self, user: str) -> Command:
        kind, side = self.random.choice((OrderKind.LIMIT, OrderKind.STOP)), self.random.choice(list(Side))
        is_above = (kind is OrderKind.STOP) == (side is Side.LONG)
        return PlaceOrder(
            ticker=BTC,
            user=user,
            order=kind,
            side=side,
            size=self.size(),
            leverage=self.random.randint(1, 20),
            price=self.near(600 if is_above else -600),
            expires_at=self.random.choice([None, Millis(self.books.at + 48 * 4 * QUARTER_MS)]),
        )

    def slices(self, user: str) -> Command:
        return PlaceTwap(
            ticker=BTC,
            user=user,
            side=self.random.choice(list(Side)),
            size=self.size(),
            leverage=self.random.randint(1, 20),
            slices=self.random.randint(2, 8),
            interval=Millis(self.random.choice([1, 4]) * QUARTER_MS),
        )

    def trail(self, position: Position) -> Command:
        return PlaceExit(
            ticker=BTC,
            user=position.user,
            order=OrderKind.TRAILING_STOP,
            position_id=position_id(BTC, position.number),
            share=Ppb(self.random.choice([PPB, PPB // 2])),
            price=Ticks(0),
            callback=Ppb(PPB * self.random.randint(10, 100) // 1_000),
        )

    def replace(self, order: Order) -> Command:
        if order.kind is OrderKind.TWAP:  # it keeps its terms
            return self.cancel(order)
        if order.trails:
            callback = Ppb(PPB * self.random.randint(10, 100) // 1_000)
            return ReplaceOrder(ticker=BTC, user=order.user, order_id=order_id(BTC, order.number), callback=callback)
        is_above = order.price > self.price
        return ReplaceOrder(
            ticker=BTC,
            user=order.user,
            order_id=order_id(BTC, order.number),
            size=self.size(),
            leverage=order.leverage,
            price=self.near(600 if is_above else -600),
            expires_at=order.expires_at,
        )

    def cancel(self, order: Order) -> Command:
        if self.random.random() < 0.2:
            return CancelOrders(ticker=BTC, user=order.user)
        return CancelOrder(ticker=BTC, user=order.user, order_id=order_id(BTC, order.number))

    def close(self, position: Position) -> Command:
        share = self.random.choice([PPB, PPB // 3])
        name = position_id(BTC, position.number)
        return ClosePosition(ticker=BTC, user=position.user, position_id=name, share=Ppb(share))

    def exits(self, position: Position) -> Command:
        sign = 1 if position.lots > 0 else -1
        name = position_id(BTC, position.number)
        profit, stop = self.near(sign * 2_000), self.near(-sign * 1_000)
        return SetTriggers(ticker=BTC, user=position.user, position_id=name, take_profit=profit, stop_loss=stop)

    def margin(self, position: Position) -> Command:
        amount = Micros(self.random.randint(-200, 300) * MICRO)
        name = position_id(BTC, position.number)
        return ChangeMargin(ticker=BTC, user=position.user, position_id=name, amount=amount)

    def size(self) -> Micros:
        return Micros(self.random.randint(20, 20_000) * MICRO)


@pytest.mark.parametrize("hours", [SOME_HOURS, pytest.param(None, marks=pytest.mark.faults)])
def test_hours_of_bitcoin_with_two_hundred_traders(hours: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    play = Play()
    candles = all_hours()[:hours]
    begun = snapshot = None
    for number, candle in enumerate(candles):
        if number == len(candles) // 2:
            begun, snapshot = len(play.books.rows), Snapshot.of(play.books.replayed()).encode()
        play.hour(*(price for half in candle.halves for price in half))
        assert play.books.ledger.total() == 0
    live = full_state(play.books.ledger, play.books.markets)
    replayed = play.books.replayed()
    assert snapshot is not None
    restored = Snapshot.decode(snapshot).state()
    for row in play.books.rows[begun:]:
        restored.apply(row)

    assert all(play.counts[what] >= OFTEN for what in HAPPENED), play.counts
    with capsys.disabled():
        print(f"\n{len(play.books.rows):,} rows:", dict(play.counts.most_common()))
    assert full_state(replayed.ledger, replayed.markets) == live
    assert state_hash(restored) == state_hash(replayed)
