"""Margin in and out: every refusal in its place, how much can leave, and what stays as it is."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from perps.commands import ChangeMargin, Side
from perps.engine import apply
from perps.events import PositionChanged, Transfer, TransferKind
from perps.market.position import (
    equity,
    funding_base,
    funding_since_entry,
    is_liquidatable,
    kappa,
    liquidation_price,
    position_id,
    withdrawable,
)
from perps.market.state import Market
from perps.params import Mode
from perps.refusals import RejectCode, Rejected
from perps.rules.margin import decide_margin
from perps.rules.rule import Given
from perps.units import AMOUNT_MAX, MICRO, PPB, FundingIndex, Micros, Millis, Ticks
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    RICH,
    START_MS,
    STORY,
    STORY_PRICE,
    Books,
    done,
    full_state,
    index_market,
    new_market,
    new_position,
    opened,
    quote_market,
    refused,
)
from tests.perps.rules.trying import AGE, LONG, SHORT, fresh, must_open

IN, OUT = 20 * MICRO, -20 * MICRO


def try_margin(market: Market, amount: int, number: int = 1, **more: Any) -> PositionChanged | Rejected:
    given = Given(Millis(START_MS + more.pop("late", 0)), held=Micros(more.pop("held", RICH)))
    fields = {"ticker": BTC, "user": "ann", "position_id": position_id(BTC, number), "amount": Micros(amount), **more}
    outcome = decide_margin(market, ChangeMargin(**fields), given)
    return outcome if isinstance(outcome, Rejected) else outcome[0]


def must_change(market: Market, amount: int, **more: Any) -> PositionChanged:
    outcome = try_margin(market, amount, **more)
    assert isinstance(outcome, PositionChanged), outcome
    apply(market, outcome)
    return outcome


FAULTS: list[tuple[RejectCode, dict[str, Any]]] = [
    (RejectCode.VALIDATION_ERROR, {"amount": 0}),
    (RejectCode.FORBIDDEN, {"user": "bob"}),
    (RejectCode.POSITION_NOT_FOUND, {"number": 9}),
    (RejectCode.MARKET_HALTED, {"mode": Mode.HALTED}),
    (RejectCode.MARKET_REDUCE_ONLY, {"mode": Mode.REDUCE_ONLY}),
    (RejectCode.PRICE_STALE, {"late": 1_001}),
    (RejectCode.POSITION_CLOSED, {"number": 2}),
    (RejectCode.INSUFFICIENT_MARGIN, {"index_price": Ticks(BTC_PRICE * 91 // 100)}),
]
PAIRS = [
    (first, second)
    for n, first in enumerate(FAULTS)
    for second in FAULTS[n + 1 :]
    if not first[1].keys() & second[1].keys() and (set(first[1]), set(second[1])) != ({"user"}, {"number"})
]


def taking_out(*faults: dict[str, Any]) -> PositionChanged | Rejected:
    """Margin out of a market with these faults, all at once. Position 2 is past, and there is no 9."""
    market = fresh(**AGE)
    must_open(market)
    market.next_number = 3
    asked: dict[str, Any] = {"amount": OUT}
    for fault in faults:
        for key, value in fault.items():
            if key in ("mode", "index_price"):
                setattr(market, key, value)
            else:
                asked[key] = value
    return try_margin(market, **asked)


def test_margin_out_without_a_fault_is_accepted() -> None:
    assert isinstance(taking_out({}), PositionChanged)


@pytest.mark.parametrize(("code", "fault"), FAULTS)
def test_margin_out_is_refused_for_each_fault_alone(code: RejectCode, fault: dict[str, Any]) -> None:
    assert refused(taking_out(fault)).code is code


@pytest.mark.parametrize(
    ("first", "second"),
    PAIRS,
    ids=lambda fault: fault[0].value,
)
def test_of_two_faults_the_first_in_the_documented_order_is_reported(
    first: tuple[RejectCode, dict[str, Any]], second: tuple[RejectCode, dict[str, Any]]
) -> None:
    assert refused(taking_out(first[1], second[1])).code is first[0]


@pytest.mark.parametrize(("mode", "late"), [(Mode.REDUCE_ONLY, 0), (Mode.ENABLED, 1_001), (Mode.REDUCE_ONLY, 1_001)])
def test_margin_goes_in_whatever_the_mode_and_the_age_of_the_price(mode: Mode, late: int) -> None:
    market = fresh(**AGE)
    must_open(market)
    market.mode = mode
    assert isinstance(try_margin(market, IN, late=late), PositionChanged)


def test_a_halted_market_takes_no_margin() -> None:
    market = fresh()
    must_open(market)
    market.mode, market.mode_reason = Mode.HALTED, "storm"
    assert refused(try_margin(market, IN)).facts == {"mode": "halted", "reason": "storm"}


@pytest.mark.parametrize("amount", [AMOUNT_MAX + 1, -AMOUNT_MAX - 1, 0])
def test_an_amount_beyond_every_bound_is_no_amount(amount: int) -> None:
    market = fresh()
    must_open(market)
    assert refused(try_margin(market, amount)).code is RejectCode.VALIDATION_ERROR


def test_margin_that_the_wallet_does_not_hold_is_refused_with_both_numbers() -> None:
    market = fresh()
    must_open(market)
    refusal = refused(try_margin(market, IN, held=IN - 1))
    assert refusal.code is RejectCode.INSUFFICIENT_FUNDS
    assert refusal.facts == {"required_micros": IN, "available_micros": IN - 1}
    assert isinstance(try_margin(market, IN, held=IN), PositionChanged)


def test_a_refusal_for_margin_says_what_could_go_and_what_that_follows_from() -> None:
    market = fresh()
    position = must_open(market).position
    market.index_price = Ticks(BTC_PRICE * 95 // 100)
    refusal = refused(try_margin(market, -position.margin))
    mark, params = market.mark, market.params
    most = withdrawable(position, mark, params, market.funding_index)
    assert refusal.facts == {
        "required_micros": position.margin,
        "available_micros": most,
        "margin_micros": position.margin,
        "equity_micros": equity(position, mark, params.unit, market.funding_index),
        "initial_margin_micros": -(-position.lots * mark * params.unit // params.max_leverage),
        "maintenance_micros": -(-position.lots * mark * params.unit * params.maintenance_rate // PPB),
    }
    assert 0 < most < position.margin
    assert isinstance(try_margin(market, -most), PositionChanged)
    assert refused(try_margin(market, -most - 1)).code is RejectCode.INSUFFICIENT_MARGIN


# Where the bound comes from, over every sign: (side, price in % of the entry, what limits what can go out).
BOUNDS = [
    (LONG, 100, "equity"),  # the open's own impact
    (LONG, 120, "margin"),  # a gain on paper does not count
    (LONG, 95, "equity"),
    (SHORT, 100, "equity"),
    (SHORT, 80, "margin"),
    (SHORT, 105, "equity"),
]


@pytest.mark.parametrize(("side", "percent", "binds"), BOUNDS)
def test_what_can_leave_is_bound_by_margin_after_a_gain_and_by_equity_after_a_loss(
    side: Side, percent: int, binds: str
) -> None:
    market = fresh()
    position = must_open(market, side=side).position
    market.index_price = Ticks(BTC_PRICE * percent // 100)
    worth = equity(position, market.mark, market.unit, market.funding_index)
    assert ("margin" if position.margin < worth else "equity") == binds
    needed = -(-abs(position.lots) * market.mark * market.unit // 100)
    assert withdrawable(position, market.mark, market.params, market.funding_index) == (
        min(position.margin, worth) - needed
    )


def test_a_fixed_maintenance_can_bind_before_the_initial_margin() -> None:
    market = fresh(maintenance_fixed=Micros(50 * MICRO))
    position = must_open(market, leverage=10).position
    most = withdrawable(position, market.mark, market.params, market.funding_index)
    assert refused(try_margin(market, -most - 1)).code is RejectCode.INSUFFICIENT_MARGIN
    rest = must_change(market, -most).position
    assert not is_liquidatable(rest, market.mark, market.params, market.funding_index)
    barely = replace(rest, cash=Micros(rest.cash - 1))
    assert is_liquidatable(barely, market.mark, market.params, market.funding_index)


@pytest.mark.parametrize("side", [LONG, SHORT])
@pytest.mark.parametrize("amount", [IN, OUT, 1, -1])
@pytest.mark.parametrize("index", [0, 7 * PPB + 3, -5 * PPB - 1])
def test_size_entry_gain_and_funding_stay_and_the_liquidation_price_moves(side: Side, amount: int, index: int) -> None:
    market = new_market(index_market(funding_velocity=PPB // 5, max_funding_rate=PPB // 500), BTC_PRICE)
    market.funding_index = FundingIndex(index // 2)
    before = must_open(market, side=side).position
    market.funding_index = FundingIndex(index)
    event = must_change(market, amount)
    after, params, mark = event.position, market.params, market.mark

    assert replace(after, cash=before.cash, margin=before.margin) == before
    assert (after.cash - before.cash, after.margin - before.margin) == (amount, amount)
    assert funding_base(after, params, market.funding_index) == funding_base(before, params, market.funding_index)
    assert funding_since_entry(after, params, market.funding_index) == funding_since_entry(
        before, params, market.funding_index
    )
    gains = [equity(each, mark, params.unit, market.funding_index) - each.margin for each in (before, after)]
    assert gains[0] == gains[1]
    was, now = (liquidation_price(each, params, market.funding_index) for each in (before, after))
    toward = now <= was if (amount > 0) is (side is LONG) else now >= was
    assert toward
    assert abs(amount) == 1 or now != was
    assert kappa(after, params) != kappa(before, params)
    assert (event.mark_price, event.funding_index) == (mark, index)


def test_what_moves_is_told_as_a_transfer_either_way() -> None:
    market = fresh()
    must_open(market)
    paid, taken = must_change(market, IN), must_change(market, OUT)
    assert paid.transfers == (Transfer("user:ann", "margin:BTC-PERP", Micros(IN), TransferKind.MARGIN),)
    assert taken.transfers == (Transfer("margin:BTC-PERP", "user:ann", Micros(-OUT), TransferKind.MARGIN_RETURN),)


@given(
    lots=st.integers(-10_000, 10_000).filter(bool),
    margin=st.integers(1, 10**12),
    gain=st.integers(-(10**12), 10**12),
    index=st.integers(-(10**12), 10**12),
    fixed=st.sampled_from([0, 1, 10**9]),
)
@settings(max_examples=500)
def test_the_most_that_can_leave_is_the_most_by_the_rule(
    lots: int, margin: int, gain: int, index: int, fixed: int
) -> None:
    """By the rule's own words: min(m − a, equity − a) ≥ ceil(|q|·P·u/L), m − a ≥ 1 and not liquidatable after it."""
    params = index_market(maintenance_fixed=fixed)
    owed = -(-lots * index // PPB)
    cash = margin + gain - lots * BTC_PRICE + owed
    position = new_position(lots=lots, cash=cash, margin=margin)

    def fine(amount: int) -> bool:
        rest = replace(position, cash=Micros(cash - amount), margin=Micros(margin - amount))
        worth = equity(rest, Ticks(BTC_PRICE), params.unit, FundingIndex(index))
        needed = -(-abs(lots) * BTC_PRICE // params.max_leverage)
        due = is_liquidatable(rest, Ticks(BTC_PRICE), params, FundingIndex(index))
        return rest.margin >= 1 and min(rest.margin, worth) >= needed and not due

    most = withdrawable(position, Ticks(BTC_PRICE), params, FundingIndex(index))
    assert fine(most)
    assert not fine(most + 1)


def test_money_comes_back_to_the_micro_and_a_replay_agrees() -> None:
    venue = Books((index_market(), BTC_PRICE), (quote_market(), STORY_PRICE))
    venue.add_user("ann")
    before = venue.ledger.wallet("ann")
    for ticker in (BTC, STORY):
        done(venue.open("ann", LONG, 500 * MICRO, ticker=ticker, leverage=2))
    with_positions = venue.ledger.wallet("ann")
    for ticker, number in ((BTC, 1), (STORY, 1)):
        for amount in (33 * MICRO + 1, -(33 * MICRO + 1), 7, -7):
            done(venue.send(margin_of("ann", ticker, number, amount)))
    assert venue.ledger.wallet("ann") == with_positions < before
    state = venue.replayed()
    assert full_state(state.ledger, state.markets) == full_state(venue.ledger, venue.markets)
    assert venue.funds.in_flight == (0, 0)


def test_only_the_owner_pays_and_is_paid() -> None:
    venue = Books((index_market(), BTC_PRICE))
    for user in ("ann", "bob"):
        venue.add_user(user)
    opened(venue.open("ann", LONG, 500 * MICRO))
    before = venue.ledger.wallet("bob")
    for amount in (IN, OUT):
        assert refused(venue.send(margin_of("bob", BTC, 1, amount))).code is RejectCode.FORBIDDEN
    assert refused(venue.send(margin_of("cid", BTC, 1, IN))).code is RejectCode.USER_NOT_FOUND
    assert venue.ledger.wallet("bob") == before
    assert venue.funds.in_flight == (0, 0)


def margin_of(user: str, ticker: str, number: int, amount: int) -> ChangeMargin:
    """Margin in or out."""
    return ChangeMargin(ticker=ticker, user=user, position_id=position_id(ticker, number), amount=Micros(amount))
