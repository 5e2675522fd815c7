"""Those who know a price before the venue does: immediate execution pays them, the next price does not.

Run with ``-s`` to see what each earned.
"""

from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from perps.commands import CancelOrder, ClosePosition, OpenPosition, PriceSource, SetTriggers, Side, UpdatePrice
from perps.market.order import order_id
from perps.market.position import position_id
from perps.params import Execution
from perps.refusals import RejectCode, Rejected
from perps.units import MICRO, PPB, Micros, Millis, Ppb, Ticks
from tests.perps.build import BTC, BTC_PRICE, Books, done, full_state, index_market, refused

SIZE = Micros(1_000 * MICRO)
STEP_MS = 1_000
FEE_BPS = 10
SKEW_MS = 200

Bot = Callable[[Books, int, int], None]
"""What somebody does who knows the present price and the next one, before the venue has the next."""


def walk(count: int, *, bps: int, seed: int = 7) -> list[int]:
    """Prices of a random walk with fat tails, whose steps are about ``bps`` of the price."""
    random, prices = Random(seed), [BTC_PRICE]
    for _ in range(count):
        move = random.gauss(0, bps) * (4 if random.random() < 0.1 else 1)
        prices.append(round(prices[-1] * (1 + move / 10_000)))
    return prices


def flips(venue: Books, now: int, ahead: int) -> None:
    """Holds the side of the next move, whenever that beats the fees of the way in and out."""
    market = venue.markets[BTC]
    side = Side.LONG if ahead > now else Side.SHORT
    if abs(ahead - now) * 10_000 <= 2 * FEE_BPS * now or market.orders.by_user.get("bot"):
        return
    for position in [each for each in market.positions.values() if each.user == "bot"]:
        if (position.lots > 0) is (side is Side.LONG):
            return
        name = position_id(BTC, position.number)
        done(venue.send(ClosePosition(ticker=BTC, user="bot", position_id=name, share=Ppb(PPB))))
    done(venue.send(OpenPosition(ticker=BTC, user="bot", side=side, size=SIZE, leverage=5)))


def flips_and_takes_back(venue: Books, now: int, ahead: int) -> None:
    """The same, and takes back whatever waits when the next move is against it."""
    market = venue.markets[BTC]
    for order in market.orders.of("bot"):
        if (order.side is Side.LONG) is not (ahead > now):
            name = order_id(BTC, order.number)
            outcome = venue.send(CancelOrder(ticker=BTC, user="bot", order_id=name))
            assert refused(outcome).code is RejectCode.ORDER_PENDING
    flips(venue, now, ahead)


def earned(bot: Bot, execution: Execution, prices: list[int], *, late_ms: int = 0) -> tuple[float, int]:
    """US dollars that it ends with beyond those it came with, and its trades. ``late_ms``: how late the feed is."""
    params = index_market(
        execution=execution, clock_skew=Millis(SKEW_MS), house_deposit=10**6 * MICRO, referral_share=Ppb(0)
    )
    venue = Books((params, prices[0]))
    venue.add_user("bot", 10_000 * MICRO)
    for now, ahead in pairwise(prices):
        bot(venue, now, ahead)
        venue.at = Millis(venue.at + STEP_MS)
        stamp = Millis(venue.at - late_ms)
        price = UpdatePrice(ticker=BTC, price=Ticks(ahead), source=PriceSource.ORACLE, source_at=stamp)
        assert not isinstance(venue.send(price), Rejected)
    for _ in range(2):  # what waits is filled, then what it has opened is closed
        venue.at = Millis(venue.at + 10_000)
        done(venue.send(UpdatePrice(ticker=BTC, price=Ticks(prices[-1]), source=PriceSource.EVENT)))
        for position in list(venue.markets[BTC].positions.values()):
            name = position_id(BTC, position.number)
            done(venue.send(ClosePosition(ticker=BTC, user="bot", position_id=name, share=Ppb(PPB))))
    venue.at = Millis(venue.at + 10_000)
    done(venue.send(UpdatePrice(ticker=BTC, price=Ticks(prices[-1]), source=PriceSource.EVENT)))
    assert venue.markets[BTC].positions == {}
    trades = sum(row.kind in ("open", "close") for row in venue.rows)
    assert full_state(venue.replayed().ledger, venue.replayed().markets) == full_state(venue.ledger, venue.markets)
    return (venue.ledger.wallet("bot") - 10_000 * MICRO) / MICRO, trades


@pytest.mark.parametrize("bot", [flips, flips_and_takes_back])
def test_a_bot_that_knows_the_next_tick_earns_at_once_and_loses_its_fees_at_the_next_price(bot: Bot) -> None:
    prices = walk(1_500, bps=20)
    at_once, trades = earned(bot, Execution.IMMEDIATE, prices)
    waiting, waited = earned(bot, Execution.NEXT_PRICE, prices)
    print(f"\n{bot.__name__}: at once {at_once:+.2f} USD in {trades} trades, next price {waiting:+.2f} in {waited:.0f}")
    assert trades > 100
    assert waited > 100
    assert at_once > 0
    assert waiting < 0
    assert waiting < -waited * 0.5, "about the fee of each trade, 1 USD"


