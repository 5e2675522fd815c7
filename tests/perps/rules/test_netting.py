"""A trade of the net position: what it closes and opens, every refusal, and that it is what its parts are alone."""

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from perps.commands import ClosePosition, Side, TradeNet
from perps.events import Events, PositionIncreased, PositionOpened, PositionReduced
from perps.market.position import position_id
from perps.market.state import Market
from perps.params import Execution, Mode
from perps.refusals import RejectCode, Rejected
from perps.rules.netting import NET_CLOSES_MAX, decide_trade
from perps.rules.rule import Given
from perps.sequencer import Moment
from perps.units import MICRO, NANO, PPB, Lots, Micros, Millis, Nano, Ppb
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
    new_open,
    opened,
    quote_market,
    refused,
)
from tests.perps.rules.orders.waiting import Waiting
from tests.perps.rules.trying import AGE, LONG, SHORT, must_open


def trade_of(user: str, side: Side, size: int, *, ticker: str = BTC, leverage: int = 10, **more: Any) -> TradeNet:
    return TradeNet(ticker=ticker, user=user, side=side, size=Micros(size), leverage=leverage, **more)


def books(**changes: Any) -> Books:
    venue = Books((quote_market(**changes), STORY_PRICE))
    for user in ("ann", "bob"):
        venue.add_user(user, RICH)
    return venue


def parts(outcome: Events | Rejected) -> list[Any]:
    """What a trade did."""
    return list(done(outcome))


def trade(venue: Books, side: Side, size: int, **more: Any) -> Events | Rejected:
    more = {"ticker": STORY, "leverage": 3, **more}
    return venue.send(trade_of("ann", side, size, **more))


