"""``perps market create`` plays adversaries in a copy of the new market, and warns of those who earn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession

from perps.params import MarketParams
from tests.web.venue import ADMIN_KEY, OnMemory, Running, start
from tools.check import new
from tools.cli import main

Captured = pytest.CaptureFixture[str]

MILKED = (
    *("--max-leverage", "1000", "--taker-fee", "0", "--liquidation-fee", "0", "--referral-share", "0"),
    *("--depth", "640000000000", "--max-skew", "1000", "--max-open-interest", "1000"),
)
"""1000×, without fees: one price a second moves further than a margin now and then."""
STRADDLE = "both sides"


@pytest.fixture
async def venue() -> AsyncIterator[Running]:
    """A venue on memory, empty."""
    async with ClientSession() as session:
        running = await start(OnMemory(), session)
        yield running
        await running.venue.close()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take long for a check."""
    monkeypatch.setattr(new, "LIMIT_S", 80.0)


async def create(venue: Running, *options: str) -> int:
    """List T at 6,400."""
    command = ["market", "create", "T", "--price", "6400", "--url", venue.url, "--key", ADMIN_KEY, *options]
    return await asyncio.to_thread(main, command)


async def is_listed(venue: Running) -> bool:
    return (await venue.admin.get("/api/markets/perps/T")).status == 200


async def test_a_market_that_both_sides_can_milk_is_listed_and_warned_of(venue: Running, capsys: Captured) -> None:
    assert await create(venue, *MILKED) == 0

    assert await is_listed(venue)
    out, err = capsys.readouterr()
    assert out.startswith("ticker\tT\n")
    said = next(line for line in err.splitlines() if line.startswith(f"warning: {STRADDLE} earns "))
    assert said.endswith(
        " USD on 2000 simulated prices; would be stopped by: maxLeverage 406 or less, or prices in smaller steps"
    )
    assert "perps market check T" in err
    assert "checking" not in err, "there is no terminal, so there is no progress"


async def test_of_a_preset_whose_orders_wait_for_the_next_price_nothing_is_said(
    venue: Running, capsys: Captured
) -> None:
    assert await create(venue, "--preset", "crypto", "--execution", "next_price", "--max-step", "0.0015") == 0

    assert await is_listed(venue)
    assert capsys.readouterr().err == ""


async def test_json_has_those_who_earn_as_a_list(venue: Running, capsys: Captured) -> None:
    assert await create(venue, *MILKED, "--json") == 0

    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert answer["market"]["ticker"] == "T"
    found = {each["strategy"]: each for each in answer["check"]}
    assert float(found[STRADDLE]["earned"]) > 0
    assert found[STRADDLE]["stoppedBy"].startswith("maxLeverage")
    assert "dust" not in found, "it earns nothing"
    assert err == ""


async def test_json_has_an_empty_list_if_nobody_earns(venue: Running, capsys: Captured) -> None:
    assert await create(venue, "--preset", "game", "--execution", "next_price", "--json") == 0

    assert json.loads(capsys.readouterr().out)["check"] == []


@pytest.mark.parametrize("json_flag", [(), ("--json",)])
async def test_with_no_check_nobody_plays(
    venue: Running, capsys: Captured, monkeypatch: pytest.MonkeyPatch, json_flag: tuple[str, ...]
) -> None:
    monkeypatch.setattr(new, "results", _broken)
    assert await create(venue, *MILKED, "--no-check", *json_flag) == 0

    assert await is_listed(venue)
    out, err = capsys.readouterr()
    assert '"check"' not in out
    assert "check" not in err
    assert STRADDLE not in err


def _broken(*_: object) -> object:
    raise ZeroDivisionError("a fault")


@pytest.mark.parametrize("json_flag", [(), ("--json",)])
async def test_a_check_that_fails_is_one_line_and_the_market_is_listed(
    venue: Running, capsys: Captured, monkeypatch: pytest.MonkeyPatch, json_flag: tuple[str, ...]
) -> None:
    monkeypatch.setattr(new, "results", _broken)
    assert await create(venue, "--execution", "next_price", "--max-step", "0.001", *json_flag) == 0

    assert await is_listed(venue)
    out, err = capsys.readouterr()
    why = "the check failed: ZeroDivisionError: a fault"
    assert err == f"the market is listed; {why}. To check it again: perps market check T\n"
    if json_flag:
        assert json.loads(out)["check"] is None
    else:
        assert out.startswith("ticker\tT\n")


async def test_a_check_that_is_interrupted_takes_nothing_from_the_answer(
    venue: Running, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(new, "results", interrupted)
    assert await create(venue, "--json") == 0

    out, err = capsys.readouterr()
    assert json.loads(out)["check"] is None
    assert "the market is listed; the check was interrupted" in err


async def test_the_houses_limit_counts_as_it_was_given(
    venue: Running, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The venue does not show it."""
    played: list[MarketParams] = []

    def nobody(params: MarketParams, *_: object) -> tuple[()]:
        played.append(params)
        return ()

    monkeypatch.setattr(new, "results", nobody)
    assert await create(venue, "--house-credit-limit", "5000.5", "--deleveraging", "true") == 0

    assert [(params.house_credit_limit, params.deleveraging) for params in played] == [(5_000_500_000, True)]


async def test_a_check_that_takes_too_long_ends_and_says_who_did_not_play(
    venue: Running, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new, "LIMIT_S", -1.0)
    assert await create(venue, *MILKED) == 0

    assert await is_listed(venue)
    assert "8 adversaries did not play" in capsys.readouterr().err


async def test_a_listing_that_is_refused_is_not_checked(
    venue: Running, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new, "results", _broken)
    assert await create(venue, "--max-leverage", "1000") == 1

    assert not await is_listed(venue)
    assert "the check" not in capsys.readouterr().err
