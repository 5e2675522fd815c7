"""From a command to its row: hold, decide, post, give the row its place. What the actors run, without the actors.

``MarketSide`` is one market's half, run in its mailbox; ``LedgerSide`` is the ledger's. Between the two travel values:
``Held`` (money set aside, to the market) and ``Decision`` (a row to be written, to the ledger). ``Sequencer`` is both
halves in one thread: tests, the simulation's oracle and benchmarks run the same rules through it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from perps.commands import (
    OUTSIDE,
    SWEEP,
    Command,
    FundedCommand,
    LedgerCommand,
    ListMarket,
    MarketCommand,
    UpdateMarket,
)
from perps.engine import Part, apply_ledger, decide_ledger, effects_of, execute, sweep
from perps.events import (
    SCHEMA_VERSION,
    CloseReason,
    Events,
    MarketListed,
    ParamsChanged,
    PositionReduced,
    Transfer,
    encode_events,
    subject_of,
)
from perps.fingerprints import fingerprint
from perps.journal import LEDGER_STREAM, Entry, Row, make_row
from perps.market.state import Market
from perps.market.sums import MarketSums
from perps.money.accounts import house_account
from perps.money.funds import Funds
from perps.money.ledger import Ledger, Leg
from perps.params import MarketParams, changed
from perps.refusals import Fact, InvariantViolated, RejectCode, Rejected
from perps.rules.listing import decide_list
from perps.rules.rule import Given
from perps.rules.users import check_deposit
from perps.units import HOUSE_DEBT_MAX, Micros, Millis, Ppb
from perps.venue import VenueState


class Held(Struct, frozen=True, gc=False):
    """What the ledger has set aside for a command: less than it can take, if there is less."""

    payer: str
    amount: Micros
    referrer: str | None = None
    credit: Micros = Micros(0)
    """How much further below 0 a house is to be allowed to go, out of what all houses together may."""


NOTHING_HELD: Final = Held("", Micros(0))
"""For a command that takes no money."""


class Decision(Struct, frozen=True, gc=False):
    """One row a market or the ledger wants written; already true in its own memory."""

    stream: str
    seq: int
    at: Millis
    kind: str
    events: Events
    sums: MarketSums | None = None
    """What the market's accounts must hold after this row; None: the ledger's own."""
    liquidations: int = 0
    """In this row."""
    goes_on: bool = False
    """The next row of this market goes on with what the command behind this one led to."""


class Origin(Struct, frozen=True, gc=False):
    """Who sent the command behind a row."""

    sender: str
    client_order_id: str | None
    fingerprint: bytes


class Moment(Struct, frozen=True, gc=False):
    """The time of one decision, from whoever has a clock."""

    now_ms: Millis
    """Never falls, and runs at least as fast as a clock that nobody can set."""
    ahead_ms: int = 0
    """How far ``now_ms`` runs before the system's clock; 0 unless that was set back."""


class MarketSide:
    """One market: runs each command and says which rows it makes."""

    __slots__ = ("_doubtful_price_at", "_ticker", "market")

    def __init__(self, ticker: str, market: Market | None = None, moment: Moment | None = None) -> None:
        """``market``: as recovered, at ``moment``; None: it is yet to be listed.

        If the system's clock was behind then, nobody knows how long the venue was down: the price it has counts as too
        old until the next one.
        """
        self._ticker, self.market = ticker, market
        in_doubt = market is not None and moment is not None and moment.ahead_ms > 0
        self._doubtful_price_at = market.price_at if market is not None and in_doubt else None

    def run(
        self, command: MarketCommand, moment: Moment, held: Held = NOTHING_HELD
    ) -> tuple[Iterator[Decision], Rejected | None]:
        """Do one command: the rows it makes, or the refusal.

        Each row is made when it is asked for, and may be handed on before the next. Ask for all before anything else.
        """
        market = self.market
        if isinstance(command, ListMarket):
            return self._list(command, moment, held)
        if market is None:
            raise InvariantViolated(f"{type(command).__name__} for {self._ticker}, which is not listed")
        at = max(market.at, moment.now_ms)
        given = Given(at, self._doubtful_price_at, moment.ahead_ms, held.amount, held.referrer)
        rows, refused = execute(market, command, given)
        return self._rows(market, command.kind, at, rows), refused

    def finish(self) -> Iterator[Decision]:
        """The rows of consequences that a crash cut off, as ``run`` makes them: at the time that they were due."""
        market = self.market
        if market is None:
            return iter(())
        given = Given(market.at, self._doubtful_price_at)
        return self._rows(market, SWEEP, market.at, sweep(market, given))

    def _list(self, command: ListMarket, moment: Moment, held: Held) -> tuple[Iterator[Decision], Rejected | None]:
        decided = decide_list(self.market, command, Given(moment.now_ms, held=held.amount))
        if isinstance(decided, Rejected):
            return iter(()), decided
        self.market = market = Market(decided[0])
        return self._rows(market, command.kind, moment.now_ms, (Part(decided),)), None

    def _rows(self, market: Market, kind: str, at: Millis, parts: Iterable[Part]) -> Iterator[Decision]:
        for events, goes_on in parts:
            market.at = at
            market.seq += 1
            sums, liquidations = MarketSums.of(market), _liquidations(events)
            yield Decision(self._ticker, market.seq, at, kind, events, sums, liquidations, goes_on)
            kind = SWEEP


