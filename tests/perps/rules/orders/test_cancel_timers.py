"""Cancel timers: a bot that falls silent leaves no orders behind, and a bot that goes on keeps them."""

import pytest

import perps.rules.time as time_rules
from perps.commands import ObserveTime, SetCancelTimer, SetTriggers
from perps.events import CancelTimerSet, Events, OrderCancelled
from perps.params import Mode
from perps.refusals import RejectCode
from perps.units import MICRO, Millis, Ticks
from perps.venue import VenueState
from tests.perps.build import BTC, START_MS, STORY, Books, done, full_state, opened, refused
from tests.perps.rules.orders.resting import DOWN, LIMIT, LONG, UP, books, place


def arm(venue: Books, user: str, after_ms: int, ticker: str = BTC) -> Events:
    return done(venue.send(SetCancelTimer(ticker=ticker, user=user, after_ms=after_ms)))


def look(venue: Books, after_ms: int) -> list[tuple[int, str]]:
    """What an observation ends when so much time has passed."""
    venue.at = Millis(venue.at + after_ms)
    events = done(venue.send(ObserveTime(ticker=BTC)))
    return [(event.order.number, event.reason) for event in events if isinstance(event, OrderCancelled)]


def test_all_resting_orders_of_the_user_end_at_the_time_and_nobody_elses() -> None:
    venue = books()
    begun = venue.ledger.wallet("bob")
    for user in ("bob", "ann", "bob"):
        done(place(venue, user, LIMIT, LONG, DOWN))
    assert arm(venue, "bob", 5_000) == (CancelTimerSet("bob", Millis(START_MS + 5_000)),)
    assert look(venue, 4_999) == []
    assert look(venue, 1) == [(1, "cancel_timer"), (3, "cancel_timer")]
    assert list(venue.markets[BTC].orders.by_number) == [2]
    assert venue.ledger.wallet("bob") == begun
    done(place(venue, "bob", LIMIT, LONG, DOWN))
    assert look(venue, 10_000_000) == [], "it ends once"


def test_setting_it_again_begins_anew_and_0_ends_it() -> None:
    venue = books()
    done(place(venue, "bob", LIMIT, LONG, DOWN))
    for _ in range(3):
        arm(venue, "bob", 5_000)
        assert look(venue, 4_000) == []
    assert arm(venue, "bob", 0) == (CancelTimerSet("bob", None),)
    assert look(venue, 10_000_000) == []
    rows = len(venue.rows)
    assert arm(venue, "bob", 0) == ()
    assert len(venue.rows) == rows


def test_exits_of_positions_stay_and_other_markets_are_not_concerned() -> None:
    venue = books()
    position = opened(venue.open("bob", LONG, 1_000 * MICRO)).position
    profit, stop = Ticks(UP), Ticks(DOWN)
    done(venue.send(SetTriggers(ticker=BTC, user="bob", position_id=f"{BTC}-1", take_profit=profit, stop_loss=stop)))
    done(place(venue, "bob", LIMIT, LONG, 5_000, 100, ticker=STORY, leverage=5))
    arm(venue, "bob", 1_000)
    assert look(venue, 1_000) == []
    assert venue.markets[BTC].positions[position.number].stop_loss == DOWN
    assert len(venue.markets[STORY].orders) == 1


@pytest.mark.parametrize("mode", [Mode.REDUCE_ONLY, Mode.HALTED])
def test_it_works_in_every_mode(mode: Mode) -> None:
    venue = books()
    done(place(venue, "bob", LIMIT, LONG, DOWN))
    done(venue.mode(mode))
    arm(venue, "bob", 1_000)
    assert look(venue, 1_000) == [(1, "cancel_timer")]


@pytest.mark.parametrize("after_ms", [-1, 1, 999, 86_400_001])
def test_a_time_that_is_none_is_refused(after_ms: int) -> None:
    venue = books()
    outcome = refused(venue.send(SetCancelTimer(ticker=BTC, user="bob", after_ms=after_ms)))
    assert outcome.code is RejectCode.VALIDATION_ERROR


def test_many_timers_are_spread_over_observations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_rules, "EXPIRIES_MAX", 3)
    venue = books()
    for user in ("ann", "bob", "cid"):
        for _ in range(2):
            done(place(venue, user, LIMIT, LONG, DOWN, 20, expires_at=Millis(venue.at + 1_000)))
        arm(venue, user, 1_000)
    assert [len(look(venue, wait)) for wait in (1_000, 0, 0)] == [2, 2, 2]


def test_it_survives_a_restart_from_rows_and_from_an_image() -> None:
    venue = books()
    done(place(venue, "bob", LIMIT, LONG, DOWN))
    arm(venue, "bob", 5_000)
    arm(venue, "ann", 9_000)
    replayed: VenueState = venue.replayed()
    assert full_state(replayed.ledger, replayed.markets) == full_state(venue.ledger, venue.markets)
    market = replayed.markets[BTC]
    again = type(market).from_image(market.image())
    assert again.cancel_timers.by_user == {"ann": START_MS + 9_000, "bob": START_MS + 5_000}
    assert again.cancel_timers.due(Millis(START_MS + 5_000)) == ["bob"]
    assert b"".join(again.image().chunks()) == b"".join(market.image().chunks())
