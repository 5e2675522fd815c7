"""A liquidation in part: the least that makes the rest sound, never better for the owner than leaving by himself."""

from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from perps.commands import FundMarket, HouseAccount, Side
from perps.effects import TradeKind
from perps.engine import effects_of
from perps.events import CloseReason, PositionReduced, TransferKind
from perps.market.listing import BUFFER_MIN, check_params
from perps.market.part import least_part
from perps.market.position import Position, equity, is_liquidatable
from perps.market.state import Market
from perps.params import MarketParams, Tier
from perps.rules.closing import reduce
from perps.rules.liquidation import decide_liquidation
from perps.units import MICRO, PPB, FundingIndex, Lots, Micros, Ppb, Ticks
from tests.perps.build import (
    BTC,
    BTC_PRICE,
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
)

LONG, SHORT = Side.LONG, Side.SHORT
PARTS: dict[str, Any] = {"partial_liquidation": Micros(1)}
TIERS = (Tier(Lots(60), Ppb(PPB // 200), 100), Tier(Lots(20_000), Ppb(PPB // 100), 50))
STEEP = (Tier(Lots(50), Ppb(PPB // 10), 5), Tier(Lots(4_000), Ppb(PPB // 5), 2))
MARKETS: dict[str, tuple[MarketParams, int]] = {
    "index": (index_market(**PARTS), BTC_PRICE),
    "index with tiers": (index_market(**PARTS, tiers=TIERS), BTC_PRICE),
    "quote": (quote_market(**PARTS), STORY_PRICE),
    "quote with tiers": (quote_market(**PARTS, tiers=STEEP), STORY_PRICE),
    "quote on its tick": (quote_market(**PARTS, exact_mark=False), STORY_PRICE),
    "small buffer": (index_market(**PARTS, liquidation_buffer=BUFFER_MIN), BTC_PRICE),
    "large buffer, no least order": (
        quote_market(**PARTS, liquidation_buffer=Ppb(PPB), min_order_size=Micros(1)),
        STORY_PRICE,
    ),
}


def endangered(kind: str, lots: int, others: int, index: int, tenths: int) -> tuple[Market, Position]:
    """A market in which others hold ``others`` lots, and a position with so many tenths of its maintenance left."""
    params, price = MARKETS[kind]
    market = new_market(params, price)
    market.funding_index = FundingIndex(index)
    if others:
        market.enter(new_position(number=2, user="bob", lots=others, cash=10**15))
    position = new_position(number=1, lots=lots)
    market.enter(position)
    mark, scale = market.exact_mark(market.skew)
    value = lots * mark * params.unit
    kept = Fraction(abs(value) * params.rate_of(lots), PPB * scale)
    cash = ceil(kept * tenths / 10 - Fraction(value, scale) + Fraction(lots * index, PPB))
    market.leave(position)
    position = replace(position, cash=Micros(cash), margin=Micros(max(int(kept), 1)), entry_cost=Micros(abs(cash)))
    market.enter(position)
    return market, position


def is_enough(market: Market, position: Position, count: int) -> bool:
    """By the event itself, in fractions."""
    params = market.params
    event = reduce(market, position, count, CloseReason.LIQUIDATION, is_kept=True)
    rest = event.position
    now = Fraction(*market.exact_mark(market.skew))
    if event.bad_debt or not rest.lots or abs(rest.lots) * now * params.unit < params.min_order_size:
        return False
    mark, scale = market.exact_mark(market.skew + event.fill.lots)
    value = Fraction(rest.lots * mark * params.unit, scale)
    worth = rest.cash + value - ceil(Fraction(rest.lots * market.funding_index, PPB))
    needed = abs(value) * Fraction(params.rate_of(rest.lots), PPB) + params.maintenance_fixed
    return worth * scale > ceil(needed * scale * (1 + Fraction(params.liquidation_buffer, PPB)))


CASES = (
    st.sampled_from(sorted(MARKETS)),
    st.integers(1, 250) | st.integers(-250, -1),
    st.integers(-3_000, 3_000),
    st.sampled_from([0, 10**9, -(10**10)]) | st.integers(-(10**12), 10**12),
    st.integers(-5, 10),
)


@given(*CASES)
@settings(max_examples=400)
def test_a_part_is_the_least_that_leaves_enough_and_no_part_is_none(
    kind: str, lots: int, others: int, index: int, tenths: int
) -> None:
    market, position = endangered(kind, lots, others, index, tenths)
    enough = [count for count in range(1, abs(lots)) if is_enough(market, position, count)]

    assert least_part(market, position) == (enough[0] if enough else 0)


@given(*CASES)
@settings(max_examples=400)
def test_the_rest_is_sound_and_its_owner_has_no_more_than_by_closing_as_much_himself(
    kind: str, lots: int, others: int, index: int, tenths: int
) -> None:
    market, position = endangered(kind, lots, others, index, tenths)
    count = least_part(market, position)
    if not count:
        return
    params = market.params
    event = reduce(market, position, count, CloseReason.LIQUIDATION, is_kept=True)
    himself = reduce(market, position, count, CloseReason.OWNER)
    mark, scale = market.exact_mark(market.skew + event.fill.lots)

    assert not is_liquidatable(event.position, mark, params, market.funding_index, scale)
    assert event.bad_debt == 0
    assert event.fee >= himself.fee
    in_position = equity(event.position, mark, params.unit, market.funding_index, scale)
    left = equity(himself.position, mark, params.unit, market.funding_index, scale)
    assert in_position <= left + himself.settlement - himself.fee


SIGNS = [
    pytest.param(side, falls, id=f"{side} as the price {'falls' if falls else 'rises'}")
    for side, falls in ((LONG, True), (SHORT, False))
]


@pytest.mark.parametrize(("side", "falls"), SIGNS)
@pytest.mark.parametrize("gains", [False, True])
def test_a_part_moves_money_between_margin_house_and_insurance_alone(side: Side, falls: bool, gains: bool) -> None:
    """``gains``: the part is closed at a gain: the house pays it into the margin."""
    venue = Books((index_market(**PARTS), BTC_PRICE))
    venue.add_user("ann")
    own = opened(venue.open("ann", side, 10_000 * MICRO, leverage=100))
    wallet = venue.ledger.wallet("ann")
    market = venue.markets[BTC]
    if gains:
        stands = market.positions[own.position.number]
        market.leave(stands)
        taken = stands.margin - 1
        market.enter(replace(stands, margin=Micros(1)))
        venue.ledger.balances[f"margin:{BTC}"] -= taken
        venue.ledger.balances[f"house:{BTC}"] = venue.ledger.balances.get(f"house:{BTC}", 0) + taken
        market.house = Micros(market.house + taken)
    (event,) = reductions(venue.price(BTC_PRICE * (9_940 if falls else 10_060) // 10_000))
    kinds = [(each.kind, each.source.partition(":")[0], each.target.partition(":")[0]) for each in event.transfers]

    assert event.position.lots != 0
    assert event.kept == event.settlement - event.fee > 0
    assert (event.pnl > 0) is gains
    money = (TransferKind.PROFIT, "house", "margin") if gains else (TransferKind.LOSS, "margin", "house")
    assert kinds == [money, (TransferKind.LIQUIDATION_FEE, "margin", "insurance")]
    assert venue.ledger.wallet("ann") == wallet
    assert venue.ledger.balances[f"margin:{BTC}"] == market.margin == event.position.margin
    assert venue.ledger.balances[f"insurance:{BTC}"] == event.fee == market.insurance
    assert venue.ledger.total() == 0


def test_nothing_is_liquidated_in_part_unless_the_market_says_so() -> None:
    venue = Books((index_market(), BTC_PRICE))
    venue.add_user("ann")
    opened(venue.open("ann", LONG, 10_000 * MICRO, leverage=100))
    (event,) = reductions(venue.price(BTC_PRICE * 994 // 1_000))

    assert (event.position.lots, event.kept) == (0, 0)
    assert event.transfers[0].kind is TransferKind.MARGIN_RETURN


WHOLE: dict[str, tuple[dict[str, Any], int, dict[str, Any]]] = {
    "it is worth less than the market's least": ({"partial_liquidation": Micros(9_939 * MICRO)}, 10_000, {}),
    "too little would be left": ({"min_order_size": Micros(9_900 * MICRO)}, 10_000, {}),
    "its stop is due too": ({}, 10_000, {"stop_loss": BTC_PRICE * 996 // 1_000}),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_position_goes_if(name: str) -> None:
    changes, size, more = WHOLE[name]
    venue = Books((index_market(**{**PARTS, **changes}), BTC_PRICE))
    venue.add_user("ann")
    opened(venue.open("ann", LONG, size * MICRO, leverage=100, **more))
    (event,) = reductions(venue.price(BTC_PRICE * 9_939 // 10_000))

    assert (event.position.lots, event.kept) == (0, 0)
    assert event.reason is (CloseReason.STOP_LOSS if more else CloseReason.LIQUIDATION)


def test_a_whole_position_goes_if_no_part_would_do() -> None:
    venue = Books((index_market(**PARTS), BTC_PRICE))
    venue.add_user("ann")
    opened(venue.open("ann", LONG, 10_000 * MICRO, leverage=100))
    (event,) = reductions(venue.price(BTC_PRICE * 98 // 100))

    assert event.position.lots == 0
    assert event.bad_debt > 0


def test_a_position_that_goes_on_falling_goes_part_by_part() -> None:
    """And each part leaves it sound at the price of that moment."""
    venue = Books((index_market(**PARTS), BTC_PRICE))
    venue.add_user("ann")
    number = opened(venue.open("ann", LONG, 10_000 * MICRO, leverage=100)).position.number
    sizes, parts = [venue.markets[BTC].positions[number].lots], 0
    price = BTC_PRICE
    while number in venue.markets[BTC].positions and parts < 100:
        price = price * 9_990 // 10_000
        for event in reductions(venue.price(price)):
            parts += 1
            sizes.append(event.position.lots)

    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == len(set(sizes))
    assert parts > 3
    assert sizes[-1] == 0
    assert venue.ledger.total() == 0
    assert venue.replayed().ledger.balances == venue.ledger.balances


def test_if_the_house_cannot_pay_what_a_part_gains_the_whole_is_tried() -> None:
    """Of a large position that leaves at a falling quote, the first part brings more than all of it does."""
    market = new_market(quote_market(**PARTS, house_credit_limit=Micros(0)), STORY_PRICE)
    position = new_position(number=1, lots=3_000)
    market.enter(position)
    value = 3_000 * STORY_PRICE * 100 * 103 // 100
    market.leave(position)
    needed = value // 10
    whole = market.cost(0)
    market.enter(position)
    out = -market.cost(-3_000)
    market.leave(position)
    position = replace(position, cash=Micros(needed - value), margin=Micros(out + needed - value + whole))
    market.enter(position)

    part = least_part(market, position)
    assert part
    assert reduce(market, position, part, CloseReason.LIQUIDATION, is_kept=True).pnl > 0
    outcome = decide_liquidation(market, position)
    assert isinstance(outcome, PositionReduced)
    assert (outcome.position.lots, outcome.pnl) == (0, 0)


def test_readers_see_a_liquidation_behind_which_the_position_stands() -> None:
    venue = Books((index_market(**PARTS), BTC_PRICE))
    venue.add_user("ann")
    opened(venue.open("ann", LONG, 10_000 * MICRO, leverage=100))
    (event,) = reductions(venue.price(BTC_PRICE * 994 // 1_000))
    ((traded,),) = effects_of((event,))

    assert traded.kind is TradeKind.LIQUIDATION  # type: ignore[union-attr]
    assert traded.position.lots == venue.markets[BTC].positions[1].lots > 0  # type: ignore[union-attr]


def test_an_insurance_that_has_been_filled_by_parts_can_be_taken_out() -> None:
    """The fee of a part is the insurance's own money, not the position's."""
    venue = Books((index_market(**PARTS), BTC_PRICE))
    venue.add_user("ann")
    opened(venue.open("ann", LONG, 10_000 * MICRO, leverage=100))
    (event,) = reductions(venue.price(BTC_PRICE * 994 // 1_000))

    done(venue.send(FundMarket(ticker=BTC, account=HouseAccount.INSURANCE, amount=Micros(-event.fee))))
    assert venue.ledger.balances[f"insurance:{BTC}"] == 0
    assert STORY not in venue.markets


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"partial_liquidation": Micros(0)}, "0 < partialLiquidation"),
        ({"liquidation_buffer": Ppb(BUFFER_MIN - 1)}, "liquidationBuffer"),
        ({"liquidation_buffer": Ppb(PPB + 1)}, "liquidationBuffer"),
    ],
)
def test_numbers_that_make_no_sense_are_refused_at_a_listing(changes: dict[str, Any], rule: str) -> None:
    broken = check_params(index_market(**changes), Ticks(BTC_PRICE))

    assert broken is not None
    assert rule in str(broken.facts["rule"])


def test_two_large_positions_at_a_mark_of_their_own_making_are_done_in_few_parts() -> None:
    """Each part moves the mark towards the other one; each leaves a buffer, so they do not take turns lot by lot."""
    venue = Books((quote_market(**PARTS, liquidation_buffer=BUFFER_MIN, min_order_size=Micros(1)), STORY_PRICE))
    for user in ("ann", "bob"):
        venue.add_user(user)
        opened(venue.open(user, LONG, 1_900 * MICRO, ticker=STORY, leverage=5))
    for price in range(STORY_PRICE, STORY_PRICE * 80 // 100, -25):
        assert len(reductions(venue.price(price, ticker=STORY))) <= 20
