"""Opens and closes: every refusal in its place, and the money of what is accepted, to the micro."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from perps.commands import Side, signed
from perps.engine import apply
from perps.events import PositionOpened, PositionReduced, TransferKind
from perps.market.position import position_id
from perps.market.state import Market
from perps.params import Mode
from perps.refusals import RejectCode, Rejected
from perps.units import MICRO, NANO, PPB, Micros
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    Books,
    done,
    index_market,
    new_market,
    opened,
    reductions,
    refused,
)
from tests.perps.rules.trying import AGE, LONG, SIZE, bound, fresh, must_open, try_close, try_open

# What stops an open, in order of precedence: each of these makes its refusal apply, whatever else does.
MARKET_FAULTS: dict[RejectCode, dict[str, Any]] = {
    RejectCode.MARKET_HALTED: {"mode": Mode.HALTED},
    RejectCode.MARKET_REDUCE_ONLY: {"mode": Mode.REDUCE_ONLY},
}
OPEN_FAULTS: list[tuple[RejectCode, dict[str, Any]]] = [
    (RejectCode.MARKET_HALTED, {"mode": Mode.HALTED}),
    (RejectCode.MARKET_REDUCE_ONLY, {"mode": Mode.REDUCE_ONLY}),
    (RejectCode.PRICE_STALE, {"late": 1_001}),
    (RejectCode.POSITION_SIZE_TOO_SMALL, {"min_order_size": 10**18}),
    (RejectCode.POSITION_SIZE_TOO_LARGE, {"max_open_interest": 100}),
    (RejectCode.LEVERAGE_TOO_HIGH, {"leverage": 101}),
    (RejectCode.MAX_SKEW_EXCEEDED, {"max_skew": 100}),
    (RejectCode.OPEN_INTEREST_EXCEEDED, {"long_lots": 19_900}),
    (RejectCode.WOULD_BE_LIQUIDATED, {"maintenance_fixed": SIZE}),
    (RejectCode.PRICE_BEYOND_LIMIT, {"limit": NANO}),
    (RejectCode.INSUFFICIENT_FUNDS, {"held": 0}),
]


def open_with(*faults: dict[str, Any]) -> PositionOpened | Rejected:
    """An open into a market with these faults, all at once."""
    everything = {**AGE, **{key: value for fault in faults for key, value in fault.items()}}
    own = {key: everything.pop(key) for key in ("mode", "long_lots") if key in everything}
    order = {key: everything.pop(key) for key in ("late", "leverage", "limit", "held") if key in everything}
    market = new_market(index_market(), BTC_PRICE)
    market.params = replace(market.params, **everything)
    for key, value in own.items():
        setattr(market, key, value)
    if "long_lots" in own:
        market.short_lots = own["long_lots"]
    return try_open(market, **order)


def test_an_open_without_a_fault_is_accepted() -> None:
    assert isinstance(open_with({}), PositionOpened)


@pytest.mark.parametrize(("code", "fault"), OPEN_FAULTS)
def test_an_open_is_refused_for_each_fault_alone(code: RejectCode, fault: dict[str, Any]) -> None:
    assert refused(open_with(fault)).code is code


PAIRS = [(first, second) for n, first in enumerate(OPEN_FAULTS) for second in OPEN_FAULTS[n + 1 :]]


@pytest.mark.parametrize(
    ("first", "second"),
    [(a, b) for a, b in PAIRS if not a[1].keys() & b[1].keys()],
    ids=lambda fault: fault[0].value,
)
def test_of_two_faults_of_an_open_the_first_in_precedence_is_reported(
    first: tuple[RejectCode, dict[str, Any]], second: tuple[RejectCode, dict[str, Any]]
) -> None:
    precedence = list(RejectCode)
    assert precedence.index(first[0]) < precedence.index(second[0])
    assert refused(open_with(first[1], second[1])).code is first[0]


CLOSE_FAULTS: list[tuple[RejectCode, dict[str, Any]]] = [
    (RejectCode.FORBIDDEN, {"user": "bob"}),
    (RejectCode.POSITION_NOT_FOUND, {"position_id": position_id(BTC, 99)}),
    (RejectCode.MARKET_HALTED, {"mode": Mode.HALTED}),
    (RejectCode.PRICE_STALE, {"late": 1_001}),
    (RejectCode.POSITION_CLOSED, {"number": 1}),
    (RejectCode.WOULD_BE_LIQUIDATED, {"share": PPB // 2, "maintenance_fixed": 60 * MICRO}),
    (RejectCode.PRICE_BEYOND_LIMIT, {"acceptable_price": NANO * 60_000}),
]


def close_with(*faults: dict[str, Any]) -> PositionReduced | Rejected:
    order = {key: value for fault in faults for key, value in fault.items()}
    market = fresh(**AGE)
    must_open(market)
    closed = must_open(market)
    apply(market, try_close(market, 2))  # type: ignore[arg-type]
    assert closed.position.number == 2
    market.mode = order.pop("mode", Mode.ENABLED)
    market.params = replace(market.params, maintenance_fixed=order.pop("maintenance_fixed", 0))
    number = 2 if order.pop("number", 0) else 1
    return try_close(market, number, order.pop("share", PPB), **order)


def test_a_close_without_a_fault_is_accepted() -> None:
    assert isinstance(close_with({}), PositionReduced)


@pytest.mark.parametrize(("code", "fault"), CLOSE_FAULTS)
def test_a_close_is_refused_for_each_fault_alone(code: RejectCode, fault: dict[str, Any]) -> None:
    assert refused(close_with(fault)).code is code


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (a, b)
        for n, a in enumerate(CLOSE_FAULTS)
        for b in CLOSE_FAULTS[n + 1 :]
        if {a[0], b[0]}
        not in (
            {RejectCode.FORBIDDEN, RejectCode.POSITION_NOT_FOUND},  # one position cannot be both
            {RejectCode.FORBIDDEN, RejectCode.POSITION_CLOSED},  # a closed position has no owner any more
            {RejectCode.POSITION_NOT_FOUND, RejectCode.POSITION_CLOSED},
        )
    ],
    ids=lambda fault: fault[0].value,
)
def test_of_two_faults_of_a_close_the_first_in_precedence_is_reported(
    first: tuple[RejectCode, dict[str, Any]], second: tuple[RejectCode, dict[str, Any]]
) -> None:
    precedence = list(RejectCode)
    assert precedence.index(first[0]) < precedence.index(second[0])
    assert refused(close_with(first[1], second[1])).code is first[0]


@pytest.mark.parametrize("text", ["", "BTC-PERP", "BTC-PERP-0", "BTC-PERP-01", "ETH-PERP-1", "BTC-PERP-1 ", "-1", "1"])
def test_only_the_position_ids_own_text_names_a_position(text: str) -> None:
    market = fresh()
    must_open(market)

    assert refused(try_close(market, position_id=text)).code is RejectCode.POSITION_NOT_FOUND


def test_an_administrator_closes_anybodys_position() -> None:
    market = fresh()
    must_open(market)

    assert isinstance(try_close(market, user="root", any_owner=True), PositionReduced)


@pytest.mark.parametrize("side", Side)
def test_an_open_takes_the_most_lots_the_size_buys(side: Side) -> None:
    event = must_open(fresh(), SIZE, side)
    one_more = signed(side, abs(event.position.lots) + 1)

    assert abs(event.fill.cost) <= SIZE < abs(fresh().cost(one_more))
    assert (event.position.lots > 0) is (side is LONG)
    assert event.fill.lots == event.position.lots


def test_a_size_below_one_lot_is_too_small() -> None:
    outcome = refused(try_open(fresh(min_order_size=1), 5 * MICRO))

    assert (outcome.code, outcome.facts["one_lot_micros"]) == (RejectCode.POSITION_SIZE_TOO_SMALL, 5 * MICRO + 1)


@pytest.mark.parametrize(("extra", "ok"), [(-1, False), (0, True), (1, True)])
@pytest.mark.parametrize("side", Side)
def test_funds_suffice_to_the_micro(extra: int, ok: bool, side: Side) -> None:
    free = must_open(fresh(), SIZE, side)
    need = free.position.margin + free.fee
    outcome = try_open(fresh(), SIZE, side, held=need + extra)

    assert isinstance(outcome, PositionOpened) is ok
    if isinstance(outcome, Rejected):
        assert outcome.facts == {"required_micros": need, "available_micros": need - 1}


@pytest.mark.parametrize(("extra", "ok"), [(-1, False), (0, True)])
def test_a_wallet_is_emptied_to_the_last_micro_but_not_below(extra: int, ok: bool) -> None:
    free = must_open(fresh())
    venue = Books((index_market(), BTC_PRICE))
    venue.add_user("ann", free.position.margin + free.fee + extra)
    outcome = venue.open("ann", LONG, SIZE)

    assert isinstance(outcome, Rejected) is not ok
    assert venue.ledger.wallet("ann") == (0 if ok else free.position.margin + free.fee + extra)
    assert venue.funds.in_flight == (0, 0)


@given(
    st.integers(1, 10**15),
    st.integers(1, 100),
    st.sampled_from(list(Side)),
    st.integers(-9_000, 9_000),
    st.integers(0, PPB // 1000),
)
def test_what_is_held_is_enough_for_whatever_an_open_costs(
    size: int, leverage: int, side: Side, skew: int, fee: int
) -> None:
    market = fresh(taker_fee=fee, min_order_size=1)
    market.long_lots = max(skew, 0)  # type: ignore[assignment]
    market.short_lots = max(-skew, 0)  # type: ignore[assignment]
    held = bound(size, leverage, fee)
    outcome = try_open(market, size, side, leverage=leverage, held=held)

    assert not isinstance(outcome, Rejected) or outcome.code is not RejectCode.INSUFFICIENT_FUNDS
    if isinstance(outcome, PositionOpened):
        assert outcome.position.margin + outcome.fee <= held


@pytest.mark.parametrize(("size", "leverage", "fee", "held"), [(10, 3, 0, 4), (10, 3, 1, 5), (9, 3, PPB, 12)])
def test_a_hold_is_rounded_up_twice(size: int, leverage: int, fee: int, held: int) -> None:
    assert bound(size, leverage, fee) == held


@pytest.mark.parametrize(
    ("share", "count"),
    [(PPB, 199), (PPB // 2, 99), (1, 1), (PPB // 199, 1), (2 * PPB // 199 + 1, 2), (PPB - 1, 198)],
)
@pytest.mark.parametrize("side", Side)
def test_a_share_closes_its_lots_rounded_down_but_at_least_one(share: int, count: int, side: Side) -> None:
    venue = Books((index_market(), BTC_PRICE))
    venue.add_user("ann")
    position = opened(venue.open("ann", side, 999 * MICRO)).position
    assert abs(position.lots) == 199
    (reduced,) = reductions(venue.close(opened_of(position), share))

    assert abs(reduced.fill.lots) == count
    assert abs(reduced.position.lots) == 199 - count
    assert reduced.margin_released == position.margin * count // 199
    assert reduced.margin_released + reduced.position.margin == position.margin


def opened_of(position: Any) -> PositionOpened:
    return PositionOpened(position, fill=None, fee=0, referral=0, transfers=())  # type: ignore[arg-type]


@given(
    st.integers(10 * MICRO, 40_000 * MICRO),
    st.integers(1, 100),
    st.integers(0, PPB // 1000),
    st.integers(0, PPB),
    st.sampled_from([None, "bob"]),
    st.integers(-3, 3),
)
@settings(max_examples=100)
def test_the_shares_of_a_fee_sum_to_it_exactly(
    size: int, leverage: int, rate: int, share: int, referrer: str | None, moved: int
) -> None:
    venue = Books((index_market(taker_fee=rate, referral_share=share), BTC_PRICE))
    venue.add_user("bob", 0)
    venue.add_user("ann", referrer=referrer)
    first = venue.open("ann", LONG, size, leverage=leverage)
    done(venue.price(BTC_PRICE + moved * BTC_PRICE // 1000))
    if isinstance(first, Rejected) or not venue.markets[BTC].positions:
        return
    start = opened(first)
    (end,) = reductions(venue.close(start))
    for event in (start, end):
        legs = {kind: sum(leg.amount for leg in event.transfers if leg.kind is kind) for kind in TransferKind}
        assert legs[TransferKind.FEE] + legs[TransferKind.REFERRAL] == event.fee
        assert legs[TransferKind.REFERRAL] == event.referral == (event.fee * share // PPB if referrer else 0)
    assert start.fee == -(-abs(start.fill.cost) * rate // PPB)
    assert end.fee == min(-(-abs(end.fill.cost) * rate // PPB), end.settlement)
    assert venue.ledger.wallet("bob") == start.referral + end.referral
    assert venue.ledger.balances.get("fees", 0) == start.fee + end.fee - start.referral - end.referral


@pytest.mark.parametrize(("limit", "ok"), [(None, True), (10**10, True), (0, False)])
def test_a_gain_beyond_the_houses_limit_is_refused_and_nothing_else_changes(limit: int | None, ok: bool) -> None:
    venue = Books((index_market(house_credit_limit=limit), BTC_PRICE))
    venue.add_user("ann")
    position = opened(venue.open("ann", LONG, SIZE))
    done(venue.price(2 * BTC_PRICE))
    outcome = venue.close(position)

    assert isinstance(outcome, Rejected) is not ok
    if isinstance(outcome, Rejected):
        assert outcome.code is RejectCode.HOUSE_CANNOT_PAY
        assert outcome.may_succeed_later
        assert (outcome.facts["house_micros"], outcome.facts["credit_limit_micros"]) == (0, 0)
        assert (venue.markets[BTC].mode, venue.markets[BTC].mode_reason) == (Mode.ENABLED, "")
        assert 1 in venue.markets[BTC].positions


@pytest.mark.parametrize(("short_of", "ok"), [(0, True), (1, False)])
def test_the_houses_limit_is_exact(short_of: int, ok: bool) -> None:
    market = fresh()
    must_open(market)
    market.index_price = 2 * BTC_PRICE  # type: ignore[assignment]
    plain = try_close(market)
    assert isinstance(plain, PositionReduced)
    market.params = replace(market.params, house_credit_limit=5)
    market.house = Micros(plain.pnl - 5 - short_of)

    assert isinstance(try_close(market), PositionReduced) is ok


def test_a_refusal_leaves_no_trace() -> None:
    market = fresh()
    must_open(market)
    before = {name: getattr(market, name) for name in Market.__slots__}
    before["positions"] = dict(market.positions)
    for _, fault in OPEN_FAULTS[5:]:
        open_with(fault)
    refused(try_open(market, leverage=101))
    refused(try_close(market, 7))

    assert {name: getattr(market, name) for name in Market.__slots__} == before
