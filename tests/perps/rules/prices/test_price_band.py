"""A price far from the last one: held until its source has said it often enough, and nothing happens meanwhile."""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import Any

import pytest

from perps.commands import FundMarket, HouseAccount, ObserveTime, PriceSource, Side, UpdatePrice
from perps.events import Events, HoldEnded, PriceHeld, PriceUpdated
from perps.params import Mode
from perps.refusals import RejectCode, Rejected
from perps.rules.prices import HOLD_MS
from perps.units import MICRO, PPB, Micros, Millis, Ppb, Ticks
from tests.model.slow_band import SlowBand
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
    opened,
    quote_market,
    reductions,
    refused,
)

TENTH = Ppb(PPB // 10)
ORACLE, AGENT = PriceSource.ORACLE, PriceSource.AGENT
UP, DOWN = BTC_PRICE * 12 // 10, BTC_PRICE * 8 // 10


def books(**changes: Any) -> Books:
    venue = Books((index_market(**{"price_band": TENTH, **changes}), BTC_PRICE))
    venue.add_user("ann")
    return venue


def say(venue: Books, price: int, source: PriceSource = ORACLE, *, wait_ms: int = 1_000, **more: Any) -> Events:
    """A price, a second after the one before."""
    venue.at = Millis(venue.at + wait_ms)
    return done(venue.send(UpdatePrice(ticker=BTC, price=Ticks(price), source=source, **more)))


def index_of(venue: Books) -> int:
    return venue.markets[BTC].index_price


@pytest.mark.parametrize(
    ("price", "is_taken"),
    [
        (BTC_PRICE * 11 // 10, True),
        (BTC_PRICE * 11 // 10 + 1, False),
        (BTC_PRICE * 9 // 10, True),
        (BTC_PRICE * 9 // 10 - 1, False),
    ],
)
def test_the_border_of_the_band_belongs_to_it(price: int, is_taken: bool) -> None:
    venue = books()
    (event,) = say(venue, price)

    assert isinstance(event, PriceUpdated) is is_taken
    assert (index_of(venue) == price) is is_taken
    assert (venue.markets[BTC].held_price is None) is is_taken


@pytest.mark.parametrize("far", [UP, DOWN])
@pytest.mark.parametrize("needed", [1, 2, 3, 5])
def test_a_price_is_taken_when_it_has_been_said_often_enough(far: int, needed: int) -> None:
    venue = books(price_confirmations=needed)
    for count in range(1, needed):
        (event,) = say(venue, far + count)
        assert isinstance(event, PriceHeld)
        assert (event.held.price, event.held.count) == (far + count, count)
        assert index_of(venue) == BTC_PRICE
    (event,) = say(venue, far)

    assert isinstance(event, PriceUpdated)
    assert (index_of(venue), venue.markets[BTC].held_price) == (far, None)


def test_one_near_the_index_ends_the_hold_also_when_it_is_near_the_held_one_too() -> None:
    venue = books()
    between = BTC_PRICE * 109 // 100
    say(venue, BTC_PRICE * 111 // 100)
    (event,) = say(venue, between)

    assert isinstance(event, PriceUpdated)
    assert (index_of(venue), venue.markets[BTC].held_price) == (between, None)


def test_another_far_one_begins_anew() -> None:
    venue = books()
    for far in (UP, UP, DOWN, DOWN, UP, UP):
        say(venue, far)

    assert index_of(venue) == BTC_PRICE
    say(venue, UP)
    assert index_of(venue) == UP


@pytest.mark.parametrize(
    ("source", "source_at"),
    [(AGENT, None), (ORACLE, START_MS + 1_000), (PriceSource.SYSTEM, START_MS + 3_000)],
)
def test_only_the_same_source_at_a_later_time_counts(source: PriceSource, source_at: int | None) -> None:
    """A story repeated by another, or a feed that sends the same tick again, confirms nothing, however often."""
    venue = books(price_confirmations=2)
    say(venue, UP, source_at=Millis(START_MS + 1_000))
    until = venue.markets[BTC].held_price.until  # type: ignore[union-attr]
    for _ in range(10):
        (event,) = say(venue, UP, source, source_at=source_at)
        assert isinstance(event, PriceHeld)
        assert (event.held.count, event.held.source, event.held.until) == (1, ORACLE, until)

    say(venue, UP, source_at=Millis(START_MS + 1_001))
    assert index_of(venue) == UP


def test_what_a_held_price_said_of_its_source_counts() -> None:
    venue = books()
    say(venue, UP, sequence=7, source_at=Millis(START_MS + 500))

    for late in ({"sequence": 7}, {"source_at": Millis(START_MS + 499)}):
        command = UpdatePrice(ticker=BTC, price=Ticks(UP), source=ORACLE, **late)
        assert refused(venue.send(command)).code is RejectCode.PRICE_STALE
    assert full_state(venue.ledger, venue.markets) == full_state(venue.ledger, dict(venue.replayed().markets))


@pytest.mark.parametrize("side", Side)
def test_nothing_trades_and_nobody_is_liquidated_while_a_price_is_held(side: Side) -> None:
    """A price may be wrong: neither the index nor the held one is traded at. When it is confirmed, who is due goes."""
    venue = books()
    position = opened(venue.open("ann", side, 1_000 * MICRO, leverage=100))
    far = DOWN if side is Side.LONG else UP
    for count in (1, 2):
        assert reductions(say(venue, far)) == []
        refusal = refused(venue.open("ann", side, 1_000 * MICRO))
        assert (refusal.code, refusal.may_succeed_later) == (RejectCode.PRICE_UNCONFIRMED, True)
        compared = {"held_price_ticks": far, "index_price_ticks": BTC_PRICE, "confirmed": count, "needed": 3}
        assert refusal.facts == compared
        assert refused(venue.close(position)).code is RejectCode.PRICE_UNCONFIRMED
        assert reductions(venue.mode(Mode.REDUCE_ONLY)) == []
        assert reductions(venue.mode(Mode.ENABLED)) == []
        done(venue.send(FundMarket(ticker=BTC, account=HouseAccount.HOUSE, amount=Micros(1))))
        assert venue.send(ObserveTime(ticker=BTC)) == ()

    (gone,) = reductions(say(venue, far))
    assert gone.fill.index_price == far


def test_a_hold_ends_at_an_observation_after_its_time() -> None:
    venue = books()
    position = opened(venue.open("ann", Side.LONG, 1_000 * MICRO))
    say(venue, UP)
    venue.at = Millis(venue.at + HOLD_MS - 1)
    assert venue.send(ObserveTime(ticker=BTC)) == ()
    venue.at = Millis(venue.at + 1)
    assert refused(venue.close(position)).code is RejectCode.PRICE_UNCONFIRMED

    assert venue.send(ObserveTime(ticker=BTC)) == (HoldEnded(),)
    assert venue.rows[-1].kind == "time"
    assert venue.send(ObserveTime(ticker=BTC)) == ()
    (closed,) = reductions(venue.close(position))
    assert closed.fill.index_price == BTC_PRICE
    assert venue.replayed().markets[BTC].held_price is None


def test_each_price_that_counts_prolongs_the_hold() -> None:
    venue = books()
    say(venue, UP)
    say(venue, UP, wait_ms=HOLD_MS - 1)
    venue.at = Millis(venue.at + HOLD_MS - 1)

    assert venue.send(ObserveTime(ticker=BTC)) == ()
    (event,) = say(venue, UP, wait_ms=1)
    assert isinstance(event, PriceUpdated)


def test_a_market_without_a_band_takes_any_price() -> None:
    venue = books(price_band=None)
    (event,) = say(venue, 100 * BTC_PRICE)

    assert isinstance(event, PriceUpdated)


def test_time_in_which_a_price_is_held_is_free() -> None:
    """Funding counts up to the hold and from its end: the same as if the hold had taken no time."""
    flow = {"funding_velocity": Ppb(20 * PPB), "max_funding_rate": Ppb(PPB // 15)}
    paid = []
    for held_ms in (0, 20_000):
        venue = Books((quote_market(price_band=TENTH, **flow), STORY_PRICE))
        venue.add_user("ann")
        opened(venue.open("ann", Side.LONG, 1_000 * MICRO, ticker=STORY, leverage=2))
        venue.at = Millis(venue.at + 60_000)
        done(venue.price(STORY_PRICE * 2, ticker=STORY))
        for _ in range(4):
            venue.at = Millis(venue.at + held_ms // 4)
            assert venue.send(ObserveTime(ticker=STORY)) == ()
        done(venue.price(STORY_PRICE, ticker=STORY))
        venue.at = Millis(venue.at + 60_000)
        done(venue.price(STORY_PRICE, ticker=STORY))
        market = venue.markets[STORY]
        paid.append((market.funding_index, market.funding_rate, market.funding_carry))
        assert full_state(venue.ledger, venue.markets) == full_state(venue.ledger, dict(venue.replayed().markets))

    assert paid[0] == paid[1]
    assert paid[0][0] > 0


@pytest.mark.parametrize("seed", range(20))
def test_an_outlier_is_never_taken_and_a_true_price_always(seed: int) -> None:
    """Fewer than k times said: not taken, if nobody says it again in time. And all agrees with the slow model."""
    chance = Random(seed)
    needed = chance.randrange(2, 5)
    venue = books(price_confirmations=needed)
    slow = SlowBand(Fraction(1, 10), needed)
    true, run = BTC_PRICE, 0
    for _ in range(200):
        run = run + 1 if chance.random() < 0.8 else 0
        price = true if run else true * chance.choice((3, 5, 7, 20)) // 10
        if chance.random() < 0.02:
            true, run = true * chance.choice((8, 12)) // 10 or 1, 0
        before = index_of(venue)
        (event,) = say(venue, price)
        assert isinstance(event, PriceUpdated) is slow.takes(
            Fraction(price), Fraction(before), ORACLE.value, venue.at, venue.at
        )
        if run >= needed:
            assert index_of(venue) == price


# Those who want to live on it


def test_who_knows_the_held_price_cannot_trade_before_it_is_confirmed() -> None:
    """Every path that sets a position at the old index is shut from the row of the hold on."""
    venue = books(price_confirmations=2)
    venue.add_user("bob")
    position = opened(venue.open("bob", Side.SHORT, 1_000 * MICRO))
    say(venue, UP)
    for _ in range(5):
        for side in Side:
            assert refused(venue.open("ann", side, 10 * MICRO)).code is RejectCode.PRICE_UNCONFIRMED
        assert isinstance(venue.close(position, PPB // 2), Rejected)
    say(venue, UP)

    cost = opened(venue.open("ann", Side.LONG, 1_000 * MICRO)).fill
    assert cost.index_price == UP


def test_a_flickering_source_opens_no_window_between_two_prices() -> None:
    """Far, near, far, near: at the near ones the index is theirs, so a trade there is at a price just said."""
    venue = books()
    done(venue.send(FundMarket(ticker=BTC, account=HouseAccount.HOUSE, amount=Micros(10**6 * MICRO))))
    begun = venue.ledger.wallet("ann")
    for turn in range(40):
        far, near = (UP, DOWN)[turn % 2], BTC_PRICE
        say(venue, far)
        assert isinstance(venue.open("ann", Side.LONG, 1_000 * MICRO), Rejected)
        say(venue, near)
        position = opened(venue.open("ann", (Side.LONG, Side.SHORT)[turn % 2], 1_000 * MICRO))
        say(venue, far)
        assert isinstance(venue.close(position), Rejected)
        say(venue, near)
        done(venue.close(position))

    assert venue.ledger.wallet("ann") < begun, "fees, and no gain"
