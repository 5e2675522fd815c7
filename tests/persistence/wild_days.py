"""Days on which every kind of event happens, by seed."""

from random import Random
from typing import Any

from msgspec.structs import replace

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
    ObserveTime,
    OpenPosition,
    OrderKind,
    PlaceExit,
    PlaceOrder,
    PriceSource,
    ReplaceOrder,
    SetMode,
    SettleMarket,
    SetTriggers,
    Side,
    UpdatePrice,
    Withdraw,
)
from perps.journal import Entry
from perps.market.order import order_id
from perps.market.position import position_id
from perps.market.state import Market
from perps.params import Execution, Mode
from perps.sequencer import Sequencer
from perps.units import MICRO, PPB, Micros, Millis, Ppb, Ticks
from tests.perps.build import START_MS, index_market, quote_market

NAMES = ("ann", "bob", "cid", "dan", "eve")
RATES = (0, 1, PPB // 1000, PPB // 100)
SHARES = (0, PPB // 3, PPB)


def a_wild_day(seed: int, rows: int = 300) -> list[Entry]:
    """At least ``rows`` rows of all that a venue can do, in markets where fees, shares and margins are extreme."""
    random, sequencer, found, now = Random(seed), Sequencer(), list[Entry](), START_MS

    def send(command: Command) -> None:
        found.extend(sequencer.send(command, Millis(now), sender="test").entries)

    in_parts = index_market(partial_liquidation=Micros(1))
    waiting = index_market(ticker="NEXT-PERP", execution=Execution.NEXT_PRICE)
    for params, price in ((in_parts, 5_000_000), (quote_market(), 10_000), (waiting, 5_000_000)):
        rate, share = random.choice(RATES), random.choice(SHARES)
        params = replace(
            params,
            taker_fee=Ppb(min(rate, params.liquidation_fee)),
            referral_share=Ppb(share),
            house_deposit=Micros(random.choice([0, 10**12])),
            house_credit_limit=Micros(10**15),
        )
        send(ListMarket(params=params, price=Ticks(price)))
    for number, name in enumerate(NAMES):
        referrer = NAMES[number - 1] if number and random.random() < 0.7 else None
        send(CreateUser(user=name, deposit=Micros(random.choice([0, 10**9, 10**12])), referrer=referrer))
    tickers = list(sequencer.markets)
    while len(found) < rows:
        now += random.choice([0, 0, 1, 1000, 60_000])
        ticker, user = random.choice(tickers), random.choice(NAMES)
        market = sequencer.markets[ticker]
        what = random.randrange(30)
        if what > 23:
            send(_an_order(random, market, user))
        elif what > 19 and market.positions:
            position = random.choice(list(market.positions.values()))
            name, amount = position_id(ticker, position.number), random.choice([1, 10**8, -1, -position.margin // 3])
            if what > 21:
                send(ChangeMargin(ticker=ticker, user=position.user, position_id=name, amount=Micros(amount)))
            else:
                side = Side.LONG if position.lots > 0 else Side.SHORT
                more = Micros(random.randrange(1, 10**9))
                command = OpenPosition(ticker=ticker, user=position.user, side=side, size=more, leverage=5)
                send(replace(command, position=name))
        elif what < 8:
            size, side = random.randrange(1, 200_000) * MICRO // 10, random.choice(list(Side))
            leverage = random.choice([1, 2, 5, market.params.max_leverage])
            send(OpenPosition(ticker=ticker, user=user, side=side, size=Micros(size), leverage=leverage))
        elif what < 13 and market.positions:
            position = random.choice(list(market.positions.values()))
            share = random.choice([PPB, PPB, PPB // 2, 1])
            name = position_id(ticker, position.number)
            owner = random.random() < 0.8
            by = position.user if owner else "admin"
            send(ClosePosition(ticker=ticker, user=by, position_id=name, share=Ppb(share), any_owner=not owner))
            levels = [None, *(Ticks(market.index_price * step // 100) for step in (96, 98, 102, 104))]
            profit, stop = random.choice(levels), random.choice(levels)
            send(SetTriggers(ticker=ticker, user=position.user, position_id=name, take_profit=profit, stop_loss=stop))
        elif what < 17:
            step = random.choice([90, 97, 99, 100, 101, 103, 111])
            price = max(1, min(market.index_price * step // 100, 10**7))
            send(UpdatePrice(ticker=ticker, price=Ticks(price), source=PriceSource.EVENT))
        elif what == 17:
            send(Deposit(user=user, amount=Micros(random.randrange(1, 10**10))))
            send(Withdraw(user=user, amount=Micros(random.randrange(1, 10**6))))
        elif what == 18:
            account = random.choice(list(HouseAccount))
            send(FundMarket(ticker=ticker, account=account, amount=Micros(random.choice([10**7, 3, -3]))))
        else:
            mode = random.choice([Mode.REDUCE_ONLY, Mode.ENABLED, Mode.HALTED])
            send(SetMode(ticker=ticker, mode=mode))
            if mode is Mode.HALTED:
                send(SettleMarket(ticker=ticker))
            send(SetMode(ticker=ticker, mode=Mode.ENABLED))
    return found


def _an_order(random: Random, market: Market, user: str) -> Command:
    """One that is placed, or what becomes of one."""
    ticker, resting = market.ticker, list(market.orders.by_number.values())
    step, size = random.choice([95, 99, 100, 101, 105]), Micros(random.randrange(1, 50_000) * MICRO // 10)
    price = Ticks(market.index_price * step // 100)
    if not resting or random.random() < 0.6:
        kind, side = random.choice([OrderKind.LIMIT, OrderKind.STOP]), random.choice(list(Side))
        expires_at = random.choice([None, Millis(market.at + 90_000)])
        terms: dict[str, Any] = {"size": size, "leverage": 2, "price": price, "expires_at": expires_at}
        return PlaceOrder(ticker=ticker, user=user, order=kind, side=side, **terms)
    if market.positions and random.random() < 0.5:
        number, position = random.choice(list(market.positions.items()))
        name, kind = position_id(ticker, number), random.choice([OrderKind.STOP, OrderKind.TAKE_PROFIT])
        terms = {"price": price, "share": Ppb(random.choice([PPB, PPB // 3]))}
        if random.random() < 0.3:
            kind, terms = OrderKind.TRAILING_STOP, {**terms, "price": Ticks(0), "callback": Ppb(PPB // 40)}
        return PlaceExit(ticker=ticker, user=position.user, position_id=name, order=kind, **terms)
    order = random.choice(resting)
    named: dict[str, Any] = {"ticker": ticker, "user": order.user, "order_id": order_id(ticker, order.number)}
    what = random.randrange(4)
    if what == 0:
        return CancelOrder(**named)
    if what == 1:
        return CancelOrders(ticker=ticker, user=order.user)
    if what == 2:
        if order.trails:
            return ReplaceOrder(**named, callback=Ppb(PPB // 30))
        sizes: dict[str, Any] = {} if order.is_exit else {"size": size, "leverage": 3}
        return ReplaceOrder(**named, **sizes, price=price)
    return ObserveTime(ticker=ticker)
