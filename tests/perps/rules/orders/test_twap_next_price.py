"""TWAP orders where a market executes at the next price: no slice is decided at a price that was there before it."""

import pytest

from perps.commands import CancelOrder, CancelOrders, PriceSource
from perps.events import OrderCancelled, OrderPlaced, PositionIncreased, PositionOpened
from perps.refusals import RejectCode
from perps.rules.orders import twap as twaps
from perps.units import Millis
from tests.perps.build import BTC, BTC_PRICE, done, refused
from tests.perps.rules.orders.slicing import MINUTE, begun, slices_of, twap
from tests.perps.rules.orders.waiting import SKEW, Waiting, ends


def test_the_first_slice_waits_for_the_next_price() -> None:
    venue = Waiting()
    (placed,) = done(twap(venue))
    assert isinstance(placed, OrderPlaced)
    assert venue.look() == ()
    assert not any(isinstance(event, PositionOpened) for event in venue.feed(late_ms=1))
    assert any(isinstance(event, PositionOpened) for event in venue.next())


def test_a_later_slice_waits_for_a_price_that_is_stamped_after_it_was_due() -> None:
    venue = Waiting()
    begun(venue)
    venue.next()
    due = slices_of(venue, 1).next_at
    venue.wait(due - venue.at + 5_000)
    assert venue.look() == ()
    assert slices_of(venue, 1).done == 1
    venue.feed(late_ms=5_000 - SKEW)  # stamped as late as the clocks may differ after it was due
    assert slices_of(venue, 1).done == 1
    events = venue.feed(BTC_PRICE + 1, late_ms=5_000 - SKEW - 1)
    (event,) = [event for event in events if isinstance(event, PositionIncreased)]
    assert event.fill.index_price == BTC_PRICE + 1


def test_prices_before_its_time_make_no_slice() -> None:
    venue = Waiting()
    begun(venue)
    venue.next()
    for _ in range(50):
        venue.wait(1_000)
        venue.feed()
    assert slices_of(venue, 1).done == 1


def test_a_story_counts_from_its_receipt() -> None:
    venue = Waiting()
    begun(venue)
    venue.wait(1)
    events = venue.feed(BTC_PRICE + 7, source=PriceSource.EVENT)
    assert any(isinstance(event, PositionOpened) for event in events)


def test_a_slice_that_is_due_cannot_be_taken_back_before_its_price_comes() -> None:
    """Otherwise it would be a look ahead for free; between two slices nothing is pending."""
    venue = Waiting()
    begun(venue)
    cancel = CancelOrder(ticker=BTC, user="bob", order_id=f"{BTC}-o1")
    assert refused(venue.send(cancel)).code is RejectCode.ORDER_PENDING
    venue.next()
    venue.wait(slices_of(venue, 1).next_at - venue.at)
    assert refused(venue.send(cancel)).code is RejectCode.ORDER_PENDING
    venue.wait(venue.markets[BTC].params.pending_limit - 1)
    assert refused(venue.send(cancel)).code is RejectCode.ORDER_PENDING
    venue.wait(1)
    (end,) = done(venue.send(cancel))
    assert isinstance(end, OrderCancelled)


def test_between_two_slices_it_can_be_cancelled() -> None:
    venue = Waiting()
    begun(venue)
    venue.next()
    (end,) = done(venue.send(CancelOrder(ticker=BTC, user="bob", order_id=f"{BTC}-o1")))
    assert isinstance(end, OrderCancelled)
    assert venue.ledger.total() == 0


def test_a_feed_that_was_silent_for_long_catches_nothing_up() -> None:
    venue = Waiting()
    begun(venue, slices=10, size=10_000)
    venue.next()
    venue.wait(20 * MINUTE)
    made = 0
    for _ in range(30):
        venue.wait(1_000)
        made += sum(isinstance(event, PositionIncreased) for event in venue.feed())
    assert made == 1
    assert slices_of(venue, 1).next_at > Millis(venue.at)


def test_a_slice_that_a_sweep_has_no_turn_for_cannot_be_taken_back_before_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its price is known by then. Whoever lets others' slices come before theirs would see the one behind it, too."""
    monkeypatch.setattr(twaps, "PER_SWEEP_MAX", 1)
    venue = Waiting()
    begun(venue, "ann")
    begun(venue, "bob")
    venue.next()
    assert (slices_of(venue, 1).done, slices_of(venue, 2).done) == (1, 0)

    cancel = CancelOrder(ticker=BTC, user="bob", order_id=f"{BTC}-o2")
    assert refused(venue.send(cancel)).code is RejectCode.ORDER_PENDING
    assert ends(done(venue.send(CancelOrders(ticker=BTC, user="bob")))) == []  # and the sweep behind it has its turn

    assert slices_of(venue, 2).done == 1
    (end,) = done(venue.send(cancel))
    assert isinstance(end, OrderCancelled)
