"""Those who push a price up and back over others' trailing stops, and those who set off their own."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from perps.commands import CancelOrders, OrderKind, PlaceExit, ReplaceOrder, Side
from perps.events import CloseReason
from perps.market.order import order_id
from perps.market.position import position_id
from perps.params import MarkSource
from perps.units import MICRO, PPB, Ppb, Ticks
from tests.perps.adversaries.test_trading import GANG, LONG, MARKETS, SHORT, gang_venue, leave_all, profit
from tests.perps.build import STORY, STORY_PRICE, Books, done, full_state, opened, quote_market, reductions

VICTIMS = [f"v{number}" for number in range(20)]


def trail(venue: Books, ticker: str, user: str, number: int, callback: int, share: int = PPB) -> Any:
    fields: dict[str, Any] = {"ticker": ticker, "user": user, "position_id": position_id(ticker, number)}
    command = PlaceExit(
        **fields, order=OrderKind.TRAILING_STOP, price=Ticks(0), share=Ppb(share), callback=Ppb(callback)
    )
    return venue.send(command)


def hunted(source: MarkSource, fees: int, *, first: Side) -> tuple[int, int, int]:
    """20 longs of 100 trail 1 % behind the mark. A hunter sells over them and buys back; or buys first, so that their
    stops follow him up, and then sells: what he and they gain, and how many he has thrown out.
    """
    params = replace(quote_market(), mark_source=source, taker_fee=fees, skew_scale=100_000)
    venue = Books((params, STORY_PRICE))
    for user in (*VICTIMS, "hunter"):
        venue.add_user(user)
    before = {user: venue.ledger.wallet(user) for user in (*VICTIMS, "hunter")}
    for user in VICTIMS:
        opened(venue.open(user, LONG, 100 * MICRO, ticker=STORY, leverage=1))
    for number, user in enumerate(VICTIMS, start=1):
        done(trail(venue, STORY, user, number, PPB // 100))
    thrown = 0
    for side in (first, SHORT)[first is SHORT :]:
        outcome = venue.open("hunter", side, 1_500 * MICRO, ticker=STORY, leverage=1)
        thrown += count(outcome) + count(venue.close(opened(outcome), ticker=STORY))
    leave_all(venue, STORY, newest_first=True)
    gains = {user: venue.ledger.wallet(user) - before[user] for user in before}
    return gains.pop("hunter"), sum(gains.values()), thrown


def count(outcome: Any) -> int:
    return sum(each.reason is CloseReason.TRAILING_STOP for each in reductions(outcome))


@pytest.mark.parametrize("first", [SHORT, LONG])
@pytest.mark.parametrize("fees", [0, 1_000_000])
def test_nobody_hunts_trailing_stops_where_the_mark_is_the_index(fees: int, first: Side) -> None:
    hunter, _, thrown = hunted(MarkSource.INDEX, fees, first=first)
    assert (hunter <= 0, thrown) == (True, 0)


@pytest.mark.parametrize("first", [SHORT, LONG])
def test_where_trading_makes_the_mark_a_hunter_lives_on_those_who_trail_and_on_nobody_else(first: Side) -> None:
    hunter, victims, thrown = hunted(MarkSource.QUOTE, 0, first=first)
    print(f"{first} first: the hunter gains {hunter} micros, his victims {victims}; {thrown} stops went off")
    assert thrown > 0
    assert hunter <= -victims


STEPS = st.lists(
    st.tuples(
        st.sampled_from(GANG),
        st.sampled_from(["open", "open", "trail", "trail", "change", "cancel", "close"]),
        st.sampled_from([LONG, SHORT]),
        st.integers(1, 100_000) | st.sampled_from([50_000, 100_000]),
        st.integers(0, 3),
        st.sampled_from([1, PPB // 10_000, PPB // 1_000, PPB // 200, PPB // 50, PPB // 2]),
        st.sampled_from([PPB, PPB // 2, 1]),
    ),
    min_size=1,
    max_size=25,
)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", list(MARKETS))
@settings(max_examples=60)
@given(path=STEPS, newest_first=st.booleans())
def test_no_gang_that_sets_off_its_own_trailing_stops_gains_at_a_constant_price(
    name: str, path: list[tuple[str, str, Side, int, int, int, int]], newest_first: bool
) -> None:
    params, price = MARKETS[name]
    ticker, venue = params.ticker, gang_venue(params, price)
    cap = 2 * params.max_skew * price * params.unit
    for user, what, side, part, which, callback, share in path:
        market = venue.markets[ticker]
        own = [position for position in market.positions.values() if position.user == user]
        resting = market.orders.of(user)
        if what == "open":
            size = max(cap * part // 100_000, 1)
            venue.open(user, side, size, ticker=ticker, leverage=params.max_leverage)
        elif what == "trail" and own:
            trail(venue, ticker, user, own[which % len(own)].number, callback, share)
        elif what == "change" and resting:
            named = order_id(ticker, resting[which % len(resting)].number)
            venue.send(ReplaceOrder(ticker=ticker, user=user, order_id=named, callback=Ppb(callback)))
        elif what == "cancel":
            venue.send(CancelOrders(ticker=ticker, user=user))
        elif what == "close" and own:
            venue.close(type("Opened", (), {"position": own[which % len(own)]})(), share, ticker=ticker)
        for order in market.orders.all():
            assert not order.is_reached(market.mark)
    leave_all(venue, ticker, newest_first=newest_first)

    assert profit(venue) <= 0
    assert venue.ledger.total() == 0
    assert full_state(venue.replayed().ledger, venue.replayed().markets) == full_state(venue.ledger, venue.markets)
