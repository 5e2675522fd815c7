"""The session that is recorded: short, through the real actors, with every kind of event in it."""

from __future__ import annotations

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
    ObserveTime,
    OrderKind,
    PlaceExit,
    PlaceOrder,
    PlaceTwap,
    PriceSource,
    ReplaceOrder,
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
from perps.journal import Row
from perps.market.position import position_id
from perps.params import Execution, Mode, ParamChanges, Tier
from perps.units import MICRO, NANO, PPB, Lots, Micros, Millis, Nano, Ppb, Ticks
from tests.perps.build import BTC, BTC_PRICE, START_MS, STORY, STORY_PRICE, index_market, new_open, quote_market
from tests.simulation.machine.stage import stage

ADMIN = "@admin"
FLOW = "FLOW-PERP"
BAND = "BAND-PERP"
_PART_FROM = Micros(1_000 * MICRO)
SIZE = "SIZE-PERP"
_TIERS = (Tier(Lots(20_000), Ppb(PPB // 200), 100),)
_SIZE_PARAMS = index_market(
    ticker=SIZE,
    tiers=(Tier(Lots(200), Ppb(PPB // 200), 100), Tier(Lots(20_000), Ppb(PPB // 40), 19)),
    partial_liquidation=_PART_FROM,
)
POOR = "POOR-PERP"
_POOR_PARAMS = index_market(ticker=POOR, house_credit_limit=Micros(200 * MICRO), deleveraging=True)
NEXT = "NEXT-PERP"
_NEXT_PARAMS = index_market(ticker=NEXT, execution=Execution.NEXT_PRICE)
_BAND_PARAMS = index_market(ticker=BAND, price_band=PPB // 10, price_confirmations=2)
_SIX_HOURS_ON = Millis(START_MS + 6 * 3_600_000)
_FLOW_PARAMS = quote_market(ticker=FLOW, funding_velocity=PPB // 5, max_funding_rate=PPB // 20)


def _money(cents: int) -> Micros:
    return Micros(cents * MICRO // 100)


def _close(user: str, ticker: str, number: int, share: int = PPB) -> ClosePosition:
    return ClosePosition(ticker=ticker, user=user, position_id=position_id(ticker, number), share=Ppb(share))


def _margin(user: str, ticker: str, number: int, cents: int) -> ChangeMargin:
    return ChangeMargin(ticker=ticker, user=user, position_id=position_id(ticker, number), amount=_money(cents))


def _exits(user: str, ticker: str, number: int, profit: int | None, stop: int | None) -> SetTriggers:
    fields: dict[str, Any] = {"take_profit": profit, "stop_loss": stop}
    return SetTriggers(ticker=ticker, user=user, position_id=position_id(ticker, number), **fields)


def _terms(price: int, cents: int = 50_000) -> dict[str, Any]:
    return {"size": _money(cents), "leverage": 5, "price": Ticks(price)}


def _exit(user: str, number: int, kind: OrderKind, price: int, share: int) -> PlaceExit:
    fields: dict[str, Any] = {"ticker": BTC, "user": user, "position_id": position_id(BTC, number)}
    return PlaceExit(**fields, order=kind, price=Ticks(price), share=Ppb(share))


def _trail(user: str, number: int, callback: int) -> PlaceExit:
    fields: dict[str, Any] = {"ticker": BTC, "user": user, "position_id": position_id(BTC, number), "price": Ticks(0)}
    return PlaceExit(**fields, order=OrderKind.TRAILING_STOP, share=Ppb(PPB // 2), callback=Ppb(callback))


def _order(user: str, order: OrderKind, side: Side, price: int, *, limit: int | None = None, **more: Any) -> PlaceOrder:
    nano = None if limit is None else Nano(limit * NANO // 100)
    fields = {**_terms(price), "order": order, "side": side, "acceptable_price": nano, **more}
    return PlaceOrder(**{"ticker": BTC, "user": user, **fields})


def _twap(user: str, side: Side, cents: int, slices: int, *, limit: int | None = None) -> PlaceTwap:
    nano = None if limit is None else Nano(limit * NANO // 100)
    fields: dict[str, Any] = {"ticker": BTC, "user": user, "side": side, "size": _money(cents), "leverage": 5}
    return PlaceTwap(**fields, slices=slices, interval=Millis(40 * 60_000), acceptable_price=nano)


def _price(ticker: str, ticks: int) -> UpdatePrice:
    return UpdatePrice(ticker=ticker, price=Ticks(ticks), source=PriceSource.ORACLE)


def _story(ticker: str, ticks: int) -> UpdatePrice:
    return UpdatePrice(ticker=ticker, price=Ticks(ticks), source=PriceSource.EVENT)


def _change(ticker: str, parts: int) -> UpdatePrice:
    return UpdatePrice(ticker=ticker, change=Ppb(parts), source=PriceSource.EVENT, reason="a story")


def _trade(user: str, side: Side, cents: int, *, reduce_only: bool = False) -> TradeNet:
    return TradeNet(ticker=SIZE, user=user, side=side, size=_money(cents), leverage=5, reduce_only=reduce_only)


PLAYED: tuple[tuple[str, Command, bool], ...] = (
    (ADMIN, ListMarket(params=index_market(house_deposit=_money(100_000)), price=Ticks(BTC_PRICE)), False),
    (
        ADMIN,
        ListMarket(params=quote_market(house_credit_limit=_money(500), max_price_age=60_000), price=Ticks(STORY_PRICE)),
        False,
    ),
    (ADMIN, CreateUser(user="ann", deposit=_money(500_000)), False),
    (ADMIN, CreateUser(user="bob", deposit=_money(500_000), referrer="ann"), False),
    (ADMIN, CreateUser(user="cid"), False),
    (ADMIN, Deposit(user="cid", amount=_money(70_025)), True),
    (ADMIN, Withdraw(user="ann", amount=_money(1_250)), True),
    ("bob", new_open("bob", Side.LONG, _money(200_000), leverage=50), True),
    ("ann", new_open("ann", Side.SHORT, _money(90_000), leverage=5, max_slippage_bps=100), True),
    ("cid", new_open("cid", Side.LONG, _money(300_000), leverage=100, limit=60_000 * NANO), True),
    ("bob", new_open("bob", Side.LONG, _money(30_000), ticker=STORY, leverage=5), True),
    ("ann", new_open("ann", Side.SHORT, _money(20_000), ticker=STORY, leverage=2), True),
    (ADMIN, _price(BTC, BTC_PRICE + 1_234), False),
    ("bob", _close("bob", BTC, 1, PPB // 3), True),
    ("ann", _close("ann", BTC, 2), True),
    (
        ADMIN,
        UpdatePrice(
            ticker=STORY,
            price=Ticks(STORY_PRICE + 55),
            source=PriceSource.AGENT,
            reason="a chapter",
            sequence=7,
            source_at=Millis(START_MS),
        ),
        False,
    ),
    (ADMIN, SetMode(ticker=STORY, mode=Mode.REDUCE_ONLY, reason="end of the day"), False),
    (ADMIN, SetMode(ticker=STORY, mode=Mode.ENABLED), False),
    (ADMIN, _price(BTC, BTC_PRICE * 97 // 100), False),
    (ADMIN, _price(BTC, BTC_PRICE), False),
    ("cid", new_open("cid", Side.SHORT, _money(5_000), leverage=3), True),
    (ADMIN, _price(STORY, STORY_PRICE * 3), False),
    ("bob", _close("bob", STORY, 1), True),
    (ADMIN, SetMode(ticker=STORY, mode=Mode.REDUCE_ONLY, reason="the house is empty"), False),
    (ADMIN, FundMarket(ticker=STORY, account=HouseAccount.HOUSE, amount=_money(1_000_000)), True),
    (ADMIN, FundMarket(ticker=STORY, account=HouseAccount.INSURANCE, amount=_money(5_000)), True),
    (ADMIN, FundMarket(ticker=STORY, account=HouseAccount.INSURANCE, amount=_money(-1_234)), True),
    (ADMIN, SetMode(ticker=STORY, mode=Mode.ENABLED), False),
    ("bob", _close("bob", STORY, 1), True),
    (ADMIN, ListMarket(params=_FLOW_PARAMS, price=Ticks(STORY_PRICE)), False),
    ("bob", new_open("bob", Side.LONG, _money(200_000), ticker=FLOW, leverage=5), True),
    (ADMIN, ObserveTime(ticker=FLOW), False),
    (ADMIN, ObserveTime(ticker=FLOW), False),
    ("ann", new_open("ann", Side.SHORT, _money(300_000), ticker=FLOW, leverage=5), True),
    (ADMIN, ObserveTime(ticker=FLOW), False),
    (ADMIN, _price(FLOW, STORY_PRICE + 7), False),
    ("bob", _close("bob", FLOW, 1, PPB // 3), True),
    (ADMIN, ObserveTime(ticker=FLOW), False),
    ("bob", _margin("bob", FLOW, 1, 20_001), True),
    ("bob", _margin("bob", FLOW, 1, -1_000), True),
    ("ann", _margin("ann", FLOW, 2, 5_000), True),
    (ADMIN, ListMarket(params=_BAND_PARAMS, price=Ticks(BTC_PRICE)), False),
    (ADMIN, _price(BAND, BTC_PRICE // 2), False),
    (ADMIN, ObserveTime(ticker=BAND), False),
    (ADMIN, _price(BAND, BTC_PRICE * 2), False),
    (ADMIN, _price(BAND, BTC_PRICE * 2 + 1), False),
    ("cid", _exits("cid", BTC, 4, BTC_PRICE * 95 // 100, BTC_PRICE * 110 // 100), True),
    ("cid", _exits("cid", BTC, 4, None, BTC_PRICE * 105 // 100), True),
    ("ann", new_open("ann", Side.LONG, _money(5_000), leverage=5, take_profit=BTC_PRICE * 104 // 100), True),
    ("bob", new_open("bob", Side.LONG, _money(5_000), leverage=50, stop_loss=BTC_PRICE * 98 // 100 + 1), True),
    (ADMIN, _price(BTC, BTC_PRICE * 106 // 100), False),
    (ADMIN, _price(BTC, BTC_PRICE * 97 // 100), False),
    (
        ADMIN,
        UpdateMarket(
            ticker=BAND,
            changes=ParamChanges(
                max_leverage=50, price_band=None, max_funding_rate=Ppb(PPB // 200), funding_velocity=Ppb(PPB // 50)
            ),
        ),
        False,
    ),
    ("bob", new_open("bob", Side.LONG, _money(20_000), ticker=BAND, leverage=5), True),
    ("ann", new_open("ann", Side.SHORT, _money(10_000), ticker=BAND, leverage=5), True),
    (ADMIN, SetMode(ticker=BAND, mode=Mode.HALTED), False),
    (ADMIN, SettleMarket(ticker=BAND), False),
    ("bob", new_open("bob", Side.LONG, _money(10_000), ticker=FLOW, leverage=3, position=position_id(FLOW, 1)), True),
    ("bob", _close("bob", FLOW, 1, PPB // 2), True),
    ("ann", _order("ann", OrderKind.LIMIT, Side.LONG, BTC_PRICE * 96 // 100, take_profit=BTC_PRICE), True),
    ("bob", _order("bob", OrderKind.STOP, Side.SHORT, BTC_PRICE * 95 // 100, limit=BTC_PRICE * 90 // 100), True),
    ("cid", _order("cid", OrderKind.LIMIT, Side.SHORT, BTC_PRICE * 110 // 100), True),
    ("cid", _order("cid", OrderKind.STOP, Side.LONG, BTC_PRICE * 120 // 100), True),
    ("ann", _order("ann", OrderKind.LIMIT, Side.LONG, BTC_PRICE * 90 // 100, expires_at=2_000_000_000_000), True),
    ("cid", ReplaceOrder(ticker=BTC, user="cid", order_id=f"{BTC}-o3", **_terms(BTC_PRICE * 108 // 100, 70_000)), True),
    (ADMIN, _price(BTC, BTC_PRICE * 96 // 100 - 100), False),
    (ADMIN, _price(BTC, BTC_PRICE * 95 // 100), False),
    ("cid", CancelOrder(ticker=BTC, user="cid", order_id=f"{BTC}-o4"), False),
    ("ann", CancelOrders(ticker=BTC, user="ann"), False),
    (
        "bob",
        _order("bob", OrderKind.LIMIT, Side.SHORT, BTC_PRICE * 99 // 100, expires_at=START_MS + 6 * 3_600_000),
        True,
    ),
    (ADMIN, ObserveTime(ticker=BTC), False),
    (ADMIN, ObserveTime(ticker=BTC), False),
    (ADMIN, ObserveTime(ticker=BTC), False),
    (ADMIN, ObserveTime(ticker=BTC), False),
    (ADMIN, ObserveTime(ticker=BTC), False),
    (ADMIN, ObserveTime(ticker=BTC), False),
    (ADMIN, _change(FLOW, PPB // 20), False),
    (ADMIN, _change(FLOW, -PPB // 20), False),
    ("bob", _order("bob", OrderKind.LIMIT, Side.LONG, BTC_PRICE * 80 // 100), True),
    ("bob", SetCancelTimer(ticker=BTC, user="bob", after_ms=60_000), False),
    ("ann", SetCancelTimer(ticker=BTC, user="ann", after_ms=86_400_000), False),
    (ADMIN, ObserveTime(ticker=BTC), False),
    (ADMIN, ListMarket(params=_SIZE_PARAMS, price=Ticks(BTC_PRICE)), False),
    ("ann", new_open("ann", Side.LONG, _money(300_000), ticker=SIZE, leverage=20), True),
    ("ann", new_open("ann", Side.LONG, _money(300_000), ticker=SIZE, leverage=19), True),
    ("bob", new_open("bob", Side.SHORT, _money(90_000), ticker=SIZE, leverage=50), True),
    (ADMIN, _price(SIZE, BTC_PRICE * 96 // 100), False),
    (ADMIN, _price(SIZE, BTC_PRICE * 985 // 1000), False),
    (ADMIN, UpdateMarket(ticker=SIZE, changes=ParamChanges(tiers=_TIERS[:1], partial_liquidation=None)), False),
    (ADMIN, _price(SIZE, BTC_PRICE * 103 // 100), False),
    (ADMIN, ListMarket(params=_NEXT_PARAMS, price=Ticks(BTC_PRICE)), False),
    ("bob", new_open("bob", Side.LONG, _money(20_000), ticker=NEXT, leverage=10, max_slippage_bps=50), True),
    ("ann", new_open("ann", Side.SHORT, _money(10_000), ticker=NEXT, leverage=2), True),
    (ADMIN, _story(NEXT, BTC_PRICE + 77), False),
    ("bob", new_open("bob", Side.LONG, _money(5_000), ticker=NEXT, leverage=5, position=position_id(NEXT, 1)), True),
    ("bob", _close("bob", NEXT, 1, PPB // 4), True),
    ("ann", _margin("ann", NEXT, 2, -1_000), True),
    ("ann", _order("ann", OrderKind.LIMIT, Side.LONG, BTC_PRICE * 2, ticker=NEXT), True),
    (ADMIN, _story(NEXT, BTC_PRICE - 3), False),
    ("bob", _close("bob", NEXT, 1), True),
    ("bob", _close("bob", NEXT, 1, PPB // 2), True),
    (ADMIN, _story(NEXT, BTC_PRICE + 3), False),
    ("ann", _close("ann", NEXT, 2), True),
    (ADMIN, ObserveTime(ticker=NEXT), False),
    ("cid", new_open("cid", Side.LONG, _money(10_000)), True),
    ("cid", _exit("cid", 9, OrderKind.TAKE_PROFIT, BTC_PRICE * 99 // 100, PPB // 3), True),
    ("cid", _exit("cid", 9, OrderKind.STOP, BTC_PRICE * 90 // 100, PPB), True),
    ("cid", _exit("cid", 9, OrderKind.STOP, BTC_PRICE * 80 // 100, PPB // 2), True),
    ("cid", ReplaceOrder(ticker=BTC, user="cid", order_id=f"{BTC}-o9", share=Ppb(PPB // 4)), True),
    (ADMIN, _price(BTC, BTC_PRICE * 99 // 100), False),
    (ADMIN, _price(BTC, BTC_PRICE * 90 // 100), False),
    ("cid", _close("cid", BTC, 9), True),
    ("ann", _trade("ann", Side.LONG, 20_000), True),
    ("ann", _trade("ann", Side.LONG, 10_000), True),
    ("ann", _trade("ann", Side.SHORT, 300_000), True),
    ("ann", _trade("ann", Side.LONG, 900_000, reduce_only=True), True),
    ("cid", new_open("cid", Side.LONG, _money(10_000)), True),
    ("cid", _trail("cid", 10, PPB // 50), True),
    ("cid", _trail("cid", 10, PPB // 20), True),
    (ADMIN, _price(BTC, BTC_PRICE), False),
    (ADMIN, _price(BTC, BTC_PRICE * 99 // 100), False),
    ("cid", ReplaceOrder(ticker=BTC, user="cid", order_id=f"{BTC}-o12", callback=Ppb(PPB // 10)), True),
    (ADMIN, _price(BTC, BTC_PRICE * 98 // 100), False),
    ("bob", _twap("bob", Side.LONG, 60_000, 3), True),
    (ADMIN, ObserveTime(ticker=BTC), False),
    ("ann", _twap("ann", Side.SHORT, 20_000, 2, limit=BTC_PRICE * 85 // 100), True),
    (ADMIN, _price(BTC, BTC_PRICE * 84 // 100), False),
    (ADMIN, ObserveTime(ticker=BTC), False),
    (ADMIN, ObserveTime(ticker=BTC), False),
    ("cid", _twap("cid", Side.LONG, 20_000, 4), True),
    ("cid", CancelOrders(ticker=BTC, user="cid"), False),
    (ADMIN, Deposit(user="ann", amount=_money(1_000_000)), False),
    (ADMIN, ListMarket(params=_POOR_PARAMS, price=Ticks(BTC_PRICE)), False),
    ("ann", new_open("ann", Side.LONG, _money(100_000), ticker=POOR, leverage=5), True),
    ("ann", new_open("ann", Side.LONG, _money(300_000), ticker=POOR, leverage=2), True),
    (ADMIN, _price(POOR, BTC_PRICE * 105 // 100), False),
    (ADMIN, UpdateMarket(ticker=POOR, changes=ParamChanges(deleveraging=False)), False),
    (ADMIN, _price(POOR, BTC_PRICE * 115 // 100), False),
)
"""Who sends what, and whether under an id of its own. Before an observation 40 minutes pass, otherwise a second."""


def play() -> list[Row]:
    """Play the session; return the rows it made. One liquidation a row, so that there are sweeps."""
    with stage(liquidations_per_row=1) as venue:
        for number, (sender, command, keyed) in enumerate(PLAYED):
            wait_ms = 40 * 60_000 if isinstance(command, ObserveTime) else 1_000
            venue.scheduler.time.advance(wait_ms * 10**6)
            venue.send(command, sender=sender, order_id=f"golden-{number}" if keyed else None)
            venue.rest()
        return venue.store.durable
