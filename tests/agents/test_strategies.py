"""Each example decides what it says it decides."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from perps.agents.catalogue import EXAMPLES, strategy_of
from perps.agents.strategies.arbitrage import Arbitrage
from perps.agents.strategies.hedger import Hedger
from perps.agents.strategies.hunter import HOLD as HUNTER_HOLD
from perps.agents.strategies.hunter import Hunter
from perps.agents.strategies.momentum import LOOKBACK, Momentum
from perps.agents.strategies.news import HOLD as NEWS_HOLD
from perps.agents.strategies.news import News
from perps.agents.strategies.noise import Noise
from perps.agents.strategies.reversion import LEAST, Reversion
from perps.agents.strategies.trend import CHANNEL, Trend
from tests.agents.scene import Scene, names

STORIES = [
    ("A test flight lands upright", "long"),
    ("A launch is called off for weather", "short"),
    ("A rival shows a larger rocket", "short"),
    ("The space agency orders six flights", "long"),
    ("An engine fails on the stand", "short"),
    ("A well-known fund buys in", "long"),
    ("The founder sells some shares", "short"),
    ("The first crew comes home", "long"),
]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short_and_says_what_it_does(name: str) -> None:
    kind = strategy_of(name)
    source = Path(inspect.getfile(kind)).read_text()
    assert len(source.splitlines()) <= 40
    assert kind.__doc__
    assert "import asyncio" not in source, "an example has no access but the client"


async def test_noise_tosses_coins_and_never_holds_more_than_it_may() -> None:
    scene = Scene(Noise)
    for _ in range(200):
        await scene.decide()
        assert len(scene.seat.account.positions) <= Noise.positions_max
    opens = [values for name, values in scene.line.sent if name == "openPosition"]
    assert {values["side"] for values in opens} == {"long", "short"}
    assert len({values["size"] for values in opens}) > 10
    closes = [values for name, values in scene.line.sent if name == "closePosition"]
    assert {values.get("percentage") for values in closes} == {None, "0.5"}


@pytest.mark.parametrize(("move", "side"), [(1.001, "long"), (0.999, "short"), (1.0001, None)])
async def test_momentum_goes_with_a_move_that_is_large_enough(move: float, side: str | None) -> None:
    scene = Scene(Momentum)
    assert await scene.decide(LOOKBACK) == []
    scene.price(10_000 * move)
    sent = await scene.decide()
    assert [values["side"] for _, values in sent] == ([] if side is None else [side])


async def test_momentum_leaves_what_stands_against_a_move() -> None:
    scene = Scene(Momentum)
    await scene.decide(LOOKBACK)
    scene.price(10_100)
    assert names(await scene.decide()) == ["openPosition"]
    scene.price(9_900)
    assert names(await scene.decide()) == ["closePosition"]
    assert (await scene.decide())[0][1]["side"] == "short"


@pytest.mark.parametrize(("move", "side"), [(1.001, "short"), (0.999, "long"), (1.0001, None)])
async def test_reversion_goes_against_a_move_and_leaves_at_the_mean(move: float, side: str | None) -> None:
    scene = Scene(Reversion)
    await scene.decide(LEAST)
    scene.price(10_000 * move)
    sent = await scene.decide()
    assert [values["side"] for _, values in sent] == ([] if side is None else [side])
    scene.price(10_000 / move)
    assert names(await scene.decide()) == ([] if side is None else ["closePosition"])


@pytest.mark.parametrize(("move", "side", "stop"), [(1.01, "long", "9999.00"), (0.99, "short", "9999.00")])
async def test_trend_enters_outside_the_channel_and_never_without_a_stop(move: float, side: str, stop: str) -> None:
    scene = Scene(Trend)
    assert await scene.decide(CHANNEL) == []
    scene.price(10_000 * move)
    ((name, values),) = await scene.decide()
    assert (name, values["side"], values["stop_loss"]) == ("openPosition", side, stop)


async def test_a_trends_stop_follows_the_price_and_never_goes_back() -> None:
    scene = Scene(Trend)
    await scene.decide(CHANNEL)
    scene.price(10_100)
    await scene.decide()
    scene.price(10_200)
    ((name, values),) = await scene.decide()
    assert (name, values["stop_loss"]) == ("setTriggers", "10098.00")
    scene.price(10_150)
    assert await scene.decide() == []
    scene.price(10_201)
    assert await scene.decide() == [], "such a small step is not worth a command"


@pytest.mark.parametrize(("quote", "side"), [(10_040, "short"), (9_960, "long"), (10_020, None)])
async def test_arbitrage_brings_the_quote_to_the_index_if_that_pays(quote: float, side: str | None) -> None:
    scene = Scene(Arbitrage)
    scene.price(10_000, quote=quote)
    sent = await scene.decide()
    assert [values["side"] for _, values in sent] == ([] if side is None else [side])
    assert await scene.decide() == [] or side is not None
    assert len(scene.seat.account.positions) == (0 if side is None else 2), "one each time"
    scene.price(10_000, quote=10_000)
    assert names(await scene.decide()) == ([] if side is None else ["closePosition"])


@pytest.mark.parametrize("side", ["long", "short"])
async def test_a_hunter_stands_on_the_other_side_of_a_liquidation_and_leaves_soon(side: str) -> None:
    scene = Scene(Hunter)
    assert await scene.decide() == []
    scene.trade(side, 1, "liquidation", "liquidation")
    ((name, values),) = await scene.decide()
    assert (name, values["side"]) == ("openPosition", side), "what is liquidated is sold, so a long's lots are bought"
    assert await scene.decide(HUNTER_HOLD - 1) == []
    assert names(await scene.decide()) == ["closePosition"]


@pytest.mark.parametrize(("story", "side"), STORIES)
async def test_news_is_read_the_way_it_is_meant(story: str, side: str) -> None:
    scene = Scene(News)
    scene.price(10_000)
    assert await scene.decide() == []
    scene.price(10_100, reason=story)
    ((name, values),) = await scene.decide()
    assert (name, values["side"]) == ("openPosition", side)
    assert await scene.decide(NEWS_HOLD - 1) == []
    assert names(await scene.decide()) == ["closePosition"], "the story is old"


@pytest.mark.parametrize(("crowd", "side"), [("long", "short"), ("short", "long")])
async def test_a_hedger_takes_the_side_that_the_crowd_has_left(crowd: str, side: str) -> None:
    scene = Scene(Hedger)
    scene.trade(crowd, 4)
    assert await scene.decide() == [], "so little skew is nothing"
    scene.trade(crowd, 4)
    ((name, values),) = await scene.decide()
    assert (name, values["side"]) == ("openPosition", side)
    scene.trade(crowd, 8, "close")
    assert names(await scene.decide()) == ["closePosition"]


@pytest.mark.parametrize("name", EXAMPLES)
async def test_an_order_that_waits_for_the_next_price_counts_as_a_position(name: str) -> None:
    kind = strategy_of(name)
    scene = Scene(kind)
    scene.line.waits = True
    for turn in range(200):
        mark = 10_000 * (1 + 0.01 * (turn % 50))
        scene.price(mark, quote=mark * 1.02, reason="A fund buys in")
        scene.trade("long", 1)
        scene.trade("short", 1, "liquidation", "liquidation")
        await scene.decide()
    assert names(scene.line.sent) == ["openPosition"] * kind.positions_max


async def test_a_position_whose_close_waits_is_not_closed_again() -> None:
    scene = Scene(Hedger)
    scene.trade("long", 8)
    assert names(await scene.decide(10)) == ["openPosition"] * Hedger.positions_max
    scene.line.waits = True
    scene.trade("long", 8, "close")
    sent = await scene.decide(10)
    assert names(sent) == ["closePosition"] * Hedger.positions_max
    assert len({values["position_id"] for _, values in sent}) == Hedger.positions_max
    assert scene.trader.strategy.is_full, "it has them until the price comes"