def open_story(venue: Books, side: Side, lots: int, user: str = "ann") -> PositionOpened:
    """``lots`` of a story are worth about as many US dollars."""
    return opened(venue.open(user, side, lots * MICRO + MICRO // 2, ticker=STORY, leverage=2))


def test_without_positions_it_opens_one() -> None:
    alone, netted = books(), books()
    done(alone.open("ann", LONG, 100 * MICRO, ticker=STORY, leverage=3))

    events = parts(trade(netted, LONG, 100 * MICRO))

    assert [type(event) for event in events] == [PositionOpened]
    assert full_state(netted.ledger, netted.markets) == full_state(alone.ledger, alone.markets)


def test_it_closes_the_other_side_oldest_first_and_opens_what_is_left() -> None:
    venue = books()
    for lots in (10, 20, 30):
        open_story(venue, SHORT, lots)
    short = venue.markets[STORY].short_lots

    events = parts(trade(venue, LONG, 100 * MICRO))

    assert [(type(event).__name__, event.position.number) for event in events] == [
        ("PositionReduced", 1),
        ("PositionReduced", 2),
        ("PositionReduced", 3),
        ("PositionOpened", 4),
    ]
    (position,) = venue.markets[STORY].positions.values()
    assert (position.user, position.leverage) == ("ann", 3)
    assert position.lots == sum(event.fill.lots for event in events) - short > 0
    assert abs(sum(event.fill.cost for event in events) - 100 * MICRO) < 2 * MICRO
    assert len([row for row in venue.rows if row.kind == "trade"]) == 1


def test_a_part_closes_the_oldest_and_leaves_the_rest_of_the_next() -> None:
    venue = books()
    first, second = open_story(venue, LONG, 10), open_story(venue, LONG, 20)

    events = parts(trade(venue, SHORT, 15 * MICRO))

    sold = -sum(event.fill.lots for event in events)
    assert [event.position.number for event in events] == [1, 2]
    assert [event.position.lots for event in events] == [0, first.position.lots + second.position.lots - sold]
    assert first.position.lots < sold <= 15


def test_what_is_on_its_own_side_already_grows_the_oldest_of_it() -> None:
    venue = books()
    open_story(venue, LONG, 10)
    open_story(venue, LONG, 10)
    open_story(venue, SHORT, 5)

    events = parts(trade(venue, LONG, 50 * MICRO))

    assert [(type(event), event.position.number) for event in events] == [(PositionReduced, 3), (PositionIncreased, 1)]


def test_reduce_only_opens_nothing_and_takes_nothing() -> None:
    venue = books()
    open_story(venue, SHORT, 10)

    events = parts(trade(venue, LONG, 100 * MICRO, reduce_only=True))

    assert [event.position.lots for event in events] == [0]
    assert not venue.markets[STORY].positions
    assert trade_of("ann", LONG, MICRO, reduce_only=True).bound(Ppb(PPB)) == 0


def test_a_flip_is_paid_from_what_its_closes_bring() -> None:
    venue = books()
    venue.add_user("cid", 101 * MICRO)
    opened(venue.open("cid", SHORT, 200 * MICRO, ticker=STORY, leverage=2))
    poor = venue.ledger.wallet("cid")
    assert poor < MICRO

    events = parts(venue.send(trade_of("cid", LONG, 390 * MICRO, ticker=STORY, leverage=2)))

    assert [type(event) for event in events] == [PositionReduced, PositionOpened]
    assert 0 <= venue.ledger.wallet("cid") < 10 * MICRO
    too_much = refused(venue.send(trade_of("cid", SHORT, 400 * MICRO, ticker=STORY, leverage=2)))
    assert too_much.code is RejectCode.INSUFFICIENT_FUNDS
    held = venue.markets[STORY].positions[2]
    assert int(too_much.facts["available_micros"]) > held.margin - MICRO


def test_what_a_row_takes_from_its_own_credits_is_no_free_money_and_no_debt() -> None:
    venue = books()
    open_story(venue, SHORT, 100)
    side = venue.sequencer.ledger_side
    command = trade_of("ann", LONG, 150 * MICRO, ticker=STORY, leverage=1)
    held = side.set_aside(command)
    assert not isinstance(held, Rejected)
    free = venue.funds.free("ann")
    market_side = venue.sequencer._market_sides[STORY]
    decisions, _ = market_side.run(command, Moment(venue.at), held)
    for decision in decisions:
        side.place(decision, None, held)

    gained = venue.ledger.wallet("ann") - (free + held.amount)
    assert venue.funds.free("ann") == free + held.amount + min(gained, 0)
    side.committed(side.offset)
    assert venue.funds.free("ann") == venue.ledger.wallet("ann")


def test_a_trade_that_brings_more_than_it_takes_is_spendable_only_once_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    venue = books()
    open_story(venue, SHORT, 100)
    before = venue.ledger.wallet("ann")
    committed = venue.sequencer.ledger_side.committed
    monkeypatch.setattr(venue.sequencer.ledger_side, "committed", lambda _: None)

    done(trade(venue, LONG, 110 * MICRO))

    assert venue.ledger.wallet("ann") > before
    assert venue.funds.free("ann") == before
    committed(venue.sequencer.ledger_side.offset)
    assert venue.funds.free("ann") == venue.ledger.wallet("ann")


def test_a_trade_closes_a_bounded_number_of_positions() -> None:
    venue = books()
    for _ in range(NET_CLOSES_MAX + 1):
        open_story(venue, SHORT, 2)

    too_many = refused(trade(venue, LONG, 1_000 * MICRO))
    events = parts(trade(venue, LONG, 190 * MICRO, reduce_only=True))

    assert too_many.code is RejectCode.USER_LIMIT_EXCEEDED
    assert int(too_many.facts["largest_quantity_lots"]) >= NET_CLOSES_MAX
    assert 0 < len(events) <= NET_CLOSES_MAX


FAULTS: list[tuple[RejectCode, dict[str, Any]]] = [
    (RejectCode.VALIDATION_ERROR, {"leverage": 0}),
    (RejectCode.VALIDATION_ERROR, {"size": 0}),
    (RejectCode.VALIDATION_ERROR, {"execution": Execution.NEXT_PRICE}),
    (RejectCode.POSITION_NOT_FOUND, {"side": SHORT, "reduce_only": True}),
    (RejectCode.MARKET_HALTED, {"mode": Mode.HALTED}),
    (RejectCode.MARKET_REDUCE_ONLY, {"mode": Mode.REDUCE_ONLY}),
    (RejectCode.PRICE_STALE, {"late": 1_001}),
    (RejectCode.HOUSE_CANNOT_PAY, {"index_price": BTC_PRICE // 2, "house_credit_limit": 0}),
    (RejectCode.POSITION_SIZE_TOO_SMALL, {"min_order_size": 10**18}),
    (RejectCode.POSITION_SIZE_TOO_SMALL, {"size": 1}),
    (RejectCode.POSITION_SIZE_TOO_LARGE, {"max_open_interest": 200}),
    (RejectCode.LEVERAGE_TOO_HIGH, {"leverage": 101}),
    (RejectCode.MAX_SKEW_EXCEEDED, {"max_skew": 100}),
    (RejectCode.OPEN_INTEREST_EXCEEDED, {"long_lots": 19_900, "short_lots": 19_900}),
    (RejectCode.USER_LIMIT_EXCEEDED, {"max_notional_per_user": 1}),
    (RejectCode.WOULD_BE_LIQUIDATED, {"maintenance_fixed": 10_000 * MICRO}),
    (RejectCode.PRICE_BEYOND_LIMIT, {"acceptable_price": NANO}),
    (RejectCode.PRICE_BEYOND_LIMIT, {"max_slippage_bps": 0}),
    (RejectCode.INSUFFICIENT_FUNDS, {"held": 0}),
]


@pytest.mark.parametrize(("code", "fault"), FAULTS)
def test_each_fault_refuses_all_of_it_and_changes_nothing(code: RejectCode, fault: dict[str, Any]) -> None:
    params = {name: fault[name] for name in fault if name in index_market().__struct_fields__}
    market = market_with_a_short(**params)
    for name in ("mode", "index_price", "long_lots", "short_lots"):
        if name in fault:
            setattr(market, name, fault[name])
    fields = {name: fault[name] for name in fault if name in TradeNet.__struct_fields__}
    plain = {"ticker": BTC, "user": "ann", "side": LONG, "size": 30_000 * MICRO, "leverage": 10}
    command = TradeNet(**{**plain, **fields})
    held = fault.get("held", RICH)
    before = full_state(Books().ledger, {BTC: market})

    outcome = decide_trade(market, command, Given(Millis(START_MS + fault.get("late", 0)), held=Micros(held)))

    assert isinstance(outcome, Rejected), outcome
    assert outcome.code is code
    assert full_state(Books().ledger, {BTC: market}) == before


def market_with_a_short(**changes: Any) -> Market:
    """A market in which ann is short about 10,000."""
    market = new_market(index_market(**AGE), BTC_PRICE)
    must_open(market, 10_000 * MICRO, SHORT)
    market.params = replace(market.params, **changes)
    return market


def test_without_a_fault_it_is_done() -> None:
    command = trade_of("ann", LONG, 30_000 * MICRO)
    outcome = decide_trade(market_with_a_short(), command, Given(Millis(START_MS), held=Micros(RICH)))

    assert not isinstance(outcome, Rejected)
    assert [type(event) for event in outcome] == [PositionReduced, PositionOpened]


def test_reducing_is_let_through_where_only_that_is() -> None:
    venue = books()
    open_story(venue, SHORT, 10)
    done(venue.mode(Mode.REDUCE_ONLY, ticker=STORY))

    assert refused(trade(venue, LONG, 20 * MICRO)).code is RejectCode.MARKET_REDUCE_ONLY
    done(trade(venue, LONG, 5 * MICRO))
    done(trade(venue, LONG, 20 * MICRO, reduce_only=True))


def test_the_bound_of_the_price_is_on_the_average_of_the_whole_trade() -> None:
    venue = books()
    open_story(venue, SHORT, 1_000)
    price = (STORY_PRICE * 10 * MICRO) * 9_950 // 10_000  # the quote is 1 % below the index at first
    whole = trade_of("ann", LONG, 3_000 * MICRO, ticker=STORY, leverage=3, acceptable_price=Nano(price))

    assert refused(venue.send(whole)).code is RejectCode.PRICE_BEYOND_LIMIT


SIZES = st.integers(1, 60)


@settings(max_examples=120)
@given(
    own=st.lists(st.tuples(st.booleans(), SIZES), max_size=5),
    crowd=st.tuples(st.booleans(), st.integers(0, 900)),
    side=st.sampled_from(list(Side)),
    size=st.integers(1, 250),
    only=st.booleans(),
    price=st.integers(STORY_PRICE * 9 // 10, STORY_PRICE * 11 // 10),
)
def test_a_trade_is_what_closes_and_an_open_one_after_the_other_would_be(
    own: list[tuple[bool, int]], crowd: tuple[bool, int], side: Side, size: int, only: bool, price: int
) -> None:
    ways = []
    for _ in range(2):
        venue = books(maker_fee=Ppb(PPB // 4000), charges_maker_fee=True, min_order_size=Micros(1))
        if crowd[1]:
            open_story(venue, LONG if crowd[0] else SHORT, crowd[1], "bob")
        for is_long, lots in own:
            open_story(venue, LONG if is_long else SHORT, lots)
        done(venue.price(price, ticker=STORY))
        ways.append(venue)
    netted, by_hand = ways

    outcome = trade(netted, side, size * MICRO, reduce_only=only)

    assume(not isinstance(outcome, Rejected))
    for event in parts(outcome):
        match event:
            case PositionReduced(position=position, fill=fill):
                name = position_id(STORY, position.number)
                lots = Lots(abs(fill.lots))
                done(by_hand.send(ClosePosition(ticker=STORY, user="ann", position_id=name, share=Ppb(PPB), lots=lots)))
            case PositionOpened(fill=fill) | PositionIncreased(fill=fill):
                grown = None if isinstance(event, PositionOpened) else position_id(STORY, event.position.number)
                more: dict[str, Any] = {"ticker": STORY, "leverage": 3, "position": grown}
                done(by_hand.send(new_open("ann", side, abs(fill.cost), **more)))
            case _:
                raise AssertionError(event)
    live = full_state(netted.ledger, netted.markets)
    apart = full_state(by_hand.ledger, by_hand.markets)
    assert _but_rows(live) == _but_rows(apart)
    assert live["balances"] == apart["balances"]
    assert full_state(netted.replayed().ledger, netted.replayed().markets) == live
    bound = size * MICRO + 10
    assert sum(abs(event.fill.cost) for event in parts(outcome) if hasattr(event, "fill")) <= bound


def _but_rows(state: dict[str, Any]) -> dict[str, Any]:
    """A market's state, but for how many rows led to it."""
    return {name: value for name, value in state[STORY].items() if name != "seq"}


def test_where_orders_wait_a_refused_trade_says_what_to_send_instead_and_that_does_the_same() -> None:
    """A close, and an open behind it: one price does both, the close first."""
    venue = Waiting()
    held = venue.hold(LONG)
    assert "close your position, then open" in str(refused(venue.send(trade_of("bob", SHORT, MICRO))).facts["rule"])

    done(venue.close(held))
    venue.order(SHORT, 500)
    turned = [event for event in venue.next() if isinstance(event, PositionReduced | PositionOpened)]

    assert [type(event) for event in turned] == [PositionReduced, PositionOpened]
    (left,) = venue.markets[BTC].positions.values()
    assert left.lots < 0
