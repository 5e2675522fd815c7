"""Those who would live on size tiers and on liquidations in part: split over positions, or part-liquidated to dust.

At a constant price nobody gains by it; each says what it earned.
"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perps.commands import ChangeMargin, ClosePosition, Side
from perps.events import CloseReason, Events
from perps.market.listing import BUFFER_MIN
from perps.market.position import liquidation_price, position_id
from perps.params import MarketParams, MarkSource, Tier
from perps.refusals import Rejected
from perps.units import MICRO, PPB, Lots, Micros, Ppb, Ticks, div_ceil, div_floor
from tests.perps.adversaries.test_margin import most_out
from tests.perps.adversaries.test_trading import leave_all
from tests.perps.build import (
    BTC_PRICE,
    STORY_PRICE,
    Books,
    done,
    index_market,
    new_open,
    opened,
    quote_market,
    reductions,
)

LONG, SHORT = Side.LONG, Side.SHORT
GANG = ("ann", "bob", "cid")
FREE: dict[str, Any] = {"taker_fee": Ppb(0), "maker_fee": Ppb(0), "liquidation_fee": Ppb(0)}
INDEX_TIERS = (
    Tier(Lots(500), Ppb(PPB // 200), 100),
    Tier(Lots(2_000), Ppb(PPB // 100), 50),
    Tier(Lots(20_000), Ppb(PPB // 50), 25),
)
STORY_TIERS = (Tier(Lots(500), Ppb(PPB // 10), 5), Tier(Lots(4_000), Ppb(PPB // 5), 3))
PARTS: dict[str, Any] = {"partial_liquidation": Micros(1)}
MARKETS: dict[str, tuple[MarketParams, int]] = {
    "index": (index_market(**PARTS, tiers=INDEX_TIERS), BTC_PRICE),
    "index, no fees": (index_market(**PARTS, tiers=INDEX_TIERS, **FREE), BTC_PRICE),
    "quote": (quote_market(**PARTS, tiers=STORY_TIERS), STORY_PRICE),
    "quote, no fees": (quote_market(**PARTS, tiers=STORY_TIERS, **FREE), STORY_PRICE),
    "quote, no fees, the least buffer and order": (
        quote_market(**PARTS, **FREE, liquidation_buffer=BUFFER_MIN, min_order_size=Micros(1)),
        STORY_PRICE,
    ),
}


def gang(kind: str) -> tuple[Books, str, int]:
    params, price = MARKETS[kind]
    venue = Books((params, price))
    for user in GANG:
        venue.add_user(user)
    return venue, params.ticker, venue.wallets(*GANG)


def by_tier(params: MarketParams) -> tuple[Tier, ...]:
    """Its tiers; without any, what holds for every size."""
    return params.tiers or (Tier(params.max_open_interest, params.maintenance_rate, params.max_leverage),)


MOVES = st.lists(
    st.tuples(
        st.sampled_from(GANG),
        st.sampled_from([LONG, SHORT]),
        st.integers(1, 100_000) | st.sampled_from([1, 50_000, 100_000]),  # ppm of the skew cap
        st.integers(0, 4),  # which position is made smaller, larger or poorer
        st.sampled_from(["open", "open", "more", "half", "all out"]),
    ),
    min_size=1,
    max_size=25,
)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", MARKETS)
@given(moves=MOVES)
@settings(max_examples=60)
def test_a_gang_in_a_market_with_tiers_and_parts_gains_nothing_at_a_constant_price(kind: str, moves: list[Any]) -> None:
    venue, ticker, before = gang(kind)
    params = venue.markets[ticker].params
    for user, side, ppm, which, what in moves:
        market = venue.markets[ticker]
        size = Micros(max(params.max_skew * market.index_price * market.unit * ppm // 1_000_000, 1))
        numbers = list(market.positions)
        if what == "open" or which >= len(numbers):
            for tier in by_tier(params):
                if not isinstance(venue.open(user, side, size, ticker=ticker, leverage=tier.max_leverage), Rejected):
                    break
            continue
        stands = market.positions[numbers[which]]
        name, owner = position_id(ticker, stands.number), stands.user
        if what == "half":
            venue.send(ClosePosition(ticker=ticker, user=owner, position_id=name, share=Ppb(PPB // 2)))
        elif what == "more":
            own = LONG if stands.lots > 0 else SHORT
            venue.send(new_open(owner, own, size, ticker=ticker, leverage=params.max_leverage, position=name))
        elif (most := most_out(market, stands.number)) > 0:
            venue.send(ChangeMargin(ticker=ticker, user=owner, position_id=name, amount=Micros(-most)))
    leave_all(venue, ticker)

    assert venue.wallets(*GANG) <= before
    assert venue.ledger.total() == 0


@pytest.mark.parametrize("kind", ["index", "index, no fees"])
@pytest.mark.parametrize("pieces", [1, 2, 4, 8])
def test_adversary_8_who_splits_over_tiers_gains_nothing_at_a_constant_price(
    kind: str, pieces: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four pieces of 500 lots have the first tier's leverage, one of 2,000 the second's. Both cost what they must."""
    venue, ticker, before = gang(kind)
    params, margin = venue.markets[ticker].params, 0
    for _ in range(pieces):
        size = Micros(2_000 * BTC_PRICE * 99 // 100 // pieces)
        best = params.leverage_of(2_000 * 99 // 100 // pieces)
        margin += opened(venue.open("ann", LONG, size, ticker=ticker, leverage=best)).position.margin
    assert len(venue.markets[ticker].positions) == pieces
    leave_all(venue, ticker)
    earned = venue.wallets(*GANG) - before
    with capsys.disabled():
        print(f"\n{kind}: 9,900 split in {pieces}: {margin / MICRO:.2f} of margin, earned {earned / MICRO:.6f}")

    assert earned <= 0


@pytest.mark.parametrize("pieces", [1, 4])
def test_adversary_8_who_splits_over_tiers_leaves_no_bad_debt_within_the_declared_step(
    pieces: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """What keeps the market solvent is the first tier's rate. The price falls by steps of half of it."""
    venue, ticker, before = gang("index")
    params = venue.markets[ticker].params
    for _ in range(pieces):
        best = params.leverage_of(1_980 // pieces)
        opened(venue.open("ann", LONG, 1_980 * BTC_PRICE // pieces, ticker=ticker, leverage=best))
    price, debt, parts = BTC_PRICE, 0, 0
    while venue.markets[ticker].positions and parts < 10_000:
        price -= price * params.maintenance_rate // (4 * PPB)
        events = reductions(venue.price(price, ticker=ticker))
        debt, parts = debt + sum(event.bad_debt for event in events), parts + len(events)
    earned = venue.wallets(*GANG) - before
    with capsys.disabled():
        print(f"\nindex, falling: 9,900 split in {pieces}: {parts} liquidations, debt {debt / MICRO:.2f}, ")
        print(f"  earned {earned / MICRO:.2f}, insurance {venue.markets[ticker].insurance / MICRO:.2f}")

    assert parts > pieces, "in parts"
    assert venue.markets[ticker].positions == {}
    assert debt == 0
    assert earned < 0


@pytest.mark.parametrize("kind", MARKETS)
@pytest.mark.parametrize("side", Side)
def test_adversary_9_who_is_liquidated_down_to_dust_gains_nothing(
    kind: str, side: Side, capsys: pytest.CaptureFixture[str]
) -> None:
    """He moves his own mark, or waits for a tick, so that each tick liquidates a little of him; then all comes back.

    At the price at which he began he has no more than he had.
    """
    venue, ticker, before = gang(kind)
    params, first = MARKETS[kind]
    number = opened(
        venue.open("ann", side, 400 * first * params.unit, ticker=ticker, leverage=by_tier(params)[0].max_leverage)
    ).position.number
    sizes: list[int] = []
    for _ in range(300):
        market = venue.markets[ticker]
        stands = market.positions.get(number)
        if stands is None:
            break
        sizes.append(abs(stands.lots))
        due = liquidation_price(stands, params, market.funding_index)
        if params.mark_source is MarkSource.QUOTE:
            scale, quoted = params.skew_scale, params.skew_scale + market.skew
            due = Ticks(div_floor(due * scale, quoted) if side is LONG else div_ceil(due * scale, quoted))
        events: Events = done(venue.price(max(due, 1), ticker=ticker))
        for event in (each for each in reductions(events) if each.position.lots):
            assert event.reason is CloseReason.LIQUIDATION
            assert event.kept >= 0
    done(venue.price(first, ticker=ticker))
    leave_all(venue, ticker)
    earned = venue.wallets(*GANG) - before
    with capsys.disabled():
        print(f"\n{kind}, {side}: {len(sizes)} sizes, from {sizes[0]} to {sizes[-1]} lots; earned {earned / MICRO:.6f}")

    assert sizes == sorted(set(sizes), reverse=True)
    assert len(sizes) > 2
    assert earned <= 0
    assert venue.ledger.total() == 0
