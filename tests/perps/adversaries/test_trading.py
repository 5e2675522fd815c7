"""Those who would rob the venue: at a constant outside price none of them leaves with more than he brought."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from perps.commands import CreateUser, Side
from perps.events import CloseReason, Events, PositionOpened
from perps.market.listing import check_params
from perps.params import MarketParams
from perps.refusals import RejectCode, Rejected
from perps.rules.closing import reduce
from perps.units import MICRO, PPB, Micros, Ticks
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    RICH,
    STORY,
    STORY_PRICE,
    Books,
    done,
    index_market,
    new_market,
    new_position,
    opened,
    quote_market,
    reductions,
    refused,
)

LONG, SHORT = Side.LONG, Side.SHORT
GANG = ("ann", "bob", "cid")
NO_FEES: dict[str, Any] = {"taker_fee": 0, "maker_fee": 0, "liquidation_fee": 0}
ROOM = 50 * RICH
"""What each of the gang brings: more than the market's caps let him use."""


def gang_venue(params: MarketParams, price: int) -> Books:
    """A market whose traders are all of one mind; bob gets ann's referrals and cid bob's."""
    venue = Books((params, price))
    venue.add_user("cid", ROOM)
    venue.add_user("bob", ROOM, referrer="cid")
    venue.add_user("ann", ROOM, referrer="bob")
    return venue


def leave_all(venue: Books, ticker: str, *, newest_first: bool = False) -> None:
    """Close whatever is open."""
    market = venue.markets[ticker]
    while market.positions:
        numbers = sorted(market.positions, reverse=newest_first)
        position = market.positions[numbers[0]]
        done(venue.close(PositionOpened(position, fill=None, fee=0, referral=0, transfers=()), ticker=ticker))  # type: ignore[arg-type]


def profit(venue: Books) -> int:
    return venue.wallets(*GANG) - len(GANG) * ROOM


def fullest(params: MarketParams, price: int) -> MarketParams:
    """The same market with as much open interest as its rules allow."""
    low, high = 1, 2 * params.skew_scale
    while high - low > 1:
        middle = (low + high) // 2
        fits = check_params(_with_interest(params, middle), Ticks(price)) is None
        low, high = (middle, high) if fits else (low, middle)
    return _with_interest(params, low)


def _with_interest(params: MarketParams, lots: int) -> MarketParams:
    return replace(params, max_open_interest=lots)