class LedgerSide:
    """The ledger: sets money aside before a market decides, and gives each row its place afterwards.

    A place is offset, posted money and hash. A row leaves here with the balances it leads to checked: no wallet below
    0, Σ = 0, and each market's accounts as the market says.
    """

    def __init__(
        self, ledger: Ledger, *, offset: int, last_hash: bytes, epoch: int, markets: Iterable[MarketParams] = ()
    ) -> None:
        self.ledger, self.funds = ledger, Funds(ledger)
        self.offset, self.last_hash, self.epoch = offset, last_hash, epoch
        self._markets = {params.ticker: params for params in markets}
        self._credit: int = sum(self._credit_of(params) for params in self._markets.values())
        """How far below 0 all houses together may go, listings in flight included."""

    @classmethod
    def of(cls, state: VenueState, epoch: int) -> LedgerSide:
        """The ledger of a recovered state."""
        markets = [market.params for market in state.markets.values()]
        return cls(state.ledger, offset=state.offset, last_hash=state.last_hash, epoch=epoch, markets=markets)

    def set_aside(self, command: FundedCommand) -> Held | Rejected:
        """Hold what a command can take, or all there is; of money from outside, all of it or nothing.

        A wallet that holds too little is no refusal here: the market decides, so that the refusal reported is the
        first in precedence and its numbers are exact.
        """
        payer = command.payer
        if payer == OUTSIDE:
            return self._pledge(command)
        referrers = self.ledger.referrers
        if payer not in referrers:
            return Rejected(code=RejectCode.USER_NOT_FOUND, facts={"user": payer})
        bound = command.bound(self._markets[command.ticker].taker_fee)
        amount = Micros(min(bound, self.funds.free(payer)))
        self.funds.hold(payer, amount)
        return Held(payer, amount, referrers[payer])

    def void(self, held: Held) -> None:
        """A command that money was held for has ended without a row."""
        self._release(held)
        self._credit -= held.credit

    def decide(self, command: LedgerCommand, now_ms: Millis) -> Decision | Rejected:
        """Decide what concerns one wallet and the outside."""
        decided = decide_ledger(self.funds, command, Given(now_ms))
        if isinstance(decided, Rejected):
            return decided
        for event in decided:
            apply_ledger(self.ledger, event)
        self.ledger.seq += 1
        return Decision(LEDGER_STREAM, self.ledger.seq, now_ms, command.kind, decided)

    def place(self, decision: Decision, origin: Origin | None, held: Held = NOTHING_HELD) -> Entry:
        """Give a row its place, and release what was held for it.

        ``origin``: None for what the venue itself began. Raises ``InvariantViolated``: then it must not be written.
        """
        self._release(held)
        self.offset += 1
        legs: list[Leg] = []
        moved: list[Transfer] = []
        for event in decision.events:
            if event.transfers:
                legs.extend(self.ledger.post(event.transfers))
                moved.extend(event.transfers)
            if isinstance(event, MarketListed):
                self._markets[event.params.ticker] = event.params
            elif isinstance(event, ParamsChanged):
                self._take_params(event.params, held)
        if moved:
            self.funds.await_commit(self.offset, moved)
        if decision.sums is not None:
            problem = self.ledger.disagreement(decision.sums)
            if problem:
                raise InvariantViolated(f"row {self.offset} ({decision.kind}): {problem}")
        row = self._row(decision, origin)
        self.last_hash = row.hash
        return Entry(row, decision.events, effects_of(decision.events), tuple(legs))

    def committed(self, offset: int) -> None:
        """Rows up to ``offset`` are durable: their credits may be spent."""
        self.funds.committed(offset)

    def _credit_of(self, params: MarketParams) -> int:
        """How far below 0 a market's house may go; one that owes more already, under the rules of an earlier version,
        counts with what it owes.
        """
        return max(params.house_credit, -self.ledger.balances.get(house_account(params.ticker), 0))

    def _take_params(self, params: MarketParams, held: Held) -> None:
        """Parameters hold from here on: what was set aside for its house's credit becomes what it now has."""
        before = self._markets[params.ticker]
        self._credit += self._credit_of(params) - self._credit_of(before) - held.credit
        self._markets[params.ticker] = params

    def _credit_asked(self, command: FundedCommand) -> int:
        """By how much further below 0 a house is to be allowed to go."""
        if isinstance(command, ListMarket):
            return command.params.house_credit
        if not isinstance(command, UpdateMarket):
            return 0
        params = self._markets[command.ticker]
        return max(0, changed(params, command.changes).house_credit - self._credit_of(params))

    def _row(self, decision: Decision, origin: Origin | None) -> Row:
        subject = subject_of(decision.events)
        return make_row(
            self.last_hash,
            self.offset,
            self.epoch,
            decision.stream,
            decision.seq,
            decision.at,
            decision.kind,
            SCHEMA_VERSION,
            origin.sender if origin else None,
            origin.client_order_id if origin else None,
            origin.fingerprint if origin and origin.client_order_id is not None else None,
            encode_events(decision.events),
            self.ledger.wallet(subject) if subject else None,
        )

    def _pledge(self, command: FundedCommand) -> Held | Rejected:
        """Hold money from outside against the bound of all deposits, a house's credit against that of all houses."""
        amount = Micros(max(0, command.bound(Ppb(0))))
        refused = check_deposit(self.funds, amount)
        if refused:
            return refused
        credit = Micros(self._credit_asked(command))
        if credit and self._credit + credit > HOUSE_DEBT_MAX:
            facts: dict[str, Fact] = {
                "rule": "the houses of all markets together owe at most 2^61 micros: give this one a houseCreditLimit",
                "house_credit_micros": credit,
                "available_micros": max(0, HOUSE_DEBT_MAX - self._credit),
            }
            return Rejected(code=RejectCode.PARAMETERS_INCONSISTENT, facts=facts)
        self.funds.hold(OUTSIDE, amount)
        self._credit += credit
        return Held(OUTSIDE, amount, credit=credit)

    def _release(self, held: Held) -> None:
        if held is not NOTHING_HELD:
            self.funds.release(held.payer, held.amount)


