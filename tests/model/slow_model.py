"""The venue in exact fractions: slow, short, and obviously right. Written from the formulas, not from ``perps``.

Two uses.

1. Beside the engine: ``SlowVenue`` is told each *accepted* operation (who, which lots, at which index price) and says
   what every account must hold.

2. From outside, with nothing but what the REST interface shows: ``tests/model/recompute.py``.

Every amount is micros. What is rounded, and how, is said by ``floor`` and ``ceil`` at the documented place and nowhere
else. Of a market with funding (``slow_funding``) a trade must carry the funding index, which REST does not show.
"""

from __future__ import annotations

from collections import defaultdict
from copy import deepcopy
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil, floor

from tests.model.slow_band import SlowBand
from tests.model.slow_funding import PPB, SlowFunding
from tests.model.slow_market import SlowMarket, SlowPosition
from tests.model.slow_orders import SlowOrder, SlowOrders
from tests.model.slow_rules import Number, Rules, exact


@dataclass(frozen=True)
class Trade:
    """One fill as an outsider sees it."""

    user: str
    ticker: str
    position: str
    """Which position it opened or reduced."""
    kind: str
    """``open``, ``close``, ``liquidation``, or ``forced_stop``: a stop that was due for liquidation."""
    lots: int
    """Signed: > 0 bought."""
    index_price: Fraction
    """Quote currency per base unit at the moment of the fill."""
    leverage: int = 1
    """Of an open; otherwise not looked at."""
    funding_index: int = 0
    """At the moment of the fill."""

    @staticmethod
    def of(
        *,
        user: str,
        ticker: str,
        position: str,
        kind: str,
        side: str,
        quantity: Number,
        index_price: Number,
        lot_size: Number,
        leverage: int = 1,
        funding_index: int = 0,
    ) -> Trade:
        """From REST fields: ``side`` is ``buy`` or ``sell`` (of this fill), ``quantity`` in base units, unsigned."""
        lots = exact(quantity) / exact(lot_size)
        if lots.denominator != 1 or side not in ("buy", "sell"):
            raise ValueError(f"{side} {quantity} is not a fill in lots of {lot_size}")
        signed = int(lots) if side == "buy" else -int(lots)
        return Trade(user, ticker, position, kind, signed, exact(index_price), leverage, funding_index)


