"""Replayed and simulated prices reach the venue on its tick, in order, at their time."""

import asyncio
import json
import os
from collections import deque
from decimal import Decimal
from pathlib import Path

import pytest

from perps.client import Venue
from perps.client.rounding import on_tick
from tests.support.slowness import soon
from tests.tools.conftest import Running
from tests.tools.fake_venue import ADMIN_KEY
from tools import output
from tools.cli import main
from tools.errors import ToolError
from tools.feeds import player
from tools.feeds.files import Tick
from tools.feeds.market_feed import PriceFeed
from tools.feeds.player import BATCH_MAX, Pacer, replay, simulate
from tools.feeds.price_process import price_path

T = 1_704_067_200
BARS = f"open_time_ms,open,high,low,close,volume\n{T}000,10.004,14,9,12,1\n{T + 3600}000,12,13,8,9,1\n"


def tick(at_ms: int, price: str) -> Tick:
    return Tick(at_ms, Decimal(price), at_ms // 1000 + 2)


def ticks_file(*prices: str) -> str:
    """A file of a price a second."""
    return "time,price\n" + "".join(f"{T + at},{price}\n" for at, price in enumerate(prices, 1))


async def write(name: str, text: str) -> None:
    """A file, written in a thread: the loop is the fake venue's."""
    await asyncio.to_thread(Path(name).write_text, text)


async def run(running: Running, *arguments: str) -> int:
    """The command line, in a thread, so that the fake venue can answer."""
    return await asyncio.to_thread(main, [*arguments, "--url", running.url, "--key", ADMIN_KEY])


@pytest.mark.parametrize(
    ("price", "tick_size", "expected"),
    [
        ("10.004", "0.01", "10.00"),
        ("10.005", "0.01", "10.00"),
        ("10.015", "0.01", "10.02"),
        ("10.3", "0.5", "10.5"),
        ("0.001", "0.01", "0.01"),
        ("123456789.987654321", "0.0001", "123456789.9877"),
        ("1e17", "0.000000000001", "1e17"),
        ("1e99", "0.01", "1e99"),
    ],
)
def test_a_price_is_put_on_the_nearest_tick_and_never_on_zero(price: str, tick_size: str, expected: str) -> None:
    assert on_tick(Decimal(price), Decimal(tick_size)) == Decimal(expected)


async def test_a_replayed_file_arrives_tick_by_tick(running: Running) -> None:
    running.venue.add_market("BTC-PERP")
    await write("bars.csv", BARS)
    assert await run(running, "feed", "replay", "bars.csv", "--ticker", "BTC-PERP", "--speed", "max") == 0
    sent = running.venue.prices
    assert [price["price"] for price in sent] == ["10.00", "9.00", "14.00", "12.00", "12.00", "13.00", "8.00", "9.00"]
    assert {price["source"] for price in sent} == {"oracle"}
    sequences = [price["sequence"] for price in sent]
    assert sequences == sorted(set(sequences))


async def test_a_second_replay_goes_on_above_the_first(running: Running) -> None:
    running.venue.add_market("BTC-PERP")
    await write("bars.csv", BARS)
    for _ in range(2):
        assert await run(running, "feed", "replay", "bars.csv", "--ticker", "BTC-PERP", "--speed", "max") == 0
    assert len(running.venue.prices) == 16


async def test_a_window_of_a_file_can_be_replayed(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    running.venue.add_market("BTC-PERP")
    await write("bars.csv", BARS)
    options = ("--speed", "max", "--from", "2024-01-01T01:00:00Z", "--limit", "1", "--json")
    assert await run(running, "feed", "replay", "bars.csv", "--ticker", "BTC-PERP", *options) == 0
    answer = {"ticker": "BTC-PERP", "prices": 4, "overtaken": 0, "lastPrice": "9.00", "liquidations": 0}
    assert json.loads(capsys.readouterr().out) == {"feeds": [answer]}


async def test_a_bad_row_ends_a_replay_with_its_line(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    running.venue.add_market("BTC-PERP")
    await write("ticks.csv", ticks_file("1", "oops"))
    assert await run(running, "feed", "replay", "ticks.csv", "--ticker", "BTC-PERP", "--speed", "max") == 1
    assert (
        capsys.readouterr().err
        == "perps: error: ticks.csv line 3, column price: a price must be a number above 0, such as 12.5; "
        "it is 'oops'\n"
    )


async def test_a_file_with_a_bad_row_anywhere_is_refused_before_a_price_is_sent(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    running.venue.add_market("BTC-PERP")
    rows = 50_000
    await write("ticks.csv", ticks_file(*["1"] * rows, "oops"))
    assert await run(running, "feed", "replay", "ticks.csv", "--ticker", "BTC-PERP", "--speed", "max") == 1
    assert f"ticks.csv line {rows + 2}, column price: a price must be" in capsys.readouterr().err
    assert running.venue.prices == []


async def test_of_a_pipe_it_is_told_how_many_prices_were_sent_before_a_bad_row(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    running.venue.add_market("BTC-PERP")
    os.mkfifo("ticks")
    arguments = ("feed", "replay", "ticks", "--ticker", "BTC-PERP", "--speed", "max")
    rows = 10_000
    async with soon(15):
        code, _ = await asyncio.gather(run(running, *arguments), write("ticks", ticks_file(*["1"] * rows, "oops")))
    assert code == 1
    error = capsys.readouterr().err
    sent = len(running.venue.prices)
    assert f"ticks line {rows + 2}, column price" in error
    assert f"; {sent} prices sent before that\n" in error
    assert 0 < sent <= rows


async def test_progress_elsewhere_than_on_a_terminal_is_of_the_prices_sent(
    running: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "PLAIN_EVERY_S", 0.0)
    running.venue.add_market("A")
    monkeypatch.setattr(player, "BATCH_MAX", 1)
    await write("ticks.csv", ticks_file("1", "2", "3", "4", "5"))
    options = ("--ticker", "A", "--speed", "max")
    assert await run(running, "feed", "replay", "ticks.csv", *options, "--from", f"{T + 2}") == 0
    assert capsys.readouterr().err.splitlines() == [
        "checking the file 4 rows",
        "sending prices 25% A 2.00 · line 3 · 0 liquidations",
        "sending prices 50% A 3.00 · line 4 · 0 liquidations",
        "sending prices 75% A 4.00 · line 5 · 0 liquidations",
        "sending prices 100% A 5.00 · line 6 · 0 liquidations",
    ]


async def test_an_unknown_market_ends_a_replay(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    await write("ticks.csv", ticks_file("1"))
    assert await run(running, "feed", "replay", "ticks.csv", "--ticker", "NONE") == 1
    assert "market_not_found" in capsys.readouterr().err


async def test_two_feeds_into_one_market_take_turns_and_a_late_price_is_no_failure(running: Running) -> None:
    running.venue.add_market("BTC-PERP")
    async with Venue(running.url, ADMIN_KEY) as venue:
        one, _ = await PriceFeed.of(venue, "BTC-PERP")
        other, _ = await PriceFeed.of(venue, "BTC-PERP")
        for price in ("1", "2", "3"):
            await one.send(Decimal(price))
            await other.send(Decimal(price))
        running.venue.refusals["price"] = deque([(409, "price_stale")])
        await one.send(Decimal("4"))
    assert (one.sent, one.overtaken, one.last) == (3, 1, Decimal("3.00"))
    assert (other.sent, other.overtaken) == (3, 0)


async def test_a_replay_of_which_nothing_was_taken_is_a_failure(running: Running) -> None:
    running.venue.add_market("BTC-PERP")
    running.venue.refusals["price"] = deque([(409, "price_stale")])
    await write("ticks.csv", ticks_file("1"))
    assert await run(running, "feed", "replay", "ticks.csv", "--ticker", "BTC-PERP") == 1


async def test_a_refused_price_names_its_line(running: Running) -> None:
    running.venue.add_market("BTC-PERP")
    running.venue.refusals["price"] = deque([(400, "validation_error")])
    async with Venue(running.url, ADMIN_KEY) as venue:
        feed, _ = await PriceFeed.of(venue, "BTC-PERP")
        with pytest.raises(ToolError, match=r"line 2, price 1: validation_error"):
            await replay(feed, iter([[tick(0, "1")]]), Pacer(None), lambda _: None)


async def test_a_replay_keeps_recorded_time_divided_by_its_speed() -> None:
    now, waits = 50.0, []

    async def sleep(seconds: float) -> None:
        nonlocal now
        waits.append(seconds)
        now += seconds

    pacer = Pacer(10.0, now=lambda: now, sleep=sleep)
    for at_ms in (7_000, 17_000, 17_000, 37_000):
        await pacer.until(at_ms)
    assert waits == pytest.approx([1.0, 2.0])


async def test_a_replay_that_fell_behind_catches_up_without_waiting() -> None:
    now = 0.0

    async def sleep(seconds: float) -> None:
        raise AssertionError("nothing to wait for")

    pacer = Pacer(1.0, now=lambda: now, sleep=sleep)
    await pacer.until(0)
    now = 10.0
    await pacer.until(4_000)


async def test_a_simulated_feed_repeats_itself_for_a_seed(running: Running) -> None:
    arguments = ("feed", "simulate", "--ticker", "A", "--ticker", "B", "--seed", "7", "--steps", "20")
    paths = []
    for _ in range(2):
        for name in ("A", "B"):
            running.venue.add_market(name, price="250.00")
        running.venue.prices.clear()
        assert await run(running, *arguments, "--interval-ms", "1") == 0
        paths.append({name: [p["price"] for p in running.venue.prices if p["ticker"] == name] for name in ("A", "B")})
    assert paths[0] == paths[1]
    assert paths[0]["A"] != paths[0]["B"]
    assert [len(path) for path in paths[0].values()] == [20, 20]


async def test_a_simulated_feed_waits_between_prices_and_leaves_out_those_it_is_late_for(running: Running) -> None:
    running.venue.add_market("A")
    now, waits = 0.0, []

    async def sleep(seconds: float) -> None:
        nonlocal now
        waits.append(seconds)
        now += seconds

    def slow() -> None:
        nonlocal now
        now += 3.5 if len(waits) == 1 else 0.25

    async with Venue(running.url, ADMIN_KEY) as venue:
        feed, _ = await PriceFeed.of(venue, "A")
        path = price_path(100.0, 1)
        await simulate(feed, path, interval_s=1.0, steps=4, tell=slow, now=lambda: now, sleep=sleep)
    assert waits == pytest.approx([0.75, 0.0, 0.75, 0.75])


async def test_a_feed_outlives_a_restart_of_the_venue(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    running.venue.add_market("A")
    running.venue.refusals["price"] = deque([(503, "unavailable")] * 12)
    arguments = ("feed", "simulate", "--ticker", "A", "--seed", "1", "--steps", "3", "--interval-ms", "1")
    assert await run(running, *arguments) == 0
    assert len(running.venue.prices) == 3
    assert "does not answer" in capsys.readouterr().err


async def test_a_feed_reaches_a_venue_again_that_was_gone(running: Running) -> None:
    running.venue.add_market("A")
    running.venue.hang_ups["price"] = 6
    arguments = ("feed", "simulate", "--ticker", "A", "--seed", "1", "--steps", "3", "--interval-ms", "1")
    assert await run(running, *arguments, "--patience", "60") == 0
    assert len(running.venue.prices) == 3


async def test_a_feed_without_patience_ends_with_the_venue(running: Running) -> None:
    running.venue.add_market("A")
    running.venue.refusals["price"] = deque([(503, "unavailable")] * 12)
    arguments = ("feed", "simulate", "--ticker", "A", "--seed", "1", "--steps", "3", "--interval-ms", "1")
    assert await run(running, *arguments, "--patience", "0") == 1


async def test_a_replay_outlives_a_restart_of_the_venue(running: Running) -> None:
    running.venue.add_market("BTC-PERP")
    await write("bars.csv", BARS)
    running.venue.refusals["prices"] = deque([(503, "unavailable")] * 12)
    assert await run(running, "feed", "replay", "bars.csv", "--ticker", "BTC-PERP", "--speed", "max") == 0
    assert len(running.venue.prices) == 8


async def test_a_simulated_feed_tells_its_seed_also_to_programs(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    running.venue.add_market("A")
    arguments = ("feed", "simulate", "--ticker", "A", "--steps", "1", "--interval-ms", "1", "--json")
    assert await run(running, *arguments) == 0
    out, err = capsys.readouterr()
    assert f"seed {json.loads(out)['seed']}" in err
    assert json.loads(out)["seed"].bit_length() > 64, "nobody finds it by trying"
    assert await run(running, *arguments, "--seed", "7") == 0
    assert json.loads(capsys.readouterr().out)["seed"] == 7


async def test_prices_that_are_due_go_together_and_keep_their_order(running: Running) -> None:
    running.venue.add_market("A")
    async with Venue(running.url, ADMIN_KEY) as venue:
        feed, _ = await PriceFeed.of(venue, "A")
        ticks = [tick(at, f"{at + 1}") for at in range(2 * BATCH_MAX + 1)]
        await replay(feed, iter([ticks]), Pacer(None), lambda _: None)
    assert (running.venue.seen["prices"], running.venue.seen["price"]) == (2, 1)
    assert [price["price"] for price in running.venue.prices] == [f"{at + 1}.00" for at in range(len(ticks))]
    sequences = [price["sequence"] for price in running.venue.prices]
    assert sequences == sorted(set(sequences))
    assert feed.sent == len(ticks)


async def test_a_refused_price_among_many_names_its_line(running: Running) -> None:
    running.venue.add_market("A")
    running.venue.limit = Decimal(3)
    async with Venue(running.url, ADMIN_KEY) as venue:
        feed, _ = await PriceFeed.of(venue, "A")
        with pytest.raises(ToolError, match=r"line 4, price 4: validation_error"):
            await replay(
                feed, iter([[tick(at * 1000 - 1000, f"{at + 1}") for at in range(4)]]), Pacer(None), lambda _: None
            )
    assert (feed.sent, feed.last) == (3, Decimal("3.00"))


async def test_prices_carry_their_time(running: Running) -> None:
    running.venue.add_market("A")
    await write("ticks.csv", ticks_file("1", "2", "3"))
    assert await run(running, "feed", "replay", "ticks.csv", "--ticker", "A", "--speed", "max") == 0
    sent = [price["at"] for price in running.venue.prices]
    assert sent == sorted(sent)
    assert all(at.startswith("20") and at.endswith("Z") for at in sent)
    assert not any(at.startswith("2024-01-01") for at in sent), "a recorded price is as new as its replay"


async def test_a_feed_goes_on_without_a_time_where_the_venues_clock_is_behind(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    running.venue.add_market("A")
    running.venue.is_behind = True
    await write("ticks.csv", ticks_file("1", "2", "3"))
    assert await run(running, "feed", "replay", "ticks.csv", "--ticker", "A", "--speed", "max") == 0
    assert [price.get("at") for price in running.venue.prices] == [None] * 3
    assert [price["price"] for price in running.venue.prices] == ["1.00", "2.00", "3.00"]
    assert "the venue's clock is behind this machine's" in capsys.readouterr().err


@pytest.mark.parametrize("rows", [("1",), ("1", "2")])
async def test_a_feed_that_its_source_shuts_out_says_how_to_go_on(
    running: Running, capsys: pytest.CaptureFixture[str], rows: tuple[str, ...]
) -> None:
    running.venue.add_market("A")
    far = {"ticker": "A", "price": "5.00", "source": "oracle", "sequence": 2**62}
    running.venue.prices.append(far)
    await write("ticks.csv", ticks_file(*rows))
    arguments = ("feed", "replay", "ticks.csv", "--ticker", "A", "--speed", "max")

    assert await run(running, *arguments) == 1
    assert running.venue.prices == [far]
    error = capsys.readouterr().err
    assert f"its source oracle has already sent a price with the sequence {2**62}" in error
    assert "--source system or agent, or without a sequence: --no-sequence" in error

    assert await run(running, *arguments, "--source", "system") == 0
    assert await run(running, *arguments, "--no-sequence") == 0
    assert [(p["source"], "sequence" in p) for p in running.venue.prices[1:]] == [
        *[("system", True)] * len(rows),
        *[("oracle", False)] * len(rows),
    ]


async def test_a_file_into_a_market_of_a_coarse_tick_is_refused_before_a_price_is_sent(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    running.venue.add_market("SHIB")
    await write("ticks.csv", ticks_file("50", "0.00001033", "0.0000104").replace("50", "0.000011"))
    assert await run(running, "feed", "replay", "ticks.csv", "--ticker", "SHIB", "--speed", "max") == 1
    assert "line 2: the market's tick 0.01 would make 0.01 of the price 0.000011" in capsys.readouterr().err
    assert running.venue.prices == []
