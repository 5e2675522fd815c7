"""A market's state. Rules change it, by their ``apply``; no check lives here, and nothing here can refuse."""

from __future__ import annotations

from copy import copy

from perps.events import MarketListed, Transfers
from perps.market.cancel_timers import CancelTimers
from perps.market.deleveraging import Deleveraging
from perps.market.holding import HeldPrice
from perps.market.liquidation_order import LiquidationOrder, NoOrder
from perps.market.orders import NoLists, RestingOrders
from perps.market.position import Position
from perps.market.pricing import most_lots, trade_cost
from perps.market.settling import Settling
from perps.market.triggers import Exits, NoExits
from perps.money.accounts import house_account, insurance_account
from perps.params import MarketParams, MarkSource, Mode
from perps.snapshot.images import MarketHead, MarketImage, in_order
from perps.units import PPB, FundingIndex, Lots, Micros, Millis, Ticks, div_ceil, div_floor


class Market:
    """One market: its price, its positions and the running sums over them.

    Changed only by ``perps.engine.apply``, in the mailbox of the actor that owns it (or by a follower of the journal,
    which keeps its own). Sums are O(1) to keep: skew K, lots per side, ΣQ, Σm, what each user holds.
    """

    __slots__ = (
        "at",
        "cancel_timers",
        "cash",
        "decided_before",
        "deleveraging",
        "exits",
        "funding_at",
        "funding_carry",
        "funding_index",
        "funding_rate",
        "held",
        "held_price",
        "hour_index",
        "house",
        "index_price",
        "insurance",
        "long_lots",
        "margin",
        "mode",
        "mode_reason",
        "next_number",
        "next_order",
        "order",
        "orders",
        "own",
        "params",
        "positions",
        "price_at",
        "seq",
        "settling",
        "short_lots",
        "source_sequences",
        "source_times",
        "unit",
    )

    def __init__(self, listing: MarketListed, order: LiquidationOrder | None = None) -> None:
        self.params: MarketParams = listing.params
        self.unit = listing.params.unit
        self.mode = Mode.ENABLED
        self.mode_reason = ""
        self.index_price: Ticks = listing.price
        self.price_at: Millis = listing.at
        self.held_price: HeldPrice | None = None
        """A price that waits to be confirmed. Until then nothing happens here."""
        self.settling: Settling | None = None
        """At what everybody leaves, from the beginning of a settlement to its end."""
        self.deleveraging: Deleveraging | None = None
        """By what winners are ranked, from the beginning of a deleveraging to its end."""
        self.source_times: dict[str, Millis] = {}
        self.source_sequences: dict[str, int] = {}
        self.funding_index = FundingIndex(0)
        self.funding_rate = 0
        """r: 10⁻¹⁸ of the notional per day; > 0: longs pay."""
        self.funding_carry = 0
        """What is left of the index's last division."""
        self.funding_at: Millis = listing.at if listing.params.funding_velocity else Millis(0)
        """Up to when the index counts; 0 without funding."""
        self.hour_index = FundingIndex(0)
        """The index at the last full hour that was noted."""
        self.positions: dict[int, Position] = {}
        self.held: dict[str, tuple[int, int]] = {}
        """By user who has any: how many positions are open, and Σ|q| of them in lots."""
        self.own: dict[str, set[int]] = {}
        """By user who has any: the numbers of the open positions."""
        self.order = LiquidationOrder() if order is None else order
        self.exits = Exits() if order is None else NoExits()
        self.orders = RestingOrders(self.exits) if order is None else NoLists(self.exits)
        self.cancel_timers = CancelTimers()
        self.decided_before = Millis(0)
        """Where orders wait for the next price: the present one decides those that were placed before this."""
        if listing.params.executes_later:
            self.orders.ready_before = self.decided_before
        self.next_number = 1
        self.next_order = 1
        self.seq = 0
        """Rows this market has written: the ``market_seq`` of the last one."""
        self.at: Millis = listing.at
        """Time of the last row. Never falls, whatever the clock does."""
        self.long_lots = Lots(0)
        self.short_lots = Lots(0)
        self.cash = Micros(0)
        self.margin = Micros(0)
        self.house = Micros(0)
        self.insurance = Micros(0)
        self.take_money(listing.transfers)

    @classmethod
    def from_image(cls, image: MarketImage, order: LiquidationOrder | None = None) -> Market:
        """The market an image was taken of. Its sums and its liquidation order are made from its positions."""
        head = image.head
        market = cls(MarketListed(head.params, head.index_price, head.price_at), order)
        market.seq, market.at, market.next_number = head.seq, head.at, head.next_number
        market.mode, market.mode_reason = head.mode, head.mode_reason
        market.source_times, market.source_sequences = dict(head.source_times), dict(head.source_sequences)
        market.funding_index = head.funding_index
        market.funding_rate, market.funding_carry = head.funding_rate, head.funding_carry
        market.funding_at, market.hour_index = head.funding_at, head.hour_index
        market.house, market.insurance = head.house, head.insurance
        market.held_price, market.settling = head.held_price, head.settling
        market.next_order, market.deleveraging = head.next_order, head.deleveraging
        market.cancel_timers, market.decided_before = CancelTimers(head.cancel_timers), head.decided_before
        if head.params.executes_later:
            market.orders.ready_before = head.decided_before
        market.order.add_all(image.positions, head.params)
        market.exits.enter_all(position for position in image.positions if position.has_exits)
        for position in image.positions:
            market.positions[position.number] = position
            market._count(position, 1)
        for each in image.orders:
            market.orders.add(each, head.params)
        market.orders.find_orphans(market.positions)
        return market

    def image(self) -> MarketImage:
        """The whole state, frozen: about 1 ms for 100,000 positions."""
        head = MarketHead(
            self.params,
            self.seq,
            self.at,
            self.mode,
            self.mode_reason,
            self.index_price,
            self.price_at,
            in_order(self.source_times),
            in_order(self.source_sequences),
            self.funding_index,
            self.next_number,
            self.house,
            self.insurance,
            self.funding_rate,
            self.funding_carry,
            self.funding_at,
            self.hour_index,
            self.held_price,
            self.settling,
            self.next_order,
            len(self.positions) if self.orders.by_number else None,
            in_order(self.cancel_timers.by_user),
            self.decided_before,
            self.deleveraging,
        )
        return MarketImage(head, tuple(self.positions.values()), self.orders.all())

    def follower(self) -> Market:
        """A copy that goes its own way and liquidates nobody: for readers, who are told who was liquidated."""
        market = copy(self)
        market.order, market.exits = NoOrder(), NoExits()
        market.positions, market.held = dict(self.positions), dict(self.held)
        market.own = {user: set(numbers) for user, numbers in self.own.items()}
        market.source_times, market.source_sequences = dict(self.source_times), dict(self.source_sequences)
        market.orders, market.cancel_timers = NoLists(market.exits), CancelTimers(self.cancel_timers.by_user)
        for order in self.orders.all():
            market.orders.add(order, self.params)
        return market

    @property
    def ticker(self) -> str:
        """The market's name in ids, accounts and routes."""
        return self.params.ticker

    @property
    def skew(self) -> Lots:
        """K = Σ signed lots."""
        return Lots(self.long_lots - self.short_lots)

    @property
    def quote(self) -> Ticks:
        """The price of the next small trade, ticks, rounded down, at least 1."""
        return self.quote_at(self.skew)

    def quote_at(self, skew: int, index_price: Ticks | None = None) -> Ticks:
        """S·(1 + K/Ks) at another skew, and at another index price if one is given; ticks, rounded down, at least 1."""
        scale = self.params.skew_scale
        price = div_floor((self.index_price if index_price is None else index_price) * (scale + skew), scale)
        return Ticks(price if price > 1 else 1)

    @property
    def mark(self) -> Ticks:
        """The price for margin and liquidation, as shown: the index or the quote, as ``mark_source`` says, in ticks."""
        if self.params.mark_source is MarkSource.INDEX:
            return self.index_price
        return self.quote

    def exact_mark(self, skew: int) -> tuple[int, int]:
        """The mark at a skew as a fraction of ticks: what liquidations are decided by.

        S·(Ks + K)/Ks where the mark is the quote, exact: a coarse tick moves nobody's liquidation. In markets that were
        listed without ``exact_mark`` it is the quote rounded down to its tick.
        """
        params = self.params
        if params.mark_source is MarkSource.INDEX:
            return self.index_price, 1
        if not params.exact_mark:
            return self.quote_at(skew), 1
        return self.index_price * (params.skew_scale + skew), params.skew_scale

    def mark_given(self, quote: Ticks, index_price: Ticks) -> Ticks:
        """The mark if quote and index were these, ticks."""
        return quote if self.params.mark_source is MarkSource.QUOTE else index_price

    def price_age_ms(self, at: Millis, doubtful_price_at: Millis | None) -> int:
        """How old the price is. The one of ``doubtful_price_at`` counts as older than the market allows."""
        age_ms = at - self.price_at
        if self.price_at != doubtful_price_at:
            return age_ms
        return max(age_ms, (self.params.max_price_age or 0) + 1)

    def cost(self, lots: int) -> Micros:
        """C(lots) from the present skew, signed micros, rounded up: what buying (or selling) ``lots`` costs now."""
        return trade_cost(
            lots,
            index_price=self.index_price,
            unit=self.unit,
            skew=self.skew,
            skew_scale=self.params.skew_scale,
        )

    def most_lots(self, size: Micros, sign: int) -> Lots:
        """The most lots (unsigned) that ``size`` buys (``sign`` 1) or sells (−1) from the present skew; 0: not one."""
        return most_lots(
            size,
            sign,
            index_price=self.index_price,
            unit=self.unit,
            skew=self.skew,
            skew_scale=self.params.skew_scale,
        )

    @property
    def liability(self) -> Micros:
        """R = ΣQ − K·F/10⁹ + S·u·K·(2Ks + K)/(2Ks) − Σm, micros, rounded up: what traders gain if all leave now.

        Whatever the order they leave in, and to within 2 micros a position; their bad debts are left out.
        """
        skew, scale = self.skew, self.params.skew_scale
        worth = div_ceil(self.index_price * self.unit * skew * (2 * scale + skew), 2 * scale)
        return Micros(self.cash - div_floor(skew * self.funding_index, PPB) + worth - self.margin)

    @property
    def can_pay(self) -> Micros:
        """H = house + its credit, micros: what the house can pay. Below 0: it owes more than its credit already."""
        return Micros(self.house + self.params.house_credit)

    def enter(self, position: Position) -> None:
        """A position stands from here on: count it, and give it its place in the liquidation order."""
        self.positions[position.number] = position
        self.order.add(position, self.params)
        if position.has_exits:
            self.exits.enter(position)
        self._count(position, 1)

    def leave(self, position: Position) -> None:
        """A position as it stood so far stands no more."""
        del self.positions[position.number]
        self.order.remove(position, self.params)
        if position.has_exits:
            self.exits.leave(position)
        self._count(position, -1)

    def _count(self, position: Position, sign: int) -> None:
        if position.lots > 0:
            self.long_lots = Lots(self.long_lots + sign * position.lots)
        else:
            self.short_lots = Lots(self.short_lots - sign * position.lots)
        self.cash = Micros(self.cash + sign * position.cash)
        self.margin = Micros(self.margin + sign * position.margin)
        count, lots = self.held.get(position.user, (0, 0))
        if count + sign:
            self.held[position.user] = (count + sign, lots + sign * abs(position.lots))
        else:
            del self.held[position.user]
        if sign > 0:
            self.own.setdefault(position.user, set()).add(position.number)
        elif count + sign:
            self.own[position.user].discard(position.number)
        else:
            del self.own[position.user]

    def take_money(self, transfers: Transfers) -> None:
        """Count what enters and leaves the house's and the insurance's account."""
        house, insurance = house_account(self.ticker), insurance_account(self.ticker)
        for transfer in transfers:
            if transfer.target == house:
                self.house = Micros(self.house + transfer.amount)
            elif transfer.source == house:
                self.house = Micros(self.house - transfer.amount)
            if transfer.target == insurance:
                self.insurance = Micros(self.insurance + transfer.amount)
            elif transfer.source == insurance:
                self.insurance = Micros(self.insurance - transfer.amount)