@dataclass
class SlowVenue:
    """All accounts. Methods are named for what has happened and believe what they are told."""

    markets: dict[str, SlowMarket] = field(default_factory=dict)
    wallets: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    referrers: dict[str, str | None] = field(default_factory=dict)
    positions: dict[str, SlowPosition] = field(default_factory=dict)
    orders: SlowOrders = field(default_factory=SlowOrders)
    fees: int = 0
    world: int = 0

    def listed(self, rules: Rules, index_price: Number, at: int = 0) -> None:
        """A market exists."""
        market = SlowMarket(rules, exact(index_price), house=rules.house_deposit, price_at=at)
        if rules.funding_velocity:
            velocity, cap = rules.funding_velocity, rules.max_funding_rate
            market.funding = SlowFunding(velocity, cap, rules.max_skew, rules.max_price_age, at=at, price_at=at)
        if rules.price_band is not None:
            market.band = SlowBand(rules.price_band, rules.price_confirmations)
        self.markets[rules.ticker] = market
        self.world -= rules.house_deposit

    def deposited(self, user: str, amount: int) -> None:
        """Money came in; a withdrawal is negative."""
        self.wallets[user] += amount
        self.world -= amount

    def funded(self, ticker: str, account: str, amount: int) -> None:
        """Money came into a market's house or insurance from outside; < 0: it went out."""
        market = self.markets[ticker]
        if account == "house":
            market.house += amount
        else:
            market.insurance += amount
        self.world -= amount

    def priced(self, ticker: str, index_price: Number, price_at: int = 0) -> None:
        """The index price moved. ``price_at``: how old it is."""
        market = self.markets[ticker]
        market.index_price, market.price_at = exact(index_price), price_at
        if market.funding is not None:
            market.funding.price_at = price_at
        self._marked(ticker)

    def _marked(self, ticker: str) -> None:
        """The mark may be another one: trailing stops have seen it."""
        self.orders.follow(ticker, self.markets[ticker].shown_mark)

    def changed(self, rules: Rules, at: int) -> None:
        """The market has other rules."""
        market = self.markets[rules.ticker]
        market.rules, old = rules, market.funding
        self._marked(rules.ticker)
        market.funding = None
        if rules.funding_velocity:
            velocity, cap = rules.funding_velocity, rules.max_funding_rate
            market.funding = SlowFunding(velocity, cap, rules.max_skew, rules.max_price_age, at=at)
            market.funding.rate = old.rate if old else Fraction(0)
            market.funding.owed = old.owed if old else Fraction(market.index, PPB)
            market.funding.price_at, market.funding.is_halted = market.price_at, market.is_halted
        if rules.price_band is None:
            market.band = None
        elif market.band is None:
            market.band = SlowBand(rules.price_band, rules.price_confirmations)
        else:
            market.band.band, market.band.needed = rules.price_band, rules.price_confirmations

    def takes(self, ticker: str, index_price: Number, source: str, price_at: int, now: int) -> bool:
        """A price comes: whether it is taken. Otherwise it is held, and the index stays."""
        market = self.markets[ticker]
        band = market.band
        return band is None or band.takes(exact(index_price), market.index_price, source, price_at, now)

    def unheld(self, ticker: str) -> None:
        """What was held has waited in vain."""
        band = self.markets[ticker].band
        if band is not None:
            band.said = []

    def switched(self, ticker: str, *, is_halted: bool) -> None:
        """The market has another mode."""
        market = self.markets[ticker]
        market.is_halted = is_halted
        if market.funding is not None:
            market.funding.is_halted = is_halted

    def observed(self, ticker: str, at: int) -> SlowMarket:
        """The venue looks at a market, at what has been its price and skew since it did last."""
        market = self.markets[ticker]
        if market.funding is not None:
            is_held = any(position.ticker == ticker for position in self.positions.values())
            worth = market.index_price * market.rules.lot_value
            in_doubt = market.band is not None and market.band.is_waiting
            market.funding.observed(at, skew=market.skew, lot_worth=worth, is_held=is_held, in_doubt=in_doubt)
            market.index = market.funding.index
        return market

    def opened(self, user: str, ticker: str, position: str, lots: int, leverage: int) -> None:
        """Margin = ceil(|C|/leverage) goes in, the lots are paid from it, a fee on |C|. Funding counts from here."""
        market = self.markets[ticker]
        cost = market.cost(lots)
        margin = ceil(Fraction(abs(cost), leverage))
        owed = floor(Fraction(lots * market.index, PPB))
        self.wallets[user] -= margin
        self._pay_fee(user, market.fee(lots), market)
        self.positions[position] = SlowPosition(user, ticker, lots, margin - cost + owed, margin)
        market.skew += lots
        self._marked(ticker)

    def increased(self, position: str, lots: int, leverage: int) -> None:
        """More lots for a position, as if they had been opened beside it and both put together."""
        stands = self.positions[position]
        self.opened(stands.user, stands.ticker, position, lots, leverage)
        added = self.positions[position]
        added.lots, added.cash = added.lots + stands.lots, added.cash + stands.cash
        added.margin += stands.margin
        added.take_profit, added.stop_loss, added.exits_at = stands.take_profit, stands.stop_loss, stands.exits_at

    def margin_moved(self, position: str, amount: int) -> None:
        """Its owner pays into its margin; < 0: takes out of it. What it is worth moves by as much."""
        stands = self.positions[position]
        self.wallets[stands.user] -= amount
        stands.cash += amount
        stands.margin += amount

    def withdrawable(self, name: str) -> int:
        """How much margin can leave: what is left, of the margin and of the equity, pays for an open of this size."""
        position = self.positions[name]
        market = self.markets[position.ticker]
        value = position.lots * market.mark * market.rules.lot_value
        worth = floor(position.cash + value - market.owed(position.lots))
        rules = market.rules
        maintenance = ceil(abs(value) * rules.rate(position.lots)) + rules.maintenance_fixed
        needed = max(ceil(abs(value) / rules.leverage(position.lots)), 1)
        return min(position.margin - needed, worth - needed, worth - maintenance - 1)

    def closed(self, position: str, count: int) -> None:
        """Its owner leaves with ``count`` lots."""
        stands = self.positions[position]
        fee = self.markets[stands.ticker].fee(-count if stands.lots > 0 else count)
        market, user, settlement, _ = self._reduce(position, count)
        self._pay_fee(user, min(fee, settlement), market)

    def liquidated(self, position: str, count: int | None = None) -> None:
        """The whole position goes, or ``count`` lots of it; the fee goes to the insurance.

        What a part brings, less the fee, does not reach the owner: it becomes margin of the rest.
        """
        stands = self.positions[position]
        market, user, settlement, cost = self._reduce(position, abs(stands.lots) if count is None else count)
        fee = min(ceil(abs(cost) * market.rules.liquidation_fee), settlement)
        self.wallets[user] -= fee
        market.insurance += fee
        if position in self.positions:
            self.margin_moved(position, settlement - fee)

    def settling(self, ticker: str) -> None:
        """Everybody leaves at the mean of the quote now and at a skew of 0."""
        market = self.markets[ticker]
        market.settles_at = (market.quote(market.skew) + market.quote(0)) / 2

    def settled(self, position: str) -> None:
        """The whole position goes at the price of the settlement; there is no fee."""
        standing = self.positions[position]
        self._reduce(position, abs(standing.lots), self.markets[standing.ticker].settlement_cost(-standing.lots))

    def deleveraged(self, position: str, count: int) -> None:
        """It is made to leave with ``count`` lots, as its owner could, and pays no fee."""
        self._reduce(position, count)

    def _reduce(self, name: str, count: int, at_cost: int | None = None) -> tuple[SlowMarket, str, int, int]:
        """Qc = floor(Q·c/q), mc = floor(m·c/q); Qc − funding − C to the owner, or, below 0, bad debt."""
        position = self.positions[name]
        market = self.markets[position.ticker]
        part = Fraction(count, abs(position.lots))
        signed = count if position.lots > 0 else -count
        cost = market.cost(-signed) if at_cost is None else at_cost
        cash, margin = floor(position.cash * part), floor(position.margin * part)
        payout = cash - market.owed(signed) - cost
        settlement = max(payout, 0)
        self.wallets[position.user] += settlement
        market.house += margin - settlement
        covered = min(max(-payout, 0), market.insurance)
        market.insurance -= covered
        market.house += covered
        position.lots, position.cash, position.margin = (
            position.lots - signed,
            position.cash - cash,
            position.margin - margin,
        )
        if not position.lots:
            del self.positions[name]
        market.skew -= signed
        self._marked(position.ticker)
        return market, position.user, settlement, cost

    def _pay_fee(self, user: str, fee: int, market: SlowMarket) -> None:
        referrer = self.referrers.get(user)
        referral = floor(fee * market.rules.referral_share) if referrer else 0
        self.wallets[user] -= fee
        self.fees += fee - referral
        if referrer:
            self.wallets[referrer] += referral

    def margin(self, ticker: str) -> int:
        """Σ margins of a market's open positions."""
        return sum(position.margin for position in self.positions.values() if position.ticker == ticker)

    def is_liquidatable(self, name: str) -> bool:
        """Equity at the mark ≤ maintenance, which is rounded up: to a micro, at an exact mark to 1/Ks of one."""
        position = self.positions[name]
        market = self.markets[position.ticker]
        rules = market.rules
        value = position.lots * market.mark * rules.lot_value
        parts = rules.skew_scale if rules.mark_is_quote and rules.mark_is_exact else Fraction(1)
        maintenance = ceil(abs(value) * rules.rate(position.lots) * parts) / parts + rules.maintenance_fixed
        return position.cash + value - market.owed(position.lots) <= maintenance

    def can_be_paid(self, name: str, count: int | None = None) -> bool:
        """Whether the house can pay what the whole position, or ``count`` lots of it, would gain by leaving now."""
        market, gain = self.markets[self.positions[name].ticker], self.gain(name, count)
        return gain <= 0 or market.house - gain >= -market.rules.house_credit

    def gain(self, name: str, count: int | None = None) -> int:
        """What the whole position, or ``count`` lots of it, would bring beyond its margin by leaving now."""
        return self._payout(name, count) - floor(self.positions[name].margin * self._part(name, count))

    def _part(self, name: str, count: int | None) -> Fraction:
        return Fraction(1) if count is None else Fraction(count, abs(self.positions[name].lots))

    def _payout(self, name: str, count: int | None) -> int:
        position, part = self.positions[name], self._part(name, count)
        market, lots = self.markets[position.ticker], int(position.lots * part)
        return floor(position.cash * part) - market.owed(lots) - market.cost(-lots)

    def is_order_due(self, order: SlowOrder) -> bool:
        """Whether the mark, as it is shown, has reached an exit order or an entry's stop."""
        return order.is_reached(self.markets[order.ticker].shown_mark)

    def exit_lots(self, order: SlowOrder) -> int:
        """How many lots an exit order closes now: its share, or all if what is left would be liquidated."""
        name = str(order.position)
        held = abs(self.positions[name].lots)
        count = max(1, floor(held * order.share))
        if count == held or self._payout(name, count) < 0:
            return held
        after = deepcopy(self)
        after.closed(name, count)
        return held if after.is_liquidatable(name) else count

    def is_stale(self, ticker: str, at: int) -> bool:
        """Whether the price is too old to trade at, or is in doubt."""
        market = self.markets[ticker]
        if market.band is not None and market.band.is_waiting:
            return True
        limit = market.rules.max_price_age
        return limit is not None and at - market.price_at > limit

    def liability(self, ticker: str) -> Fraction:
        """What all traders gain together if all leave now, but for roundings: at the mean of the quote now and at 0."""
        market = self.markets[ticker]
        mean = (market.quote(market.skew) + market.index_price) / 2 * market.rules.lot_value
        standing = [position for position in self.positions.values() if position.ticker == ticker]
        worths = (each.cash + each.lots * (mean - Fraction(market.index, PPB)) - each.margin for each in standing)
        return sum(worths, Fraction(0))

    def rested(self, name: str, order: SlowOrder) -> None:
        """An order rests, or rests with other terms: the difference of what it keeps leaves the wallet.

        A trailing stop begins at the mark; with other terms it stays where it has come to.
        """
        if order.callback is not None:
            stands = self.orders.by_name.get(name)
            best = self.markets[order.ticker].shown_mark if stands is None else stands.best
            order = replace(order, best=best)
        if name in self.orders.by_name:
            self.ended(name)
        self.orders.by_name[name] = order
        self.wallets[order.user] -= order.reserve

    def ended(self, name: str) -> SlowOrder:
        """An order rests no more; what it kept is in the wallet, from which a fill is paid as an open is."""
        order = self.orders.by_name.pop(name)
        self.wallets[order.user] += order.reserve
        return order

    def exits_set(self, name: str, take_profit: Fraction | None, stop_loss: Fraction | None, at: int) -> None:
        """A position has these exits and no others; prices in quote currency."""
        position = self.positions[name]
        position.take_profit, position.stop_loss, position.exits_at = take_profit, stop_loss, at

    def exits_due(self, name: str) -> set[str]:
        """Which exits the mark has reached, as it is shown, by a price that was true after they were set."""
        position = self.positions[name]
        if position.exits_at and not self.markets[position.ticker].decides(position.exits_at):
            return set()
        mark, sign = self.markets[position.ticker].shown_mark, 1 if position.lots > 0 else -1
        due = set[str]()
        if position.take_profit is not None and sign * (mark - position.take_profit) >= 0:
            due.add("take_profit")
        if position.stop_loss is not None and sign * (position.stop_loss - mark) >= 0:
            due.add("stop_loss")
        return due

    def total(self) -> int:
        """Σ of all accounts: 0."""
        markets = sum(
            market.house + market.insurance + self.margin(market.rules.ticker) for market in self.markets.values()
        )
        reserved = sum(order.reserve for order in self.orders.by_name.values())
        return sum(self.wallets.values()) + markets + reserved + self.fees + self.world

    def traded(self, trade: Trade) -> None:
        """A fill, at the index price it carries."""
        self.priced(trade.ticker, trade.index_price)
        self.markets[trade.ticker].index = trade.funding_index
        if trade.kind == "open" and trade.position in self.positions:
            self.increased(trade.position, trade.lots, trade.leverage)
        elif trade.kind == "open":
            self.opened(trade.user, trade.ticker, trade.position, trade.lots, trade.leverage)
        elif trade.kind == "close":
            self.closed(trade.position, abs(trade.lots))
        elif trade.kind == "deleverage":
            self.deleveraged(trade.position, abs(trade.lots))
        elif trade.kind in ("liquidation", "forced_stop"):
            self.liquidated(trade.position, abs(trade.lots))
        else:
            raise ValueError(f"there is no kind {trade.kind!r}")
