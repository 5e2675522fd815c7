"""November and December 2017, and November 2018, as they were: fifty traders, four markets, every balance recomputed.

The hourly candles of both stretches are played, four prices an hour, each stretch into two markets, by HTTP into a
venue in a process of its own on its own PostgreSQL. Afterwards the slow model, in fractions, is led through the
prices and fills that REST shows, and must arrive at every balance to the micro.

Two ways to play:

- *all at once*, the last twelve days of each stretch, and the stretches in full in ``make test-faults``: what a half
  hour brings, prices and orders, is sent at once. What comes of it depends on who is first; the books must balance
  whatever it is.
- *in order*, the last week of each stretch: within a market one request follows the answer to the other; the
  four markets run at once. The end then depends on nothing but the script, although rows of different markets
  interleave differently each time:

  - A fill's price follows from its market's index price and skew, which only this market's requests move.
  - Whether an open is refused for want of money follows from the trader's wallet. A trader of one market is paid by
    his own trades and by those he referred, who trade in the same market. The two whales trade everywhere and are
    referred from everywhere, but are never short of money (the script checks), so when they are paid does not matter.
  - A refusal changes nothing, so deciding it again after a crash gives the same; a command that was done is answered
    with its first answer; a price that was taken is refused by its sequence.

  So the same script, run over a venue that is killed in the middle, must end in the same state.
"""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from tests.endtoend.api import client
from tests.endtoend.conftest import Venues
from tests.endtoend.market.audit import Observed, Replay, differences, observe
from tests.endtoend.market.play import HOUSE_DEPOSITS, MARKETS, WHOLE, Play, prepare
from tests.endtoend.venue_process import VenueProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(360)]

SEED: Final = 2017

HOURS_AT_ONCE: Final = 288
"""Of each stretch the last: the crash of December 2017 is in them. Each side is liquidated a dozen times and more."""
HOURS_IN_ORDER: Final = 168
"""Of each stretch the last, too. There are two plays in order, and their requests wait for each other."""
STEPS_IN_ORDER: Final = 2 * HOURS_IN_ORDER * len(MARKETS)
STEPS_TO_REST: Final = STEPS_IN_ORDER // 5
STEPS_TO_KILLS: Final = tuple(STEPS_IN_ORDER * part // 20 for part in range(5, 13))
STEPS_A_LIQUIDATION: Final = 170
"""At most, of longs and of shorts each: the market was a wild one."""


async def never() -> None:
    """No step waits for anything."""


class Killer:
    """Kills a venue, and starts it again, when so many steps have been played.

    Once while all markets rest between two steps, the other times while they are in the middle of theirs.
    """

    def __init__(self, venue: VenueProcess) -> None:
        self._venue = venue
        self._steps = self._resting = 0
        self._restarted = asyncio.Event()
        self._restarts: list[asyncio.Task[None]] = []

    async def before_step(self) -> None:
        """What each market awaits before each step."""
        self._steps += 1
        if self._steps >= STEPS_TO_REST and not self._restarted.is_set():
            self._resting += 1
            if self._resting == len(MARKETS):
                self._venue.kill()
                await asyncio.to_thread(self._venue.start)
                self._restarted.set()
            await self._restarted.wait()
        elif self._steps in STEPS_TO_KILLS:
            self._venue.kill()
            self._restarts.append(asyncio.create_task(asyncio.to_thread(self._venue.start)))

    async def end(self) -> int:
        """Wait for the last restart: how often the venue was killed."""
        await asyncio.gather(*self._restarts)
        return 1 + len(self._restarts)


@pytest.mark.parametrize("hours", [HOURS_AT_ONCE, pytest.param(WHOLE, marks=pytest.mark.faults)])
async def test_every_balance_follows_from_prices_fills_and_deposits(venues: Venues, hours: int) -> None:
    venue = venues()
    venue.start()
    async with client(venue.url) as api:
        play = await prepare(api, SEED, never, hours=hours)
        await play.run(in_order=False)

        check(play, await observe(api, play.users, MARKETS))


async def test_a_venue_killed_in_the_middle_ends_where_one_that_lived_ends(venues: Venues) -> None:
    """The two are played beside each other: an order waits for its answer, and the processor for it."""
    lived, killed = venues("lived"), venues("killed")
    lived.start()
    killed.start()
    killer = Killer(killed)
    async with client(lived.url) as undisturbed, client(killed.url) as disturbed:
        one = await prepare(undisturbed, SEED, never, hours=HOURS_IN_ORDER)
        play = await prepare(disturbed, SEED, killer.before_step, hours=HOURS_IN_ORDER)
        async with asyncio.TaskGroup() as both:
            both.create_task(one.run(in_order=True))
            both.create_task(play.run(in_order=True))
        kills = await killer.end()
        expected, seen = await observe(undisturbed, one.users, MARKETS), await observe(disturbed, play.users, MARKETS)
    assert lived.stop() == 0

    assert differences(expected, seen) == []  # and so one check is of both
    check(play, seen)
    assert seen.stats["epoch"] == 1 + kills == 2 + len(STEPS_TO_KILLS)
    assert play.counts["retried"] >= len(STEPS_TO_KILLS), play.counts
    assert play.counts["replayed"] + play.counts["price_stale"] > 0, "no kill fell between a commit and its answer"


def check(play: Play, seen: Observed) -> None:
    """What REST shows at the end: the market was a wild one, and the books are right."""
    liquidations = {side: len(seen.of_kind("liquidation", side)) for side in ("long", "short")}
    print(dict(play.counts), seen.stats["accounts"], liquidations)
    assert min(liquidations.values()) >= play.steps // STEPS_A_LIQUIDATION, liquidations
    assert play.counts["tick"] + play.counts["price_stale"] == 2 * play.steps
    assert play.counts["max_skew_exceeded"] > 0
    assert play.counts["insufficient_funds"] > 0
    replay = Replay(seen, house_deposits=HOUSE_DEPOSITS, referrers=play.referrers)
    replay.run()
    replay.check()
    assert [market["positions"] for market in seen.stats["markets"]] == [0] * len(MARKETS)
    assert seen.stats["accounts"]["margin"] == seen.stats["accounts"]["total"] == "0.00"
    assert {user.balance["margin"] for user in seen.users.values()} == {"0.00"}
