"""A machine that trades at random on two markets, beside the slow model; after every step everything must agree."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from perps.commands import (
    CancelOrder,
    ChangeMargin,
    ClosePosition,
    Deposit,
    ObserveTime,
    OrderKind,
    PlaceExit,
    PlaceOrder,
    ReplaceOrder,
    SetCancelTimer,
    SetTriggers,
    Side,
    TradeNet,
    Withdraw,
)
from perps.market.order import order_id
from perps.market.position import position_id
from perps.params import Execution, Tier
from perps.refusals import RejectCode, Rejected
from perps.sequencer import Sequencer
from perps.units import MICRO, PPB, Lots, Micros, Millis, Ppb, Ticks
from perps.venue import replay_market
from tests.model.recompute import recompute_balances
from tests.model.rules import rules_of
from tests.model.slow_model import SlowVenue, Trade
from tests.model.slow_net import net_parts
from tests.perps.build import (
    BTC,
    STORY,
    Books,
    full_state,
    index_market,
    new_open,
    quote_market,
)
from tests.perps.machine_checks import USERS
from tests.perps.machine_operator import BPS_OF_PRICE, FIRST_PRICES, TICKERS, Operated

REFERRERS = {"ann": None, "bob": "ann", "cid": "bob"}
START = 2_000 * MICRO
SHARES = st.integers(1, PPB) | st.just(PPB) | st.just(1)
SIZES = st.integers(10, 1_500) | st.sampled_from([1, 10, 1_000, 2_000, 50_000])
MARGINS = st.integers(-300 * MICRO, 300 * MICRO) | st.sampled_from([0, 0, 1, -1, -MICRO, 10**18, 10**18 + 1])
CALLBACKS = st.integers(1, PPB // 20) | st.sampled_from([1, PPB // 1_000, PPB // 2, PPB - 1, PPB])
ONE_IN_TEN = st.sampled_from([*[False] * 9, True])
EXITS = st.integers(9_000, 11_000) | st.none()
"""Where an exit lies, in 1/10,000 of the index price."""


BTC_TIERS = (
    Tier(Lots(150), Ppb(PPB // 150), 100),
    Tier(Lots(400), Ppb(PPB // 80), 50),
    Tier(Lots(20_000), Ppb(PPB // 40), 20),
)
STORY_TIERS = (Tier(Lots(250), Ppb(PPB // 10), 5), Tier(Lots(4_000), Ppb(PPB // 5), 3))


class Exchange(Operated):
    """The engine and the ledger, driven as the actors drive them, against fractions."""

    @initialize(
        deposit=st.sampled_from([START, 20 * START]),
        credit=st.sampled_from([None, 1 * MICRO, 40 * MICRO]),
        deleveraging=st.booleans(),
        parts=st.sampled_from([None, 1, 200 * MICRO]),
        tiered=st.booleans(),
        execution=st.sampled_from(list(Execution)),
    )
    def begin(
        self,
        deposit: int,
        credit: int | None,
        deleveraging: bool,
        parts: int | None,
        tiered: bool,
        execution: Execution,
    ) -> None:
        """``parts``: from which notional on a position is liquidated in part."""
        in_parts: dict[str, Any] = {
            "partial_liquidation": parts,
            "house_credit_limit": credit,
            "deleveraging": deleveraging and credit is not None,
        }
        self.params = {
            BTC: index_market(
                house_deposit=7,
                maintenance_rate=PPB // 150,
                tiers=BTC_TIERS if tiered else (),
                execution=execution,
                **in_parts,
            ),
            STORY: quote_market(
                funding_velocity=200 * PPB,
                max_funding_rate=PPB // 15,
                maker_fee=PPB // 4000,
                charges_maker_fee=True,
                tiers=STORY_TIERS if tiered else (),
                **in_parts,
            ),
        }
        self.first_params = dict(self.params)
        self.leaving = {}
        self.venue = Books(*((params, FIRST_PRICES[ticker]) for ticker, params in self.params.items()))
        self.model = SlowVenue()
        for ticker, params in self.params.items():
            self.model.listed(rules_of(params), self.unticked(ticker, FIRST_PRICES[ticker]), self.venue.at)
        self.deposits: list[tuple[str, str]] = []
        self.trades: list[Trade] = []
        self.moves: list[tuple[int, str, int]] = []
        """Margin in and out: behind how many trades, of which position, how much."""
        for user in USERS:
            self.venue.add_user(user, deposit, REFERRERS[user])
            self.model.referrers[user] = REFERRERS[user]
            self.move(user, deposit)
        for user, side in (("ann", Side.LONG), ("bob", Side.SHORT), ("cid", Side.LONG), ("ann", Side.LONG)):
            for ticker in self.params:
                self.open_position(user, ticker, side, 300, 0)

    def move(self, user: str, amount: int) -> None:
        self.model.deposited(user, amount)
        self.deposits.append((user, f"{amount}e-6"))

    @rule(
        user=st.sampled_from(USERS),
        ticker=TICKERS,
        side=st.sampled_from(list(Side)),
        size=SIZES,
        leverage=st.sampled_from([0, 0, 1, 3, 101]),
        profit=EXITS,
        stop=EXITS,
    )
    def open_position(
        self,
        user: str,
        ticker: str,
        side: Side,
        size: int,
        leverage: int,
        profit: int | None = None,
        stop: int | None = None,
    ) -> None:
        """A leverage of 0 stands for the most there is."""
        leverage = leverage or self.params[ticker].max_leverage
        exits = {"take_profit": self.level(ticker, profit), "stop_loss": self.level(ticker, stop)}
        command = new_open(user, side, size * MICRO, ticker=ticker, leverage=leverage, **exits)
        self.follow(ticker, self.venue.send(command), command)

    @rule(ticker=TICKERS, which=st.integers(0, 10), size=SIZES, leverage=st.sampled_from([0, 1, 3]), grows=ONE_IN_TEN)
    def trade_net(self, ticker: str, which: int, size: int, leverage: int, grows: bool) -> None:
        """Mostly against a position. A leverage of 0 stands for only reducing."""
        own = sorted(self.venue.markets[ticker].positions)
        if not own:
            return
        position, reduce_only = self.venue.markets[ticker].positions[own[which % len(own)]], not leverage
        user, side = position.user, Side.LONG if (position.lots > 0) is grows else Side.SHORT
        terms: dict[str, Any] = {"side": side, "size": Micros(size * MICRO), "leverage": leverage or 1}
        command = TradeNet(ticker=ticker, user=user, **terms, reduce_only=reduce_only)
        parts = net_parts(self.model, user, ticker, 1 if side is Side.LONG else -1, size * MICRO)
        outcome = self.venue.send(command)
        if not isinstance(outcome, Rejected):
            self.check_parts(ticker, outcome, [part for part in parts if part[0] or not reduce_only])
        self.follow(ticker, outcome, command)

    @rule(ticker=TICKERS, which=st.integers(0, 10), share=SHARES)
    def close_position(self, ticker: str, which: int, share: int) -> None:
        own = sorted(self.venue.markets[ticker].positions)
        if not own:
            return
        number = own[which % len(own)]
        user = self.venue.markets[ticker].positions[number].user
        fields: dict[str, Any] = {"ticker": ticker, "user": user, "position_id": position_id(ticker, number)}
        command = ClosePosition(**fields, share=Ppb(share))
        self.follow(ticker, self.venue.send(command), command)

    @rule(
        ticker=TICKERS, which=st.integers(0, 10), size=SIZES, leverage=st.sampled_from([0, 0, 1, 3]), turns=ONE_IN_TEN
    )
    def increase_position(self, ticker: str, which: int, size: int, leverage: int, turns: bool) -> None:
        """Mostly on its own side. A leverage of 0 stands for the most there is."""
        own = sorted(self.venue.markets[ticker].positions)
        if not own:
            return
        position = self.venue.markets[ticker].positions[own[which % len(own)]]
        side = Side.LONG if (position.lots > 0) is not turns else Side.SHORT
        leverage = leverage or self.params[ticker].max_leverage
        name = position_id(ticker, position.number)
        command = new_open(position.user, side, size * MICRO, ticker=ticker, leverage=leverage, position=name)
        outcome = self.venue.send(command)
        assert not turns or isinstance(outcome, Rejected)
        self.follow(ticker, outcome, command)

    @rule(ticker=TICKERS, which=st.integers(0, 10), amount=MARGINS)
    def change_margin(self, ticker: str, which: int, amount: int) -> None:
        """An amount of 0 stands for all that can leave."""
        own = sorted(self.venue.markets[ticker].positions)
        if not own:
            return
        number = own[which % len(own)]
        name, user = position_id(ticker, number), self.venue.markets[ticker].positions[number].user
        if not self.venue.markets[ticker].params.funding_velocity:  # else the command's own time moves what can leave
            most = self.model.withdrawable(name)
            amount = amount or min(-most, 0)
        command = ChangeMargin(ticker=ticker, user=user, position_id=name, amount=Micros(amount))
        outcome = self.venue.send(command)
        if isinstance(outcome, Rejected) and outcome.code is RejectCode.INSUFFICIENT_MARGIN:
            assert -amount > int(outcome.facts["available_micros"])
        self.follow(ticker, outcome, command)

    @rule(ticker=TICKERS, which=st.integers(0, 10), profit=EXITS, stop=EXITS)
    def set_exits(self, ticker: str, which: int, profit: int | None, stop: int | None) -> None:
        own = sorted(self.venue.markets[ticker].positions)
        if not own:
            return
        number = own[which % len(own)]
        user = self.venue.markets[ticker].positions[number].user
        fields: dict[str, Any] = {"ticker": ticker, "user": user, "position_id": position_id(ticker, number)}
        fields |= {"take_profit": self.level(ticker, profit), "stop_loss": self.level(ticker, stop)}
        command = SetTriggers(**fields)
        self.follow(ticker, self.venue.send(command), command)

    @rule(
        user=st.sampled_from(USERS),
        ticker=TICKERS,
        side=st.sampled_from(list(Side)),
        kind=st.sampled_from([OrderKind.LIMIT, OrderKind.STOP]),
        size=SIZES,
        bps=BPS_OF_PRICE,
        wait_ms=st.integers(1, 3_600_000) | st.none(),
        profit=EXITS,
        stop=EXITS,
    )
    def place_order(
        self,
        user: str,
        ticker: str,
        side: Side,
        kind: OrderKind,
        size: int,
        bps: int,
        wait_ms: int | None,
        profit: int | None,
        stop: int | None,
    ) -> None:
        fields: dict[str, Any] = {"ticker": ticker, "user": user, "order": kind, "side": side}
        fields |= {"size": Micros(size * MICRO), "leverage": 3, "price": self.level(ticker, bps)}
        fields |= {"take_profit": self.level(ticker, profit), "stop_loss": self.level(ticker, stop)}
        expires_at = None if wait_ms is None else Millis(self.venue.at + wait_ms)
        outcome = self.venue.send(PlaceOrder(**fields, expires_at=expires_at))
        if not isinstance(outcome, Rejected):
            self.follow(ticker, outcome)

    @rule(
        ticker=TICKERS,
        which=st.integers(0, 10),
        kind=st.sampled_from([OrderKind.STOP, OrderKind.TAKE_PROFIT]),
        bps=BPS_OF_PRICE,
        share=SHARES,
        wait_ms=st.integers(1, 3_600_000) | st.none(),
    )
    def place_exit(self, ticker: str, which: int, kind: OrderKind, bps: int, share: int, wait_ms: int | None) -> None:
        own = sorted(self.venue.markets[ticker].positions)
        if not own:
            return
        number = own[which % len(own)]
        fields: dict[str, Any] = {"ticker": ticker, "user": self.venue.markets[ticker].positions[number].user}
        fields |= {"position_id": position_id(ticker, number), "share": Ppb(share)}
        expires_at = None if wait_ms is None else Millis(self.venue.at + wait_ms)
        outcome = self.venue.send(
            PlaceExit(**fields, order=kind, price=self.level(ticker, bps) or Ticks(1), expires_at=expires_at)
        )
        if not isinstance(outcome, Rejected):
            self.follow(ticker, outcome)

    @rule(
        ticker=TICKERS,
        which=st.integers(0, 10),
        callback=CALLBACKS,
        share=SHARES,
        wait_ms=st.integers(1, 3_600_000) | st.none(),
    )
    def trail(self, ticker: str, which: int, callback: int, share: int, wait_ms: int | None) -> None:
        own = sorted(self.venue.markets[ticker].positions)
        if not own:
            return
        number = own[which % len(own)]
        fields: dict[str, Any] = {"ticker": ticker, "user": self.venue.markets[ticker].positions[number].user}
        fields |= {"position_id": position_id(ticker, number), "share": Ppb(share), "callback": Ppb(callback)}
        expires_at = None if wait_ms is None else Millis(self.venue.at + wait_ms)
        command = PlaceExit(**fields, order=OrderKind.TRAILING_STOP, price=Ticks(0), expires_at=expires_at)
        outcome = self.venue.send(command)
        if not isinstance(outcome, Rejected):
            self.follow(ticker, outcome)

    @rule(ticker=TICKERS, which=st.integers(0, 10), size=SIZES | st.none(), bps=BPS_OF_PRICE)
    def replace_or_cancel(self, ticker: str, which: int, size: int | None, bps: int) -> None:
        resting = sorted(self.venue.markets[ticker].orders.by_number)
        if not resting:
            return
        order = self.venue.markets[ticker].orders.by_number[resting[which % len(resting)]]
        fields: dict[str, Any] = {"ticker": ticker, "user": order.user, "order_id": order_id(ticker, order.number)}
        command: Any = CancelOrder(**fields)
        if size is not None:
            terms: dict[str, Any] = {"size": Micros(size * MICRO), "leverage": 2, "price": self.level(ticker, bps)}
            if order.trails:
                terms = {"callback": Ppb(abs(bps - 9_000) * PPB // 20_000 + 1)}
            elif order.is_exit:
                terms = {"price": terms["price"], "share": Ppb(min(size * MICRO, PPB))}
            command = ReplaceOrder(**fields, **terms)
        outcome = self.venue.send(command)
        if not isinstance(outcome, Rejected):
            self.follow(ticker, outcome)

    @rule(user=st.sampled_from(USERS), ticker=TICKERS, after_ms=st.sampled_from([0, 1_000, 600_000]))
    def set_cancel_timer(self, user: str, ticker: str, after_ms: int) -> None:
        self.follow(ticker, self.venue.send(SetCancelTimer(ticker=ticker, user=user, after_ms=after_ms)))

    def level(self, ticker: str, bps: int | None) -> Ticks | None:
        return None if bps is None else Ticks(self.venue.markets[ticker].index_price * bps // 10_000 + 1)

    @rule(ticker=TICKERS, wait_ms=st.integers(1, 3_600_000))
    def let_time_pass(self, ticker: str, wait_ms: int) -> None:
        self.venue.at = Millis(self.venue.at + wait_ms)
        self.follow(ticker, self.venue.send(ObserveTime(ticker=ticker)))
        self.check_that_no_slice_is_late(ticker)

    @rule(user=st.sampled_from(USERS), amount=st.integers(1, START))
    def deposit_or_withdraw(self, user: str, amount: int) -> None:
        self.venue.send(Deposit(user=user, amount=Micros(amount)))
        self.move(user, amount)
        if not isinstance(self.venue.send(Withdraw(user=user, amount=Micros(2 * amount))), Rejected):
            self.move(user, -2 * amount)

    @rule()
    def crash_and_recover(self) -> None:
        state = self.venue.replayed()
        live = full_state(self.venue.ledger, self.venue.markets)
        assert full_state(state.ledger, state.markets) == live
        alone = {
            ticker: replay_market(row for row in self.venue.rows if row.stream == ticker)
            for ticker in self.venue.markets
        }
        assert full_state(self.venue.ledger, alone) == live
        self.venue.sequencer = Sequencer(state)

    @rule()
    def recompute_from_outside(self) -> None:
        """The same books from deposits, trades and moved margin alone."""
        rules = [rules_of(params) for params in self.params.values()]
        books = recompute_balances(
            markets=rules, deposits=self.deposits, trades=self.trades, referrers=REFERRERS, margins=self.moves
        )
        resting = [order for market in self.venue.markets.values() for order in market.orders.by_number.values()]
        own = {user: self.venue.ledger.wallet(user) for user in USERS}
        for order in resting:
            own[order.user] = Micros(own[order.user] + order.reserve)
        assert {user: books.wallets[user] for user in USERS} == own


pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TestExchange = Exchange.TestCase
TestExchange.settings = settings(max_examples=200, stateful_step_count=40)
