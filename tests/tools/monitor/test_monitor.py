"""``perps monitor`` on the real venue: what it shows, what JSON has, and which thresholds are passed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from io import StringIO
from math import inf
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from rich.console import Console

from perps.client import Venue
from tests.web.venue import ADMIN_KEY, ManualClock, OnMemory, Running, start
from tools.cli import main
from tools.errors import BadAnswer, ToolError
from tools.monitor.checks import MARKET, VENUE, broken, read_thresholds
from tools.monitor.figures import Figures, figures, quantile
from tools.monitor.sample import Metrics, Sample, take
from tools.monitor.screen import screen


@pytest.fixture
async def venue() -> AsyncIterator[Running]:
    """A venue on memory with one market at 10,000, and ann, who has a long position and was refused once."""
    async with aiohttp.ClientSession() as session:
        running = await start(OnMemory(), session)
        await running.market(price="10000")
        ann = await running.user("ann", "1000")
        await ann.opened(size="1000", leverage=10)
        (await ann.open(size="100000", leverage=1)).refused(422, "insufficient_funds")
        yield running
        await running.venue.close()


async def monitor(venue: Running, *flags: str) -> int:
    """The command, which looks twice within a tenth of a second."""
    arguments = ["monitor", "--url", venue.url, "--key", ADMIN_KEY, "--interval", "0.1", *flags]
    return await asyncio.to_thread(main, arguments)


async def checked(venue: Running, tmp_path: Path, thresholds: str) -> int:
    """The command's exit code with these thresholds."""
    file = tmp_path / "limits.toml"
    await asyncio.to_thread(file.write_text, thresholds)
    return await monitor(venue, "--check", str(file))


async def sample(venue: Running) -> Sample:
    """One look."""
    async with Venue(venue.url, ADMIN_KEY) as client:
        return await take(client)


async def test_json_has_the_venue_and_every_market(venue: Running, capsys: pytest.CaptureFixture[str]) -> None:
    assert await monitor(venue, "--json") == 0
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    market = (await venue.anybody.get("/api/markets/perps/BTC-PERP")).ok()["market"]
    assert shown["venue"]["offset"] == venue.venue.context.model.offset
    assert shown["venue"]["problems"] == {}
    (told,) = shown["markets"]
    assert told["quote"] == market["currentPrice"]
    assert told["openInterestLong"] == market["openInterest"]["long"] == "0.0999"
    assert told["skewShare"] == round(0.0999 / float(market["maxSkew"]), 4)


async def test_rates_and_percentiles_are_of_the_time_between_two_looks(venue: Running) -> None:
    before = await sample(venue)
    for _ in range(3):
        await venue.price("10001")
    await venue.user("ben", "5")
    now = await sample(venue)
    told = figures(before, now).venue
    assert told.commands_per_s.keys() == {"price", "user", "deposit"} or told.commands_per_s.keys() == {"price", "user"}
    assert round(told.commands_per_s["price"] * told.over_s) == 3
    assert 0 < told.p50_ms <= told.p99_ms
    assert told.refusals_per_s == {}, "the refusal was before"
    assert figures(now, now).venue.p99_ms == 0


async def test_a_refusal_is_counted_by_its_code(venue: Running) -> None:
    before = await sample(venue)
    (await venue.anybody.get("/api/markets/perps/NO")).refused(404, "market_not_found")
    told = figures(before, await sample(venue)).venue.refusals_per_s
    assert list(told) == ["market_not_found"]


