"""Those who would make use of deleveraging. Each really sets it off, and it pays no more than leaving by oneself."""

from __future__ import annotations

from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from msgspec.structs import replace

from perps.commands import ChangeMargin, ClosePosition, Side, UpdateMarket
from perps.events import CloseReason, PositionReduced
from perps.market.position import Position, position_id
from perps.market.state import Market
from perps.params import ParamChanges
from perps.rules.checks import fill_of
from perps.rules.closing import reduce
from perps.units import MICRO, PICO, PPB, Lots, Micros, Pico, Ppb
from tests.perps.build import STORY, Books, done, opened, quote_market, reductions

LONG, SHORT = Side
GANG = ("ann", "bob", "cid")
S = 10_000
"""100.00: a lot is worth 100 US dollars, as in the design's example."""
NO_FEES: dict[str, Any] = {"taker_fee": Ppb(0), "maker_fee": Ppb(0)}


def deep(**changes: Any) -> Any:
    """A market whose mark is its quote, in which a gang can hold 8,000 lots of a depth of 100,000."""
    terms: dict[str, Any] = {
        "lot_size": Pico(PICO),
        "max_skew": Lots(9_000),
        "max_open_interest": Lots(9_000),
        "maintenance_rate": Ppb(PPB // 5),
        "max_leverage": 4,
        "liquidation_fee": Ppb(PPB // 100),
        **NO_FEES,
        **changes,
    }
    return quote_market(**terms)


def venue_with(price: int, *users: str, **changes: Any) -> Books:
    venue = Books((deep(**changes), price))
    for user in users:
        venue.add_user(user, 10**7 * MICRO)
    return venue


def market_of(venue: Books) -> Market:
    return venue.markets[STORY]


def buy(venue: Books, user: str, lots: int, side: Side = LONG, leverage: int = 2) -> int:
    """Open so many lots; the number of the position."""
    cost = abs(market_of(venue).cost(lots if side is LONG else -lots))
    event = opened(venue.open(user, side, cost, ticker=STORY, leverage=leverage))
    assert abs(event.fill.lots) == lots
    return event.position.number


def leave(venue: Books, *users: str) -> None:
    """Each closes all that is left."""
    for number, position in sorted(market_of(venue).positions.items()):
        if position.user in users:
            name = position_id(STORY, number)
            done(venue.send(ClosePosition(ticker=STORY, user=position.user, position_id=name, share=Ppb(PPB))))


def make_it_tight(venue: Books, part: int = 90) -> None:
    """An administrator's house can pay just so much more than R, and winners must leave from now on."""
    market = market_of(venue)
    limit = Micros(market.liability * 100 // part - market.house)
    changes = ParamChanges(house_credit_limit=limit, deleveraging=True)
    done(venue.send(UpdateMarket(ticker=STORY, changes=changes)))


def same_price(venue: Books) -> list[PositionReduced]:
    """The same price again: who is made to leave."""
    outcome = venue.price(market_of(venue).index_price, ticker=STORY)
    return [event for event in reductions(outcome) if event.reason is CloseReason.DELEVERAGE]


def at_the_mark(market: Market, position: Position, count: int, reason: CloseReason) -> PositionReduced:
    """What would be wrong: paid at the quote as it stands, which the gang has moved itself."""
    closed = count if position.lots > 0 else -count
    fill = replace(fill_of(market, Lots(-closed)), cost=Micros(-closed * market.quote * market.unit))
    return reduce(market, position, count, reason, fill)


def gang_of_8000() -> tuple[int, int]:
    """Ann and Bob buy 8,000 lots above Carl, who has gained on much margin. No price moves. What left, and earned."""
    venue = venue_with(S // 2, "ann", "bob", "carl")
    name = position_id(STORY, buy(venue, "carl", 500, leverage=1))
    done(venue.send(ChangeMargin(ticker=STORY, user="carl", position_id=name, amount=Micros(10**6 * MICRO))))
    done(venue.price(S, ticker=STORY))
    before = venue.wallets("ann", "bob")
    for user in ("ann", "bob"):
        buy(venue, user, 4_000)
    make_it_tight(venue)
    forced = same_price(venue)
    for user in ("bob", "ann"):  # the loser first: the house can pay the winner then
        leave(venue, user)
    return sum(abs(event.fill.lots) for event in forced), venue.wallets("ann", "bob") - before


def test_adversary_10_a_gang_that_pumps_the_mark_earns_nothing_by_being_deleveraged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    forced, earned = gang_of_8000()
    with patch("perps.rules.deleveraging.reduce", at_the_mark):
        forced_wrongly, stolen = gang_of_8000()

    with capsys.disabled():
        print(f"\ngang of 8,000 lots: {forced} forced, earned {earned} micros; at the mark {forced_wrongly}, {stolen}")
    assert forced > 3_800
    assert -10 <= earned <= 0
    assert stolen > 3_000 * MICRO, "at the mark the gang would be paid for a quote that it moved itself"


class Twin:
    """The same venue without deleveraging, in which whoever is made to leave there closes here by himself."""

    def __init__(self, *users: str) -> None:
        self.forced, self.free = (venue_with(S, *users), venue_with(S, *users))
        self.left: list[PositionReduced] = []

    def both(self, act: Any) -> None:
        """Do the same in both."""
        for venue in (self.forced, self.free):
            act(venue)

    def tighten(self, part: int = 90) -> None:
        """Only one has it."""
        make_it_tight(self.forced, part)

    def price(self, price: int) -> None:
        """A price in both, and who must leave."""
        outcome = done(self.forced.price(price, ticker=STORY))
        done(self.free.price(price, ticker=STORY))
        for event in reductions(outcome):
            if event.reason is CloseReason.DELEVERAGE:
                self.left.append(event)
                name, user = position_id(STORY, event.position.number), event.position.user
                lots = Lots(abs(event.fill.lots))
                close = ClosePosition(ticker=STORY, user=user, position_id=name, share=Ppb(PPB), lots=lots)
                done(self.free.send(close))

    def wallets(self, *users: str) -> tuple[int, int]:
        """Of the one and of the other."""
        return self.forced.wallets(*users), self.free.wallets(*users)


@pytest.mark.parametrize("side", Side)
def test_a_winner_who_pushes_others_out_by_closing_his_losing_leg_gets_no_more_than_if_they_had_left_by_themselves(
    side: Side,
) -> None:
    """A loser who leaves raises R and H by the same, so R/H rises: that much he can do. He is the last in the line."""
    sign, other = (1 if side is LONG else -1), (SHORT if side is LONG else LONG)
    twin = Twin("eve", "fay", "dan")
    twin.both(lambda venue: [buy(venue, user, 800, side, leverage=4) for user in ("eve", "fay")])
    twin.both(lambda venue: buy(venue, "dan", 3_000, side, leverage=1))
    twin.both(lambda venue: buy(venue, "dan", 3_000, other, leverage=1))
    twin.price(S + sign * 1_000)
    twin.tighten(80)
    twin.price(S + sign * 1_000)
    assert twin.left == [], "R is 80 % of what the house can pay"

    def close_the_loser(venue: Books) -> None:
        (loser,) = [each for each in market_of(venue).positions.values() if (each.lots > 0) is not (sign > 0)]
        name = position_id(STORY, loser.number)
        done(venue.send(ClosePosition(ticker=STORY, user="dan", position_id=name, share=Ppb(PPB))))

    twin.both(close_the_loser)
    twin.price(S + sign * 1_000)

    assert [event.position.user for event in twin.left][:2] == ["eve", "fay"], "he has really set it off"
    twin.both(lambda venue: leave(venue, "dan"))
    for user in ("dan", "eve", "fay"):
        assert twin.wallets(user)[0] == twin.wallets(user)[1]


def test_nobody_makes_r_rise_by_opening() -> None:
    """One who opens pays the quote, and R measures what leaving brings: whoever opens whatever, R stays as it is."""
    venue = venue_with(S // 2, *GANG)
    buy(venue, "cid", 1_000)
    done(venue.price(S, ticker=STORY))
    make_it_tight(venue, 84)
    market, chance = market_of(venue), Random(7)
    before = market.liability
    opens = 0
    for _ in range(500):
        user, side = chance.choice(GANG), chance.choice([LONG, SHORT])
        outcome = venue.open(user, side, chance.randrange(100, 15_000) * MICRO, ticker=STORY, leverage=2)
        opens += not hasattr(outcome, "code")
        assert same_price(venue) == []
        assert abs(market.liability - before) <= 2 * opens
    assert opens > 100
    assert market.skew == 0, "so nobody would have to leave"
    short = next(each for each in market.positions.values() if each.lots < 0)
    name = position_id(STORY, short.number)
    done(venue.send(ClosePosition(ticker=STORY, user=short.user, position_id=name, share=Ppb(PPB))))
    make_it_tight(venue, 86)
    assert same_price(venue) != [], "it would have shown"


@pytest.mark.parametrize("payer", ["along the curve", "at the mark"])
def test_no_gang_takes_more_than_what_prices_have_moved(payer: str, capsys: pytest.CaptureFixture[str]) -> None:
    """All traders together, at random, with prices that move: what they take is what R has grown by at the prices."""
    forced, taken_most = 0, -(10**18)
    with patch("perps.rules.deleveraging.reduce", at_the_mark if payer == "at the mark" else reduce):
        for seed in range(40):
            count, excess = run(Random(seed))
            forced += count
            taken_most = max(taken_most, excess)

    with capsys.disabled():
        print(f"\n{payer}: {forced} forced in 40 runs, at most {taken_most} micros beyond what prices moved")
    assert forced > 50
    if payer == "along the curve":
        assert taken_most <= 0
    else:
        assert taken_most > MICRO


def run(chance: Random) -> tuple[int, int]:
    """How many positions were made to leave, and how much more than prices moved the gang has in the end, micros."""
    venue = venue_with(S, *GANG, house_credit_limit=Micros(20_000 * MICRO), deleveraging=True)
    market, start = market_of(venue), venue.wallets(*GANG)
    forced = moved = debts = 0
    for _ in range(60):
        user, side = chance.choice(GANG), chance.choice([LONG, LONG, SHORT])
        venue.open(user, side, chance.randrange(1_000, 200_000) * MICRO, ticker=STORY, leverage=chance.randrange(1, 5))
        if chance.random() < 0.3 and market.positions:
            number = chance.choice(sorted(market.positions))
            name, owner = position_id(STORY, number), market.positions[number].user
            venue.send(
                ClosePosition(ticker=STORY, user=owner, position_id=name, share=Ppb(PPB // chance.choice([1, 2])))
            )
        if chance.random() < 0.5:
            price = market.index_price + chance.randrange(-200, 260)
            before = Market.from_image(market.image())
            worth = before.liability
            before.index_price = type(before.index_price)(price)
            moved += before.liability - worth
            for event in reductions(venue.price(price, ticker=STORY)):
                forced += event.reason is CloseReason.DELEVERAGE
                debts += event.bad_debt
    leave_in_turns(venue)
    return forced, venue.wallets(*GANG) - start - moved - debts + fees(venue) - len(venue.rows) * 2


def fees(venue: Books) -> int:
    """What liquidations have cost, which is gone."""
    return market_of(venue).insurance


def leave_in_turns(venue: Books) -> None:
    """Losers first: the house can pay the winners then."""
    market = market_of(venue)
    for _ in range(len(market.positions)):
        for number, position in sorted(market.positions.items()):
            name = position_id(STORY, number)
            venue.send(ClosePosition(ticker=STORY, user=position.user, position_id=name, share=Ppb(PPB)))
