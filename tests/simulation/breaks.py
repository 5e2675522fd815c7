"""Breaks of the product, on purpose: what the simulation must find, or it proves nothing.

Each is a change of one method, for the length of a run. ``test_breaks`` shows that a few hundred seeds find each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import pykka
from msgspec.structs import replace

import actors.core
import actors.market
import actors.recovery
import actors.supervisor
import perps.engine
import perps.rules.checks
import perps.rules.closing
import perps.rules.deleveraging
import perps.rules.funding
import perps.rules.liquidation
import perps.rules.margin
import perps.rules.opening
import perps.rules.settling
import perps.sequencer
from actors.answers import Answers, Step
from actors.base import tell
from actors.core import Core
from actors.journal import JournalActor
from actors.ledger import LedgerActor
from actors.market import MarketActor
from actors.messages import Address, Envelope, ImageTaken, Refused, Sequenced, Settled, Stages, Stopped, Token
from actors.supervisor import Supervisor
from perps.events import Fill
from perps.market.funding import Funding, advanced
from perps.market.levels import Levels
from perps.market.liquidation_order import LiquidationOrder
from perps.market.position import Position
from perps.market.settling import Settling
from perps.market.state import Market
from perps.market.triggers import Exits
from perps.money.funds import Funds
from perps.params import Mode
from perps.rules.liquidation import next_liquidation
from perps.rules.rule import Given
from perps.rules.settling import settlement
from perps.sequencer import MarketSide
from perps.snapshot.images import MarketImage
from perps.units import PPB, Micros, Ppb, div_ceil, div_floor
from perps.venue import replay_market
from tests.simulation.breaks_of_crashes import between_rows, bug_of_its_own, cannot_stop, never_proceeds

Change = tuple[object, str, object]
"""An object, the name of one of its attributes, and what stands there instead."""


def _hold_kept(self: LedgerActor, refused: Refused) -> None:
    """A refusal does not void its hold."""
    self._rows.append(refused)


def _answer_first(commit: Callable[..., None]) -> Callable[..., None]:
    """Rows are published before they are committed."""

    def broken(self: JournalActor, rows: list[Sequenced]) -> None:
        early = [Settled(row.entry, row.token, row.trace_id, Stages(), row.liquidations) for row in rows]
        self._outbox.settled(early)
        commit(self, rows)

    return broken


def _id_kept(self: Answers, envelope: Envelope) -> list[Token]:
    """A command that ended without a row leaves its id in flight."""
    return []


def _waiters_forgotten(done: Callable[..., list[Token]]) -> Callable[..., list[Token]]:
    """Who waits for the first answer never gets it."""

    def broken(self: Answers, *args: Any) -> list[Token]:
        done(self, *args)
        return []

    return broken


def _answers_lost(self: Answers, *args: Any) -> list[Token]:
    """What was answered is not remembered: the same id is done again."""
    return []


def _never_looked_up(admit: Callable[..., object]) -> Callable[..., object]:
    """An id that memory has forgotten is taken for a new one."""

    def broken(self: Answers, envelope: Envelope) -> object:
        step = admit(self, envelope)
        return Step.BEGIN if step is Step.LOOK_UP else step

    return broken


def _leftovers_dropped(self: MarketActor, reason: str, queued: list[Any]) -> None:
    """What stood behind the poison is forgotten."""
    self._ledger.tell([*self._out, Stopped(stream=self._ticker, incarnation=self._incarnation, reason=reason)])


def _rows_dropped(self: MarketActor, reason: str, queued: list[Any]) -> None:
    """What was decided before the poison is forgotten."""
    left = (*self._waiting, *queued)
    stopped = Stopped(stream=self._ticker, incarnation=self._incarnation, reason=reason, leftovers=left)
    self._ledger.tell([*self._out[-1:], stopped])


def _nothing_drained(_: object) -> list[Any]:
    """What reached a dead market's inbox stays there."""
    return []


def _credits_free(self: Funds, offset: int, transfers: object) -> None:
    """Credits may be spent before they are durable."""


def _gap_after_reload(load: Callable[..., Any]) -> Callable[..., Any]:
    """A rebuilt market counts its rows from one too far."""

    def broken(*args: Any) -> Any:
        market = load(*args)
        market.seq += 1
        return market

    return broken


def _swallowed(execute: Callable[..., None]) -> Callable[..., None]:
    """A market lives on after a bug, half-changed."""

    def broken(self: MarketActor, work: Any) -> None:
        try:
            execute(self, work)
        except Exception:  # noqa: BLE001 - that is the break
            return

    return broken


