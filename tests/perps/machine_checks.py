"""What must hold after each step of the market's machine, and what an outsider sees of a fill."""

from contextlib import ExitStack
from fractions import Fraction

from hypothesis.stateful import RuleBasedStateMachine, invariant

from perps.events import (
    CloseReason,
    Events,
    PositionIncreased,
    PositionOpened,
    PositionReduced,
    own_place,
)
from perps.market.order import Order, order_id
from perps.market.position import Position, position_id
from perps.params import MarketParams, Mode
from tests.model.slow_model import SlowVenue, Trade
from tests.model.slow_orders import SlowOrder
from tests.model.slow_twap import SlowTwap, sliced
from tests.perps.build import Books
from tests.support.twins import twins

USERS = ("ann", "bob", "cid")


class Checked(RuleBasedStateMachine):
    """Holds the engine and the ledger against the slow model."""

    params: dict[str, MarketParams]
    venue: Books
    model: SlowVenue
    trades: list[Trade]

    def __init__(self) -> None:
        super().__init__()
        self._twins = ExitStack()
        self.unlike: list[str] = []
        """What markets restored from their images answer otherwise."""
        self._twins.enter_context(twins(self.unlike.append))

    def teardown(self) -> None:
        self._twins.close()

    @invariant()
    def a_market_restored_from_its_image_answers_as_the_live_one_does(self) -> None:
        assert self.unlike == []

    def unticked(self, ticker: str, price: int) -> str:
        return f"{price * self.params[ticker].tick_size}e-12"

    def exits(self, ticker: str, position: Position) -> None:
        """The exits that a position has, which are not due."""
        name = position_id(ticker, position.number)
        profit, stop = (
            None if price is None else Fraction(self.unticked(ticker, price))
            for price in (position.take_profit, position.stop_loss)
        )
        self.model.exits_set(name, profit, stop, position.exits_at)

    def leave(self, ticker: str, position: Position, reason: CloseReason, event: PositionReduced) -> None:
        """By an exit that is due; in the turn of the liquidations, if it is due for that too."""
        name, held = position_id(ticker, position.number), abs(event.fill.lots)
        stands = abs(self.model.positions[name].lots)
        if event.order is None:
            assert reason in self.model.exits_due(name)
            assert held == stands
        else:
            made = self.model.ended(order_id(ticker, event.order.number))
            assert made.position == name
            assert self.model.markets[ticker].decides(made.placed_at)
            assert self.model.is_order_due(made)
            assert reason == made.exit_reason
            assert self.best(ticker, event.order) == made.best
            assert held == (stands if self.model.is_liquidatable(name) else self.model.exit_lots(made))
        if self.model.is_liquidatable(name):
            assert reason in (CloseReason.STOP_LOSS, CloseReason.TRAILING_STOP)
            self.model.liquidated(name)
            self.note(ticker, "forced_stop", event)
        else:
            self.model.closed(name, held)
            self.note(ticker, "close", event)

    def best(self, ticker: str, order: Order) -> Fraction:
        """The best mark that an order says it has seen; 0 if it does not trail."""
        return Fraction(self.unticked(ticker, order.extreme))

    @invariant()
    def every_trailing_stop_has_seen_the_best_mark_that_the_slow_model_says(self) -> None:
        for ticker, market in self.venue.markets.items():
            for order in market.orders.all():
                if order.trails:
                    assert self.best(ticker, order) == self.model.orders.by_name[order_id(ticker, order.number)].best

    def check_parts(self, ticker: str, events: Events, parts: list[tuple[str | None, int]]) -> None:
        """What a trade has closed and opened is what it must; what that led to stands behind it."""
        first = own_place(events)
        for (name, lots), event in zip(parts, events[first : first + len(parts)], strict=True):
            assert isinstance(event, PositionOpened | PositionIncreased | PositionReduced)
            assert event.order is None
            assert abs(event.fill.lots) == lots
            assert isinstance(event, PositionReduced) is (name is not None)
            assert name in (None, position_id(ticker, event.position.number))

    def filled(self, ticker: str, order: Order, event: PositionOpened) -> None:
        """A limit within its price, a stop whose price the mark has reached."""
        made, market = self.taken(ticker, order), self.model.markets[ticker]
        fill = event.fill
        within = made.is_within(fill.cost, fill.lots, market.rules.lot_value)
        assert within if made.is_limit else made.is_reached(market.shown_mark)
        name = position_id(ticker, event.position.number)
        self.model.opened(order.user, ticker, name, event.position.lots, order.leverage)
        self.exits(ticker, event.position)
        self.note(ticker, "open", event, order.leverage)

    def slice_made(self, ticker: str, order: Order, event: PositionOpened | PositionIncreased) -> None:
        """A slice of a TWAP: at its time, of its size, for money that was kept for it."""
        name, position = order_id(ticker, order.number), position_id(ticker, event.position.number)
        assert sliced(self.model, name, position, event.fill.lots, self.venue.at) is None
        self.check_slices(ticker, order)
        self.note(ticker, "open", event, order.leverage)

    def check_slices(self, ticker: str, order: Order) -> None:
        """How far a TWAP has come is what the slow model says."""
        made, twap = self.model.orders.by_name.get(order_id(ticker, order.number)), order.twap
        assert twap is not None
        assert twap.is_over is (made is None)
        if isinstance(made, SlowTwap):
            said = (twap.slices - twap.done, twap.next_at, order.size, order.reserve)
            assert said == (made.slices_left, made.due_at, made.size, made.kept)

    def taken(self, ticker: str, order: Order) -> SlowOrder:
        """An order that is filled: at a price that decides it, and those that wait for nothing else in their turn."""
        name = order_id(ticker, order.number)
        assert not order.is_pending or name == self.model.orders.first_in(ticker)
        made = self.model.ended(name)
        assert self.model.markets[ticker].decides(made.placed_at)
        return made

    def note(
        self, ticker: str, kind: str, event: PositionOpened | PositionIncreased | PositionReduced, leverage: int = 1
    ) -> None:
        """What an outsider sees of a fill, by the strings that REST shows."""
        lot, lots = self.params[ticker].lot_size, event.fill.lots
        trade = Trade.of(
            user=event.position.user,
            ticker=ticker,
            position=position_id(ticker, event.position.number),
            kind=kind,
            side="buy" if lots > 0 else "sell",
            quantity=f"{abs(lots) * lot}e-12",
            index_price=self.unticked(ticker, event.fill.index_price),
            lot_size=f"{lot}e-12",
            leverage=leverage,
            funding_index=event.fill.funding_index,
        )
        self.trades.append(trade)

    @invariant()
    def all_accounts_sum_to_nothing_and_no_wallet_is_negative(self) -> None:
        assert self.venue.ledger.total() == 0
        assert self.model.total() == 0
        assert all(self.venue.ledger.wallet(user) >= 0 for user in USERS)
        assert self.venue.funds.in_flight == (0, 0)

    @invariant()
    def every_account_is_what_the_slow_model_says(self) -> None:
        balances, wallets = self.venue.ledger.balances, self.model.wallets
        assert {user: self.venue.ledger.wallet(user) for user in USERS} == {user: wallets[user] for user in USERS}
        assert balances.get("fees", 0) == self.model.fees
        assert balances["world"] == self.model.world
        for ticker, market in self.model.markets.items():
            assert balances.get(f"house:{ticker}", 0) == market.house
            assert balances.get(f"insurance:{ticker}", 0) == market.insurance
            assert balances.get(f"margin:{ticker}", 0) == self.model.margin(ticker)
            assert balances.get(f"orders:{ticker}", 0) == self.model.orders.reserved(ticker)

    @invariant()
    def every_position_is_what_the_slow_model_says(self) -> None:
        fast = {
            position_id(ticker, number): (each.user, each.lots, each.cash, each.margin)
            for ticker, market in self.venue.markets.items()
            for number, each in market.positions.items()
        }
        assert fast == {
            name: (each.user, each.lots, each.cash, each.margin) for name, each in self.model.positions.items()
        }

    @invariant()
    def running_sums_are_the_sums_over_the_positions(self) -> None:
        for ticker, market in self.venue.markets.items():
            book = market.positions.values()
            assert market.skew == sum(each.lots for each in book) == self.model.markets[ticker].skew
            assert market.long_lots == sum(each.lots for each in book if each.lots > 0)
            assert market.short_lots == -sum(each.lots for each in book if each.lots < 0)
            assert (market.cash, market.margin) == (sum(each.cash for each in book), sum(each.margin for each in book))
            assert len(market.order) == len(book)
            exits = [order for order in market.orders.by_number.values() if order.is_exit]
            assert {order.position for order in exits} <= set(market.positions)
            ready = [order for order in exits if market.orders.is_ready(order)]
            hidden = [order for order in ready if order.trails and not market.orders.trailing.is_shown(order)]
            assert len(market.exits) - len(ready) + len(hidden) == sum(
                (each.take_profit is not None) + (each.stop_loss is not None) for each in book
            )
            assert max(market.long_lots, market.short_lots) <= market.params.max_open_interest

    @invariant()
    def nobody_is_left_who_is_due(self) -> None:
        for ticker, market in self.venue.markets.items():
            if market.mode is not Mode.HALTED:
                names = (position_id(ticker, number) for number in market.positions)
                due = (name for name in names if self.model.is_liquidatable(name) or self.model.exits_due(name))
                assert not any(self.model.can_be_paid(name) for name in due)
                exits = (order for name in self.model.positions for order in self.model.orders.exits_of(name))
                own = [order for order in exits if order.ticker == ticker]
                late = [order for order in own if self.model.is_order_due(order)]
                late = [order for order in late if self.model.markets[ticker].decides(order.placed_at)]
                assert not any(
                    self.model.can_be_paid(str(order.position), self.model.exit_lots(order)) for order in late
                )

    @invariant()
    def the_liability_is_what_all_would_gain_by_leaving(self) -> None:
        for ticker, market in self.venue.markets.items():
            assert 0 <= market.liability - self.model.liability(ticker) <= 2
