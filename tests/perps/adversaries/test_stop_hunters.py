"""Those who push a price over the stops of others, and those who set off their own."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from perps.commands import SetTriggers, Side
from perps.market.position import position_id
from perps.params import MarkSource
from perps.units import MICRO, Ticks
from tests.perps.adversaries.test_trading import GANG, LONG, MARKETS, SHORT, gang_venue, leave_all, profit
from tests.perps.build import STORY, STORY_PRICE, Books, done, opened, quote_market

VICTIMS = [f"v{number}" for number in range(20)]


def hunted(source: MarkSource, fees: int) -> tuple[int, int]:
    """20 longs of 100 with stops 1 % below the mark; a hunter sells 1,500 and buys back: what he and they gain."""
    params = replace(quote_market(), mark_source=source, taker_fee=fees, skew_scale=100_000)
    venue = Books((params, STORY_PRICE))
    for user in (*VICTIMS, "hunter"):
        venue.add_user(user)
    before = {user: venue.ledger.wallet(user) for user in (*VICTIMS, "hunter")}
    for user in VICTIMS:
        opened(venue.open(user, LONG, 100 * MICRO, ticker=STORY, leverage=1))
    for number, user in enumerate(VICTIMS, start=1):
        stop = Ticks(venue.markets[STORY].mark * 99 // 100)
        name = position_id(STORY, number)
        done(venue.send(SetTriggers(ticker=STORY, user=user, position_id=name, take_profit=None, stop_loss=stop)))
    sold = venue.open("hunter", SHORT, 1_500 * MICRO, ticker=STORY, leverage=1)
    done(venue.close(opened(sold), ticker=STORY))
    leave_all(venue, STORY, newest_first=True)
    gains = {user: venue.ledger.wallet(user) - before[user] for user in before}
    return gains.pop("hunter"), sum(gains.values())


@pytest.mark.parametrize("fees", [0, 1_000_000])
def test_nobody_hunts_stops_where_the_mark_is_the_index(fees: int) -> None:
    hunter, _ = hunted(MarkSource.INDEX, fees)
    assert hunter <= 0


def test_where_trading_makes_the_mark_a_hunter_lives_on_his_victims_and_on_nobody_else() -> None:
    hunter, victims = hunted(MarkSource.QUOTE, 0)
    print(f"the hunter gains {hunter} micros, his victims {victims}")
    assert 0 < hunter <= -victims


EXITS = st.integers(9_500, 10_500) | st.none()
MOVES = st.lists(
    st.tuples(
        st.sampled_from(GANG),
        st.sampled_from([LONG, SHORT]),
        st.integers(1, 100_000) | st.sampled_from([50_000, 100_000]),
        st.integers(0, 3),
        EXITS,
        EXITS,
    ),
    min_size=1,
    max_size=20,
)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", list(MARKETS))
@settings(max_examples=60)
@given(path=MOVES, newest_first=st.booleans())
def test_no_gang_that_sets_off_its_own_exits_gains_at_a_constant_price(
    name: str, path: list[tuple[str, Side, int, int, int | None, int | None]], newest_first: bool
) -> None:
    params, price = MARKETS[name]
    ticker, venue = params.ticker, gang_venue(params, price)
    cap = 2 * params.max_skew * price * params.unit
    for user, side, part, which, *bps in path:
        levels = [None if each is None else Ticks(price * each // 10_000) for each in bps]
        exits: dict[str, Any] = {"take_profit": levels[0], "stop_loss": levels[1]}
        size = max(cap * part // 100_000, 1)
        venue.open(user, side, size, ticker=ticker, leverage=params.max_leverage, **(exits if which % 2 else {}))
        own = list(venue.markets[ticker].positions.values())
        if which < len(own):
            position = own[which]
            named = position_id(ticker, position.number)
            venue.send(SetTriggers(ticker=ticker, user=position.user, position_id=named, **exits))
    leave_all(venue, ticker, newest_first=newest_first)

    assert profit(venue) <= 0
    assert venue.ledger.total() == 0