@pytest.mark.parametrize("late_ms", [2_000, 5_000])
def test_a_feed_that_lags_is_no_gift(late_ms: int) -> None:
    """Each price comes seconds after it was true. Who orders in between gets the first one that is true after it.

    Over several walks, because what he trades at is chance to him: only the fees are certain.
    """
    begun = Books((index_market(), BTC_PRICE)).at
    totals = {execution: [0.0, 0] for execution in Execution}
    for seed in range(5):
        prices = walk(600, bps=20, seed=seed)

        def knows_the_present(venue: Books, now: int, _: int, prices: list[int] = prices) -> None:
            """Sees where the price is already, ``late_ms`` before the feed says it."""
            place = (venue.at - begun + late_ms) // STEP_MS
            flips(venue, now, prices[min(place, len(prices) - 1)])

        for execution, total in totals.items():
            gain, trades = earned(knows_the_present, execution, prices, late_ms=late_ms)
            total[0] += gain
            total[1] += trades
    (at_once, sent), (waiting, waited) = totals[Execution.IMMEDIATE], totals[Execution.NEXT_PRICE]
    print(
        f"\nlate by {late_ms} ms: at once {at_once:+.2f} USD in {sent:.0f} trades, next {waiting:+.2f} in {waited:.0f}"
    )
    assert at_once > 0
    assert waiting < 0


def test_a_bot_that_sets_an_exit_at_a_price_that_is_on_its_way_earns_nothing() -> None:
    """It holds both sides. When the price has gone further than the feed will say next, one side would leave there."""
    late_ms, exits_set = 2_000, 0
    totals = {execution: [0.0, 0] for execution in Execution}
    begun = Books((index_market(), BTC_PRICE)).at
    for seed in range(3):
        prices = walk(600, bps=20, seed=seed)

        def leaves_by_exits(venue: Books, now: int, ahead: int, prices: list[int] = prices) -> None:
            nonlocal exits_set
            market = venue.markets[BTC]
            present = prices[min((venue.at - begun + late_ms) // STEP_MS, len(prices) - 1)]
            own = [each for each in market.positions.values() if each.user == "bot"]
            held = {each.lots > 0 for each in own} | {each.side is Side.LONG for each in market.orders.of("bot")}
            for side in Side:
                gains = (present - now) * (1 if side is Side.LONG else -1) >= 0
                if (side is Side.LONG) not in held and gains:
                    done(venue.open("bot", side, SIZE, leverage=5))
            for each in own:
                better = (ahead - present) * (1 if each.lots > 0 else -1) * 10_000 > 4 * FEE_BPS * present
                level = Ticks(ahead - 10 if ahead > market.mark else ahead + 10)
                is_profit = (ahead > market.mark) is (each.lots > 0)
                exits = ((level, None) if is_profit else (None, level)) if better else (None, None)
                if exits != (each.take_profit, each.stop_loss):
                    name = position_id(BTC, each.number)
                    fields: dict[str, Any] = dict(zip(("take_profit", "stop_loss"), exits, strict=True))
                    done(venue.send(SetTriggers(ticker=BTC, user="bot", position_id=name, **fields)))
                    exits_set += better

        for execution, total in totals.items():
            gain, count = earned(leaves_by_exits, execution, prices, late_ms=late_ms)
            total[0] += gain
            total[1] += count
    (at_once, sent), (waiting, waited) = totals[Execution.IMMEDIATE], totals[Execution.NEXT_PRICE]
    print(f"\nexits at the price to come: at once {at_once:+.2f} USD in {sent:.0f} trades, ")
    print(f"  next {waiting:+.2f} in {waited:.0f}; {exits_set} exits were set")
    assert exits_set > 100
    assert at_once > 0
    assert waiting < 0


@pytest.mark.parametrize("first", [PriceSource.ORACLE, PriceSource.AGENT])
def test_of_two_feeds_the_slow_one_fills_nothing_with_what_the_fast_one_has_shown(first: PriceSource) -> None:
    """The fast feed says that the price has risen; the slow one still says the old price afterwards."""
    second = PriceSource.AGENT if first is PriceSource.ORACLE else PriceSource.ORACLE
    venue = Books((index_market(execution=Execution.NEXT_PRICE, clock_skew=Millis(SKEW_MS)), BTC_PRICE))
    venue.add_user("bot")
    venue.at = Millis(venue.at + 10_000)
    up = BTC_PRICE * 101 // 100
    done(venue.send(UpdatePrice(ticker=BTC, price=Ticks(up), source=first, source_at=venue.at)))
    done(venue.open("bot", Side.LONG, SIZE))
    placed_at = venue.at
    for after_ms in (-3_000, -1, SKEW_MS):
        venue.at = Millis(venue.at + 300)
        stamp = Millis(placed_at + after_ms)
        old = UpdatePrice(ticker=BTC, price=Ticks(BTC_PRICE), source=second, source_at=stamp)
        done(venue.send(old))
        assert venue.markets[BTC].index_price == BTC_PRICE
        assert venue.markets[BTC].positions == {}, "the old price fills nobody"
    venue.at = Millis(venue.at + 300)
    done(venue.send(UpdatePrice(ticker=BTC, price=Ticks(up), source=first, source_at=venue.at)))
    (position,) = venue.markets[BTC].positions.values()
    assert position.entry_cost // abs(position.lots) >= up