def _refusals_first(flush: Callable[..., None]) -> Callable[..., None]:
    """Refusals overtake the rows they rest on."""

    def broken(self: LedgerActor) -> None:
        early = [row for row in self._rows if isinstance(row, Refused)]
        self._rows = [row for row in self._rows if not isinstance(row, Refused)]
        if early and self._wire is not None:
            self._wire.supervisor.tell(early)
        flush(self)

    return broken


def _no_sweep(*_: object) -> Iterator[Any]:
    """What a crash cut off is not finished."""
    return iter(())


def _spared(next_liquidation: Callable[..., Any]) -> Callable[..., Any]:
    """The last one who is due is left alone."""

    def broken(market: Any, *more: Any) -> Any:
        event = next_liquidation(market, *more)
        return None if event is not None and len(market.positions) == 1 else event

    return broken


def _kept_for_nobody(self: Supervisor, ticker: str, works: list[Any]) -> None:
    """What a dead market could not be told is dropped."""


def _told_too_early(flush: Callable[..., None]) -> Callable[..., None]:
    """What was meant for a market that died is told to its successor before that has its state."""

    def broken(self: Supervisor) -> None:
        for ticker, works in list(self._to_market.items()):
            slot = self._slots.get(ticker)
            if slot is not None and slot.ref is not None and not slot.ready and tell(slot.ref, works):
                del self._to_market[ticker]
        flush(self)

    return broken


def _listing_forgotten(forget: Callable[..., None]) -> Callable[..., None]:
    """What the ledger still sends to the actor of a failed listing is lost."""

    def broken(self: Supervisor, ticker: str, slot: Any) -> None:
        forget(self, ticker, slot)
        self._to_ledger = [each for each in self._to_ledger if not (isinstance(each, Address) and each.market is None)]

    return broken


def _silent(self: LedgerActor, reason: str, queued: list[Any]) -> None:
    """The ledger dies and tells nobody."""


def _waits_for_an_answer(answer: Any, pulse: object, looks_max: int = 0) -> bool:
    """A stop is waited for even if who was asked was just dying."""
    try:
        answer.get(timeout=30.0)
    except pykka.Timeout:
        return False
    return True


def _image_first(self: LedgerActor, token: Token) -> None:
    """An image of the accounts leaves before the rows it rests on."""
    self._outbox.image(ImageTaken(token, self._side.ledger.image(self._side.offset), of=1))


def _unstamped(committed: Callable[..., None]) -> Callable[..., None]:
    """Credits of the last row of each commit stay locked."""

    def broken(self: Funds, offset: int) -> None:
        committed(self, offset - 1)

    return broken


def _remainder_dropped(advanced: Callable[..., Funding]) -> Callable[..., Funding]:
    """What is left of a division of the funding index is forgotten."""

    def broken(*args: Any) -> Funding:
        index, rate, _ = advanced(*args)
        return index, rate, 0

    return broken


def _never_stands(_: object, __: int, given: Given) -> int:
    """Funding counts while a market is halted."""
    return given.at


def _all_of_it(position: Position, *_: object) -> Micros:
    """All margin but a micro can leave a position."""
    return Micros(position.margin - 1)


def _takers_fee(_: Market, fill: Fill, taker_fee: Ppb) -> Micros:
    """The taker's fee, whatever a fill does to the skew."""
    return Micros(div_ceil(abs(fill.cost) * taker_fee, PPB))


def _from_the_start(_: int, __: Market) -> int:
    """Funding of new lots counts from index 0."""
    return 0


def _never_waits(market: Market, since: int, given: Given) -> int:
    """Funding counts while a price waits to be confirmed."""
    return since if market.mode is Mode.HALTED else given.at


def _backwards(settlement: Callable[..., Any]) -> Callable[..., Any]:
    """Winners come first."""

    def broken(market: Market) -> Any:
        *gone, end = (event for event in list(settlement(market)))
        return [*reversed(gone), end]

    return broken


def _nobody(*_: object, **__: object) -> bool:
    return False


def _least_first(mine: Any, theirs: Any) -> bool:
    return bool(mine.over * theirs.under < theirs.over * mine.under)


def _at_the_index(lots: int, settling: Settling, unit: int) -> int:
    """The skew is forgotten."""
    return lots * settling.index_price * unit


def _restored(forget: Callable[[Market], None]) -> Change:
    """A market that is made of an image has forgotten something."""
    from_image = Market.from_image

    def broken(image: MarketImage, order: LiquidationOrder | None = None) -> Market:
        market = from_image(image, order)
        forget(market)
        return market

    return Market, "from_image", broken


def _exits(market: Market) -> None:
    market.exits = Exits()


def _stops(market: Market) -> None:
    market.orders.stops = Levels()


def _limits(market: Market) -> None:
    market.orders.limits = Levels()


def _tiers(market: Market) -> None:
    market.order.rekey(market.positions.values(), replace(market.params, tiers=()))


def _remainder(market: Market) -> None:
    market.funding_carry = 0


