"""Size tiers: what is larger keeps more and may have less leverage; the whole position is at the rate of its tier."""

from typing import Any

import pytest
from msgspec.structs import replace

from perps.commands import ChangeMargin, ClosePosition, OrderKind, PlaceOrder, Side, UpdateMarket
from perps.events import PositionIncreased, PositionOpened
from perps.market.position import equity, initial_margin, is_liquidatable, liquidation_price, maintenance, position_id
from perps.market.state import Market
from perps.params import ParamChanges, Tier
from perps.refusals import RejectCode, Rejected
from perps.snapshot.images import MarketImage
from perps.units import MICRO, PPB, Lots, Micros, Ppb, Ticks
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    Books,
    done,
    events_of,
    full_state,
    index_market,
    new_open,
    opened,
    reductions,
    refused,
)

LONG, SHORT = Side.LONG, Side.SHORT
TIERS = (
    Tier(Lots(200), Ppb(PPB // 200), 100),
    Tier(Lots(1_000), Ppb(PPB // 50), 20),
    Tier(Lots(20_000), Ppb(PPB // 10), 5),
)
"""At the first price a lot is worth 5, so the first tier ends at 1,000 and the second at 5,000."""


def books(**changes: Any) -> Books:
    venue = Books((index_market(tiers=TIERS, **changes), BTC_PRICE))
    for user in ("ann", "bob"):
        venue.add_user(user)
    return venue


TOO_HIGH = [(500, 101, 100, 0), (2_000, 21, 20, 200), (6_000, 6, 5, 1_000), (6_000, 20, 5, 1_000), (6_000, 21, 5, 200)]
"""Size, a leverage that is too high for it, the highest, and the largest position in lots that may have it."""


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize(("size", "leverage", "highest", "lots"), TOO_HIGH)
def test_the_leverage_of_an_open_is_bounded_by_its_size_and_the_size_that_is_named_fits(
    side: Side, size: int, leverage: int, highest: int, lots: int
) -> None:
    venue = books()
    refusal = refused(venue.open("ann", side, size * MICRO, leverage=leverage))

    assert refusal.code is RejectCode.LEVERAGE_TOO_HIGH
    assert (refusal.facts["leverage"], refusal.facts["max_leverage"]) == (leverage, highest)
    assert refusal.facts["largest_quantity_lots"] == lots
    done(venue.open("ann", side, size * MICRO, leverage=highest))
    if not lots:
        assert refusal.facts["largest_size_micros"] == 0
        return
    again = books()
    fits = int(refused(again.open("ann", side, size * MICRO, leverage=leverage)).facts["largest_size_micros"])
    assert abs(opened(again.open("ann", side, fits, leverage=leverage)).position.lots) == lots
    one_more = fits + BTC_PRICE * 2
    assert refused(again.open("ann", side, one_more, leverage=leverage)).code is RejectCode.LEVERAGE_TOO_HIGH


@pytest.mark.parametrize("side", Side)
def test_what_is_added_is_bounded_by_the_size_of_the_whole(side: Side) -> None:
    venue = books()
    first = opened(venue.open("ann", side, 900 * MICRO, leverage=50)).position
    name = position_id(BTC, first.number)
    more = new_open("ann", side, 600 * MICRO, leverage=50, position=name)
    refusal = refused(venue.send(more))

    assert refusal.code is RejectCode.LEVERAGE_TOO_HIGH
    assert refusal.facts["max_leverage"] == 20
    assert int(refusal.facts["quantity_lots"]) > 200
    fits = replace(more, size=Micros(int(refusal.facts["largest_size_micros"])))
    (grown,) = events_of(PositionIncreased, venue.send(fits))
    assert abs(grown.position.lots) == 200
    assert refused(venue.send(more)).facts["largest_size_micros"] == 0
    (grown,) = events_of(PositionIncreased, venue.send(replace(more, leverage=20)))
    assert abs(grown.position.lots) > 200


@pytest.mark.parametrize("side", Side)
def test_an_order_is_bounded_by_the_size_that_it_has_at_its_price(side: Side) -> None:
    venue = books()
    fields: dict[str, Any] = {"ticker": BTC, "user": "ann", "order": OrderKind.LIMIT, "side": side}
    price = Ticks(BTC_PRICE // 2 if side is LONG else BTC_PRICE * 2)
    asked = PlaceOrder(**fields, size=Micros(4_000 * MICRO), leverage=50, price=price)
    refusal = refused(venue.send(asked))

    assert refusal.code is RejectCode.LEVERAGE_TOO_HIGH
    assert refusal.facts["largest_quantity_lots"] == 200
    done(venue.send(replace(asked, size=Micros(int(refusal.facts["largest_size_micros"])))))


def test_an_order_that_fills_at_a_better_price_gets_as_many_lots_as_its_leverage_may_have() -> None:
    """At its price it is 200 lots, which is the first tier's most; after a gap its size would pay for more."""
    venue = books()
    fields: dict[str, Any] = {"ticker": BTC, "user": "ann", "order": OrderKind.LIMIT, "side": LONG, "leverage": 50}
    price = Ticks(BTC_PRICE * 9 // 10)
    done(venue.send(PlaceOrder(**fields, size=Micros(200 * price), price=price)))
    filled = opened(venue.price(BTC_PRICE * 8 // 10))

    assert filled.position.lots == 200
    assert filled.position.leverage == 50
    assert venue.ledger.balances[f"orders:{BTC}"] == 0


@pytest.mark.parametrize(("side", "sign"), [(LONG, 1), (SHORT, -1)])
def test_margin_comes_out_down_to_what_the_size_needs(side: Side, sign: int) -> None:
    venue = books()
    position = opened(venue.open("ann", side, 4_000 * MICRO, leverage=2)).position
    market = venue.markets[BTC]
    needed = initial_margin(position.lots, market.mark, market.params)
    out = ChangeMargin(
        ticker=BTC, user="ann", position_id=position_id(BTC, position.number), amount=Micros(-position.margin)
    )
    refusal = refused(venue.send(out))

    assert needed == -(-abs(position.lots) * BTC_PRICE // 20)
    assert refusal.facts["initial_margin_micros"] == needed
    done(venue.send(replace(out, amount=Micros(-int(refusal.facts["available_micros"])))))
    stands = market.positions[position.number]
    worth = equity(stands, market.mark, market.unit, market.funding_index)
    assert min(stands.margin, worth) >= needed > min(stands.margin, worth) - 2
    assert sign * stands.lots > 0


SIZES = [(900, 10, PPB // 200), (4_000, 10, PPB // 50), (10_000, 4, PPB // 10)]


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize(("size", "leverage", "rate"), SIZES)
def test_a_position_is_liquidated_at_the_rate_of_its_size(side: Side, size: int, leverage: int, rate: int) -> None:
    """At the price that it shows, and not a tick before."""
    venue = books()
    position = opened(venue.open("ann", side, size * MICRO, leverage=leverage)).position
    market = venue.markets[BTC]
    due = liquidation_price(position, market.params, market.funding_index)
    before = due + 1 if side is LONG else due - 1

    assert maintenance(position.lots, BTC_PRICE, market.params) == -(-abs(position.lots) * BTC_PRICE * rate // PPB)
    assert reductions(venue.price(before)) == []
    (event,) = reductions(venue.price(due))
    assert event.position.number == position.number


def test_who_shrinks_into_a_smaller_tier_is_at_its_rate() -> None:
    venue = books()
    position = opened(venue.open("ann", LONG, 4_000 * MICRO, leverage=20)).position
    market = venue.markets[BTC]
    large = liquidation_price(position, market.params, market.funding_index)
    name = position_id(BTC, position.number)
    done(venue.send(ClosePosition(ticker=BTC, user="ann", position_id=name, share=Ppb(PPB * 9 // 10))))
    rest = market.positions[position.number]

    assert liquidation_price(rest, market.params, market.funding_index) < large
    assert reductions(venue.price(large)) == []


def test_the_most_endangered_comes_first_whatever_its_tier() -> None:
    """Three longs at their own rates; the price falls below all of their liquidation prices."""
    venue = books()
    sizes = ((900, 10), (4_000, 10), (10_000, 5))
    numbers = [opened(venue.open("ann", LONG, size * MICRO, leverage=best)).position for size, best in sizes]
    market = venue.markets[BTC]
    prices = {each.number: liquidation_price(each, market.params, market.funding_index) for each in numbers}
    low = min(prices.values()) - 1_000
    beyond = {
        each.number: (maintenance(each.lots, low, market.params) - equity(each, low, 1, market.funding_index))
        / abs(each.lots)
        for each in numbers
    }
    gone = [event.position.number for event in reductions(venue.price(low))]

    assert gone == sorted(beyond, key=lambda number: -beyond[number])


def change(venue: Books, *, force: bool = False, **changes: Any) -> Any:
    return venue.send(UpdateMarket(ticker=BTC, changes=ParamChanges(**changes), force=force))


def test_tiers_that_endanger_somebody_are_refused_and_liquidate_him_when_they_are_forced() -> None:
    venue = Books((index_market(), BTC_PRICE))
    venue.add_user("ann")
    large = opened(venue.open("ann", LONG, 4_000 * MICRO, leverage=60)).position
    small = opened(venue.open("ann", LONG, 400 * MICRO, leverage=60)).position
    refusal = refused(change(venue, tiers=TIERS))

    assert (refusal.code, refusal.facts["positions"]) == (RejectCode.WOULD_BE_LIQUIDATED, 1)
    (event,) = reductions(change(venue, tiers=TIERS, force=True))
    assert event.position.number == large.number
    assert small.number in venue.markets[BTC].positions


def test_after_a_change_of_tiers_everybody_is_where_a_market_built_anew_has_him() -> None:
    venue = books()
    for size, leverage in ((100, 10), (900, 10), (4_000, 8), (10_000, 4)):
        for user, side in (("ann", LONG), ("bob", SHORT)):
            opened(venue.open(user, side, size * MICRO, leverage=leverage))
    others = (TIERS[0], replace(TIERS[1], max_lots=Lots(500)), TIERS[2])
    for tiers in (others, (), TIERS):
        done(change(venue, tiers=tiers))
        market = venue.markets[BTC]
        again = Market.from_image(MarketImage.from_chunks(list(market.image().chunks())))
        assert full_state(venue.ledger, {BTC: again}) == full_state(venue.ledger, {BTC: market})
        assert len(market.order) == 8
    assert full_state(venue.ledger, venue.replayed().markets) == full_state(venue.ledger, venue.markets)


def test_a_change_of_the_first_rate_alone_names_the_rule() -> None:
    refusal = refused(change(books(), maintenance_rate=Ppb(PPB // 150)))

    assert refusal.facts["rule"] == "the first tier has the market's maintenanceRate and maxLeverage"


RULES: list[tuple[str, tuple[Tier, ...]]] = [
    ("first tier", (replace(TIERS[0], max_leverage=99), *TIERS[1:])),
    ("first tier", (replace(TIERS[0], maintenance_rate=Ppb(PPB // 201)), *TIERS[1:])),
    ("maxQuantity rises", (TIERS[0], replace(TIERS[1], max_lots=Lots(200)), TIERS[2])),
    ("maintenanceRate does not fall", (TIERS[0], replace(TIERS[1], maintenance_rate=Ppb(PPB // 300)), TIERS[2])),
    ("maxLeverage does not rise", (TIERS[0], TIERS[1], replace(TIERS[2], max_leverage=21, maintenance_rate=PPB // 50))),
    ("maintenanceRate < 1/maxLeverage", (TIERS[0], replace(TIERS[1], max_leverage=50), TIERS[2])),
    ("0 < maxQuantity", (replace(TIERS[0], max_lots=Lots(0)), *TIERS[1:])),
    ("1 ≤ maxLeverage of each tier", (*TIERS[:2], replace(TIERS[2], max_leverage=0))),
    ("at least maxOpenInterest", TIERS[:2]),
    ("at most 32 tiers", tuple(replace(TIERS[0], max_lots=Lots(lots)) for lots in range(1, 34))),
]


@pytest.mark.parametrize(("rule", "tiers"), RULES)
def test_tiers_that_do_not_fit_together_are_refused(rule: str, tiers: tuple[Tier, ...]) -> None:
    refusal = refused(change(books(), tiers=tiers))

    assert refusal.code is RejectCode.PARAMETERS_INCONSISTENT
    assert rule in str(refusal.facts["rule"])


def test_nobody_who_opens_or_grows_is_due_at_once_whatever_the_tier() -> None:
    venue = books()
    for size in range(100, 9_000, 837):
        outcome = venue.open("ann", LONG, size * MICRO, leverage=100)
        if isinstance(outcome, Rejected):
            best = int(outcome.facts["max_leverage"])
            outcome = venue.open("ann", LONG, size * MICRO, leverage=best)
        (made,) = [event for event in done(outcome) if isinstance(event, PositionOpened)]
        market = venue.markets[BTC]
        assert not is_liquidatable(made.position, market.mark, market.params, market.funding_index)