TIGHT: dict[str, Any] = {**NO_FEES, "max_skew": 100, "max_leverage": 9, "maintenance_rate": PPB // 10}
"""The least margin and the most open interest that the rules allow, and nothing to pay for trading."""
MARKETS = {
    "index": (index_market(), BTC_PRICE),
    "index, no fees": (index_market(**NO_FEES), BTC_PRICE),
    "quote": (quote_market(), STORY_PRICE),
    "quote, no fees": (quote_market(**NO_FEES), STORY_PRICE),
    "index, at its limits": (fullest(index_market(**TIGHT, skew_scale=5_000), BTC_PRICE), BTC_PRICE),
    "quote, at its limits": (fullest(quote_market(**TIGHT, skew_scale=5_000), STORY_PRICE), STORY_PRICE),
    "quote, coarse ticks": (quote_market(**NO_FEES, tick_size=10**12, lot_size=10**10), 100),
}
MOVES = st.lists(
    st.tuples(
        st.sampled_from(GANG),
        st.sampled_from([LONG, SHORT]),
        st.integers(1, 100_000) | st.sampled_from([1, 50_000, 100_000]),  # ppm of the skew cap
        st.integers(0, 3),  # which of his positions he closes a share of
        st.integers(0, PPB) | st.just(PPB),
    ),
    min_size=1,
    max_size=25,
)


@pytest.mark.slow
@pytest.mark.timeout(90)
@pytest.mark.parametrize("name", MARKETS)
@settings(max_examples=150)
@given(moves=MOVES, newest_first=st.booleans())
def test_no_round_of_trades_at_a_constant_price_pays(
    name: str, moves: list[tuple[str, Side, int, int, int]], newest_first: bool
) -> None:
    """Self-impact, splitting, merging, percentages, dust, referral, liquidating each other: all in one gang."""
    params, price = MARKETS[name]
    ticker = params.ticker
    venue = gang_venue(params, price)
    cap = 2 * params.max_skew * price * params.unit
    for user, side, part, which, share in moves:
        venue.open(user, side, max(cap * part // 100_000, 1), ticker=ticker, leverage=params.max_leverage)
        own = list(venue.markets[ticker].positions.values())
        if share and which < len(own):
            venue.close(PositionOpened(own[which], fill=None, fee=0, referral=0, transfers=()), share, ticker=ticker)  # type: ignore[arg-type]
    leave_all(venue, ticker, newest_first=newest_first)

    assert profit(venue) <= 0
    assert venue.ledger.total() == 0


@pytest.mark.parametrize("closing", [LONG, SHORT])
def test_one_side_that_leaves_alone_leaves_no_debt_for_the_other_to_cash_in(closing: Side) -> None:
    """Both sides filled to the cap in small steps, then one leaves: closes pass every cap, so the skew runs away.

    The last to leave sell at the worst quote there is. If that took more than their margin, the house would pay the
    rest, and the other side would collect it on its way back.
    """
    params = fullest(index_market(**TIGHT, skew_scale=20_000, min_order_size=1), BTC_PRICE)
    venue = gang_venue(params, BTC_PRICE)
    market, legs = venue.markets[BTC], list[PositionOpened]()
    while True:
        lots = -params.max_skew - market.skew if market.skew > 0 else params.max_skew - market.skew
        user, side = ("ann", LONG) if lots > 0 else ("bob", SHORT)
        leg = venue.open(user, side, abs(market.cost(lots)), leverage=9)
        if isinstance(leg, Rejected):
            break
        legs.append(opened(leg))
    leavers = [leg for leg in legs if (leg.position.lots > 0) is (closing is LONG)]
    debts = [reductions(venue.close(leg))[0].bad_debt for leg in leavers]
    leave_all(venue, BTC)

    assert len(leavers) > 5
    assert debts == [0] * len(leavers)
    assert profit(venue) <= 0


def test_a_pump_on_an_index_market_liquidates_nobody() -> None:
    """The victim stands a hair above maintenance; the gang moves the quote as far as it may, both ways."""
    venue = gang_venue(*MARKETS["index"])
    venue.add_user("vic")
    victim = opened(venue.open("vic", LONG, 5_000 * MICRO, leverage=100)).position.number
    done(venue.price(BTC_PRICE * 996 // 1000))
    for side in (SHORT, LONG):
        done(venue.open("ann", side, 9_000 * 5 * MICRO, leverage=100))
        assert victim in venue.markets[BTC].positions
    leave_all(venue, BTC)

    assert profit(venue) <= 0


def test_a_pump_that_liquidates_the_gangs_own_other_hand_does_not_pay() -> None:
    """On a quote market a push can liquidate: bob's loss stops at his margin, ann's gain must not exceed it."""
    for first, second in ((LONG, SHORT), (SHORT, LONG)):
        venue = gang_venue(*MARKETS["quote, no fees"])
        done(venue.open("bob", first, 2_000 * MICRO, ticker=STORY, leverage=5))
        done(venue.open("ann", second, 3_800 * MICRO, ticker=STORY, leverage=5))
        leave_all(venue, STORY, newest_first=True)

        assert profit(venue) <= 0


@pytest.mark.parametrize("pushes", [SHORT, LONG])
@pytest.mark.parametrize("leverage", [2, 3, 9])
def test_a_gang_that_swings_the_mark_from_cap_to_cap_does_not_make_the_house_pay(pushes: Side, leverage: int) -> None:
    """Many small positions push the mark of a quote market to its cap, one large one swings it to the other side.

    The small ones are liquidated past their margin if it does not cover the swing, and the large one collects.
    """
    rate = PPB // leverage - 1
    tight = TIGHT | {"skew_scale": 100_000, "max_skew": 99_999, "max_leverage": leverage, "maintenance_rate": rate}
    params = fullest(quote_market(**tight | {"max_skew": 1}), STORY_PRICE)
    params = fullest(replace(params, max_skew=params.max_open_interest), STORY_PRICE)
    venue = gang_venue(params, STORY_PRICE)
    worth = params.max_open_interest * STORY_PRICE * params.unit
    for _ in range(50):
        venue.open("bob", pushes, Micros(worth // 50), ticker=STORY, leverage=leverage)
    venue.open("ann", SHORT if pushes is LONG else LONG, Micros(worth), ticker=STORY, leverage=1)
    leave_all(venue, STORY)

    assert profit(venue) <= 0
    assert venue.markets[STORY].insurance >= 0


def test_paper_gains_buy_nothing() -> None:
    """After a doubling of the price the wallet is what it was, and an order it cannot pay is refused."""
    venue = Books((index_market(max_leverage=2, maintenance_rate=PPB // 4), BTC_PRICE))
    venue.add_user("ann", 1_010 * MICRO)
    first = opened(venue.open("ann", LONG, 2_000 * MICRO, leverage=2))
    before = venue.ledger.wallet("ann")
    done(venue.price(2 * BTC_PRICE))

    assert venue.ledger.wallet("ann") == before
    outcome = refused(venue.open("ann", LONG, 2_000 * MICRO, leverage=2))
    assert outcome.code is RejectCode.INSUFFICIENT_FUNDS
    assert outcome.facts["available_micros"] == before

    done(venue.close(first))
    done(venue.open("ann", LONG, 2_000 * MICRO, leverage=2))


@given(
    st.integers(1, 20_000),
    st.sampled_from([1, -1]),
    st.integers(0, 10**11),
    st.integers(-20_000, 20_000),
    st.sampled_from([None, "bob"]),
    st.integers(0, PPB // 1000),
)
@example(1, 1, 0, 0, "bob", 0)
def test_being_liquidated_never_pays_better_than_closing(
    size: int, sign: int, margin: int, others: int, referrer: str | None, fee: int
) -> None:
    """The same lots at the same moment, whether equity is there or not: the owner and his referrer get no more."""
    market = new_market(index_market(taker_fee=fee), BTC_PRICE)
    lots = size * sign
    position = new_position(lots=lots, cash=margin - lots * BTC_PRICE, margin=margin, referrer=referrer)
    market.long_lots = max(others, 0) + max(lots, 0)  # type: ignore[assignment]
    market.short_lots = max(-others, 0) + max(-lots, 0)  # type: ignore[assignment]
    gains = []
    for reason in (CloseReason.OWNER, CloseReason.LIQUIDATION):
        reduced = reduce(market, position, size, reason)
        wallets = {"user:ann": 0, "user:bob": 0}
        for transfer in reduced.transfers:
            wallets[transfer.target] = wallets.get(transfer.target, 0) + transfer.amount
            wallets[transfer.source] = wallets.get(transfer.source, 0) - transfer.amount
        assert wallets["user:ann"] >= 0
        gains.append((wallets["user:ann"], wallets["user:ann"] + wallets["user:bob"]))

    assert gains[1][0] <= gains[0][0]
    assert gains[1][1] <= gains[0][1]


def test_a_position_is_paid_out_once() -> None:
    venue = gang_venue(*MARKETS["index"])
    position = opened(venue.open("ann", LONG, 1_000 * MICRO))
    done(venue.close(position))
    wallets = venue.wallets(*GANG)

    assert refused(venue.close(position)).code is RejectCode.POSITION_CLOSED
    assert venue.wallets(*GANG) == wallets


def test_a_liquidated_position_cannot_be_closed_even_when_the_price_is_back() -> None:
    venue = gang_venue(*MARKETS["index"])
    position = opened(venue.open("ann", LONG, 1_000 * MICRO, leverage=100))
    assert len(reductions(venue.price(BTC_PRICE * 99 // 100))) == 1
    done(venue.price(BTC_PRICE * 2))
    wallets = venue.wallets(*GANG)

    assert refused(venue.close(position)).code is RejectCode.POSITION_CLOSED
    assert venue.wallets(*GANG) == wallets


def test_nobody_refers_himself_and_nobody_who_does_not_exist() -> None:
    venue = Books()
    assert refused(venue.send(CreateUser(user="ann", referrer="ann"))).code is RejectCode.PARAMETERS_INCONSISTENT
    assert refused(venue.send(CreateUser(user="ann", referrer="bob"))).code is RejectCode.USER_NOT_FOUND


def test_a_circle_of_referrals_cannot_be_made() -> None:
    """A referrer exists before the referred, and a user is created once: the graph grows one way."""
    venue = Books()
    venue.add_user("ann")
    venue.add_user("bob", referrer="ann")

    assert refused(venue.send(CreateUser(user="ann", referrer="bob"))).code is RejectCode.USER_EXISTS
    assert venue.ledger.referrers == {"ann": None, "bob": "ann"}


@pytest.mark.parametrize("share", [0, PPB // 2, PPB])
def test_trading_with_oneself_through_a_referrer_loses_the_platforms_part(share: int) -> None:
    venue = gang_venue(index_market(referral_share=share), BTC_PRICE)
    for _ in range(5):
        done(venue.close(opened(venue.open("ann", LONG, 10_000 * MICRO))))

    assert profit(venue) <= -venue.ledger.balances.get("fees", 0)


@given(st.lists(st.integers(1, PPB), min_size=1, max_size=12), st.sampled_from([LONG, SHORT]))
@settings(max_examples=50)
def test_closing_in_percentages_never_beats_closing_at_once(shares: list[int], side: Side) -> None:
    results = []
    for plan in (shares, []):
        venue = gang_venue(*MARKETS["index"])
        position = opened(venue.open("ann", side, 50 * MICRO))
        for share in plan:
            venue.close(position, share)
        leave_all(venue, BTC)
        results.append(profit(venue))

    assert results[0] <= results[1] <= 0


def liquidated(outcome: Events | Rejected) -> list[int]:
    return [reduced.bad_debt for reduced in reductions(outcome)]


def test_dust_left_behind_is_liquidated_without_debt() -> None:
    """One lot after a close of nearly all: it goes when its time comes, and costs nobody anything."""
    venue = gang_venue(*MARKETS["index"])
    position = opened(venue.open("ann", LONG, 1_000 * MICRO, leverage=100))
    done(venue.close(position, PPB - 1))
    assert [left.lots for left in venue.markets[BTC].positions.values()] == [1]

    assert liquidated(venue.price(BTC_PRICE * 994 // 1000)) == [0]
    assert venue.markets[BTC].insurance >= 0
    assert profit(venue) <= 0


def test_one_markets_house_pays_for_no_other_market() -> None:
    poor = index_market(house_deposit=0, house_credit_limit=0)
    venue = Books((poor, BTC_PRICE), (quote_market(house_deposit=RICH), STORY_PRICE))
    venue.add_user("ann")
    position = opened(venue.open("ann", LONG, 1_000 * MICRO))
    done(venue.price(2 * BTC_PRICE))

    assert refused(venue.close(position)).code is RejectCode.HOUSE_CANNOT_PAY
    assert venue.markets[STORY].house == RICH


def test_an_order_that_would_be_liquidated_by_its_own_impact_is_refused() -> None:
    """A buy at the top of the curve is worth less than its maintenance at the index."""
    params = index_market(**NO_FEES, max_skew=30_000, max_open_interest=40_000, skew_scale=10_000_000)
    venue = gang_venue(params, BTC_PRICE)
    done(venue.open("bob", LONG, 20_000 * 5 * MICRO, leverage=100))
    outcome = venue.open("ann", LONG, Micros(20_000 * 5 * MICRO), leverage=100)

    assert isinstance(outcome, Rejected) or profit(venue) <= 0