async def test_a_price_grows_old_and_a_threshold_says_so(
    venue: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = figures(before := await sample(venue), await sample(venue))
    assert seen.markets[0].price_age_s == 0
    clock = venue.clock
    assert isinstance(clock, ManualClock)
    clock.advance(90)
    now = await sample(venue)
    assert figures(before, now).markets[0].price_age_s == 90
    assert now.metrics.by("perps_price_age_seconds", "ticker") == {"BTC-PERP": 90}
    assert await checked(venue, tmp_path, "[markets]\nprice_age_s = 60\n") == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("BTC-PERP: ")
    assert "90" in line


async def test_a_check_that_finds_nothing_ends_with_0(
    venue: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await checked(venue, tmp_path, "[venue]\np99_ms = 60000\nproblems = 0\n[markets]\nprice_age_s = 60\n") == 0
    assert capsys.readouterr().out == "every threshold is kept\n"


async def test_a_check_says_in_words_what_is_broken_and_ends_with_1(
    venue: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await venue.mode("halted")
    limits = "[venue]\nsnapshot_rows = 2\n[markets]\nskew_share = 0\nhalted = 0\n[markets.NOVA]\nprice_age_s = 9\n"
    assert await checked(venue, tmp_path, limits) == 1
    assert capsys.readouterr().out.splitlines() == [
        "a start would have to read 4 rows; at most 2 is allowed",
        "BTC-PERP: the skew is 0.0001 of the most that is allowed; at most 0 is allowed",
        "BTC-PERP is halted",
        "NOVA: there is no such market",
    ]


async def test_a_market_of_its_own_table_has_its_own_threshold(venue: Running, tmp_path: Path) -> None:
    assert await checked(venue, tmp_path, "[markets]\nskew_share = 0\n[markets.BTC-PERP]\nskew_share = 1\n") == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[venu]\n", "there is no table [venu]; there are [venue], [markets] and [markets.TICKER]"),
        ("[venue]\np99 = 1\n", "[venue]: there is no key 'p99'; did you mean 'p99_ms'?"),
        ("[markets.A]\nprice_age = 1\n", "[markets.A]: there is no key 'price_age'; did you mean 'price_age_s'?"),
        ('[venue]\np99_ms = "5"\n', "[venue] p99_ms: write a number, 0 or more, not '5'"),
        ("[venue]\np99_ms = nan\n", "[venue] p99_ms: write a number, 0 or more, not nan"),
        ("venue = 3\n", "write [venue], with its keys below it"),
    ],
)
def test_a_mistake_in_the_thresholds_names_the_key(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "t.toml").write_text(text)
    with pytest.raises(ToolError) as caught:
        read_thresholds(tmp_path / "t.toml")
    assert said in str(caught.value)


async def test_every_threshold_can_be_passed(venue: Running, tmp_path: Path) -> None:
    """With less than nothing allowed, each has a sentence."""
    seen = figures(await sample(venue), await sample(venue))
    text = "[venue]\n" + "".join(f"{name} = 0\n" for name in VENUE)
    text += "[markets]\n" + "".join(f"{name} = 0\n" for name in MARKET)
    file = tmp_path / "t.toml"
    await asyncio.to_thread(file.write_text, text)
    allowed = await asyncio.to_thread(read_thresholds, file)
    for table in (allowed.venue, allowed.every_market):
        assert isinstance(table, dict)
        table.update(dict.fromkeys(table, -1.0))
    assert len(list(broken(seen, allowed))) == len(VENUE) + len(MARKET)


def drawn(seen: Figures, width: int, height: int) -> list[str]:
    """The lines of a terminal of this size."""
    console = Console(width=width, height=height, file=StringIO())
    console.print(screen(seen, "http://venue", width, height))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


async def test_a_terminal_shows_every_market_and_the_flow(venue: Running) -> None:
    text = "\n".join(drawn(figures(await sample(venue), await sample(venue)), 200, 40))
    assert "BTC-PERP" in text
    assert "commands/s" in text
    assert "hidden" not in text


@pytest.mark.parametrize(("width", "height"), [(50, 12), (80, 24), (120, 40), (200, 60)])
async def test_a_terminal_shows_whole_columns_and_whole_rows_and_says_how_many_are_missing(
    venue: Running, width: int, height: int
) -> None:
    for number in range(40):
        await venue.market(f"M{number}-PERP", "12345")
    clock = venue.clock
    assert isinstance(clock, ManualClock)
    clock.advance(90)
    for number in range(39):
        await venue.price("12345", ticker=f"M{number}-PERP")
    lines = drawn(figures(await sample(venue), await sample(venue)), width, height)
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)
    table = [line for line in lines[4:-1] if "PERP" in line]
    assert not [line for line in table if "…" in line]
    markets = [line.split()[0] for line in table]
    assert {"BTC-PERP", "M39-PERP"} <= set(markets), "those that are marked, here for an old price, come first"
    assert (f"{41 - len(markets)} more markets" in "".join(lines[-2:])) == (len(markets) < 41)
    assert ("hidden; a width of " in lines[-1]) == (width < 129)


async def test_without_a_terminal_it_looks_once(venue: Running, capsys: pytest.CaptureFixture[str]) -> None:
    assert await monitor(venue) == 0
    head, *_, last = capsys.readouterr().out.splitlines()
    assert head.startswith(f"row {venue.venue.context.model.offset}")
    assert last.startswith("BTC-PERP\tenabled\t10000.00")


@pytest.mark.parametrize(
    ("q", "counts", "found"),
    [
        (0.5, [(1.0, 10.0), (2.0, 20.0), (inf, 20.0)], 1.0),
        (0.75, [(1.0, 10.0), (2.0, 20.0), (inf, 20.0)], 1.5),
        (0.99, [(1.0, 0.0), (2.0, 0.0), (inf, 5.0)], 2.0),
        (0.5, [(1.0, 4.0), (inf, 4.0)], 0.5),
        (0.5, [(1.0, 0.0), (inf, 0.0)], 0.0),
        (0.5, [], 0.0),
    ],
)
def test_a_quantile_is_linear_within_its_bucket(q: float, counts: list[tuple[float, float]], found: float) -> None:
    assert quantile(q, counts) == found


def test_metrics_that_are_no_metrics_are_told() -> None:
    with pytest.raises(BadAnswer, match="the venue's metrics cannot be read"):
        Metrics("<html>")


async def test_a_venue_that_was_restarted_counts_from_0(venue: Running) -> None:
    now = await sample(venue)
    busy = Metrics('perps_commands_total{kind="open"} 900\nperps_command_seconds_bucket{le="+Inf"} 900\n')
    told = figures(Sample(now.at_s - 1, now.markets, now.stats, busy), now).venue
    assert told.commands_per_s["open"] == 1
    assert told.p99_ms > 0


async def test_a_snapshot_has_an_age_only_while_there_is_a_newer_row(venue: Running) -> None:
    assert (await sample(venue)).metrics.one("perps_snapshot_age_seconds") > 0
    (await venue.admin.post("/api/admin/snapshots")).ok(201)
    now = await sample(venue)
    assert now.metrics.one("perps_snapshot_age_seconds") == 0
    assert figures(now, now).venue.snapshot_rows == 0
