"""Those who place, replace and cancel at every step: at a constant outside price nobody gains by it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perps.commands import CancelOrder, CancelOrders, OrderKind, PlaceExit, PlaceOrder, ReplaceOrder, Side, Withdraw
from perps.market.order import order_id
from perps.market.position import position_id
from perps.units import PPB, Micros, Ppb, Ticks
from tests.perps.adversaries.test_trading import GANG, LONG, MARKETS, SHORT, gang_venue, leave_all, profit
from tests.perps.build import done, full_state

STEPS = st.lists(
    st.tuples(
        st.sampled_from(GANG),
        st.sampled_from(["place", "place", "place", "open", "exit", "exit", "replace", "cancel", "withdraw"]),
        st.sampled_from([OrderKind.LIMIT, OrderKind.STOP]),
        st.sampled_from([LONG, SHORT]),
        st.integers(1, 60_000),  # ppm of twice the skew cap
        st.integers(9_700, 10_300) | st.sampled_from([9_990, 10_000, 10_010]),  # 1/10,000 of the price
        st.integers(0, 3),
        st.integers(9_500, 10_500) | st.none(),
    ),
    min_size=1,
    max_size=25,
)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", list(MARKETS))
@settings(max_examples=60)
@given(path=STEPS, newest_first=st.booleans())
def test_no_gang_with_resting_orders_gains_at_a_constant_price(
    name: str, path: list[tuple[str, str, OrderKind, Side, int, int, int, int | None]], newest_first: bool
) -> None:
    """Also with the wallets emptied between: what an order needs is set aside, so its fill asks for nothing more."""
    params, price = MARKETS[name]
    ticker, venue = params.ticker, gang_venue(params, price)
    cap, withdrawn = 2 * params.max_skew * price * params.unit, 0
    for user, what, kind, side, part, bps, which, stop in path:
        market = venue.markets[ticker]
        size, level = Micros(max(cap * part // 100_000, 1)), Ticks(price * bps // 10_000)
        own = market.orders.of(user)
        exits = None if stop is None else Ticks(price * stop // 10_000)
        terms: dict[str, Any] = {"size": size, "leverage": params.max_leverage, "price": level, "stop_loss": exits}
        named = order_id(ticker, own[which % len(own)].number) if own else f"{ticker}-o1"
        if what == "place":
            venue.send(PlaceOrder(ticker=ticker, user=user, order=kind, side=side, **terms))
        elif what == "open":
            venue.open(user, side, size, ticker=ticker, leverage=params.max_leverage)
        elif what == "exit":
            numbers = [number for number, each in market.positions.items() if each.user == user]
            leaving = OrderKind.STOP if kind is OrderKind.STOP else OrderKind.TAKE_PROFIT
            if numbers:
                name, share = position_id(ticker, numbers[which % len(numbers)]), Ppb(part * (PPB // 60_000))
                fields: dict[str, Any] = {"ticker": ticker, "user": user, "position_id": name, "price": level}
                venue.send(PlaceExit(**fields, order=leaving, share=share))
        elif what == "replace":
            is_exit = bool(own) and own[which % len(own)].is_exit
            terms = {"price": level} if is_exit else terms
            venue.send(ReplaceOrder(ticker=ticker, user=user, order_id=named, **terms))
        elif what == "cancel":
            venue.send(CancelOrder(ticker=ticker, user=user, order_id=named))
        else:
            half = Micros(venue.ledger.wallet(user) // 2)
            if half:
                done(venue.send(Withdraw(user=user, amount=half)))
                withdrawn += half
        account = venue.ledger.balances.get(f"orders:{ticker}", 0)
        assert account == market.orders.reserved == sum(order.reserve for order in market.orders.by_number.values())
    for user in GANG:
        done(venue.send(CancelOrders(ticker=ticker, user=user)))
    leave_all(venue, ticker, newest_first=newest_first)

    assert profit(venue) + withdrawn <= 0
    assert venue.ledger.total() == 0
    assert full_state(venue.replayed().ledger, venue.replayed().markets) == full_state(venue.ledger, venue.markets)
