"""Those who game the clock of a TWAP, or trade around one: at a constant outside price nobody gains by it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perps.commands import CancelOrder, CancelOrders, ClosePosition, ObserveTime, PlaceTwap, Side
from perps.events import PositionIncreased, PositionOpened
from perps.market.order import order_id
from perps.market.position import position_id
from perps.params import Mode
from perps.refusals import Rejected
from perps.units import MICRO, PPB, Micros, Millis, Ppb
from tests.perps.adversaries.test_trading import GANG, MARKETS, gang_venue, leave_all, profit
from tests.perps.build import BTC, BTC_PRICE, Books, done
from tests.perps.rules.orders.resting import LONG, SHORT, books
from tests.perps.rules.orders.slicing import MINUTE, begun, look, slices_of

STEPS = st.lists(
    st.tuples(
        st.sampled_from(GANG),
        st.sampled_from(["twap", "twap", "open", "close", "cancel", "wait", "wait", "wait", "look", "halt"]),
        st.sampled_from([LONG, SHORT]),
        st.integers(1, 60_000),
        st.integers(2, 5),
        st.sampled_from([1, 999, 1_000, 1_500, 5_000, 60_000]),
    ),
    min_size=1,
    max_size=30,
)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", list(MARKETS))
@settings(max_examples=60)
@given(path=STEPS, newest_first=st.booleans())
def test_no_gang_with_twaps_gains_at_a_constant_price(
    name: str, path: list[tuple[str, str, Side, int, int, int]], newest_first: bool
) -> None:
    params, price = MARKETS[name]
    ticker, venue = params.ticker, gang_venue(params, price)
    cap = 2 * params.max_skew * price * params.unit
    for user, what, side, part, slices, ms in path:
        market = venue.markets[ticker]
        size = Micros(max(cap * part // 100_000, 1))
        own = [number for number, each in market.positions.items() if each.user == user]
        fields: dict[str, Any] = {"ticker": ticker, "user": user}
        if what == "twap":
            terms: dict[str, Any] = {"side": side, "size": size, "leverage": params.max_leverage, "slices": slices}
            venue.send(PlaceTwap(**fields, **terms, interval=Millis(max(ms, 1_000))))
        elif what == "open":
            venue.open(user, side, size, ticker=ticker, leverage=params.max_leverage)
        elif what == "close" and own:
            name_of_it = position_id(ticker, own[part % len(own)])
            venue.send(ClosePosition(**fields, position_id=name_of_it, share=Ppb(PPB if part % 2 else PPB // 3)))
        elif what == "cancel":
            venue.send(CancelOrder(**fields, order_id=order_id(ticker, max(market.next_order - 1, 1))))
        elif what == "halt":
            done(venue.mode(Mode.HALTED, ticker=ticker))
            venue.at = Millis(venue.at + ms)
            done(venue.mode(Mode.ENABLED, ticker=ticker))
        else:
            venue.at = Millis(venue.at + (ms if what == "wait" else 0))
            done(venue.send(ObserveTime(ticker=ticker)))
        account = venue.ledger.balances.get(f"orders:{ticker}", 0)
        assert account == market.orders.reserved == sum(order.reserve for order in market.orders.by_number.values())
    for user in GANG:
        done(venue.send(CancelOrders(ticker=ticker, user=user)))
    leave_all(venue, ticker, newest_first=newest_first)

    assert profit(venue) <= 0
    assert venue.ledger.total() == 0


def slices_in(venue: Books, events: Any) -> int:
    return sum(isinstance(event, PositionOpened | PositionIncreased) and event.order is not None for event in events)


@pytest.mark.parametrize("between_ms", [1, 7, 250])
def test_looking_often_in_one_interval_makes_no_more_slices(between_ms: int) -> None:
    """A stranger who sends commands all the time moves no slice before its time, and makes none twice."""
    venue = books()
    begun(venue, slices=10, size=10_000, interval=Millis(1_000))
    begin, made = venue.at, 1
    while venue.at < begin + 9_000:
        made += slices_in(venue, look(venue, between_ms))
        made += slices_in(venue, done(venue.price(BTC_PRICE)))
        assert made <= 1 + (venue.at - begin) // 1_000
    assert made == 10


@pytest.mark.parametrize("halted_ms", [500, 1_000, 59_999, 60_000, 3_600_000])
def test_a_halt_that_ends_fires_no_burst(halted_ms: int) -> None:
    """However long it was: one slice of its own size, and the next one half an interval later at least."""
    venue = books()
    begun(venue, slices=30, size=30_000)
    before = slices_of(venue, 1)
    done(venue.mode(Mode.HALTED))
    for _ in range(10):
        assert slices_in(venue, look(venue, halted_ms // 10)) == 0
    events = [*done(venue.mode(Mode.ENABLED))]
    for _ in range(29):
        events += look(venue, 1_000)
    fills = [abs(event.fill.cost) for event in events if isinstance(event, PositionIncreased)]
    assert len(fills) <= 1
    assert all(cost <= before.cost * 11 // 10 for cost in fills)


def test_whoever_halts_and_resumes_all_the_time_makes_it_no_faster() -> None:
    venue = books()
    begun(venue, slices=10, size=10_000)
    begin, made = venue.at, 1
    for _ in range(600):
        done(venue.mode(Mode.HALTED))
        venue.at = Millis(venue.at + 1_000)
        made += slices_in(venue, done(venue.mode(Mode.ENABLED)))
        assert made <= 1 + (venue.at - begin) // MINUTE
    assert made == 10


def test_whoever_closes_the_position_between_slices_ends_it_and_gets_the_reserve_back() -> None:
    venue = books()
    before = venue.ledger.wallet("bob")
    begun(venue)
    look(venue, MINUTE)
    done(venue.send(ClosePosition(ticker=BTC, user="bob", position_id=position_id(BTC, 1), share=Ppb(PPB))))
    assert look(venue, 10 * MINUTE) == ()
    assert venue.ledger.balances[f"orders:{BTC}"] == 0
    assert before - 5 * MICRO < venue.ledger.wallet("bob") < before  # two fees of a thousandth, of 500.00 each


def test_a_sandwich_around_a_slice_earns_what_the_slice_pays_and_no_more() -> None:
    """The curve has one price for one skew: what a front runner gains, the others lose, and the house nothing."""
    venue = books()
    begun(venue, "cid", size=20_000, slices=2)
    venue.at = Millis(venue.at + MINUTE - 1)
    front = done(venue.open("bob", LONG, 20_000 * MICRO))
    look(venue, 1)
    (position,) = [event.position for event in front if isinstance(event, PositionOpened)]
    done(
        venue.send(ClosePosition(ticker=BTC, user="bob", position_id=position_id(BTC, position.number), share=Ppb(PPB)))
    )
    leave_all(venue, BTC, newest_first=True)
    assert venue.ledger.wallet("bob") < 10**6 * MICRO  # the fees are more than a slice moves the price
    assert venue.ledger.total() == 0


def test_a_twap_costs_no_more_than_its_size_allows_however_it_is_cut() -> None:
    for slices in (2, 3, 50, 100):
        venue = books()
        order = begun(venue, size=20_000, slices=slices, interval=Millis(1_000))
        for _ in range(slices):
            look(venue, 1_000)
        own = [each for each in venue.markets[BTC].positions.values() if each.user == "bob"]
        assert sum(each.entry_cost for each in own) <= order.size
        assert not isinstance(venue.open("bob", SHORT, 10 * MICRO), Rejected)
