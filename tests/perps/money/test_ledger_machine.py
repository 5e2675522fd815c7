"""A ledger with its funds, driven at random as its actor drives it, beside plain dictionaries; crashes in between.

Rows become durable later than they are made. A crash loses those that are not: the ledger begins again from the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from perps.commands import OUTSIDE, CreateUser, Deposit, LedgerCommand, Withdraw
from perps.engine import apply_ledger, decide_ledger
from perps.events import (
    SCHEMA_VERSION,
    Events,
    LedgerEvent,
    Transfer,
    TransferKind,
    Withdrawn,
    encode_events,
)
from perps.journal import GENESIS, LEDGER_STREAM, Row, make_row
from perps.money.accounts import WORLD, user_account
from perps.money.funds import Funds
from perps.money.ledger import Ledger
from perps.refusals import RejectCode, Rejected
from perps.rules.rule import Given
from perps.rules.users import DEPOSITS_MAX, check_deposit
from perps.units import Micros, Millis
from perps.venue import VenueState

USERS = ("ann", "bob", "cid", "dan")
AT = Millis(1_700_000_000_000)
AMOUNTS = st.integers(1, 1_000) | st.sampled_from([1, 999_999, DEPOSITS_MAX // 2, DEPOSITS_MAX])


@dataclass
class Books:
    """What there should be, in plain dictionaries: after every row, and after the durable ones alone."""

    wallets: dict[str, int] = field(default_factory=dict)
    deposited: int = 0

    def copy(self) -> Books:
        """The same, by itself."""
        return Books(dict(self.wallets), self.deposited)


@dataclass(frozen=True)
class Hold:
    """Money set aside for a command under way."""

    user: str
    amount: int
    life: int
    """Which life of the ledger: a hold does not outlive a crash."""


class LedgerMachine(RuleBasedStateMachine):
    """Users, deposits, withdrawals, holds that are paid or voided, commits, crashes."""

    holds: Bundle[Hold] = Bundle("holds")

    @initialize()
    def begin(self) -> None:
        self.ledger = Ledger()
        self.funds = Funds(self.ledger)
        self.rows: list[Row] = []
        self.durable = 0
        self.life = 0
        self.books, self.books_after = Books(), [Books()]
        self.held: dict[str, int] = {}
        self.open_holds: list[Hold] = []
        self.credits: list[tuple[int, str, int]] = []

    @rule(user=st.sampled_from(USERS), deposit=st.just(0) | AMOUNTS, referrer=st.none() | st.sampled_from(USERS))
    def create_user(self, user: str, deposit: int, referrer: str | None) -> None:
        outcome = self.do(CreateUser(user=user, deposit=Micros(deposit), referrer=referrer))
        known = self.books.wallets
        if referrer not in (None, user) and referrer not in known:
            assert refused(outcome) is RejectCode.USER_NOT_FOUND
        elif user in known:
            assert refused(outcome) is RejectCode.USER_EXISTS
        elif referrer == user:
            assert refused(outcome) is RejectCode.PARAMETERS_INCONSISTENT
        elif self.too_much(deposit):
            assert refused(outcome) is RejectCode.VALIDATION_ERROR
        else:
            self.came_in(user, deposit)

    @rule(user=st.sampled_from(USERS), amount=AMOUNTS)
    def deposit(self, user: str, amount: int) -> None:
        outcome = self.do(Deposit(user=user, amount=Micros(amount)))
        if user not in self.books.wallets:
            assert refused(outcome) is RejectCode.USER_NOT_FOUND
        elif self.too_much(amount):
            assert refused(outcome) is RejectCode.VALIDATION_ERROR
        else:
            self.came_in(user, amount)

    @rule(user=st.sampled_from(USERS), amount=AMOUNTS)
    def withdraw(self, user: str, amount: int) -> None:
        free = self.free(user)
        outcome = self.do(Withdraw(user=user, amount=Micros(amount)))
        if user not in self.books.wallets:
            assert refused(outcome) is RejectCode.USER_NOT_FOUND
        elif amount > free:
            assert isinstance(outcome, Rejected)
            assert (outcome.code, outcome.facts["available_micros"]) == (RejectCode.INSUFFICIENT_FUNDS, free)
        else:
            assert not isinstance(outcome, Rejected)
            self.books.wallets[user] -= amount
            self.books.deposited -= amount
            self.note()

    @rule(user=st.sampled_from(USERS))
    def withdraw_all_that_is_free(self, user: str) -> None:
        free = self.free(user)
        if free > 0:
            self.withdraw(user, free)
            assert self.free(user) == 0

    @rule(target=holds, user=st.sampled_from(USERS), part=st.integers(0, 100))
    def hold(self, user: str, part: int) -> Hold:
        """As for an open: at most what is free."""
        amount = max(self.free(user), 0) * part // 100
        self.funds.hold(user, Micros(amount))
        self.held[user] = self.held.get(user, 0) + amount
        hold = Hold(user, amount, self.life)
        self.open_holds.append(hold)
        return hold

    @rule(hold=consumes(holds), part=st.integers(0, 100))
    def pay_from_a_hold(self, hold: Hold, part: int) -> None:
        """The hold ends, and some of it is paid, by a row."""
        paid = Micros(hold.amount * part // 100)
        if self.end(hold) and paid:
            out = Transfer(user_account(hold.user), WORLD, paid, TransferKind.WITHDRAWAL)
            self.ledger.seq += 1
            self.write(Withdrawn(hold.user, paid, (out,)))
            self.books.wallets[hold.user] -= paid
            self.books.deposited -= paid
            self.note()

    @rule(hold=consumes(holds))
    def void_a_hold(self, hold: Hold) -> None:
        self.end(hold)

    @rule(amount=AMOUNTS)
    def pledge_a_houses_deposit(self, amount: int) -> None:
        """A listing under way counts against the limit of all deposits until it is refused."""
        if check_deposit(self.funds, Micros(amount)) is None:
            self.funds.hold(OUTSIDE, Micros(amount))
            assert check_deposit(self.funds, Micros(DEPOSITS_MAX)) is not None
            self.funds.release(OUTSIDE, Micros(amount))

    @rule(count=st.integers(1, 5))
    def commit(self, count: int) -> None:
        self.durable = min(self.durable + count, len(self.rows))
        self.funds.committed(self.durable)
        self.credits = [credit for credit in self.credits if credit[0] > self.durable]

    @rule(extra=st.integers(0, 3))
    def crash_and_recover(self, extra: int) -> None:
        """Rows that nobody heard of may be durable or not; what comes back is what they say, and nothing is held."""
        del self.rows[self.durable + extra :]
        state = VenueState()
        for row in self.rows:
            state.apply(row)
        self.durable = len(self.rows)
        self.books_after = self.books_after[: self.durable + 1]
        self.books = self.books_after[-1].copy()
        self.ledger, self.funds = state.ledger, Funds(state.ledger)
        self.held, self.open_holds, self.credits = {}, [], []
        self.life += 1

    def do(self, command: LedgerCommand) -> Events | Rejected:
        """One command, as the ledger's actor does it: decide, apply, post, row."""
        decided = decide_ledger(self.funds, command, Given(AT))
        if isinstance(decided, Rejected):
            return decided
        (event,) = decided
        apply_ledger(self.ledger, event)
        self.ledger.seq += 1
        self.write(event)
        return decided

    def write(self, event: LedgerEvent) -> None:
        transfers = event.transfers
        self.ledger.post(transfers)
        offset = len(self.rows) + 1
        self.funds.await_commit(offset, transfers)
        for transfer in transfers:
            if transfer.target.startswith("user:") and transfer.amount:
                self.credits.append((offset, transfer.target.removeprefix("user:"), transfer.amount))
        subject = event.subject
        self.rows.append(
            make_row(
                self.rows[-1].hash if self.rows else GENESIS,
                offset,
                1,
                LEDGER_STREAM,
                self.ledger.seq,
                AT,
                "ledger",
                SCHEMA_VERSION,
                None,
                None,
                None,
                encode_events((event,)),
                self.ledger.wallet(subject) if subject else None,
            )
        )

    def came_in(self, user: str, amount: int) -> None:
        self.books.wallets[user] = self.books.wallets.get(user, 0) + amount
        self.books.deposited += amount
        self.note()

    def note(self) -> None:
        self.books_after.append(self.books.copy())

    def end(self, hold: Hold) -> bool:
        """End a hold of this life; False for one that a crash has ended."""
        if hold.life != self.life:
            return False
        self.funds.release(hold.user, Micros(hold.amount))
        self.held[hold.user] -= hold.amount
        self.open_holds.remove(hold)
        return True

    def too_much(self, amount: int) -> bool:
        return self.books.deposited + amount > DEPOSITS_MAX

    def free(self, user: str) -> int:
        """By the plain books: the wallet, less holds, less what is not durable yet."""
        waiting = sum(amount for _, owner, amount in self.credits if owner == user)
        return self.books.wallets.get(user, 0) - self.held.get(user, 0) - waiting

    @invariant()
    def every_wallet_and_what_is_free_of_it_is_as_in_the_books(self) -> None:
        for user in USERS:
            assert self.ledger.wallet(user) == self.books.wallets.get(user, 0) >= 0
            assert self.funds.free(user) == self.free(user)
            assert self.funds.held(user) == self.held.get(user, 0)

    @invariant()
    def all_accounts_sum_to_nothing(self) -> None:
        assert self.ledger.total() == 0
        assert -self.ledger.balances.get("world", 0) == self.books.deposited <= DEPOSITS_MAX

    @invariant()
    def in_flight_is_what_is_held_and_what_waits(self) -> None:
        holders, credits = self.funds.in_flight
        assert sum(amount > 0 for amount in self.held.values()) <= holders <= len(self.open_holds)
        assert credits == len(self.credits)

    @invariant()
    def users_are_those_of_the_books(self) -> None:
        assert set(self.ledger.referrers) == set(self.books.wallets)


def refused(outcome: Events | Rejected) -> RejectCode:
    """The code of a refusal that must have come."""
    assert isinstance(outcome, Rejected), outcome
    return outcome.code


pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=250, stateful_step_count=40)