class Sequencer:
    """Both sides in one thread: commands in, rows out, each durable at once. No actors, no store."""

    def __init__(self, state: VenueState | None = None, *, epoch: int = 1) -> None:
        """Goes on from ``state``, or begins with nothing."""
        state = state or VenueState()
        now = Moment(state.at)
        self.ledger_side = LedgerSide.of(state, epoch)
        self._market_sides = {ticker: MarketSide(ticker, market, now) for ticker, market in state.markets.items()}

    @property
    def ledger(self) -> Ledger:
        """All accounts."""
        return self.ledger_side.ledger

    @property
    def markets(self) -> dict[str, Market]:
        """Every market, by ticker."""
        return {ticker: side.market for ticker, side in self._market_sides.items() if side.market is not None}

    def send(self, command: Command, now_ms: Millis, *, sender: str = "", order_id: str | None = None) -> Sent:
        """Do one command and everything that follows from it."""
        origin = Origin(sender, order_id, fingerprint(command))
        moment = Moment(now_ms)
        if isinstance(command, LedgerCommand):
            decided = self.ledger_side.decide(command, now_ms)
            if isinstance(decided, Rejected):
                return Sent((), decided)
            return Sent(self._place([decided], origin, NOTHING_HELD), None)
        if not isinstance(command, ListMarket) and command.ticker not in self.markets:
            return Sent((), Rejected(code=RejectCode.MARKET_NOT_FOUND, facts={"ticker": command.ticker}))
        held = self.ledger_side.set_aside(command) if isinstance(command, FundedCommand) else NOTHING_HELD
        if isinstance(held, Rejected):
            return Sent((), held)
        side = self._market_sides.setdefault(command.ticker, MarketSide(command.ticker))
        decisions, refused = side.run(command, moment, held)
        if refused is None:
            return Sent(self._place(decisions, origin, held), None)
        if held is not NOTHING_HELD:
            self.ledger_side.void(held)
        return Sent((), refused)

    def _place(self, decisions: Iterable[Decision], origin: Origin | None, held: Held) -> tuple[Entry, ...]:
        entries = []
        for decision in decisions:
            entries.append(self.ledger_side.place(decision, origin, held))
            origin, held = None, NOTHING_HELD
        self.ledger_side.committed(self.ledger_side.offset)
        return tuple(entries)


class Sent(Struct, frozen=True):
    """What became of a command: the rows it made, or why it was refused."""

    entries: tuple[Entry, ...]
    refused: Rejected | None


def _liquidations(events: Events) -> int:
    count = 0
    for event in events:
        if isinstance(event, PositionReduced) and event.reason is CloseReason.LIQUIDATION:
            count += 1
    return count
