"""A TWAP takes its size in slices: when, how much of it, for what money, and how it ends."""

from itertools import product
from typing import Any

import pytest

from perps.commands import (
    CancelOrder,
    CancelOrders,
    ClosePosition,
    ReplaceOrder,
    SetCancelTimer,
    SetTriggers,
    Side,
    UpdateMarket,
)
from perps.events import (
    OrderCancelled,
    OrderPlaced,
    OrderReplaced,
    PositionIncreased,
    PositionOpened,
    TransferKind,
)
from perps.market.order import POSITION_CLOSED
from perps.market.twap import COMPLETED
from perps.params import Mode, ParamChanges
from perps.refusals import RejectCode
from perps.rules.orders import twap as twap_rule
from perps.rules.orders.resting import BY_OWNER
from perps.units import MICRO, PPB, Lots, Micros, Millis, Nano, Ppb, Ticks
from tests.perps.build import BTC, BTC_PRICE, RICH, STORY, done, events_of, full_state, refused
from tests.perps.rules.orders.resting import LONG, SHORT, books
from tests.perps.rules.orders.slicing import MINUTE, begun, look, position_of, slices_of, twap

TRADES = (PositionOpened, PositionIncreased)


def trades(events: Any) -> list[Any]:
    return [event for event in events if isinstance(event, TRADES)]


def test_the_first_slice_opens_a_position_at_once_and_the_later_ones_increase_it() -> None:
    venue = books()
    placed, first = done(twap(venue))
    assert isinstance(placed, OrderPlaced)
    assert isinstance(first, PositionOpened)
    assert first.position.lots == 49  # of 250.00; a lot is 5.00, and the quote a little above it
    made: list[PositionOpened | PositionIncreased] = [first]
    for n in range(3):
        (event,) = look(venue, MINUTE)
        assert isinstance(event, PositionIncreased)
        made.append(event)
        assert event.order is not None
        assert event.order.twap is not None
        assert event.order.twap.done == n + 2
    assert sum(event.fill.lots for event in made) == position_of(venue).lots  # type: ignore[union-attr]
    assert not venue.markets[BTC].orders.by_number
    assert look(venue, 10 * MINUTE) == ()


def test_each_slice_takes_what_is_left_by_the_slices_left_and_the_last_all_of_it() -> None:
    venue = books()
    begun(venue, size=1_003, slices=7)
    left, sizes = 1_003 * MICRO, list[int]()
    first = slices_of(venue, 1)
    left -= first.cost
    for slices_left in range(6, 0, -1):
        (event,) = trades(look(venue, MINUTE))
        assert abs(event.fill.cost) <= left // slices_left < abs(event.fill.cost) + 6 * MICRO  # less than a lot more
        left -= abs(event.fill.cost)
        sizes.append(abs(event.fill.cost))
        assert event.order.size == left
    assert left < 6 * MICRO
    assert max(sizes) - min(sizes) <= 6 * MICRO


