"""Who is liquidated, in which order, what it costs, and where the money that is missing comes from."""

from unittest.mock import patch

import pytest
from msgspec.structs import replace

from perps.commands import ObserveTime, PriceSource, Side, UpdatePrice
from perps.engine import CONSEQUENCES_PER_ROW_MAX, apply, execute, sweep
from perps.events import CloseReason, PositionOpened, PositionReduced, PriceUpdated, TransferKind
from perps.market.position import is_liquidatable
from perps.market.state import Market
from perps.params import Mode
from perps.refusals import RejectCode
from perps.rules.liquidation import decide_liquidation, due
from perps.rules.rule import Given
from perps.units import MICRO, PPB, Lots, Micros, Millis, Ppb, Ticks
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    RICH,
    START_MS,
    STORY,
    STORY_PRICE,
    Books,
    done,
    events_of,
    index_market,
    new_market,
    new_position,
    opened,
    quote_market,
    reductions,
    refused,
)

LONG, SHORT = Side.LONG, Side.SHORT


def market_with(*book: tuple[int, int], price: int = 100, **changes: int | None) -> Market:
    """A cheap index market (u = 1) holding positions of these lots and cash, numbered from 1."""
    market = new_market(index_market(maintenance_rate=PPB // 10, max_leverage=9, **changes), price)
    for number, (lots, cash) in enumerate(book, start=1):
        add(market, number, lots, cash)
    return market


def add(market: Market, number: int, lots: int, cash: int) -> None:
    position = new_position(number=number, lots=lots, cash=cash)
    apply(market, PositionOpened(position, fill=None, fee=0, referral=0, transfers=()))  # type: ignore[arg-type]


def swept(market: Market) -> list[int]:
    return [
        event.position.number
        for row in sweep(market, Given(market.at))
        for event in row.events
        if isinstance(event, PositionReduced)
    ]


def test_the_most_endangered_long_goes_first_then_the_shorts() -> None:
    """Equity of 10 lots at 100, maintenance 100: 50, 20, 90 for the longs; 90, 10 for the shorts."""
    market = market_with((10, -950), (10, -980), (10, -910), (-10, 1090), (-10, 1010))

    assert swept(market) == [2, 1, 3, 5, 4]


@pytest.mark.parametrize(("lots", "cash"), [(10, -900), (-10, 1100)])
@pytest.mark.parametrize(("extra", "due"), [(0, True), (1, False)])
def test_equity_at_maintenance_is_liquidated_and_a_micro_above_is_not(
    lots: int, cash: int, extra: int, due: bool
) -> None:
    market = market_with((lots, cash + extra))

    assert (swept(market) == [1]) is due


def test_a_candidate_put_forward_too_early_is_skipped_not_stopped_at() -> None:
    """One lot a micro above maintenance is ahead of ten that are due: its key is early by the roundings."""
    market = market_with((1, -89), (10, -900))
    early, endangered = market.positions[1], market.positions[2]
    candidates = list(market.order.candidates(market.mark, market.params, market.funding_index))

    assert candidates == [1, 2]
    assert not is_liquidatable(early, market.mark, market.params, market.funding_index)
    assert due(market) == endangered
    assert swept(market) == [2]


def test_a_halted_market_liquidates_nobody_until_it_is_enabled() -> None:
    venue = Books((index_market(), BTC_PRICE))
    venue.add_user("ann")
    opened(venue.open("ann", LONG, 1_000 * MICRO, leverage=100))
    done(venue.mode(Mode.HALTED))
    assert reductions(venue.price(BTC_PRICE * 9 // 10)) == []
    assert len(venue.markets[BTC].positions) == 1

    (reduced,) = reductions(venue.mode(Mode.ENABLED))
    assert reduced.reason is CloseReason.LIQUIDATION
    assert venue.markets[BTC].positions == {}


def test_a_market_that_only_reduces_still_liquidates() -> None:
    venue = Books((index_market(), BTC_PRICE))
    venue.add_user("ann")
    opened(venue.open("ann", LONG, 1_000 * MICRO, leverage=100))
    done(venue.mode(Mode.REDUCE_ONLY))

    assert len(reductions(venue.price(BTC_PRICE * 9 // 10))) == 1


@pytest.mark.parametrize("side", Side)
def test_a_fee_goes_to_the_insurance_and_the_rest_to_the_owner(side: Side) -> None:
    venue = Books((index_market(), BTC_PRICE))
    venue.add_user("ann")
    opened(venue.open("ann", side, 1_000 * MICRO, leverage=100))
    wallet = venue.ledger.wallet("ann")
    away = -6 if side is LONG else 6
    (reduced,) = reductions(venue.price(BTC_PRICE + away * BTC_PRICE // 1000))

    assert reduced.bad_debt == 0
    assert reduced.fee == -(-abs(reduced.fill.cost) * 2 // 1000)
    assert venue.markets[BTC].insurance == reduced.fee
    assert venue.ledger.wallet("ann") == wallet + reduced.settlement - reduced.fee
    assert venue.markets[BTC].house == reduced.margin_released - reduced.settlement


def test_a_fee_takes_no_more_than_what_is_left() -> None:
    market = market_with((10, -999))
    reduced = decide_liquidation(market, market.positions[1])

    assert isinstance(reduced, PositionReduced)
    assert (reduced.settlement, reduced.fee) == (1, 1)


@pytest.mark.parametrize(("insurance", "covered"), [(0, 0), (5, 5), (100, 100), (1_000, 100)])
def test_bad_debt_empties_the_insurance_first_and_the_house_goes_without_the_rest(insurance: int, covered: int) -> None:
    """10 lots bought at 110 with a margin of 10, sold at 99: −100 after the margin is gone."""
    market = market_with(price=98, skew_scale=10**12)
    position = new_position(lots=10, cash=-1_090 + 10, margin=10)
    apply(market, PositionOpened(position, fill=None, fee=0, referral=0, transfers=()))  # type: ignore[arg-type]
    market.insurance, house = Micros(insurance), market.house
    reduced = decide_liquidation(market, position)
    assert isinstance(reduced, PositionReduced)
    apply(market, reduced)

    assert (reduced.bad_debt, reduced.settlement, reduced.fee) == (100, 0, 0)
    assert market.insurance == insurance - covered
    assert market.house - house == 10 + covered
    moved = [(leg.kind, leg.amount) for leg in reduced.transfers]
    assert moved == [(TransferKind.LOSS, 10)] + ([(TransferKind.BAD_DEBT, covered)] if covered else [])


def test_a_fall_of_the_price_moves_bad_debt_through_the_books() -> None:
    venue = Books((index_market(), BTC_PRICE))
    venue.add_user("ann")
    opened(venue.open("ann", LONG, 1_000 * MICRO, leverage=100))
    wallet = venue.ledger.wallet("ann")
    (reduced,) = reductions(venue.price(BTC_PRICE // 2))

    assert reduced.bad_debt > 0
    assert venue.ledger.wallet("ann") == wallet
    assert venue.ledger.balances[f"house:{BTC}"] == reduced.margin_released
    assert venue.ledger.total() == 0


def test_one_sale_on_a_quote_market_sets_off_a_cascade_in_the_same_row() -> None:
    """Each liquidation lowers the quote, which is the mark, which brings the next one down."""
    venue = Books((quote_market(), STORY_PRICE))
    for user in ("ann", "bob", "cid"):
        venue.add_user(user, RICH)
    for _ in range(4):
        opened(venue.open("ann", LONG, 900 * MICRO, ticker=STORY, leverage=5))
    alone = opened(venue.open("bob", LONG, 300 * MICRO, ticker=STORY, leverage=5))
    done(venue.price(STORY_PRICE * 890 // 1000, ticker=STORY))
    rows, standing = len(venue.rows), len(venue.markets[STORY].positions)
    assert standing == 5
    outcome = venue.open("cid", SHORT, 2_500 * MICRO, ticker=STORY, leverage=1)

    gone = reductions(outcome)
    assert len(gone) > 1
    assert [event.fill.quote_after for event in gone] == sorted(
        (event.fill.quote_after for event in gone), reverse=True
    )
    assert alone.position.number in {event.position.number for event in gone}
    assert len(venue.rows) == rows + 1
    assert due(venue.markets[STORY]) is None


def test_a_crash_goes_on_in_further_rows() -> None:
    market = market_with(price=100)
    count = 2 * CONSEQUENCES_PER_ROW_MAX + 3
    for number in range(1, count + 1):
        add(market, number, 1, -85 - number % 3)
    command = UpdatePrice(ticker=BTC, price=Ticks(50), source=PriceSource.ORACLE)
    parts, refused = execute(market, command, Given(market.at))
    rows, goes_on = zip(*parts, strict=True)
    assert refused is None
    assert goes_on == (True, True, False)

    assert [len(row) for row in rows] == [CONSEQUENCES_PER_ROW_MAX + 1, CONSEQUENCES_PER_ROW_MAX, 3]
    assert isinstance(rows[0][0], PriceUpdated)
    assert len({event.position.number for row in rows for event in row if isinstance(event, PositionReduced)}) == count
    assert market.positions == {}


def test_a_row_of_its_own_is_not_made_for_nobody() -> None:
    venue = Books((index_market(), BTC_PRICE))
    rows = len(venue.rows)
    done(venue.price(BTC_PRICE // 2))

    assert len(venue.rows) == rows + 1
    assert not list(sweep(venue.markets[BTC], Given(venue.at)))


def unpaid_market(*books: tuple[int, int]) -> Market:
    """Position 1 is due at the index, but has a gain at the quote, which stands far above it. The house has nothing."""
    market = market_with((10, -905), *books, price=100, max_skew=500, max_open_interest=10, skew_scale=10_000_000)
    market.params = replace(market.params, house_credit_limit=0, skew_scale=1_000)
    market.long_lots = Lots(900)
    return market


def test_a_liquidation_that_the_house_cannot_pay_waits_until_it_can() -> None:
    market = unpaid_market()
    assert refused(decide_liquidation(market, market.positions[1])).code is RejectCode.HOUSE_CANNOT_PAY
    assert swept(market) == []
    assert (market.mode, list(market.positions)) == (Mode.ENABLED, [1])

    market.house = Micros(10**9)
    assert swept(market) == [1]
    assert market.positions == {}


@pytest.mark.parametrize("endangered", [(10, -999), (10, -901)])
def test_who_cannot_be_paid_keeps_nobody_else_from_being_liquidated(endangered: tuple[int, int]) -> None:
    """A loser, more or less endangered: what he leaves in the house may even pay the other."""
    market = unpaid_market(endangered)
    market.positions[2] = replace(market.positions[2], margin=Micros(10**6))
    (row,) = sweep(market, Given(market.at))

    assert [event.position.number for event in row.events if isinstance(event, PositionReduced)] == [2, 1]
    assert market.positions == {}


def test_many_who_cannot_be_paid_cost_one_look_each() -> None:
    market = unpaid_market(*[(10, -905)] * 200)
    with patch("perps.rules.liquidation.decide_liquidation", wraps=decide_liquidation) as tried:
        assert swept(market) == []

    assert tried.call_count == 201


@pytest.mark.parametrize("side", Side)
def test_nobody_is_liquidated_at_a_price_that_is_too_old(side: Side) -> None:
    """A price comes with its own time: it may be too old already when it comes."""
    venue = Books((index_market(max_price_age=5_000), BTC_PRICE))
    venue.add_user("ann")
    opened(venue.open("ann", side, 1_000 * MICRO, leverage=100))
    price = Ticks(BTC_PRICE * (8 if side is LONG else 12) // 10)
    venue.at = Millis(START_MS + 10_000)
    old = UpdatePrice(ticker=BTC, price=price, source=PriceSource.ORACLE, source_at=Millis(venue.at - 5_001))
    assert reductions(venue.send(old)) == []
    assert reductions(venue.mode(Mode.REDUCE_ONLY)) == []
    assert due(venue.markets[BTC]) is not None

    fresh = UpdatePrice(ticker=BTC, price=price, source=PriceSource.ORACLE, source_at=Millis(venue.at - 5_000))
    assert len(reductions(venue.send(fresh))) == 1
    assert due(venue.replayed().markets[BTC]) is None


def test_funding_that_was_due_while_the_price_grew_old_liquidates_nobody_until_a_new_price() -> None:
    """Whoever is due by what accrued up to the last fresh moment can act first when there is a price again."""
    params = quote_market(max_price_age=60_000, funding_velocity=Ppb(20_000 * PPB), max_funding_rate=Ppb(PPB // 15))
    venue = Books((params, STORY_PRICE))
    venue.add_user("ann")
    opened(venue.open("ann", LONG, 3_000 * MICRO, ticker=STORY, leverage=5))
    market = venue.markets[STORY]
    venue.at = Millis(START_MS + 60_001)
    ((number, position),) = market.positions.items()
    market.leave(position)
    market.enter(replace(position, cash=Micros(position.cash - position.margin)))
    assert due(market) is not None, "only its money, not its price, makes it due"

    assert venue.send(ObserveTime(ticker=STORY)) == ()
    assert list(market.positions) == [number]
    assert len(reductions(venue.price(STORY_PRICE, ticker=STORY))) == 1


def test_a_liquidation_moves_the_skew_but_never_the_index() -> None:
    venue = Books((index_market(), BTC_PRICE))
    venue.add_user("ann")
    opened(venue.open("ann", LONG, 1_000 * MICRO, leverage=100))
    price = BTC_PRICE * 99 // 100
    outcome = venue.price(price)

    assert len(reductions(outcome)) == 1
    assert (venue.markets[BTC].index_price, venue.markets[BTC].skew) == (price, 0)
    assert len(events_of(PriceUpdated, outcome)) == 1
    assert venue.at == START_MS
