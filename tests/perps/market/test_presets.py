"""Presets: a ticker, a price and a preset are a market; in the lively ones trading alone liquidates nobody."""

from decimal import Decimal
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from perps.commands import ListMarket, PriceSource, Side, UpdatePrice
from perps.events import CloseReason, PositionOpened
from perps.market.listing import check_params
from perps.market.presets import PRESETS, USUAL_LOT, USUAL_TICK
from perps.market.reach import reach
from perps.params import MarkSource, Preset
from perps.refusals import Rejected
from perps.units import MICRO, PICO, PPB, Micros, Ppb
from perps.wire.base import NO_LIMIT, Limit, Number
from perps.wire.listing import MarketBody
from tests.perps.build import Books, done, opened, reductions
from web.answers.errors import RequestError
from web.api.bodies.commands import list_command

LIVELY = (Preset.GAME, Preset.VOLATILE)
PRICES = ["0.05", "0.0999999", "0.45", "1", "9.99999", "10", "99.9999", "100", "120.5", "999.99", "3200", "64000"]


def listed(price: str, preset: Preset | None, **fields: Any) -> ListMarket:
    return list_command(MarketBody(ticker="T", price=Number(price), preset=preset, **fields))


def chances(count: int) -> list[str]:
    """Prices of six digits, as likely small as large."""
    random = Random(16)
    return [str(Decimal(f"{random.uniform(1, 9.99999):.5f}").scaleb(random.randint(-2, 3))) for _ in range(count)]


@pytest.mark.parametrize("preset", Preset)
def test_a_preset_keeps_every_listing_rule_at_every_price(preset: Preset) -> None:
    for price in [*PRICES, *chances(500)]:
        if PRESETS[preset].has_usual_steps and Decimal(price) >= 100:
            price = str(Decimal(price).quantize(Decimal("0.01")))
        command = listed(price, preset)

        assert check_params(command.params, command.price) is None, price


def test_a_listing_without_a_preset_keeps_the_rules_at_every_price_too() -> None:
    for price in PRICES:
        command = listed(price, None)

        assert check_params(command.params, command.price) is None, price


@pytest.mark.parametrize("price", chances(50))
def test_a_tick_and_a_lot_suit_the_price(price: str) -> None:
    """Six digits; a tick of a lot is worth a micro, and a lot between 0.1 and 1."""
    command = listed(price, Preset.GAME)
    params = command.params

    assert params.unit == 1
    assert MICRO // 10 <= command.price * params.unit < MICRO
    assert command.price * params.tick_size == Decimal(price) * PICO


@pytest.mark.parametrize(
    ("price", "preset", "steps"),
    [
        ("64123.45", Preset.CRYPTO, ("0.01", "0.0001")),
        ("100", None, ("0.01", "0.0001")),
        ("99.5", None, ("0.0001", "0.01")),
        ("0.45", Preset.CRYPTO, ("0.000001", "1")),
        ("12345.67", Preset.GAME, ("0.01", "0.0001")),
        ("12345.6", Preset.GAME, ("0.1", "0.00001")),
        ("0.00000001", Preset.GAME, ("0.000000000001", "1000000")),
    ],
)
def test_the_steps_that_are_chosen(price: str, preset: Preset | None, steps: tuple[str, str]) -> None:
    params = listed(price, preset).params

    assert [params.tick_size, params.lot_size] == [int(Decimal(step) * PICO) for step in steps]


@pytest.mark.parametrize(("tick", "lot"), [("0.01", "0.0001"), ("0.1", "0.0001"), ("0.001", "0.001"), ("1", "0.0001")])
def test_a_tick_that_is_given_gets_a_lot_that_goes_with_it(tick: str, lot: str) -> None:
    command = listed("6400", None, tick_size=Number(tick))

    assert command.params.lot_size == Decimal(lot) * PICO
    assert check_params(command.params, command.price) is None


def test_a_price_of_100_without_a_preset_has_the_steps_that_it_always_had() -> None:
    params = listed("100", None).params

    assert (params.tick_size, params.lot_size) == (USUAL_TICK, USUAL_LOT)