@pytest.mark.parametrize(
    ("side", "leverage", "slices", "size"), list(product((LONG, SHORT), (1, 3, 100), (2, 7, 100), (5_000, 5_001)))
)
def test_the_reserve_pays_for_every_slice_and_what_is_left_of_it_comes_back(
    side: Side, leverage: int, slices: int, size: int
) -> None:
    venue = books()
    placed, first = done(twap(venue, "cid", side, size=size, slices=slices, leverage=leverage))
    assert isinstance(placed, OrderPlaced)
    order = placed.order
    assert order.reserve == -(-size * MICRO // leverage) + size * MICRO // 1000 + 2 * slices
    paid = spent = 0
    events = trades([first])
    for _ in range(slices - 1):
        events += trades(look(venue, MINUTE))
        resting = venue.markets[BTC].orders.reserved
        assert venue.ledger.balances.get(f"orders:{BTC}", 0) == resting
    assert len(events) == slices
    for event in events:
        spent += abs(event.fill.cost)
        paid += sum(leg.amount for leg in event.transfers if leg.kind is not TransferKind.ORDER_RETURN)
    assert spent <= size * MICRO
    assert paid <= order.reserve
    assert venue.ledger.balances.get(f"orders:{BTC}", 0) == 0
    assert venue.ledger.wallet("cid") == RICH - paid
    assert venue.ledger.total() == 0


def test_a_slice_comes_at_its_time_and_at_the_first_look_from_then_on() -> None:
    venue = books()
    begun(venue)
    assert look(venue, MINUTE - 1) == ()
    assert len(trades(look(venue, 1))) == 1
    assert look(venue) == ()
    assert len(trades(done(venue.price(BTC_PRICE + 1)))) == 0
    venue.at = Millis(venue.at + MINUTE)
    assert len(trades(done(venue.price(BTC_PRICE)))) == 1  # any command that is taken is a look
    assert slices_of(venue, 1).done == 3


def test_a_late_slice_is_one_slice_and_those_behind_it_move_back() -> None:
    venue = books()
    begun(venue, slices=10, size=10_000)
    events = look(venue, 5 * MINUTE + 1)
    assert len(trades(events)) == 1
    for _ in range(20):
        assert look(venue, 1_000) == ()
    assert slices_of(venue, 1).done == 2
    assert slices_of(venue, 1).next_at == venue.at - 20_000 + MINUTE
    assert len(trades(look(venue, MINUTE - 20_000))) == 1


def test_two_slices_are_never_closer_than_half_an_interval() -> None:
    venue = books()
    begun(venue)
    assert len(trades(look(venue, 2 * MINUTE - 1))) == 1  # due a minute ago, and the next one in a millisecond
    assert look(venue, MINUTE // 2 - 1) == ()
    assert len(trades(look(venue, 1))) == 1


@pytest.mark.parametrize("mode", [Mode.HALTED, Mode.REDUCE_ONLY])
def test_where_nobody_may_open_slices_wait_and_do_not_catch_up(mode: Mode) -> None:
    venue = books()
    begun(venue, slices=10, size=10_000)
    done(venue.mode(mode))
    for _ in range(5):
        assert look(venue, MINUTE) == ()
    assert slices_of(venue, 1).done == 1
    events = done(venue.mode(Mode.ENABLED))
    assert len(trades(events)) == 1
    assert trades(events)[0].fill.lots <= 2_000 // 10
    assert [look(venue, 1_000) for _ in range(30)] == [()] * 30


def test_at_a_stale_price_slices_wait_and_do_not_catch_up() -> None:
    venue = books(max_price_age=Millis(10_000))
    begun(venue, slices=10, size=10_000)
    for _ in range(5):
        assert trades(look(venue, MINUTE)) == []
    assert len(trades(done(venue.price(BTC_PRICE)))) == 1
    assert [trades(done(venue.price(BTC_PRICE))) for _ in range(30)] == [[]] * 30


def test_a_slice_beyond_its_price_is_skipped_and_its_size_goes_to_the_later_ones() -> None:
    venue = books()
    begun(venue, acceptable_price=Nano(50_100 * 10**9))
    done(venue.price(BTC_PRICE * 102 // 100))
    (event,) = look(venue, MINUTE)
    assert isinstance(event, OrderReplaced)
    assert event.transfers == ()
    state = slices_of(venue, 1)
    assert (state.done, state.skipped, state.reason) == (2, 1, RejectCode.PRICE_BEYOND_LIMIT)
    done(venue.price(BTC_PRICE))
    (event,) = trades(look(venue, MINUTE))
    assert event.fill.lots == 75  # 755.00 / 2


def test_a_slice_that_a_cap_refuses_is_skipped() -> None:
    venue = books(max_notional_per_user=Micros(500 * MICRO))
    begun(venue)
    assert len(trades(look(venue, MINUTE))) == 1
    (event,) = look(venue, MINUTE)
    assert isinstance(event, OrderReplaced)
    assert slices_of(venue, 1).reason == RejectCode.USER_LIMIT_EXCEEDED
    (event,) = look(venue, MINUTE)
    assert isinstance(event, OrderCancelled)
    assert event.reason == COMPLETED
    assert venue.ledger.balances[f"orders:{BTC}"] == 0
    assert venue.ledger.total() == 0


def test_a_twap_whose_slices_were_all_skipped_leaves_nothing_behind() -> None:
    venue = books()
    before = venue.ledger.wallet("bob")
    begun(venue, acceptable_price=Nano(10**9))
    for _ in range(3):
        assert trades(look(venue, MINUTE)) == []
    assert venue.ledger.wallet("bob") == before
    assert not venue.markets[BTC].orders.by_number


def test_the_end_of_the_position_ends_the_twap() -> None:
    venue = books()
    begun(venue)
    before = venue.ledger.wallet("bob")
    position = position_of(venue)
    assert position is not None
    events = done(
        venue.send(ClosePosition(ticker=BTC, user="bob", position_id=f"{BTC}-{position.number}", share=Ppb(PPB)))
    )
    (end,) = events_of(OrderCancelled, events)
    assert end.reason == POSITION_CLOSED
    assert venue.ledger.balances[f"orders:{BTC}"] == 0
    assert venue.ledger.wallet("bob") > before
    assert look(venue, 10 * MINUTE) == ()


def test_its_liquidation_ends_the_twap_in_the_same_row() -> None:
    venue = books()
    begun(venue, leverage=100)
    events = done(venue.price(BTC_PRICE * 98 // 100))
    assert [event.reason for event in events_of(OrderCancelled, events)] == [POSITION_CLOSED]
    assert position_of(venue) is None


def test_a_part_close_between_slices_does_not_end_it() -> None:
    venue = books()
    begun(venue)
    name = f"{BTC}-1"
    done(venue.send(ClosePosition(ticker=BTC, user="bob", position_id=name, share=Ppb(PPB // 2))))
    assert len(trades(look(venue, MINUTE))) == 1


def test_the_position_may_get_its_exits_between_two_slices() -> None:
    venue = books()
    begun(venue)
    done(
        venue.send(
            SetTriggers(
                ticker=BTC,
                user="bob",
                position_id=f"{BTC}-1",
                take_profit=Ticks(BTC_PRICE * 11 // 10),
                stop_loss=Ticks(BTC_PRICE * 9 // 10),
            )
        )
    )
    (event,) = trades(look(venue, MINUTE))
    assert event.position.stop_loss == BTC_PRICE * 9 // 10


def test_cancelling_gives_back_what_is_left_and_leaves_the_position() -> None:
    venue = books()
    order = begun(venue)
    (end,) = done(venue.send(CancelOrder(ticker=BTC, user="bob", order_id=f"{BTC}-o{order.number}")))
    assert isinstance(end, OrderCancelled)
    assert end.reason == BY_OWNER
    assert venue.ledger.balances[f"orders:{BTC}"] == 0
    assert position_of(venue) is not None
    assert look(venue, MINUTE) == ()


def test_cancel_all_and_the_cancel_timer_end_it_as_any_order() -> None:
    venue = books()
    begun(venue)
    begun(venue, "ann")
    assert len(events_of(OrderCancelled, venue.send(CancelOrders(ticker=BTC, user="bob")))) == 1
    done(venue.send(SetCancelTimer(ticker=BTC, user="ann", after_ms=1_000)))
    assert [event.reason for event in events_of(OrderCancelled, look(venue, 1_000))] == ["cancel_timer"]


def test_it_ends_at_its_expiry_with_slices_left() -> None:
    venue = books()
    begun(venue, expires_at=Millis(venue.at + 3 * MINUTE + 1))
    done(venue.mode(Mode.HALTED))
    assert [event.reason for event in events_of(OrderCancelled, look(venue, 5 * MINUTE))] == ["expired"]
    assert venue.ledger.balances[f"orders:{BTC}"] == 0


def test_a_price_behind_its_expiry_makes_no_slice_but_ends_it() -> None:
    venue = books()
    begun(venue, expires_at=Millis(venue.at + 3 * MINUTE + 1))
    venue.at = Millis(venue.at + 4 * MINUTE)
    events = done(venue.price(BTC_PRICE))
    assert trades(events) == []
    assert [event.reason for event in events_of(OrderCancelled, events)] == ["expired"]


def test_it_keeps_its_terms() -> None:
    venue = books()
    begun(venue)
    command = ReplaceOrder(ticker=BTC, user="bob", order_id=f"{BTC}-o1", price=Ticks(BTC_PRICE), known_size=Micros(1))
    refusal = refused(venue.send(command))
    assert refusal.code is RejectCode.VALIDATION_ERROR
    assert "cancel it" in str(refusal.facts["rule"])


def test_a_command_that_has_nothing_to_do_is_a_look_as_well() -> None:
    venue = books()
    begun(venue)
    venue.at = Millis(venue.at + MINUTE)
    (event,) = done(venue.send(CancelOrders(ticker=BTC, user="cid")))
    assert isinstance(event, PositionIncreased)
    assert done(venue.send(CancelOrders(ticker=BTC, user="cid"))) == ()


def test_a_refused_command_is_none() -> None:
    venue = books()
    begun(venue)
    venue.at = Millis(venue.at + MINUTE)
    refused(twap(venue, slices=1))
    assert slices_of(venue, 1).done == 1


def test_many_slices_that_are_due_at_once_come_over_several_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twap_rule, "PER_SWEEP_MAX", 3)
    venue = books()
    for _ in range(10):
        done(twap(venue, size=100, slices=2))
    counts = [len(trades(look(venue, wait_ms))) for wait_ms in (MINUTE, 0, 0, 0, 0)]
    assert counts == [3, 3, 3, 1, 0]


def test_the_fee_is_the_lower_one_of_placement_and_now() -> None:
    for fee, charged in ((PPB // 1000, PPB // 2000), (PPB // 4000, PPB // 4000)):
        venue = books(taker_fee=Ppb(PPB // 2000), maker_fee=Ppb(PPB // 2000))
        begun(venue, "cid")
        changes = ParamChanges(taker_fee=Ppb(fee), maker_fee=Ppb(fee))
        done(venue.send(UpdateMarket(ticker=BTC, changes=changes)))
        (event,) = trades(look(venue, MINUTE))
        assert event.fee == -(-abs(event.fill.cost) * charged // PPB)


def test_a_settlement_ends_it() -> None:
    venue = books()
    begun(venue)
    done(venue.mode(Mode.SETTLED))
    assert not venue.markets[BTC].orders.by_number
    assert venue.ledger.total() == 0


def test_a_replay_and_every_restored_image_go_on_in_the_same_way() -> None:
    venue = books()
    begun(venue, size=5_000, slices=20, interval=Millis(1_000))
    begun(venue, "ann", SHORT, size=3_000, slices=5)
    begun(venue, "cid", ticker=STORY, size=500, leverage=2, slices=50, interval=Millis(2_000))
    for n in range(60):
        done(venue.price(BTC_PRICE + n * 1_000 * (-1) ** n))
        look(venue, 1_700)
        look(venue, ticker=STORY)
    replayed = venue.replayed()
    assert full_state(replayed.ledger, replayed.markets) == full_state(venue.ledger, venue.markets)
    assert venue.ledger.total() == 0


def test_lots_and_money_of_a_slice_are_those_of_the_order() -> None:
    venue = books()
    begun(venue, side=SHORT)
    state = slices_of(venue, 1)
    position = position_of(venue)
    assert position is not None
    assert (-state.lots, state.cost) == (position.lots, position.entry_cost)
    assert position.lots == Lots(-50)
