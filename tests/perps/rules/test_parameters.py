"""A market's parameters change while it runs: what may change, what must still fit, and what follows."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from perps.commands import (
    FundMarket,
    HouseAccount,
    ListMarket,
    ObserveTime,
    PriceSource,
    Side,
    UpdateMarket,
    UpdatePrice,
)
from perps.events import CloseReason, Events, FundingAccrued, HoldEnded, ParamsChanged, PositionReduced
from perps.market.funding import index_bound
from perps.params import FIXED, MarketParams, Mode, ParamChanges, changed
from perps.refusals import RejectCode, Rejected
from perps.sequencer import Sequencer
from perps.units import HOUSE_DEBT_MAX, MICRO, PPB, FundingIndex, Lots, Micros, Millis, Ppb, Ticks
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    START_MS,
    STORY,
    STORY_PRICE,
    Books,
    done,
    full_state,
    index_market,
    new_open,
    opened,
    quote_market,
    reductions,
    refused,
)

FLOW: dict[str, Any] = {"funding_velocity": Ppb(PPB // 5), "max_funding_rate": Ppb(PPB // 20)}
MINUTE_MS = 60_000


def books(**changes: Any) -> Books:
    venue = Books((index_market(**changes), BTC_PRICE))
    venue.add_user("ann")
    return venue


def story(**changes: Any) -> Books:
    venue = Books((quote_market(**changes), STORY_PRICE))
    venue.add_user("ann")
    return venue


def change(venue: Books, ticker: str = BTC, *, force: bool = False, **changes: Any) -> Events | Rejected:
    return venue.send(UpdateMarket(ticker=ticker, changes=ParamChanges(**changes), force=force))


def wait(venue: Books, ms: int, ticker: str) -> None:
    venue.at = Millis(venue.at + ms)
    venue.send(ObserveTime(ticker=ticker))


def test_every_parameter_is_fixed_or_can_change() -> None:
    """Whoever adds one decides which."""
    names = {field.name for field in msgspec.structs.fields(MarketParams)}
    can = {field.name for field in msgspec.structs.fields(ParamChanges)}

    assert not can & set(FIXED)
    assert can | set(FIXED) == names


def test_what_is_not_named_stays() -> None:
    venue = books(max_price_age=5_000)
    before = venue.markets[BTC].params
    (event,) = done(change(venue, max_leverage=50, house_credit_limit=Micros(7)))

    assert isinstance(event, ParamsChanged)
    assert event.params == changed(before, ParamChanges(max_leverage=50, house_credit_limit=Micros(7)))
    assert (event.params.max_price_age, event.params.max_leverage) == (5_000, 50)
    assert venue.markets[BTC].params == event.params
    assert venue.rows[-1].kind == "params"
    done(change(venue, max_price_age=None, house_credit_limit=None))
    assert (venue.markets[BTC].params.max_price_age, venue.markets[BTC].params.house_credit_limit) == (None, None)
    assert full_state(venue.ledger, venue.markets) == full_state(venue.ledger, dict(venue.replayed().markets))


@pytest.mark.parametrize("mode", Mode)
def test_it_works_in_every_mode_and_at_a_stale_price(mode: Mode) -> None:
    venue = books(max_price_age=1)
    done(venue.mode(mode))
    venue.at = Millis(START_MS + 10)

    done(change(venue, name="Other"))
    assert (venue.markets[BTC].params.name, venue.markets[BTC].mode) == ("Other", mode)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"max_leverage": 200}, "maintenanceRate"),
        ({"maintenance_rate": Ppb(PPB // 1000)}, "impact"),
        ({"liquidation_fee": Ppb(0)}, "takerFee"),
        ({"max_skew": Lots(0)}, "maxSkew"),
        ({"funding_velocity": Ppb(1)}, "fundingVelocity"),
        ({"price_band": Ppb(0)}, "priceBand"),
        ({"price_confirmations": 0}, "priceConfirmations"),
        ({"max_open_interest": Lots(10**16)}, "maxOpenInterest"),
    ],
)
def test_the_listing_rules_hold_at_the_present_price(changes: dict[str, Any], rule: str) -> None:
    venue = books()
    state = full_state(venue.ledger, venue.markets)
    refusal = refused(change(venue, **changes, force=True))

    assert refusal.code is RejectCode.PARAMETERS_INCONSISTENT
    assert rule in str(refusal.facts["rule"])
    assert full_state(venue.ledger, venue.markets) == state


def test_the_price_of_the_rules_is_the_present_one() -> None:
    """10^12 of the quote currency is the most that all open interest may be worth."""
    venue = books()
    most = Lots(10**18 // (BTC_PRICE * 2))
    wide: dict[str, Any] = {"skew_scale": Lots(most * 10_000), "max_open_interest": most}
    done(venue.price(BTC_PRICE * 2))
    done(change(venue, **wide))

    done(venue.price(BTC_PRICE))
    assert refused(venue.price(BTC_PRICE * 2 + 1)).code is RejectCode.VALIDATION_ERROR
    done(change(venue, max_open_interest=Lots(most * 2)))


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize(("spare", "ok"), [(0, True), (-1, False)])
def test_caps_do_not_go_below_what_is_open(side: Side, spare: int, ok: bool) -> None:
    venue = books()
    venue.add_user("bob")
    opened(venue.open("ann", side, 40_000 * MICRO))
    other = Side.SHORT if side is Side.LONG else Side.LONG
    opened(venue.open("bob", other, 20_000 * MICRO))
    market = venue.markets[BTC]
    most, skew = max(market.long_lots, market.short_lots), abs(market.skew)
    assert 0 < skew < most

    caps: tuple[dict[str, Any], ...] = (
        {"max_open_interest": Lots(most + spare)},
        {"max_skew": Lots(skew + spare), "max_open_interest": Lots(most)},
    )
    for changes in caps:
        outcome = change(venue, **changes)
        assert isinstance(outcome, Rejected) is not ok
        if isinstance(outcome, Rejected):
            assert outcome.code is RejectCode.PARAMETERS_INCONSISTENT


def test_the_skew_scale_changes_only_while_nobody_holds_a_position() -> None:
    venue = books()
    position = opened(venue.open("ann", Side.LONG, 1_000 * MICRO))
    twice = Lots(venue.markets[BTC].params.skew_scale * 2)

    assert "skewScale" in str(refused(change(venue, skew_scale=twice, force=True)).facts["rule"])
    done(venue.close(position))
    done(change(venue, skew_scale=twice))
    assert venue.markets[BTC].params.skew_scale == twice


@pytest.mark.parametrize("side", Side)
def test_a_tightening_that_makes_positions_liquidatable_must_be_forced(side: Side) -> None:
    venue = books()
    venue.add_user("bob")
    opened(venue.open("ann", side, 1_000 * MICRO, leverage=100))
    safe = opened(venue.open("bob", side, 1_000 * MICRO, leverage=2))
    tighter: dict[str, Any] = {"max_leverage": 40, "maintenance_rate": Ppb(PPB // 80)}

    refusal = refused(change(venue, **tighter))
    assert (refusal.code, refusal.facts["positions"]) == (RejectCode.WOULD_BE_LIQUIDATED, 1)
    events = done(change(venue, **tighter, force=True))
    assert [type(event) for event in events] == [ParamsChanged, PositionReduced]
    (gone,) = reductions(events)
    assert (gone.position.user, gone.reason) == ("ann", CloseReason.LIQUIDATION)
    assert venue.rows[-1].kind == "params"
    assert list(venue.markets[BTC].positions) == [safe.position.number]
    assert full_state(venue.ledger, venue.markets) == full_state(venue.ledger, dict(venue.replayed().markets))


def test_who_is_due_already_stands_in_no_changes_way() -> None:
    """In a halted market; the change does not make it due, and liquidates nobody before the market goes on."""
    venue = books()
    opened(venue.open("ann", Side.LONG, 1_000 * MICRO, leverage=100))
    done(venue.mode(Mode.HALTED))
    done(venue.price(BTC_PRICE * 9 // 10))

    assert reductions(change(venue, maintenance_rate=Ppb(PPB // 150))) == []
    assert len(reductions(venue.mode(Mode.ENABLED))) == 1


def test_funding_counts_up_to_the_change_under_the_old_parameters() -> None:
    """The same as if somebody had looked just before."""
    found = []
    for looks in (False, True):
        venue = story(**FLOW)
        opened(venue.open("ann", Side.LONG, 1_000 * MICRO, ticker=STORY, leverage=2))
        venue.at = Millis(START_MS + 30 * MINUTE_MS)
        if looks:
            venue.send(ObserveTime(ticker=STORY))
        events = done(change(venue, STORY, max_skew=Lots(2_000), max_funding_rate=Ppb(PPB // 40)))
        assert looks or isinstance(events[0], FundingAccrued)
        wait(venue, 30 * MINUTE_MS, STORY)
        market = venue.markets[STORY]
        found.append((market.funding_index, market.funding_rate, market.funding_carry))

    assert found[0] == found[1]
    assert found[0][0] > 0


def test_funding_that_is_switched_on_counts_from_then_and_off_it_stands() -> None:
    venue = story()
    opened(venue.open("ann", Side.LONG, 1_000 * MICRO, ticker=STORY, leverage=2))
    market = venue.markets[STORY]
    wait(venue, 120 * MINUTE_MS, STORY)
    assert (market.funding_at, market.funding_index) == (0, 0)

    done(change(venue, STORY, **FLOW))
    assert market.funding_at == venue.at
    wait(venue, 10 * MINUTE_MS, STORY)
    done(venue.price(STORY_PRICE, ticker=STORY))
    index = market.funding_index
    assert index > 0

    done(change(venue, STORY, funding_velocity=Ppb(0), max_funding_rate=Ppb(0)))
    assert (market.funding_at, market.funding_rate, market.funding_index) == (0, 0, index)
    wait(venue, 120 * MINUTE_MS, STORY)
    done(change(venue, STORY, **FLOW))
    assert (market.funding_at, market.funding_index) == (venue.at, index), "the time without funding is free"
    assert full_state(venue.ledger, venue.markets) == full_state(venue.ledger, dict(venue.replayed().markets))


def test_a_cap_at_which_the_funding_index_would_jump_is_refused() -> None:
    """The index has less room the more lots there may be."""
    wide: dict[str, Any] = {"skew_scale": Lots(10**14), "max_open_interest": Lots(10**10), "max_leverage": 5}
    wide["maintenance_rate"] = Ppb(PPB // 100)
    venue = Books((index_market(**FLOW, **wide), 1_000))
    market, twice = venue.markets[BTC], Lots(2 * 10**10)
    market.funding_index = FundingIndex(-index_bound(twice))

    assert "index" in str(refused(change(venue, max_open_interest=twice)).facts["rule"])
    market.funding_index = FundingIndex(1 - index_bound(twice))
    done(change(venue, max_open_interest=twice))


def test_a_market_whose_tick_is_too_coarse_changes_all_but_a_lower_maintenance_rate() -> None:
    """Its price has fallen, or it was listed before there was the rule."""
    venue = books()
    done(venue.send(UpdatePrice(ticker=BTC, price=Ticks(1_500), source=PriceSource.ORACLE)))

    done(change(venue, max_leverage=50, taker_fee=Ppb(PPB // 2000)))
    lower = refused(change(venue, maintenance_rate=Ppb(PPB * 49 // 10_000)))
    assert (lower.facts["rule"], lower.facts["price_ticks"]) == ("10 × tickSize ≤ maintenanceRate × price", 1_500)
    done(change(venue, maintenance_rate=Ppb(PPB * 51 // 10_000)))


def test_a_market_that_declares_its_largest_step_keeps_to_it() -> None:
    venue = books(max_step=Ppb(PPB // 100))

    refusal = refused(change(venue, max_step=Ppb(PPB // 50)))
    assert refusal.facts["rule"] == "maxLeverage × maxStep ≤ 1"
    done(change(venue, max_step=Ppb(PPB // 50), max_leverage=50))
    done(change(venue, max_step=None))
    assert venue.markets[BTC].params.max_step is None


def test_who_holds_no_far_prices_any_more_holds_none() -> None:
    venue = books(price_band=Ppb(PPB // 10))
    far = UpdatePrice(ticker=BTC, price=Ticks(BTC_PRICE * 2), source=PriceSource.ORACLE)
    done(venue.send(far))
    assert venue.markets[BTC].held_price is not None
    done(change(venue, price_band=Ppb(PPB // 20)))
    assert venue.markets[BTC].held_price is not None

    assert [type(event) for event in done(change(venue, price_band=None))] == [ParamsChanged, HoldEnded]
    assert venue.markets[BTC].held_price is None


# What the ledger makes of it


def test_an_open_is_held_at_the_new_fee() -> None:
    """All that it can take is set aside, no more and no less."""
    for fee in (Ppb(PPB // 500), Ppb(0)):
        venue = books(maintenance_rate=Ppb(PPB // 150), max_leverage=50)
        done(change(venue, taker_fee=fee, maker_fee=Ppb(0)))
        command = opened(venue.open("ann", Side.LONG, 1_000 * MICRO))
        assert command.fee == -(-abs(command.fill.cost) * fee // PPB)
        asked = venue.sequencer.ledger_side.set_aside(new_open("ann", Side.LONG, 1_000 * MICRO))
        assert not isinstance(asked, Rejected)
        assert asked.amount == 100 * MICRO + 1_000 * MICRO * fee // PPB


def test_a_houses_credit_comes_out_of_what_all_houses_may_owe() -> None:
    """Raised, lowered, refused: what one gives back another may have."""
    half = Micros(HOUSE_DEBT_MAX // 2)
    venue = Books(
        (index_market(house_credit_limit=half), BTC_PRICE), (quote_market(house_credit_limit=half), STORY_PRICE)
    )
    refusal = refused(change(venue, house_credit_limit=Micros(half + 1)))
    assert refusal.code is RejectCode.PARAMETERS_INCONSISTENT
    assert (refusal.facts["house_credit_micros"], refusal.facts["available_micros"]) == (1, 0)

    done(change(venue, STORY, house_credit_limit=Micros(half - 5)))
    assert isinstance(change(venue, house_credit_limit=Micros(half + 6)), Rejected)
    assert isinstance(change(venue, house_credit_limit=Micros(half + 5), max_skew=Lots(0)), Rejected)
    done(change(venue, house_credit_limit=Micros(half + 5)))
    again = Sequencer(venue.replayed()).ledger_side
    assert again._credit == venue.sequencer.ledger_side._credit == HOUSE_DEBT_MAX
    listing = ListMarket(params=index_market(ticker="C-PERP", house_credit_limit=Micros(1)), price=Ticks(BTC_PRICE))
    assert refused(venue.send(listing)).code is RejectCode.PARAMETERS_INCONSISTENT


def test_a_limit_below_what_the_house_owes_pays_no_more_gains() -> None:
    venue = books()
    first = opened(venue.open("ann", Side.LONG, 1_000 * MICRO))
    second = opened(venue.open("ann", Side.LONG, 1_000 * MICRO))
    done(venue.price(BTC_PRICE * 2))
    done(venue.close(first))
    assert venue.markets[BTC].house < 0
    done(change(venue, house_credit_limit=Micros(0)))

    assert refused(venue.close(second)).code is RejectCode.HOUSE_CANNOT_PAY
    done(venue.send(FundMarket(ticker=BTC, account=HouseAccount.HOUSE, amount=Micros(3_000 * MICRO))))
    done(venue.close(second))
