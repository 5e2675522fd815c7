"""``perps market check``: adversaries play a market on the venue's own rules, and it says what they earn."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession
from msgspec.structs import replace

from perps.commands import Side
from perps.market.listing import check_params
from perps.market.presets import PRESETS
from perps.market.risks import safe_step
from perps.params import Execution, MarketParams, MarkSource, Preset
from perps.units import MICRO, PPB, Micros, Ppb, Ticks
from perps.wire.base import Number
from perps.wire.listing import MarketBody
from perps.wire.markets import Market
from tests.web.venue import OnMemory, start
from tools.check.adversaries import ADVERSARIES, Adversary, corner, dust, early_reader, hunter, straddle
from tools.check.arena import Arena
from tools.check.listed import params_of
from tools.check.match import Outcome, play
from tools.check.prices import LEAST, of_venue, simulated
from tools.cli import main
from web.api.bodies.commands import list_command

PRICE = 640_000
SEEDS = (1, 2)


def params_for(preset: Preset | None, **changes: Any) -> MarketParams:
    command = list_command(MarketBody(ticker="T", price=Number(6_400), preset=preset))
    return replace(command.params, **changes)


def played(adversary: Adversary, params: MarketParams, prices: list[int], interval_ms: int = 1_000) -> Outcome:
    assert check_params(params, Ticks(prices[0])) is None
    return play(adversary, params, prices, interval_ms, lambda _: None)


def by(strategy: object) -> Adversary:
    return next(adversary for adversary in ADVERSARIES if adversary.play is strategy)


def path(seed: int, count: int = 600, *, start: int = PRICE) -> list[int]:
    return list(simulated(start, seed, count, 1_000, 1e-4).prices)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("adversary", ADVERSARIES, ids=lambda adversary: adversary.name)
@pytest.mark.parametrize(
    "preset", [Preset.CRYPTO, Preset.GAME, Preset.VOLATILE, Preset.BINANCE_BTC, Preset.BINANCE_WIF]
)
@pytest.mark.parametrize("seed", SEEDS)
def test_in_a_preset_nobody_earns_at_a_realistic_volatility_but_who_sees_prices_early(
    preset: Preset, seed: int, adversary: Adversary
) -> None:
    start = 640_000 if PRESETS[preset].has_usual_steps else 64_000
    outcome = played(adversary, params_for(preset), path(seed, start=start))

    assert outcome.bad_debt == 0
    if adversary.play is not early_reader:
        assert outcome.earned <= 0


def test_who_sees_prices_early_earns_where_a_move_beats_his_fee_and_not_below() -> None:
    """Steps of 10 bp and 4 bp, at a fee of 5 bp one way for who refers himself."""
    for bps, earns in ((20, True), (4, False)):
        prices = [PRICE + (place % 2) * PRICE * bps // 10_000 for place in range(200)]
        outcome = played(by(early_reader), params_for(Preset.CRYPTO), prices)

        assert (outcome.earned > 0) is earns
        assert (outcome.trades > 50) is earns


@pytest.mark.slow
@pytest.mark.parametrize("preset", [Preset.CRYPTO, Preset.GAME, Preset.VOLATILE])
def test_who_sees_prices_early_pays_where_orders_wait_for_the_next_price(preset: Preset) -> None:
    """The same prices, on which it earns where orders fill at once."""
    start = 640_000 if PRESETS[preset].has_usual_steps else 64_000
    prices = [start + (place // 2 % 2) * start * 60 // 10_000 for place in range(200)]
    at_once = played(by(early_reader), params_for(preset), prices)
    waiting = played(by(early_reader), params_for(preset, execution=Execution.NEXT_PRICE), prices)

    print(f"{preset}: at once {at_once.earned / MICRO:+,.2f} USD, at the next price {waiting.earned / MICRO:+,.2f}")
    assert at_once.earned > 0
    assert waiting.trades > 100
    assert waiting.earned < 0


def test_who_sees_prices_early_is_hedged_so_a_rise_that_he_does_not_trade_is_no_gain() -> None:
    """One step that he takes, then a long rise in steps below his fee: only the step counts."""
    jump = [PRICE, PRICE * 101 // 100]
    once = played(by(early_reader), params_for(Preset.CRYPTO), [*jump, *jump[1:]])
    rising = [jump[1] * (10_000 + 3 * step) // 10_000 for step in range(100)]
    after = played(by(early_reader), params_for(Preset.CRYPTO), [*jump, *rising])

    assert once.earned > 0
    assert after.earned == pytest.approx(once.earned, rel=0.05)


@pytest.mark.parametrize(("leverage", "earns"), [(100, True), (10, False)])
def test_both_sides_earn_where_a_step_is_larger_than_margin_and_fees(leverage: int, earns: bool) -> None:
    prices = [PRICE * (100 + 3 * (place % 2)) // 100 for place in range(80)]
    params = params_for(None, max_leverage=leverage, maintenance_rate=Ppb(PPB // (2 * leverage)))
    outcome = played(by(straddle), params, prices)

    assert (outcome.earned > 0) is earns
    assert (outcome.bad_debt > 0) is earns


def test_a_corner_earns_what_the_house_loses_by_a_gap() -> None:
    prices = [PRICE if place % 100 < 10 else PRICE * 105 // 100 for place in range(300)]
    outcome = played(by(corner), params_for(None), prices)

    assert outcome.earned > 0
    assert outcome.bad_debt > 0


@pytest.mark.parametrize("strategy", [straddle, corner])
@pytest.mark.parametrize(("parts", "has_debt"), [(100, False), (250, True)])
def test_a_step_that_a_listing_calls_safe_leaves_no_bad_debt(strategy: object, parts: int, has_debt: bool) -> None:
    """Up and up again, and down, by the safe step; and by two and a half of them."""
    params = params_for(Preset.CRYPTO)
    prices, step = [PRICE], safe_step(params) * parts // 100
    for place in range(150):
        last = prices[-1]
        prices.append(last * (PPB + step) // PPB if place % 4 < 2 else last * (PPB - step) // PPB)
    outcome = played(by(strategy), params, prices)

    assert outcome.liquidations > 0
    assert (outcome.bad_debt > 0) is has_debt


def test_dust_and_hunting_never_pay_where_the_mark_is_the_index() -> None:
    for strategy in (dust, hunter):
        assert played(by(strategy), params_for(Preset.CRYPTO), path(3, 300)).earned <= 0


@pytest.mark.parametrize(("mark_source", "falls"), [(MarkSource.QUOTE, True), (MarkSource.INDEX, False)])
def test_a_hunter_earns_from_those_near_their_end_where_trading_moves_the_mark(
    mark_source: MarkSource, falls: bool
) -> None:
    """After a fall by a seventh the longs at 3× stand just above their maintenance."""
    params = params_for(Preset.GAME, maker_fee=Ppb(0), taker_fee=Ppb(0), mark_source=mark_source)
    outcome = played(by(hunter), params, [64_000] * 101 + [54_000] * 100)

    assert (outcome.liquidations > 0) is falls
    assert (outcome.earned > 0) is falls


def test_the_same_seed_plays_the_same_and_another_seed_another() -> None:
    first, again, other = (played(by(straddle), params_for(None), path(seed, 200)) for seed in (5, 5, 6))

    assert first == again
    assert path(5) != path(6)
    assert other.trades > 0


def write(tmp_path: Path, **listing: object) -> str:
    file = tmp_path / "market.json"
    file.write_text(json.dumps({"ticker": "T", "price": "6400", **listing}))
    return str(file)


def test_the_command_tells_of_a_listing_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, preset="volatile")

    assert main(["market", "check", file, "--seed", "7", "--count", "100"]) == 0
    assert [adversary.name in capsys.readouterr().out for adversary in ADVERSARIES][:1] == [True]


def test_the_command_ends_with_1_and_says_what_would_stop_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text("".join(f"{1_700_000_000 + place * 60},{6400 + (place % 2) * 320}\n" for place in range(120)))

    assert main(["market", "check", write(tmp_path), "--prices", str(prices), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["prices"], found["intervalMs"], found["largestStep"]) == (120, 60_000, "0.050000000")
    early, both = found["strategies"][2], found["strategies"][0]
    assert both["stoppedBy"] == "maxLeverage 10 or less, or prices in smaller steps"
    assert float(both["badDebt"]) > 0
    assert "prices more often" in early["stoppedBy"]


@pytest.mark.parametrize(
    ("listing", "says"),
    [
        ({"preset": "none"}, "it is no listing"),
        ({"price": "0"}, "price must be positive"),
        ({"maxStep": "0.5"}, "maxLeverage × maxStep"),
    ],
)
def test_a_file_that_lists_no_market_is_one_line_of_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], listing: dict[str, object], says: str
) -> None:
    assert main(["market", "check", write(tmp_path, **listing), "--count", "100"]) == 1
    assert says in capsys.readouterr().err


def test_too_few_prices_in_a_file_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text("1700000000,6400\n1700000060,6401\n")

    assert main(["market", "check", write(tmp_path), "--prices", str(prices)]) == 1
    assert f"give at least {LEAST}" in capsys.readouterr().err


@pytest.mark.parametrize("preset", [None, *Preset])
async def test_what_a_venue_shows_of_a_market_is_enough_to_play_it(preset: Preset | None) -> None:
    async with ClientSession() as session:
        venue = await start(OnMemory(), session)
        body = {"ticker": "T", "price": "6400", "preset": preset}
        shown = (await venue.admin.post("/api/admin/markets", body)).ok(201)["market"]
        await venue.venue.close()
    listed = params_for(preset)

    made = params_of(msgspec.convert(shown, Market))

    assert made == replace(listed, maker_fee=listed.taker_fee, max_price_age=None, price_band=None)


async def test_a_market_is_played_on_the_prices_that_it_had() -> None:
    async def listed() -> AsyncIterator[SimpleNamespace]:
        for second in range(59, -1, -1):
            for half in (1, 0):
                at = f"2026-01-01T00:00:{second:02d}.{half * 500:03d}Z"
                yield SimpleNamespace(at=at, index_price=str(6400 + second))

    stub: Any = SimpleNamespace(list_prices=lambda *_, **__: listed())
    found = await of_venue(stub, "T", params_for(None), 110)

    assert found is not None
    assert (len(found.prices), found.interval_ms) == (110, 500)
    assert (found.prices[0], found.prices[-1]) == (640_500, 645_900)
    assert await of_venue(stub, "T", params_for(None), 50) is None


def test_a_market_that_deleverages_is_played_as_the_venue_plays_it() -> None:
    """A venue does not show its limit, so its house can pay; a listing says its own, and winners must leave."""
    shown = params_for(Preset.CRYPTO, deleveraging=True)
    prices = [PRICE + PRICE * place // 500 for place in range(60)]

    arena = Arena(shown, Ticks(PRICE))
    assert arena.market.params.deleveraging
    said = Arena(replace(shown, house_credit_limit=Micros(1_000 * MICRO)), Ticks(PRICE))
    for each in (arena, said):
        each.join("ann")
        each.open("ann", Side.LONG, 50_000 * MICRO, 2)
        for price in prices:
            each.price(price, 1_000)
    assert (len(arena.market.positions), arena.trades) == (1, 1)
    assert said.trades > 1
    assert said.market.liability * 100 <= (said.market.house + said.market.params.house_credit) * 85
