"""What the checks of a simulation ask for, and of whom."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import pytest
from msgspec.structs import replace

from actors.limits import DEADLINE_MS
from actors.vitals import Pulse
from perps.commands import CreateUser, ListMarket, PriceSource, Side, UpdatePrice
from perps.sequencer import Decision, MarketSide
from perps.units import MICRO, Micros, Ticks
from tests.perps.build import BTC, BTC_PRICE, index_market, new_open
from tests.simulation.checks import Checks
from tests.simulation.machine.scheduler import NS_PER_MS
from tests.simulation.machine.stage import Stage, stage

LISTING = ListMarket(params=index_market(), price=Ticks(BTC_PRICE))
USERS = ("ann", "bob", "cid")
CREATED = [CreateUser(user=user, deposit=Micros(10_000 * MICRO)) for user in USERS]
OPENED = [replace(new_open(user, Side.LONG, 100 * MICRO), leverage=50) for user in USERS]
CRASH = UpdatePrice(ticker=BTC, price=Ticks(BTC_PRICE * 9 // 10), source=PriceSource.ORACLE)


class Planned(RuntimeError):
    """What kills a market here."""


def ended_amid_a_crash(venue: Stage, *, comes_back: bool) -> Checks:
    """The checks of a venue whose market dies after the first of three liquidations, once everybody is at rest."""
    checks = Checks(venue.store, venue.scheduler)
    checks.durable(venue.store.durable)
    step, finish = Pulse.step, MarketSide.finish
    first = venue.actor(f"market {BTC}").pulse

    def dies(pulse: Pulse) -> None:
        if pulse is first:
            raise Planned
        step(pulse)

    def fails(side: MarketSide) -> Iterator[Decision]:
        if comes_back:
            return finish(side)
        raise Planned

    with patch.object(Pulse, "step", dies), patch.object(MarketSide, "finish", fails):
        venue.send(CRASH)
        venue.rest()
    venue.scheduler.time.advance(DEADLINE_MS * NS_PER_MS)
    venue.process.expire()
    checks.at_rest(venue.process)
    return checks


@pytest.mark.parametrize("comes_back", [True, False])
def test_of_a_market_that_is_down_nobody_must_have_left(*, comes_back: bool) -> None:
    """It does nothing until the venue is started again, and then whoever is due in it leaves first."""
    with stage(*CREATED, LISTING, *OPENED, liquidations_per_row=1) as venue:
        checks = ended_amid_a_crash(venue, comes_back=comes_back)

        assert checks.complaints == []
        assert len(checks.oracle.state.markets[BTC].positions) == (0 if comes_back else 2)
        checks.oracle.check_at_rest()
        assert bool(checks.complaints) is not comes_back
