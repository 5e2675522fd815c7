"""The truth beside the system: every durable row, checked against the slow model and its place in the journal."""

from __future__ import annotations

from collections.abc import Callable, Collection
from fractions import Fraction
from math import ceil, floor
from typing import assert_never

from perps.commands import HouseAccount, PriceSource
from perps.events import (
    CancelTimerSet,
    CloseReason,
    DeleveragingChanged,
    Deposited,
    Event,
    Fill,
    FundingAccrued,
    HoldEnded,
    HouseFunded,
    MarketListed,
    MarketSettling,
    ModeChanged,
    OrderCancelled,
    OrderPlaced,
    OrderReplaced,
    ParamsChanged,
    PositionChanged,
    PositionIncreased,
    PositionOpened,
    PositionReduced,
    PriceHeld,
    PriceUpdated,
    TransferKind,
    UserCreated,
    Withdrawn,
)
from perps.journal import LEDGER_STREAM, Entry, Row
from perps.market.funding import RATE
from perps.market.order import order_id
from perps.market.position import Position, position_id
from perps.params import MarketParams, Mode
from perps.refusals import InvariantViolated
from perps.units import PICO
from perps.venue import VenueState
from tests.model.rules import rules_of
from tests.model.slow_market import SlowMarket
from tests.model.slow_model import SlowVenue
from tests.model.slow_parts import is_least_part
from tests.simulation.deleveraging_checks import DeleveragingChecks
from tests.simulation.order_checks import OrderChecks
from tests.simulation.taken import taken

Complain = Callable[[str], None]


