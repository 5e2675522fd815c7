"""What an agent knows is what the streams and the answers say, in whatever order they come."""

from __future__ import annotations

import re
from decimal import Decimal, localcontext

import msgspec
import pytest

from perps.agents.desk import Waits
from perps.agents.views import Account
from perps.wire.contract.examples import EXAMPLES
from perps.wire.trading import Position
from tests.agents.scene import TICKER, Scene, account_now, own, position
from tests.agents.test_trader import Eager


def test_a_market_is_as_its_last_event_left_it() -> None:
    scene = Scene(Eager)
    view = scene.trader.strategy.market
    scene.price(10_100, index=10_050, quote=10_200)
    assert (view.mark, view.index, view.quote) == (10_100, 10_050, 10_200)
    assert view.premium == pytest.approx(150 / 10_050)
    scene.hear("market", ticker=TICKER, status="halted")
    assert view.status == "halted"
    scene.hear("parameters", ticker=TICKER, maxSkew="5.00", maxLeverage=3, minOrderSize="20.00", takerFee="0.002")
    assert (view.max_skew, view.max_leverage, view.min_order_size, view.taker_fee) == (5, 3, 20, 0.002)


@pytest.mark.parametrize(
    ("side", "kind", "long", "short"),
    [
        ("long", "open", 3, 0),
        ("short", "open", 0, 3),
        ("long", "close", -3, 0),
        ("short", "close", 0, -3),
        ("long", "liquidation", -3, 0),
        ("short", "settlement", 0, -3),
    ],
)
def test_the_skew_follows_the_trades(side: str, kind: str, long: float, short: float) -> None:
    scene = Scene(Eager)
    scene.trade(side, 3, kind, "liquidation" if kind == "liquidation" else "trade")
    view = scene.trader.strategy.market
    assert (view.long, view.short, view.skew) == (long, short, long - short)


def test_an_order_is_never_larger_than_the_market_lets_and_never_too_small() -> None:
    strategy = Scene(Eager).trader.strategy
    assert strategy.dollars(2) == "1000.00"
    assert strategy.dollars(0.0001) == "20.00", "twice minOrderSize"
    assert strategy.price(10_000.004) == "10000.00"


@pytest.mark.parametrize("tick_size", ["0.05", "0.25", "2.5", "5", "0.0000001", "0.000000000005"])
@pytest.mark.parametrize("value", [0.0, 1e-13, 0.3, 5_754.406815297029, 799_070.27177357, 1e17, 1e99])
def test_a_price_is_a_whole_number_of_ticks_and_at_least_one(tick_size: str, value: float) -> None:
    scene = Scene(Eager)
    scene.seat.markets[TICKER].tick_size = tick_size
    price, tick = scene.trader.strategy.price(value), Decimal(tick_size)
    with localcontext(prec=200):
        assert Decimal(price) % tick == 0
        assert tick <= Decimal(price) <= max(tick, Decimal(repr(value)) + tick)
    assert re.fullmatch(r"\d+(\.\d+)?", price)


def read(found: dict[str, object]) -> Position:
    """As an answer has it."""
    return msgspec.convert(found, Position)


def test_what_an_answer_has_closed_no_earlier_event_opens_again() -> None:
    account = Account()
    account.take(own("snapshot", **account_now()))
    account.note_position(read(position()), 5)
    account.note_position(read(position(status="closed")), 8)
    account.take(own("position", 5, **position()))
    assert account.positions == ()
    account.take(own("position", 8, **position(status="closed")))
    assert account.positions == ()


def test_a_snapshot_forgets_what_is_gone_and_keeps_what_a_later_answer_told() -> None:
    account = Account()
    account.take(own("position", 2, **position(1)))
    account.note_position(read(position(2)), 9)
    account.take(own("snapshot", 7, **account_now(positions=[position(3)])))
    assert sorted(one.id for one in account.positions) == ["BTC-PERP-2", "BTC-PERP-3"]


def test_own_trades_and_liquidations_are_counted() -> None:
    account = Account()
    account.take(own("trade"))
    account.take(own("liquidation"))
    assert (account.trades, account.liquidations) == (2, 1)


def test_waits_of_many_add_up_and_a_percentile_is_at_most_a_fifth_too_large() -> None:
    one, other = Waits(), Waits()
    for milliseconds in range(1, 51):
        one.add(milliseconds)
        other.add(milliseconds + 50)
    one.merge(other)
    for share in (0.5, 0.99):
        found = one.percentile(share)
        assert found is not None
        assert 100 * share <= found <= 120 * share
    assert Waits().percentile(0.5) is None


async def test_what_a_net_trade_tells_is_known_at_once() -> None:
    scene = Scene(Eager)
    desk, account, told = scene.seat.desk, scene.seat.account, EXAMPLES["tradeNet"].answer
    account.note_position(read({**told["closed"][0]["position"], "status": "open"}), 1)
    await desk.trade_net(TICKER, "short", 100, 5)
    assert [one.id for one in account.positions] == [told["opened"]["position"]["id"]]
    assert desk.offset == scene.line.offset


async def test_orders_that_were_placed_or_cancelled_together_are_known_at_once() -> None:
    scene = Scene(Eager)
    desk, account, order = scene.seat.desk, scene.seat.account, EXAMPLES["placeOrder"].answer["order"]
    scene.line.told["placeOrders"] = {"results": [*EXAMPLES["placeOrders"].answer["results"], {"order": order}]}
    await desk.place_orders([])
    assert [one.id for one in account.orders] == [order["id"]]
    scene.line.told["cancelOrders"] = {"orders": [{**order, "status": "cancelled"}]}
    await desk.cancel_orders()
    assert account.orders == ()
    account.take(own("order", 9, **{**order, "status": "filled"}))
    scene.line.offset = 8
    await desk.place_orders([])
    assert account.orders == (), "the stream has told the end before the answer came"