@pytest.mark.parametrize("preset", Preset)
def test_what_is_given_wins_over_the_preset(preset: Preset) -> None:
    given = {
        "max_leverage": 2,
        "taker_fee": Number("0.0005"),
        "depth": Number(7_000_000),
        "max_skew": Number(1),
        "mark_source": MarkSource.INDEX,
        "max_step": Number("0.4"),
        "max_price_age": Limit(5),
        "price_band": Limit("0.25"),
        "price_confirmations": 7,
    }
    params = listed("50", preset, organization_id="acme", name="A name", **given).params

    maintenance = PPB // 4 if preset.coin is None else params.tiers[0].maintenance_rate
    assert (params.max_leverage, params.taker_fee, params.maintenance_rate) == (2, PPB // 2000, maintenance)
    assert params.skew_scale * params.lot_size == 140_000 * PICO
    assert params.max_skew * params.lot_size == PICO
    assert (params.mark_source, params.max_step, params.max_price_age) == (MarkSource.INDEX, 4 * PPB // 10, 5_000)
    assert (params.price_band, params.price_confirmations) == (PPB // 4, 7)
    assert (params.organization_id, params.name) == ("acme", "A name")
    assert params.liquidation_fee == PRESETS[preset].liquidation_fee


def test_only_a_market_with_a_feed_holds_a_far_price() -> None:
    """A tenth away, three times. It can be listed without, too."""
    bands = {preset: listed("50", preset).params.price_band for preset in Preset}

    assert bands == {preset: None if preset in LIVELY else PPB // 10 for preset in Preset}
    assert listed("50", Preset.CRYPTO).params.price_confirmations == 3
    assert listed("50", Preset.CRYPTO, price_band=NO_LIMIT).params.price_band is None


def test_names_are_the_ticker_unless_they_are_given() -> None:
    params = listed("50", None).params

    assert (params.organization_id, params.name) == ("T", "T")


@pytest.mark.parametrize(
    ("preset", "depth", "moved"),
    [(Preset.GAME, None, "0.0020"), (Preset.VOLATILE, None, "0.0100"), (Preset.GAME, "5000000", "0.0002")],
)
def test_depth_says_how_far_a_thousand_moves_the_price(preset: Preset, depth: str | None, moved: str) -> None:
    command = listed("100", preset, depth=None if depth is None else Number(depth))
    venue = Books((command.params, command.price))
    venue.add_user("ann")
    fill = opened(venue.open("ann", Side.LONG, 1_000 * MICRO, ticker="T", leverage=1)).fill

    assert (fill.quote_after - fill.quote_before) / fill.quote_before == pytest.approx(float(moved), rel=0.06)


def test_depth_and_a_skew_scale_exclude_each_other() -> None:
    with pytest.raises(RequestError, match="not both"):
        listed("100", Preset.GAME, depth=Number(1000), skew_scale=Number(10))


@pytest.mark.parametrize(
    ("leverage", "step", "fits"),
    [
        (20, None, True),
        (50, None, True),
        (51, None, False),
        (100, None, False),
        (100, "0.01", True),
    ],
)
def test_crypto_takes_more_leverage_only_from_a_feed_of_smaller_steps(
    leverage: int, step: str | None, fits: bool
) -> None:
    command = listed("64000", Preset.CRYPTO, max_leverage=leverage, max_step=None if step is None else Number(step))
    broken = check_params(command.params, command.price)

    assert (broken is None) is fits
    if broken is not None:
        assert broken.facts["rule"] == "maxLeverage × maxStep ≤ 1"
        assert broken.facts["largest_leverage"] == 50


def full(venue: Books, user: str, side: Side) -> list[PositionOpened]:
    """Open as much of a side as the caps allow, in pieces."""
    made: list[PositionOpened] = []
    for size in (10**10, 10**9, 10**8, 10**7, 10**6, 3 * 10**5):
        while not isinstance(outcome := venue.open(user, side, size, ticker="T", leverage=1), Rejected):
            made.append(opened(outcome))
    return made


@pytest.mark.parametrize("preset", LIVELY)
@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("price", ["0.05", "1", "120.5", "64000"])
@pytest.mark.parametrize("share", [1, 20, 100])
def test_trading_alone_cannot_liquidate_a_fresh_position(preset: Preset, side: Side, price: str, share: int) -> None:
    """He opens at the worst quote with full leverage; then everybody else leaves and crowds the other side."""
    command = listed(price, preset, min_order_size=Number("0.01"))
    params = command.params
    venue = Books((params, command.price))
    for user in ("ann", "vic"):
        venue.add_user(user)
    most = params.max_open_interest * command.price * params.unit
    crowd = full(venue, "ann", side)
    while (
        share < 100
        and crowd
        and venue.markets["T"].skew * (1 if side is Side.LONG else -1) > (params.max_skew * (100 - share) // 100)
    ):
        done(venue.close(crowd.pop(), ticker="T"))
    if share == 100:
        while crowd:
            done(venue.close(crowd.pop(), ticker="T"))
    victim = opened(venue.open("vic", side, most * share // 100 * 9 // 10, ticker="T", leverage=params.max_leverage))
    full(venue, "ann", Side.SHORT if side is Side.LONG else Side.LONG)
    for one in crowd:
        done(venue.close(one, ticker="T"))
    full(venue, "ann", Side.SHORT if side is Side.LONG else Side.LONG)

    assert victim.position.number in venue.markets["T"].positions


@pytest.mark.parametrize("preset", LIVELY)
@pytest.mark.parametrize("seed", range(12))
def test_a_crowd_that_trades_at_random_liquidates_no_fresh_position(preset: Preset, seed: int) -> None:
    """Sizes up to the caps, both sides, opens and closes: at a constant index nobody is liquidated."""
    random = Random(seed)
    command = listed(
        "100", preset, min_order_size=Number("0.01"), max_funding_rate=Number(0), funding_velocity=Number(0)
    )
    params = command.params
    venue = Books((params, command.price))
    venue.add_user("ann", 10**13)
    worth = params.max_open_interest * command.price * params.unit
    for _ in range(150):
        side, size = random.choice(list(Side)), int(worth * random.choice((1, 0.5, 0.2, 0.05)))
        outcome = venue.open("ann", side, Micros(size), ticker="T", leverage=params.max_leverage)
        book = list(venue.markets["T"].positions.values())
        if isinstance(outcome, Rejected) and book:
            gone = PositionOpened(random.choice(book), fill=None, fee=0, referral=0, transfers=())  # type: ignore[arg-type]
            outcome = venue.close(gone, ticker="T")
        if not isinstance(outcome, Rejected):
            assert all(each.reason is CloseReason.OWNER for each in reductions(outcome))


def test_with_a_little_more_open_interest_than_the_presets_trading_can() -> None:
    """The property is one of the numbers: with a tenth more room it is gone, though the listing rules still hold."""
    command = listed("100", Preset.GAME, min_order_size=Number("0.01"))
    params = replace(command.params, max_skew=command.params.skew_scale // 13)
    params = replace(params, maker_fee=Ppb(0), taker_fee=Ppb(0), liquidation_fee=Ppb(0))
    params = replace(params, max_open_interest=params.max_skew)
    assert check_params(params, command.price) is None
    venue = Books((params, command.price))
    for user in ("ann", "vic"):
        venue.add_user(user)
    crowd = full(venue, "ann", Side.SHORT)
    done(venue.close(crowd.pop(), ticker="T"))
    victim = opened(venue.open("vic", Side.SHORT, 3 * 10**5, ticker="T", leverage=3))
    full(venue, "ann", Side.LONG)
    for one in crowd:
        done(venue.close(one, ticker="T"))
    full(venue, "ann", Side.LONG)

    assert victim.position.number not in venue.markets["T"].positions


@pytest.mark.parametrize("preset", [Preset.CRYPTO, *LIVELY])
def test_the_reach_of_trading_is_what_the_presets_say(preset: Preset) -> None:
    reached = reach(listed("100", preset).params)
    expected = {Preset.CRYPTO: (1, 2), Preset.GAME: (65, 65), Preset.VOLATILE: (90, 90)}[preset]

    assert reached == pytest.approx(tuple(part * PPB // 1000 for part in expected), rel=1e-4)


@pytest.mark.parametrize("preset", LIVELY)
def test_a_story_moves_a_preset_by_a_fraction_of_its_price(preset: Preset) -> None:
    command = listed("120", preset)
    venue = Books((command.params, command.price))
    done(venue.send(UpdatePrice(ticker="T", change=Ppb(3 * PPB // 100), source=PriceSource.EVENT)))

    assert venue.markets["T"].index_price * command.params.tick_size == Decimal("123.6") * PICO