class Oracle(OrderChecks):
    """Follows the durable rows. ``complain`` is told of everything that is not as the slow model has it."""

    def __init__(self, complain: Complain) -> None:
        self._complain = complain
        self.state = VenueState()
        """The state after the last durable row, by plain replay."""
        self.slow = SlowVenue()
        self._params: dict[str, MarketParams] = {}
        self.deleveragings = DeleveragingChecks(self.slow, complain)
        self._wallets: dict[str, list[tuple[int, int, int]]] = {}
        """By account: offset of a row, the balance it left, what it took."""

    def follow(self, row: Row, known: int) -> Entry | None:
        """Check the next durable row and take it in; None when it cannot be taken.

        ``known``: the last row that was durable when the ledger sent this one to the journal.
        """
        if row.stream != LEDGER_STREAM and row.kind != "sweep":
            self._check_nobody_is_due(row)
        try:
            entry = self.state.apply(row)
        except InvariantViolated as error:
            self._complain(f"I5/I2/I7 row {row.offset} ({row.kind} of {row.stream}): {error}")
            return None
        self._accrue(row, [event for event in entry.events if isinstance(event, FundingAccrued)])
        for event in entry.events:
            self._take(row, event)
            if isinstance(event, PriceUpdated):
                self.deleveragings.priced(row, entry, self.state.markets[row.stream])
        self._check_accounts(entry)
        self._check_credits(entry, known)
        return entry

    def check_at_rest(self, down: Collection[str] = ()) -> None:
        """What must hold when nothing is in flight. A market that is ``down`` is left as its last row left it."""
        for ticker in self.state.markets:
            if ticker not in down:
                self._check_nobody_is_due(None, ticker)
        balances = self.state.ledger.balances
        wallets = {name.removeprefix("user:"): value for name, value in balances.items() if name.startswith("user:")}
        self._same("wallets", wallets, {user: self.slow.wallets[user] for user in wallets})
        self._same("world", balances.get("world", 0), self.slow.world)
        self._same("fees", balances.get("fees", 0), self.slow.fees)
        self._same("Σ accounts", (self.state.ledger.total(), self.slow.total()), (0, 0))

    def _take(self, row: Row, event: Event) -> None:
        slow, ticker = self.slow, row.stream
        match event:
            case MarketListed(params=params, price=price, at=at):
                self._params[ticker] = params
                slow.listed(rules_of(params), self._price(ticker, price), at)
            case UserCreated(user=user, referrer=referrer):
                slow.referrers[user] = referrer
                deposits = [each.amount for each in event.transfers if each.kind is TransferKind.DEPOSIT]
                slow.deposited(user, sum(deposits))
            case Deposited(user=user, amount=amount):
                slow.deposited(user, amount)
            case Withdrawn(user=user, amount=amount):
                slow.deposited(user, -amount)
            case HouseFunded(account=account, amount=amount):
                slow.funded(ticker, account.value, amount)
                market = slow.markets[ticker]
                stands = market.house if account is HouseAccount.HOUSE else market.insurance
                self._same(f"row {row.offset} {account}", event.balance, stands)
            case PriceHeld(price=price, held=held):
                # a price without a time of its own is as old as its row; of others, what is held knows the venue's time
                at = row.at if event.source_at is None else held.at
                taken = slow.takes(ticker, self._price(ticker, price), event.source, at, row.at)
                band = slow.markets[ticker].band
                said = (False, held.count, held.source, held.until)
                self._same(f"row {row.offset} held", said, band and (taken, len(band.said), band.source, band.until))
            case HoldEnded():
                band = slow.markets[ticker].band
                self._same(f"row {row.offset} hold over", True, band is None or row.at >= band.until > 0)
                slow.unheld(ticker)
            case PriceUpdated(price=price, at=at):
                taken = slow.takes(ticker, self._price(ticker, price), event.source, at, row.at)
                self._same(f"row {row.offset} taken", True, taken)
                slow.priced(ticker, self._price(ticker, price), at)
                market = slow.markets[ticker]
                by_feed = event.source in (PriceSource.ORACLE, PriceSource.AGENT)
                market.becomes_known(by_feed=by_feed, said_at=at, now=row.at)
                self._same(f"row {row.offset} quote", event.quote, self._ticks(ticker, market, market.skew))
                self._same(f"row {row.offset} mark", self._price(ticker, event.mark), market.shown_mark)
            case PositionOpened():
                with self._slice(row, event):
                    self._open(row, event)
            case OrderPlaced(order=order) | OrderReplaced(order=order):
                self._rest(row, order)
            case OrderCancelled():
                self._end(row, event)
            case PositionIncreased():
                with self._slice(row, event):
                    self._increase(row, event)
            case PositionReduced():
                self._reduce(row, event)
            case PositionChanged(position=position) if event.transfers:
                self._change(row, event)
            case PositionChanged(position=position):
                self._set_exits(row, position)
            case ModeChanged(mode=mode):
                slow.switched(ticker, is_halted=mode in (Mode.HALTED, Mode.SETTLED))
                if mode is Mode.SETTLED:
                    self._same(f"row {row.offset} open positions", 0, len(self.state.markets[ticker].positions))
            case MarketSettling(settling=settling):
                slow.settling(ticker)
                market, settles = slow.markets[ticker], (self._price(ticker, settling.index_price), settling.skew)
                self._same(f"row {row.offset} settles", settles, (market.index_price, market.skew))
            case ParamsChanged(params=params, at=at):
                self._params[ticker] = params
                slow.changed(rules_of(params), at)
            case DeleveragingChanged():
                self.deleveragings.changed(row, event, self.state.markets[ticker])
            case CancelTimerSet(user=user, at=until):
                due = slow.orders.timer_set(user, ticker, until)
                if until is None and row.kind == "time" and (due is None or due > row.at):
                    self._complain(f"row {row.offset} ends orders of {user} before their time, {due}")
            case FundingAccrued():
                pass  # before all others: ``_accrue``
            case _:
                assert_never(event)

    def _accrue(self, row: Row, accrued: list[FundingAccrued]) -> None:
        """Funding up to the row's time: index and rate are those of the clamped line."""
        if not accrued:
            return
        market = self.slow.observed(row.stream, row.at)
        last, funding = accrued[-1], market.funding
        said = (last.index, last.rate, last.at)
        expected = None if funding is None else (funding.index, funding.rate * RATE, row.at)
        self._same(f"row {row.offset} funding", said, expected)

    def _open(self, row: Row, event: PositionOpened) -> None:
        position, ticker, market = event.position, row.stream, self.slow.markets[row.stream]
        order = self._fills(row, event.order)
        if order is not None:
            lots, cost = event.fill.lots, event.fill.cost
            is_due = order.is_within(cost, lots, market.rules.lot_value) if order.is_limit else None
            if is_due is None:
                is_due = order.is_reached(market.shown_mark)
            if not is_due or (order.expires_at is not None and order.expires_at <= row.at):
                self._complain(f"row {row.offset} fills {order}, which is not due at {row.at}: {event.fill}")
        self._check_fill(row, event.fill, market)
        if position.leverage > market.rules.leverage(position.lots):
            self._complain(f"row {row.offset} gives {position.lots} lots a leverage of {position.leverage}")
        if self.slow.is_stale(ticker, row.at):
            self._complain(f"row {row.offset} opens a position at a price that is too old or in doubt")
        name = position_id(ticker, position.number)
        self._same(f"row {row.offset} fee", event.fee, market.fee(position.lots))
        self.slow.opened(position.user, ticker, name, position.lots, position.leverage)
        stands = self.slow.positions[name]
        self._same(
            f"row {row.offset} {name}",
            (position.user, position.lots, position.cash, position.margin),
            (stands.user, stands.lots, stands.cash, stands.margin),
        )
        if self.slow.is_liquidatable(name):
            self._complain(f"I7 row {row.offset}: {name} was opened and is due at once")
        self._set_exits(row, position)

    def _set_exits(self, row: Row, position: Position) -> None:
        """The exits that a position has from here on, none of which is due."""
        name = position_id(row.stream, position.number)
        profit, stop = (
            None if price is None else self._price(row.stream, price)
            for price in (position.take_profit, position.stop_loss)
        )
        self.slow.exits_set(name, profit, stop, position.exits_at)
        if due := self.slow.exits_due(name):
            self._complain(f"I7 row {row.offset}: {name} has got {due}, which is due at once")

    def _reduce(self, row: Row, event: PositionReduced) -> None:
        slow, market = self.slow, self.slow.markets[row.stream]
        name = position_id(row.stream, event.position.number)
        stood = slow.positions.get(name)
        if stood is None:
            self._complain(f"row {row.offset} reduces {name}, which is not open")
            return
        is_settled = event.reason is CloseReason.SETTLEMENT
        self._check_fill(row, event.fill, market, is_settled=is_settled)
        if slow.is_stale(row.stream, row.at) and not is_settled:
            self._complain(f"row {row.offset} reduces {name} at a price that is too old or in doubt")
        self._leaves(row, event, name)
        before, house = (stood.cash, stood.margin, slow.wallets[stood.user]), market.house
        is_due, exits = slow.is_liquidatable(name), slow.exits_due(name)
        if event.order is not None:
            exits = {event.reason.value}
        if event.reason is CloseReason.LIQUIDATION and (not is_due or "stop_loss" in exits):
            self._complain(f"row {row.offset} liquidates {name}, which is due: {is_due}, and {exits}")
        by_exit = (CloseReason.TAKE_PROFIT, CloseReason.STOP_LOSS, CloseReason.TRAILING_STOP)
        if event.reason in by_exit and event.reason not in exits:
            self._complain(f"row {row.offset} closes {name} by its {event.reason}; due are {exits}")
        if event.reason is CloseReason.DELEVERAGE:
            self.deleveragings.left(row, event, name)
        elif is_settled:
            slow.settled(name)
        elif is_due and (event.reason is not CloseReason.OWNER or event.order is not None):
            count = abs(event.fill.lots)
            if event.reason is CloseReason.LIQUIDATION and not is_least_part(slow, name, count):
                self._complain(f"row {row.offset} liquidates {count} of the {abs(stood.lots)} lots of {name}")
            slow.liquidated(name, count)
        else:
            slow.closed(name, abs(event.fill.lots))
        if market.house < min(house, -market.rules.house_credit):
            self._complain(f"row {row.offset}: the house of {row.stream} pays what it does not have: {market.house}")
        self._same(f"row {row.offset} margin of {name}", event.margin_released, before[1] + event.kept - stood.margin)
        payout = before[0] + event.kept - stood.cash - market.owed(-event.fill.lots) - event.fill.cost
        self._same(
            f"row {row.offset} settlement", (event.settlement, event.bad_debt), (max(payout, 0), max(-payout, 0))
        )
        gained = slow.wallets[stood.user] - before[2]
        self._same(f"row {row.offset} net to {stood.user}", event.settlement - event.fee - event.kept, gained)
        rest = slow.positions.get(name)
        self._same(
            f"row {row.offset} rest of {name}",
            (event.position.lots, event.position.cash, event.position.margin),
            (rest.lots, rest.cash, rest.margin) if rest else (0, 0, 0),
        )

    def _increase(self, row: Row, event: PositionIncreased) -> None:
        """The leverage that was asked for is in no row: the margin that was added says what it can have been."""
        name, market = position_id(row.stream, event.position.number), self.slow.markets[row.stream]
        self._fills(row, event.order)
        if self.slow.is_stale(row.stream, row.at):
            self._complain(f"row {row.offset} increases {name} at a price that is too old or in doubt")
        self._check_fill(row, event.fill, market)
        cost, margin = abs(event.fill.cost), event.margin_added
        leverage = max(ceil(Fraction(cost, max(margin, 1))), 1)
        if event.fill.lots * event.position.lots <= 0 or leverage > market.rules.leverage(event.position.lots):
            self._complain(f"row {row.offset}: {event.fill.lots} lots and {margin} of margin are no increase of {name}")
        self._same(f"row {row.offset} fee", event.fee, market.fee(event.fill.lots))
        self.slow.increased(name, event.fill.lots, leverage)
        stands = self.slow.positions[name]
        off = margin - ceil(Fraction(cost, leverage))
        self.slow.margin_moved(name, off)
        said = event.position
        self._same(
            f"row {row.offset} {name}",
            (said.user, said.lots, said.cash, said.margin),
            (stands.user, stands.lots, stands.cash, stands.margin),
        )
        if self.slow.is_liquidatable(name):
            self._complain(f"I7 row {row.offset}: {name} was increased and is due at once")

    def _change(self, row: Row, event: PositionChanged) -> None:
        name, slow = position_id(row.stream, event.position.number), self.slow
        moved = sum(
            -move.amount if move.kind is TransferKind.MARGIN_RETURN else move.amount for move in event.transfers
        )
        if moved < 0:
            self._fills(row, event.order)
        if -moved > max(slow.withdrawable(name), 0):
            self._complain(f"row {row.offset} takes {-moved} out of {name}, which needs it")
        slow.margin_moved(name, moved)
        said, stands = event.position, slow.positions[name]
        self._same(
            f"row {row.offset} {name}",
            (said.user, said.lots, said.cash, said.margin),
            (stands.user, stands.lots, stands.cash, stands.margin),
        )

    def _check_fill(self, row: Row, fill: Fill, market: SlowMarket, *, is_settled: bool = False) -> None:
        ticker = row.stream
        cost = market.settlement_cost(fill.lots) if is_settled else market.cost(fill.lots)
        said = (fill.cost, fill.quote_before, fill.quote_after, self._price(ticker, fill.index_price))
        quotes = self._ticks(ticker, market, market.skew), self._ticks(ticker, market, market.skew + fill.lots)
        self._same(f"row {row.offset} fill", said, (cost, *quotes, market.index_price))

    def _check_accounts(self, entry: Entry) -> None:
        """Each account that the row touched holds what the slow model says."""
        slow, touched = self.slow, {}
        for leg in entry.legs:
            touched[leg.transfer.source] = leg.source_balance
            touched[leg.transfer.target] = leg.target_balance
        for account, balance in touched.items():
            kind, _, name = account.partition(":")
            if kind == "user":
                expected = slow.wallets[name]
            elif kind == "house":
                expected = slow.markets[name].house
            elif kind == "insurance":
                expected = slow.markets[name].insurance
            elif kind == "margin":
                expected = slow.margin(name)
            elif kind == "orders":
                expected = slow.orders.reserved(name)
            else:
                expected = slow.fees if kind == "fees" else slow.world
            if balance != expected:
                self._complain(f"row {entry.row.offset}: {account} holds {balance}, the slow model says {expected}")
            if kind == "user" and balance < 0:
                self._complain(f"I7 row {entry.row.offset}: {account} at {balance}")

    def _check_credits(self, entry: Entry, known: int) -> None:
        """What the row takes from a wallet was there without the credits of rows that were not durable yet."""
        offset = entry.row.offset
        for account, amount in taken(entry).items():
            past = self._wallets.setdefault(account, [(0, 0, 0)])
            past.append((offset, self.state.ledger.balances[account], max(amount, 0)))
            if amount <= 0:
                continue
            free = 0
            for row, balance, debit in reversed(past):
                if row <= known:
                    free += balance
                    break
                free -= debit
            if free < 0:
                self._complain(f"I8 row {offset} takes {amount} from {account}, {-free} of it not durable then")

    def _check_nobody_is_due(self, row: Row | None, ticker: str = "") -> None:
        """Before another command of a market, and at rest: who was due has left, if the house can pay."""
        ticker = row.stream if row else ticker
        market = self.state.markets.get(ticker)
        if market is None or market.mode is Mode.HALTED or self.slow.is_stale(ticker, market.at):
            return
        for number, order in market.orders.by_number.items():
            made = self.slow.orders.by_name[order_id(ticker, number)]
            mark = self.slow.markets[ticker].shown_mark
            if made.is_exit:
                self._check_exit_rests(number, ticker, made)
                continue
            may = self.slow.markets[ticker].decides(made.placed_at) and order.twap is None
            if market.mode is Mode.ENABLED and may and not made.is_limit and made.is_reached(mark):
                self._complain(f"the stop {number} of {ticker} is due and rests: {order}")
        for number in market.positions:
            name = position_id(ticker, number)
            is_due = self.slow.is_liquidatable(name) or self.slow.exits_due(name)
            if is_due and self.slow.can_be_paid(name):
                self._complain(f"{name} is due and stands, before {row.offset if row else 'rest'}")

    def _price(self, ticker: str, ticks: int) -> Fraction:
        return Fraction(ticks * self._params[ticker].tick_size, PICO)

    def _ticks(self, ticker: str, market: SlowMarket, skew: int) -> int:
        return max(floor(market.quote(skew) * PICO / self._params[ticker].tick_size), 1)

    def _same(self, what: str, said: object, expected: object) -> None:
        if said != expected:
            self._complain(f"{what}: the venue says {said}, the slow model {expected}")
