"""What clients ask for: commands by chance, poison among them, and the same again under the same id."""

from __future__ import annotations

from itertools import count
from random import Random
from typing import Any

from perps.commands import (
    CancelOrder,
    CancelOrders,
    ChangeMargin,
    ClosePosition,
    Command,
    CreateUser,
    Deposit,
    FundMarket,
    HouseAccount,
    ListMarket,
    OpenPosition,
    PriceSource,
    SetCancelTimer,
    SetMode,
    SettleMarket,
    SetTriggers,
    Side,
    TradeNet,
    UpdateMarket,
    UpdatePrice,
    Withdraw,
)
from perps.market.position import Position, position_id, split_position_id
from perps.params import Execution, MarketParams, Mode, ParamChanges
from perps.units import MICRO, PPB, Lots, Micros, Millis, Ppb, Ticks
from perps.venue import VenueState
from tests.perps.build import BTC_PRICE, STORY_PRICE, index_market, quote_market
from tests.simulation.client_orders import OrderMaker
from tests.simulation.orders import Order
from tests.simulation.tiers import rates, tiers_of, with_tiers

ADMIN = "@admin"
TICKERS = ("A-PERP", "B-PERP", "C-PERP", "D-PERP")
PRICE_MAX_FACTOR = 3
FALLS_BPS = (3_000, 6_000, 8_000, 9_000, 11_000, 13_000, 20_000)
"""What is left of a price after a sudden move, up or down."""
INVALID_LISTINGS = 0.7
FUNDING: dict[str, Any] = {"funding_velocity": Ppb(20_000 * PPB), "max_funding_rate": Ppb(PPB // 15)}
"""So quick that the rate meets its bounds within a run."""
MAKER: dict[str, Any] = {"maker_fee": Ppb(PPB // 4000), "charges_maker_fee": True}
BAND: dict[str, Any] = {"price_band": Ppb(PPB // 40), "price_confirmations": 2}
WAITING: dict[str, Any] = {
    "execution": Execution.NEXT_PRICE,
    "clock_skew": Millis(20),
    "pending_limit": Millis(20_000),
}
HOUSES: tuple[dict[str, Any], ...] = (
    {"house_credit_limit": None},
    {"house_credit_limit": Micros(0), "deleveraging": False},
    {"house_credit_limit": Micros(1_000 * MICRO)},
    {"house_credit_limit": Micros(50 * MICRO), "deleveraging": True},
    {"house_credit_limit": Micros(30 * MICRO), "deleveraging": True},
    {"house_credit_limit": Micros(15 * MICRO), "deleveraging": True},
)
PRICE_AGE_MS = Millis(4_000)
"""Prices of the later markets grow old within a run."""
OPENING_MARKETS, OPENING_USERS = 3, 3

WEIGHTS = {
    "open": 34,
    "close": 20,
    "increase": 8,
    "trade": 8,
    "margin": 8,
    "triggers": 8,
    "order": 14,
    "exit": 8,
    "replace": 4,
    "cancel": 4,
    "cancel_all": 1,
    "cancel_timer": 1,
    "price": 16,
    "crash_of_price": 2,
    "deposit": 5,
    "withdraw": 6,
    "user": 3,
    "mode": 2,
    "list": 2,
    "fund": 2,
    "params": 2,
    "house": 0,
    "settle": 2,
    "poison_market": 1,
    "poison_ledger": 0,
    "again": 12,
    "reuse": 2,
}
"""How often each kind of request comes, for a run of average temper."""


WORDS: Any = "not a number"
"""What no actor can compute with."""


def is_poison(command: object) -> bool:
    """Whether a command is one that the web layer would never let through."""
    return isinstance(command, OpenPosition) and WORDS in (command.size, command.max_slippage_bps)


class Clients(OrderMaker):
    """Makes the next order. Looks at committed state only, as a client would; what it names may be gone by then."""

    def __init__(self, random: Random, state: VenueState, recent: list[Order], weights: dict[str, int]) -> None:
        self._random, self._state, self._recent = random, state, recent
        self._kinds, self._weights = list(weights), list(weights.values())
        self._ids = count(1)
        self._users = count(1)
        self._sequence = count(1)

    def opening(self) -> list[Order]:
        """What makes a venue of nothing: two markets and three users."""
        listings = [self._listing(ticker) for ticker in TICKERS[:OPENING_MARKETS]]
        users = [self._new_user(Micros(chance)) for chance in (20_000 * MICRO, 2_000 * MICRO, 20_000 * MICRO)]
        commands: list[Command] = [*listings, *users]
        return [Order(command, ADMIN, None, fresh=True) for command in commands]

    def next(self) -> Order:
        """One more order."""
        kind = self._random.choices(self._kinds, self._weights)[0]
        if kind == "again" and self._recent:
            order = self._random.choice(self._recent[-20:])
            return Order(order.command, order.sender, order.order_id, fresh=False)
        if kind == "reuse" and self._recent:
            order = self._random.choice(self._recent[-20:])
            return Order(self._other(order.command), order.sender, order.order_id, fresh=False)
        return self._order(kind)

    def plain_deposit(self, user: str) -> Order:
        """What any venue in order must do at once."""
        return self._keyed(Deposit(user=user, amount=Micros(MICRO)), ADMIN)

    def withdrawal(self, user: str, amount: Micros) -> Order:
        """All there is, if nothing holds it."""
        return self._keyed(Withdraw(user=user, amount=amount), ADMIN)

    def price(self, ticker: str, ticks: int) -> Order:
        """A price from outside, of a source that need not say its time."""
        waits = self._state.markets[ticker].params.execution is Execution.NEXT_PRICE
        source = PriceSource.EVENT if waits else PriceSource.ORACLE
        return Order(UpdatePrice(ticker=ticker, price=Ticks(ticks), source=source), ADMIN, None, fresh=True)

    def _order(self, kind: str) -> Order:
        chance = self._random
        users, tickers = list(self._state.ledger.referrers), list(self._state.markets)
        user = chance.choice(users) if users and chance.random() < 0.98 else "nobody"
        ticker = chance.choice(tickers) if tickers and chance.random() < 0.98 else "NONE-PERP"
        match kind:
            case "open":
                return self._keyed(self._open(user, ticker), user)
            case "trade":
                return self._keyed(self._trade(user, ticker), user)
            case "poison_market":
                return self._keyed(self._open(user, ticker, max_slippage_bps=WORDS), user)
            case "poison_ledger":
                return self._keyed(self._open(user, ticker, size=WORDS), user)
            case "close":
                close = self._close(ticker, user)
                return self._keyed(close, close.user)
            case "increase":
                name, owner = self._position(ticker, user)
                return self._keyed(self._open(owner, ticker, position=name, **self._side(name)), owner)
            case "margin":
                name, owner = self._position(ticker, user)
                change = ChangeMargin(ticker=ticker, user=owner, position_id=name, amount=self._margin(name))
                return self._keyed(change, owner)
            case "order":
                return self._keyed(self._place(user, ticker), user)
            case "exit":
                leaving = self._place_exit(ticker, user)
                return self._keyed(leaving, leaving.user)
            case "replace":
                placed, name = self._resting(user, ticker)
                return self._keyed(self._replace(placed, ticker, name), placed)
            case "cancel":
                placed, name = self._resting(user, ticker)
                return self._keyed(CancelOrder(ticker=ticker, user=placed, order_id=name), placed)
            case "cancel_all":
                return self._keyed(CancelOrders(ticker=ticker, user=user), user)
            case "cancel_timer":
                after_ms = chance.choice((0, 1_000, 2_500, 60_000))
                return self._keyed(SetCancelTimer(ticker=ticker, user=user, after_ms=after_ms), user)
            case "triggers":
                triggers = self._triggers(ticker, user)
                return self._keyed(triggers, triggers.user)
            case "deposit":
                amount = Micros(chance.randrange(1, 500 * MICRO))
                return self._keyed(Deposit(user=user, amount=amount), ADMIN)
            case "withdraw":
                wallet = self._state.ledger.wallet(user)
                part = wallet if chance.random() < 0.3 else chance.randrange(1, wallet + 1000)
                return self._keyed(Withdraw(user=user, amount=Micros(max(part, 1))), ADMIN)
            case "user":
                command: Command = self._new_user(Micros(chance.choice([0, 100 * MICRO, 20_000 * MICRO])))
            case "mode":
                mode = chance.choice([Mode.ENABLED] * 4 + [Mode.REDUCE_ONLY, Mode.HALTED])
                command = SetMode(ticker=ticker, mode=mode)
            case "house":
                changes = ParamChanges(**chance.choice(HOUSES))
                command = UpdateMarket(ticker=ticker, changes=changes, force=True)
            case "fund":
                account = chance.choice((HouseAccount.HOUSE, HouseAccount.INSURANCE))
                funds = Micros(chance.choice((-1, 1)) * chance.randrange(0, 2_000 * MICRO))
                command = FundMarket(ticker=ticker, account=account, amount=funds)
            case "params":
                command = self._changes(ticker)
            case "settle":
                command = self._settle(ticker)
            case "list":
                command = self._listing(chance.choice(TICKERS[1:]))
            case _:
                command = self._price(ticker, falls=kind == "crash_of_price")
        return Order(command, ADMIN, None, fresh=True)

    def _keyed(self, command: Command, sender: str) -> Order:
        fresh = self._random.random() < 0.2
        return Order(command, sender, f"{'req-' if fresh else ''}{next(self._ids)}", fresh)

    def _open(self, user: str, ticker: str, **more: Any) -> OpenPosition:
        chance = self._random
        fields: dict[str, Any] = {
            "ticker": ticker,
            "user": user,
            "side": chance.choice((Side.LONG, Side.SHORT)),
            "size": Micros(chance.choice((10, 50, 300, 1_000, 2_000, chance.randrange(1, 3_000))) * MICRO),
            "leverage": self._leverage(ticker),
        }
        if chance.random() < 0.1:
            fields["max_slippage_bps"] = chance.choice((0, 10, 500))
        if chance.random() < 0.2:
            fields |= self._exits(ticker)
        return OpenPosition(**{**fields, **more})

    def _trade(self, user: str, ticker: str) -> TradeNet:
        asked, reduce_only = self._open(user, ticker), self._random.random() < 0.2
        terms: dict[str, Any] = {"side": asked.side, "size": asked.size, "leverage": asked.leverage}
        return TradeNet(ticker=ticker, user=user, **terms, reduce_only=reduce_only)

    def _leverage(self, ticker: str) -> int:
        market = self._state.markets.get(ticker)
        most = market.params.max_leverage if market is not None else 1
        if market is not None and market.params.tiers:
            most = self._random.choice(market.params.tiers).max_leverage
        return self._random.choice((1, 2, most, most, most, most, most // 2, most + (self._random.random() < 0.1)))

    def _position(self, ticker: str, user: str) -> tuple[str, str]:
        """A position to name, and its owner: mostly one that is open."""
        chance = self._random
        market = self._state.markets.get(ticker)
        number = 1
        if market is not None and market.positions and chance.random() < 0.9:
            number = chance.choice(list(market.positions))
            user = market.positions[number].user if chance.random() < 0.97 else user
        elif market is not None:
            number = chance.randrange(1, market.next_number + 2)
        return position_id(ticker, number), user

    def _known(self, name: str) -> Position | None:
        parts = split_position_id(name)
        market = self._state.markets.get(parts[0]) if parts else None
        return market.positions.get(parts[1]) if market and parts else None

    def _side(self, name: str) -> dict[str, Side]:
        """Mostly that of the position."""
        position = self._known(name)
        if position is None or self._random.random() < 0.05:
            return {}
        return {"side": Side.LONG if position.lots > 0 else Side.SHORT}

    def _margin(self, name: str) -> Micros:
        """In or out; out also all that is posted."""
        chance, position = self._random, self._known(name)
        posted = position.margin if position else 0
        return Micros(chance.choice((chance.randrange(1, 200 * MICRO), -chance.randrange(0, posted + 2), -posted // 4)))

    def _close(self, ticker: str, user: str) -> ClosePosition:
        chance = self._random
        name, user = self._position(ticker, user)
        share = chance.choice((PPB, PPB, PPB // 2, 1, chance.randrange(1, PPB)))
        return ClosePosition(ticker=ticker, user=user, position_id=name, share=Ppb(share))

    def _triggers(self, ticker: str, user: str) -> SetTriggers:
        close, exits = self._close(ticker, user), self._exits(ticker)
        return SetTriggers(ticker=ticker, user=close.user, position_id=close.position_id, **exits)

    def _exits(self, ticker: str) -> dict[str, Any]:
        """A price on each side of the mark, or none."""
        market, chance = self._state.markets.get(ticker), self._random
        near = market.mark if market is not None else 100
        levels = [None, *(near * bps // 10_000 + 1 for bps in (9_000, 9_900, 9_990, 10_010, 10_100, 11_000))]
        return {"take_profit": chance.choice(levels), "stop_loss": chance.choice(levels)}

    def _price(self, ticker: str, *, falls: bool) -> UpdatePrice:
        chance = self._random
        market = self._state.markets.get(ticker)
        now, first = (market.index_price, _first_price(market.params)) if market else (Ticks(1), Ticks(1))
        bps = chance.choice(FALLS_BPS) if falls else chance.randrange(9_800, 10_203)
        if now < first // 4:
            bps = 10_500
        price = min(max(now * bps // 10_000, 1), PRICE_MAX_FACTOR * first)
        held = market.held_price if market else None
        if held is not None and chance.random() < 0.6:
            price = held.price
        sequence = next(self._sequence) if chance.random() < 0.2 else None
        if bps % 7 == 0 and not falls and now < 2 * first:
            change = Ppb((bps - 10_000) * (PPB // 10_000))
            return UpdatePrice(ticker=ticker, change=change, source=PriceSource.EVENT, sequence=sequence)
        said_at = None
        if market is not None and market.params.execution is Execution.NEXT_PRICE and chance.random() < 0.98:
            said_at = Millis(market.at + chance.choice((-30, 0, 100, 1_000, 3_000)))
        return UpdatePrice(
            ticker=ticker, price=Ticks(price), source=PriceSource.ORACLE, sequence=sequence, source_at=said_at
        )

    def _settle(self, ticker: str) -> Command:
        """Halt it, settle it, begin anew."""
        market = self._state.markets.get(ticker)
        mode = market.mode if market is not None else Mode.HALTED
        if mode is Mode.SETTLED:
            return SetMode(ticker=ticker, mode=Mode.ENABLED)
        if mode is not Mode.HALTED and self._random.random() < 0.7:
            return SetMode(ticker=ticker, mode=Mode.HALTED)
        return SettleMarket(ticker=ticker)

    def _changes(self, ticker: str) -> UpdateMarket:
        chance = self._random
        market = self._state.markets.get(ticker)
        params = market.params if market is not None else quote_market()
        lots = chance.choice((1, 2, 2, 3))
        changes: dict[str, Any] = chance.choice(
            (
                {"taker_fee": Ppb(chance.randrange(0, PPB // 1000))},
                {"max_open_interest": Lots(max(params.max_open_interest * lots // 2, 1))},
                {"max_skew": Lots(max(params.max_skew * lots // 2, 1))},
                chance.choice(HOUSES),
                {**rates(params, 11, 10), "max_leverage": params.max_leverage - 1},
                rates(params, 10, 11),
                {"tiers": chance.choice(((), tiers_of(params)))},
                {"partial_liquidation": chance.choice((None, Micros(1), Micros(200 * MICRO)))},
                {"liquidation_buffer": chance.choice((Ppb(PPB // 100), Ppb(PPB // 4), Ppb(PPB)))},
                {"price_band": chance.choice((None, Ppb(PPB // 40)))},
                {"max_price_age": chance.choice((None, PRICE_AGE_MS))},
                {"execution": chance.choice(list(Execution)), "clock_skew": Millis(chance.choice((0, 20)))},
                chance.choice((FUNDING, {"funding_velocity": Ppb(0), "max_funding_rate": Ppb(0)})),
                {"skew_scale": Lots(params.skew_scale * lots)},
            )
        )
        return UpdateMarket(ticker=ticker, changes=ParamChanges(**changes), force=chance.random() < 0.5)

    def _new_user(self, deposit: Micros) -> CreateUser:
        number = next(self._users)
        referrer = f"u{self._random.randrange(1, number)}" if number > 1 and self._random.random() < 0.7 else None
        if self._state.markets and self._random.random() < 0.1:
            number = 1
        return CreateUser(user=f"u{number}", deposit=deposit, referrer=referrer if number > 1 else None)

    def _listing(self, ticker: str) -> ListMarket:
        chance = self._random
        changes: dict[str, Any] = {"house_deposit": Micros(chance.choice((0, 7, 100 * MICRO)))}
        if chance.random() < 0.3:
            changes["house_credit_limit"] = Micros(chance.choice((MICRO, 20 * MICRO, 60 * MICRO, 1_000 * MICRO)))
            changes["deleveraging"] = chance.random() < 0.7
        if chance.random() < INVALID_LISTINGS and self._state.markets:
            changes["max_skew"] = Lots(0)
        if ticker == TICKERS[0]:
            changes["partial_liquidation"] = Micros(100 * MICRO)
            params = with_tiers(index_market(ticker=ticker, maintenance_rate=Ppb(PPB // 150), **changes))
        else:
            more = BAND if ticker == TICKERS[1] else {"max_price_age": PRICE_AGE_MS}
            more = more | (WAITING if ticker == TICKERS[2] else {})
            changes["partial_liquidation"] = Micros(1) if ticker == TICKERS[1] else None
            params = quote_market(ticker=ticker, **more, **FUNDING, **MAKER, **changes)
        return ListMarket(params=params, price=_first_price(params))

    def _other(self, command: Command) -> Command:
        user = getattr(command, "user", "u1")
        return Deposit(user=user, amount=Micros(self._random.randrange(1, 100)))


def _first_price(params: MarketParams) -> Ticks:
    return Ticks(BTC_PRICE if params.ticker == TICKERS[0] else STORY_PRICE)
