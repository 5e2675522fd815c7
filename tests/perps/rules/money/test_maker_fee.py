"""Who brings the skew nearer to 0 pays the maker's fee, for as many lots as do; in old markets nobody does."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perps.commands import UpdateMarket
from perps.engine import apply
from perps.events import CloseReason, PositionOpened, PositionReduced
from perps.market.listing import check_params
from perps.market.state import Market
from perps.params import MarketParams, ParamChanges
from perps.rules.checks import fill_of, trading_fee
from perps.rules.closing import reduce
from perps.units import MICRO, PPB, Lots, Micros, Ppb, Ticks
from tests.perps.build import BTC, BTC_PRICE, Books, done, index_market, new_market, opened, refused
from tests.perps.rules.trying import LONG, SHORT, must_open, try_close

MAKER, TAKER = PPB // 5_000, PPB // 1_000
RATES: dict[str, Any] = {"maker_fee": Ppb(MAKER), "taker_fee": Ppb(TAKER), "charges_maker_fee": True}


def skewed(skew: int, **changes: Any) -> Market:
    """A market with a skew."""
    market = new_market(index_market(**{**RATES, **changes}), BTC_PRICE)
    market.long_lots, market.short_lots = Lots(max(skew, 0)), Lots(max(-skew, 0))
    return market


# (skew, lots, how many of them are makers): every sign, up to 0, to it, beyond it.
TABLE = [
    (0, 5, 0),
    (0, -5, 0),
    (7, 5, 0),
    (-7, -5, 0),
    (7, -5, 5),
    (-7, 5, 5),
    (5, -5, 5),
    (-5, 5, 5),
    (3, -5, 3),
    (-3, 5, 3),
    (1, -5, 1),
    (-1, 5, 1),
]


@pytest.mark.parametrize(("skew", "lots", "makers"), TABLE)
def test_lots_that_bring_the_skew_nearer_to_nothing_pay_the_makers_rate(skew: int, lots: int, makers: int) -> None:
    market = skewed(skew)
    fill = fill_of(market, Lots(lots))
    rates = makers * MAKER + (abs(lots) - makers) * TAKER
    assert trading_fee(market, fill, market.params.taker_fee) == -(-abs(fill.cost) * rates // (abs(lots) * PPB))


@pytest.mark.parametrize(("skew", "lots", "makers"), TABLE)
def test_in_a_market_from_before_all_lots_pay_the_takers_rate(skew: int, lots: int, makers: int) -> None:
    market = skewed(skew, charges_maker_fee=False)
    fill = fill_of(market, Lots(lots))
    assert makers <= abs(lots)
    assert trading_fee(market, fill, market.params.taker_fee) == -(-abs(fill.cost) * TAKER // PPB)


@given(st.integers(-5_000, 5_000), st.integers(-5_000, 5_000).filter(bool), st.integers(0, TAKER))
@settings(max_examples=300)
def test_a_fee_is_between_the_makers_and_the_takers(skew: int, lots: int, maker: int) -> None:
    market = skewed(skew, maker_fee=Ppb(maker))
    fill = fill_of(market, Lots(lots))
    cost = abs(fill.cost)
    assert -(-cost * maker // PPB) <= trading_fee(market, fill, market.params.taker_fee) <= -(-cost * TAKER // PPB)


def test_an_open_against_the_skew_and_the_close_of_the_crowd_pay_it_and_others_do_not() -> None:
    venue = Books((index_market(**RATES), BTC_PRICE))
    for user in ("ann", "bob"):
        venue.add_user(user)
    crowd = opened(venue.open("ann", LONG, 1_000 * MICRO))
    against = opened(venue.open("bob", SHORT, 500 * MICRO))
    (leaves,) = [event for event in done(venue.close(crowd, PPB // 4)) if isinstance(event, PositionReduced)]
    (adds,) = [event for event in done(venue.close(against)) if isinstance(event, PositionReduced)]

    for event, rate in ((crowd, TAKER), (against, MAKER), (leaves, MAKER), (adds, TAKER)):
        assert event.fee == -(-abs(event.fill.cost) * rate // PPB)


def test_a_liquidation_pays_the_liquidation_fee_whatever_it_does_to_the_skew() -> None:
    market = new_market(index_market(**RATES), BTC_PRICE)
    position = must_open(market).position
    reduced = reduce(market, position, position.lots, CloseReason.LIQUIDATION)
    assert reduced.fee == -(-abs(reduced.fill.cost) * market.params.liquidation_fee // PPB)
    closed = try_close(market)
    assert isinstance(closed, PositionReduced)
    assert closed.fee == -(-abs(closed.fill.cost) * MAKER // PPB)


@pytest.mark.parametrize("reason", [CloseReason.OWNER, CloseReason.TAKE_PROFIT, CloseReason.STOP_LOSS])
def test_the_venue_closes_for_the_fee_that_the_owner_pays_unless_a_liquidation_is_due(reason: CloseReason) -> None:
    market = new_market(index_market(**RATES), BTC_PRICE)
    position = must_open(market).position
    leaves = reduce(market, position, position.lots, reason)
    endangered = reduce(market, position, position.lots, reason, is_endangered=True)

    assert leaves.fee == -(-abs(leaves.fill.cost) * MAKER // PPB)
    assert endangered.fee == -(-abs(endangered.fill.cost) * market.params.liquidation_fee // PPB)


def test_a_settlement_is_free_of_fees() -> None:
    market = new_market(index_market(**RATES), BTC_PRICE)
    position = must_open(market).position
    assert reduce(market, position, position.lots, CloseReason.SETTLEMENT).fee == 0


def test_an_administrator_can_charge_a_makers_fee_in_a_market_from_before() -> None:
    venue = Books((index_market(**{**RATES, "charges_maker_fee": False}), BTC_PRICE))
    for user in ("ann", "bob"):
        venue.add_user(user)
    opened(venue.open("ann", LONG, 1_000 * MICRO))
    fees = [opened(venue.open("bob", SHORT, 100 * MICRO)).fee]
    done(venue.send(UpdateMarket(ticker=BTC, changes=ParamChanges(charges_maker_fee=True))))
    fees.append(opened(venue.open("bob", SHORT, 100 * MICRO)).fee)

    assert 0 < fees[1] * 4 < fees[0]


def test_a_makers_fee_above_the_takers_is_refused_where_it_is_charged() -> None:
    params = index_market(**{**RATES, "maker_fee": Ppb(TAKER + 1)})
    refusal = refused(check_params(params, Ticks(BTC_PRICE)))
    assert refusal.facts == {"rule": "makerFee ≤ takerFee", "maker_fee_ppb": TAKER + 1, "taker_fee_ppb": TAKER}
    assert check_params(index_market(**RATES), Ticks(BTC_PRICE)) is None
    assert check_params(index_market(**{**RATES, "maker_fee": Ppb(TAKER)}), Ticks(BTC_PRICE)) is None


def test_a_market_that_was_listed_before_charges_the_takers_fee_after_the_update() -> None:
    """Its parameters, as an old row or an old snapshot has them, name no ``charges_maker_fee``."""
    stored = msgspec.to_builtins(index_market(maker_fee=Ppb(0)))
    del stored["charges_maker_fee"]
    params = msgspec.msgpack.decode(msgspec.msgpack.encode(stored), type=MarketParams)
    market = new_market(params, BTC_PRICE)
    first = must_open(market, side=LONG)
    against = must_open(market, side=SHORT)
    assert isinstance(against, PositionOpened)
    assert [event.fee for event in (first, against)] == [
        -(-abs(event.fill.cost) * TAKER // PPB) for event in (first, against)
    ]


def test_what_was_paid_before_is_what_the_rows_say_after_a_replay() -> None:
    """Events carry their fees: a replay computes none."""
    market = new_market(index_market(**RATES), BTC_PRICE)
    event = must_open(market)
    free = new_market(index_market(maker_fee=Ppb(0), taker_fee=Ppb(0)), BTC_PRICE)
    apply(free, event)
    assert free.positions == market.positions
    assert event.fee > Micros(0)
