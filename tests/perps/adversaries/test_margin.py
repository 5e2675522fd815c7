"""Those who would live on their margin: taken out before a loss, diluted, or moved about. At a constant price it
never pays, and when the price moves it pays no better than not to have done it.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from perps.commands import ChangeMargin, Side
from perps.events import Events, PositionChanged, PositionReduced
from perps.market.position import position_id, withdrawable
from perps.market.state import Market
from perps.refusals import RejectCode, Rejected
from perps.units import MICRO, Micros
from tests.perps.adversaries.test_trading import GANG, LONG, MARKETS, SHORT, gang_venue, leave_all, profit
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    Books,
    done,
    events_of,
    index_market,
    new_open,
    opened,
    reductions,
    refused,
)

MOVES = st.lists(
    st.tuples(
        st.sampled_from(GANG),
        st.sampled_from([LONG, SHORT]),
        st.integers(1, 100_000) | st.sampled_from([1, 50_000, 100_000]),  # ppm of the skew cap
        st.integers(0, 4),  # which position he moves the margin of, and adds to
        st.sampled_from(["all out", "out", "in", "more", "half"]),
    ),
    min_size=1,
    max_size=25,
)


def margin(venue: Books, ticker: str, user: str, number: int, amount: int) -> Events | Rejected:
    """Margin in or out."""
    name = position_id(ticker, number)
    return venue.send(ChangeMargin(ticker=ticker, user=user, position_id=name, amount=Micros(amount)))


def most_out(market: Market, number: int) -> int:
    """The most that can leave a position now."""
    mark, scale = market.exact_mark(market.skew)
    return max(withdrawable(market.positions[number], mark, market.params, market.funding_index, scale), 0)


def do(venue: Books, ticker: str, which: int, what: str, size: int) -> None:
    """One thing with one of the open positions, if there is one."""
    market = venue.markets[ticker]
    numbers = list(market.positions)
    if which >= len(numbers):
        return
    position = market.positions[numbers[which]]
    side = LONG if position.lots > 0 else SHORT
    if what == "more":
        leverage = market.params.max_leverage
        name = position_id(ticker, position.number)
        venue.send(new_open(position.user, side, size, ticker=ticker, leverage=leverage, position=name))
        return
    part = {"all out": -most_out(market, position.number), "out": -most_out(market, position.number) // 3}
    amount = {**part, "in": size // 7 + 1, "half": -position.margin // 2}[what]
    if amount:
        margin(venue, ticker, position.user, position.number, amount)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", MARKETS)
@settings(max_examples=100)
@given(moves=MOVES, newest_first=st.booleans())
def test_no_gang_that_moves_margin_and_adds_to_positions_wins_at_a_constant_price(
    name: str, moves: list[tuple[str, Side, int, int, str]], newest_first: bool
) -> None:
    """On quote-marked markets it also liquidates its own hands: of those whose margin it has taken out first."""
    params, price = MARKETS[name]
    ticker = params.ticker
    venue = gang_venue(params, price)
    cap = 2 * params.max_skew * price * params.unit
    for user, side, part, which, what in moves:
        size = max(cap * part // 100_000, 1)
        venue.open(user, side, size, ticker=ticker, leverage=params.max_leverage)
        do(venue, ticker, which, what, size)
    leave_all(venue, ticker, newest_first=newest_first)

    assert profit(venue) <= 0
    assert venue.markets[ticker].house >= 0, "the house lost to a gang at a constant price"


@pytest.mark.parametrize("name", ["index", "index, no fees", "index, at its limits", "quote", "quote, at its limits"])
@pytest.mark.parametrize("side", [LONG, SHORT])
def test_margin_out_and_then_liquidated_by_ones_own_push_does_not_pay(name: str, side: Side) -> None:
    """Ann opens well covered, takes all out that can leave, and bob pushes the mark against her until she is gone."""
    params, price = MARKETS[name]
    ticker, other = params.ticker, SHORT if side is LONG else LONG
    venue = gang_venue(params, price)
    market = venue.markets[ticker]
    lot = market.unit * price
    first = opened(venue.open("ann", side, params.max_skew * lot // 2, ticker=ticker, leverage=1)).position
    taken = most_out(market, first.number)
    assert taken > first.margin // 3
    done(margin(venue, ticker, "ann", first.number, -taken))
    pushed = 0
    for _ in range(40):
        outcome = venue.open("bob", other, params.max_skew * lot // 10, ticker=ticker, leverage=1)
        pushed += not isinstance(outcome, Rejected)
    gone = first.number not in market.positions
    leave_all(venue, ticker)
    print(
        f"{name}, {side}: {taken / MICRO:.2f} of {first.margin / MICRO:.2f} taken out, {pushed} pushes, "
        f"liquidated: {gone}, the gang gains {profit(venue) / MICRO:.6f}"
    )

    assert profit(venue) <= 0


@pytest.mark.parametrize("name", ["index", "index, no fees", "index, at its limits", "quote", "quote, at its limits"])
@pytest.mark.parametrize("side", [LONG, SHORT])
@pytest.mark.parametrize("parts", [1, 7, 40])
def test_adding_to_a_position_to_dilute_it_does_not_pay(name: str, side: Side, parts: int) -> None:
    """A position at the highest leverage grows in parts, against bob's on the other side; both leave."""
    params, price = MARKETS[name]
    ticker, other = params.ticker, SHORT if side is LONG else LONG
    venue = gang_venue(params, price)
    market = venue.markets[ticker]
    size = params.max_skew * market.unit * price // 2
    bob = opened(venue.open("bob", other, size, ticker=ticker, leverage=1))
    leverage = min(params.max_leverage, 3)
    first = opened(venue.open("ann", side, size // 2, ticker=ticker, leverage=leverage)).position
    grown = 0
    for _ in range(parts):
        part = max(size // parts, 3 * market.unit * price)
        order = new_open("ann", side, part, ticker=ticker, leverage=params.max_leverage)
        grown += not isinstance(venue.send(replace(order, position=position_id(ticker, first.number))), Rejected)
        if most := most_out(market, first.number):
            done(margin(venue, ticker, "ann", first.number, -most))
    venue.close(bob, ticker=ticker)
    leave_all(venue, ticker)
    print(f"{name}, {side}, {parts} parts: {grown} added, the gang gains {profit(venue) / MICRO:.6f}")

    assert grown
    assert profit(venue) <= 0


@pytest.mark.parametrize("fall_bps", [0, 50, 90, 100, 150, 1_000, 9_000])
@pytest.mark.parametrize("side", [LONG, SHORT])
def test_taking_margin_out_before_a_loss_saves_no_more_than_the_highest_leverage_would_have(
    side: Side, fall_bps: int
) -> None:
    """After the price has moved against her, ann who took margin out has no more than one who opened with less."""
    move = 10_000 - fall_bps if side is LONG else 10_000 + fall_bps
    kept = []
    for takes in (True, False):
        venue = Books((index_market(), BTC_PRICE))
        venue.add_user("ann")
        leverage = 2 if takes else 100
        number = opened(venue.open("ann", side, 1_000 * MICRO, leverage=leverage)).position.number
        if takes:
            done(margin(venue, BTC, "ann", number, -most_out(venue.markets[BTC], number)))
        done(venue.price(BTC_PRICE * move // 10_000))
        if venue.markets[BTC].positions:
            leave_all(venue, BTC)
        kept.append(venue.ledger.wallet("ann"))
    print(f"{side}, {fall_bps} bps against: {(kept[0] - kept[1]) / MICRO:.6f} better than at the highest leverage")

    assert kept[0] <= kept[1]


def test_margin_paid_in_after_the_price_has_moved_comes_too_late() -> None:
    """The liquidation is in the row of the price: nobody can pay in between."""
    venue = gang_venue(*MARKETS["index"])
    first = opened(venue.open("ann", LONG, 1_000 * MICRO, leverage=100))
    assert len(reductions(venue.price(BTC_PRICE * 99 // 100))) == 1

    assert refused(margin(venue, BTC, "ann", first.position.number, MICRO)).code is RejectCode.POSITION_CLOSED


def test_margin_that_goes_in_and_out_a_thousand_times_is_what_it_was() -> None:
    venue = gang_venue(*MARKETS["index"])
    first = opened(venue.open("ann", LONG, 1_000 * MICRO, leverage=3)).position
    wallet = venue.ledger.wallet("ann")
    for n in range(1, 1_001):
        for amount in (n * 977, -n * 977):
            assert events_of(PositionChanged, margin(venue, BTC, "ann", first.number, amount))
    assert venue.markets[BTC].positions[first.number] == first
    assert venue.ledger.wallet("ann") == wallet


def test_a_loss_beyond_the_margin_that_is_left_is_no_larger_than_at_the_highest_leverage() -> None:
    """What can leave is what an open would not have needed: a fall that an open survives makes no debt here."""
    debts = []
    for leverage in (1, 100):
        venue = Books((index_market(max_leverage=100), BTC_PRICE))
        venue.add_user("ann")
        number = opened(venue.open("ann", LONG, 1_000 * MICRO, leverage=leverage)).position.number
        if most := most_out(venue.markets[BTC], number):
            done(margin(venue, BTC, "ann", number, -most))
        reduced: list[PositionReduced] = reductions(venue.price(BTC_PRICE * 95 // 100))
        debts.append(sum(event.bad_debt for event in reduced))
    assert 0 < debts[0] <= debts[1] + MICRO // 100