def _nothing_wrong(*_: object) -> None:
    """What is checked always passes."""


BREAKS: dict[str, Sequence[Change]] = {
    "a refusal keeps its hold": [(LedgerActor, "_void", _hold_kept)],
    "an answer leaves before its commit": [(JournalActor, "_commit", _answer_first(JournalActor._commit))],
    "an id stays in flight after a refusal": [(Answers, "ended", _id_kept)],
    "who waits for the first answer is forgotten": [(Answers, "done", _waiters_forgotten(Answers.done))],
    "answers are not remembered": [(Answers, "done", _answers_lost)],
    "old ids are not looked up": [(Answers, "admit", _never_looked_up(Answers.admit))],
    "a market's death drops what is queued": [(MarketActor, "on_death", _leftovers_dropped)],
    "a market's death drops what it had decided": [(MarketActor, "on_death", _rows_dropped)],
    "a dead inbox is not drained": [(actors.supervisor, "drain", _nothing_drained)],
    "credits are spendable before their commit": [(Funds, "await_commit", _credits_free)],
    "credits stay locked": [(Funds, "committed", _unstamped(Funds.committed))],
    "a gap in the sequence after a rebuild": [(actors.recovery, "replay_market", _gap_after_reload(replay_market))],
    "a market lives on after a bug": [(MarketActor, "_execute", _swallowed(MarketActor._execute))],
    "a refusal overtakes its reasons": [(LedgerActor, "_flush", _refusals_first(LedgerActor._flush))],
    "no sweep at a market's start": [(perps.sequencer, "sweep", _no_sweep)],
    "somebody who is due is spared": [(perps.engine, "next_liquidation", _spared(next_liquidation))],
    "fees are rounded down": [
        (perps.rules.opening, "div_ceil", div_floor),
        (perps.rules.closing, "div_ceil", div_floor),
        (perps.rules.checks, "div_ceil", div_floor),
    ],
    "margin that is needed comes out": [(perps.rules.margin, "withdrawable", _all_of_it)],
    "who leaves the crowd pays as if joining it": [(perps.rules.closing, "trading_fee", _takers_fee)],
    "funding of new lots counts from the listing": [(perps.rules.opening, "_funding_owed_floor", _from_the_start)],
    "work for a dead market is dropped": [(Supervisor, "_keep", _kept_for_nobody)],
    "a successor is told too early": [(Supervisor, "_flush", _told_too_early(Supervisor._flush))],
    "an image overtakes its rows": [(LedgerActor, "_take_image", _image_first)],
    "the ledger dies in silence": [(LedgerActor, "on_death", _silent)],
    "the dying are waited for": [(actors.core, "has_stopped", _waits_for_an_answer)],
    "funding forgets its remainder": [(perps.rules.funding, "advanced", _remainder_dropped(advanced))],
    "funding counts during a halt": [(perps.rules.funding, "counted_until", _never_stands)],
    "a house pays what it does not have": [
        (perps.rules.closing, "house_cannot_pay", _nothing_wrong),
        (perps.rules.liquidation, "house_cannot_pay", _nothing_wrong),
    ],
    "a held price is acted at": [(perps.rules.checks, "unconfirmed", _nothing_wrong)],
    "funding counts while a price is held": [(perps.rules.funding, "counted_until", _never_waits)],
    "nobody must leave": [(perps.engine, "begins", _nobody)],
    "who has gained least must leave first": [(perps.rules.deleveraging._Rank, "__lt__", _least_first)],
    "a settlement pays winners first": [(perps.engine, "settlement", _backwards(settlement))],
    "a settlement is at the index": [(perps.rules.settling, "settlement_cost", _at_the_index)],
    "a restored market forgets exits": [_restored(_exits)],
    "a restored market forgets stops": [_restored(_stops)],
    "a restored market forgets limits": [_restored(_limits)],
    "a restored market forgets tiers": [_restored(_tiers)],
    "a restored market forgets what is left of its funding": [_restored(_remainder)],
    "commands come between the rows of a crash": [(MarketActor, "handle", between_rows(MarketActor.handle))],
    "a crash stops behind its first rows": [(Supervisor, "_proceed", never_proceeds)],
    "a market dies of a bug of its own": [(MarketSide, "run", bug_of_its_own(MarketSide.run))],
    "what stops a core dies of a bug of its own": [(Core, "stop", cannot_stop)],
    "a failed listing takes the next one along": [(Supervisor, "_forget", _listing_forgotten(Supervisor._forget))],
}


@contextmanager
def broken(name: str) -> Iterator[None]:
    """The product, broken in one way."""
    with ExitStack() as changes:
        for target, attribute, value in BREAKS[name]:
            changes.enter_context(patch.object(target, attribute, value))
        yield
