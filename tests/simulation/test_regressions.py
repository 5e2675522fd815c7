"""Bugs that the simulation has found, each told again step by step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pykka
from msgspec.structs import replace

from actors.core import has_stopped
from actors.messages import Failure, FailureKind, Settled
from actors.vitals import Pulse
from perps.commands import CreateUser, ListMarket, OpenPosition, Side
from perps.journal import Row
from perps.refusals import RejectCode, Rejected
from perps.units import MICRO, Lots, Micros
from tests.perps.build import BTC, BTC_PRICE, index_market, new_open
from tests.simulation.machine.stage import stage

LISTING = ListMarket(params=index_market(), price=BTC_PRICE)  # type: ignore[arg-type]
ANN = CreateUser(user="ann", deposit=Micros(10_000 * MICRO))
OPEN = new_open("ann", Side.LONG, 100 * MICRO)
MARKET = f"market {BTC}"


def poison() -> OpenPosition:
    """An open that its market cannot compute with."""
    words: Any = "not a number"
    return replace(OPEN, max_slippage_bps=words)


def test_a_listing_is_not_sent_to_the_actor_of_the_listing_before_it_that_failed() -> None:
    """It sat in the inbox of an actor that was being stopped: never answered, its deposit pledged for ever."""
    impossible = replace(LISTING, params=replace(LISTING.params, max_skew=Lots(0)))
    with stage(ANN) as venue:
        (failing,) = venue.send(impossible)
        venue.go("supervisor", MARKET, "supervisor", "ledger", MARKET, "ledger", "journal", "supervisor")
        (again,) = venue.send(LISTING)
        venue.go("supervisor", "ledger")
        venue.rest()

        refusal = venue.outcomes[failing]
        assert isinstance(refusal, Rejected)
        assert refusal.code is RejectCode.PARAMETERS_INCONSISTENT
        assert isinstance(venue.outcomes[again], Settled)
        assert venue.actor("ledger")._side.funds.in_flight == (0, 0)


def test_the_end_of_an_actor_does_not_take_away_the_route_to_its_heir() -> None:
    """Every open of that market took the long way, over the supervisor, until the next start."""
    impossible = replace(LISTING, params=replace(LISTING.params, max_skew=Lots(0)))
    with stage(ANN) as venue:
        venue.send(impossible)
        venue.go("supervisor", MARKET, "supervisor", "ledger", MARKET, "ledger", "journal", "supervisor")
        venue.send(LISTING)
        venue.go("supervisor", "ledger", MARKET, "supervisor", "ledger")
        venue.rest()

        assert BTC in venue.actor("ledger")._markets


def test_what_a_dead_market_had_not_begun_is_answered_if_its_successor_cannot_be_built() -> None:
    """The supervisor heard of work and of the death in one batch and told the successor before it was ready."""
    with stage(ANN, LISTING) as venue:
        venue.send(poison())
        venue.go("supervisor", "ledger")
        (behind,) = venue.send(OPEN)
        venue.go("supervisor", MARKET)

        def unreadable(stream: str, after: int = 0) -> Iterator[Row]:
            raise ValueError("the test says so")

        venue.store.rows_of = unreadable  # type: ignore[method-assign]
        venue.rest()

        outcome = venue.outcomes[behind]
        assert isinstance(outcome, Failure)
        assert outcome.kind is FailureKind.UNAVAILABLE
        assert venue.actor("ledger")._side.funds.in_flight == (0, 0)


def test_an_actor_that_dies_just_when_it_is_asked_to_stop_is_not_waited_for() -> None:
    """Nobody answers such a request any more: a rebuild took half a minute."""
    never: pykka.ThreadingFuture[bool] = pykka.ThreadingFuture()
    gone = Pulse("ledger")
    gone.over = True

    assert has_stopped(never, gone)


def test_what_reaches_a_dying_market_just_then_is_done_by_its_successor() -> None:
    """The dying market had it in hand, to put it back, when the supervisor looked for it: nobody did it."""
    with stage(ANN, LISTING) as venue:
        venue.send(poison())
        venue.go("supervisor", "ledger")
        (late,) = venue.send(OPEN)
        venue.go("supervisor")
        venue.go_slowly("ledger", until=f"before → {MARKET}")
        venue.go_slowly(MARKET, until="after → ledger")
        venue.go("ledger", "ledger")
        for _ in range(2):
            if venue.may_go(MARKET):
                venue.go_slowly(MARKET)
        venue.go("journal", "supervisor")
        venue.rest()

        assert isinstance(venue.outcomes[late], Settled)
        assert venue.actor("ledger")._side.funds.in_flight == (0, 0)
