"""The ledger: every account, what moved between them, and what of a wallet may be spent.

Double entry: a transfer takes from one account what it gives to another, so Σ of all accounts is 0 by construction;
``post`` checks what construction does not give: no wallet below 0, no balance beyond 64 bits.
"""

from collections import deque

from msgspec import Struct

from perps.commands import CreateUser, Deposit, LedgerCommand, Withdraw
from perps.events import (
    Deposited,
    LedgerEvent,
    Transfer,
    TransferKind,
    Transfers,
    UserCreated,
    Withdrawn,
)
from perps.market.state import WORLD, Market, house_account, insurance_account, margin_account, user_account
from perps.refusals import Fact, InvariantViolated, RejectCode, Rejected
from perps.snapshot.images import LedgerImage
from perps.units import BALANCE_MAX, HOUSE_DEBT_MAX, Micros, Millis

PLEDGED = "!houses"
"""Under this name the deposits of listings in flight are held. Not a possible user id."""

DEPOSITS_MAX = HOUSE_DEBT_MAX
"""All money from outside together: half of what an account may hold."""


class Leg(Struct, frozen=True, array_like=True, gc=False):
    """A transfer as posted: with the balance it left on either side."""

    transfer: Transfer
    source_balance: Micros
    target_balance: Micros


class MarketSums(Struct, frozen=True, gc=False):
    """What a market says its accounts hold; the ledger must agree after every row."""

    ticker: str
    margin: Micros
    house: Micros
    insurance: Micros

    @classmethod
    def of(cls, market: Market) -> "MarketSums":
        """The running sums of a market as it stands."""
        return cls(market.ticker, market.margin, market.house, market.insurance)


class Ledger:
    """Balances by account, and who was referred by whom. Changed by ``apply`` and ``post`` only."""

    __slots__ = ("balances", "referrers", "seq")

    def __init__(self) -> None:
        self.balances: dict[str, int] = {}
        self.referrers: dict[str, str | None] = {}
        self.seq = 0
        """Rows the ledger itself has written (users, deposits, withdrawals)."""

    @classmethod
    def from_image(cls, image: LedgerImage) -> "Ledger":
        """The ledger an image was taken of."""
        ledger = cls()
        ledger.seq = image.seq
        ledger.balances.update(image.balances)
        ledger.referrers.update(image.referrers)
        return ledger

    def image(self, offset: int) -> LedgerImage:
        """All of it, frozen, as it stands after row ``offset``."""
        return LedgerImage(offset, self.seq, dict(self.balances), dict(self.referrers))

    def wallet(self, user: str) -> Micros:
        """A user's balance, holds included, micros."""
        return Micros(self.balances.get(user_account(user), 0))

    def apply(self, event: LedgerEvent) -> None:
        """Take in a user; money moves by ``post``."""
        if isinstance(event, UserCreated):
            self.referrers[event.user] = event.referrer

    def post(self, transfers: Transfers) -> tuple[Leg, ...]:
        """Move money. Raises ``InvariantViolated`` if a wallet ends below 0 or a balance beyond 64 bits."""
        balances = self.balances
        legs = []
        for transfer in transfers:
            source = balances[transfer.source] = balances.get(transfer.source, 0) - transfer.amount
            target = balances[transfer.target] = balances.get(transfer.target, 0) + transfer.amount
            if transfer.amount < 0 or target > BALANCE_MAX or source < -BALANCE_MAX:
                raise InvariantViolated(f"{transfer} leaves {source} and {target}")
            if source < 0 and transfer.source.startswith("user:"):
                raise InvariantViolated(f"{transfer.source} would stand at {source}")
            legs.append(Leg(transfer, Micros(source), Micros(target)))
        return tuple(legs)

    def disagreement(self, sums: MarketSums) -> str | None:
        """How the accounts differ from what their market says; None when they agree (Σm = the margin account)."""
        said = (
            (margin_account(sums.ticker), sums.margin),
            (house_account(sums.ticker), sums.house),
            (insurance_account(sums.ticker), sums.insurance),
        )
        for account, amount in said:
            if self.balances.get(account, 0) != amount:
                return f"{account} holds {self.balances.get(account, 0)}, its market says {amount}"
        return None

    def total(self) -> int:
        """Σ of all accounts: 0, always."""
        return sum(self.balances.values())


class Funds:
    """What each wallet may spend: its balance, less what is held, less credits not durable yet.

    Debits are held up front and credits wait for their commit, so no durable row can depend on a lost one.
    Not part of the replayed state: after a crash nothing is in flight.
    """

    __slots__ = ("_credits", "_held", "_ledger", "_pending")

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._held: dict[str, int] = {}
        self._pending: dict[str, int] = {}
        self._credits: deque[tuple[int, str, int]] = deque()

    def free(self, user: str) -> Micros:
        """Spendable micros."""
        account = user_account(user)
        balance = self._ledger.balances.get(account, 0)
        return Micros(balance - self._held.get(account, 0) - self._pending.get(account, 0))

    def hold(self, user: str, amount: Micros) -> None:
        """Set micros aside. The caller has seen that they are free."""
        account = user_account(user)
        self._held[account] = self._held.get(account, 0) + amount

    def held(self, user: str) -> Micros:
        """Micros set aside."""
        return Micros(self._held.get(user_account(user), 0))

    def release(self, user: str, amount: Micros) -> None:
        """End a hold: posted or voided."""
        account = user_account(user)
        left = self._held.get(account, 0) - amount
        if left < 0:
            raise InvariantViolated(f"{account} held {left} after a release of {amount}")
        if left:
            self._held[account] = left
        else:
            self._held.pop(account, None)

    def await_commit(self, offset: int, transfers: Transfers) -> None:
        """Lock what an event of row ``offset`` credits to wallets, until ``committed`` passes it.

        Net of what the same event takes from them: a close's fee is paid out of its settlement, not out of free funds.
        """
        credits: dict[str, int] = {}
        for transfer in transfers:
            if transfer.target.startswith("user:"):
                credits[transfer.target] = credits.get(transfer.target, 0) + transfer.amount
            if transfer.source.startswith("user:"):
                credits[transfer.source] = credits.get(transfer.source, 0) - transfer.amount
        for account, amount in credits.items():
            if amount > 0:
                self._credits.append((offset, account, amount))
                self._pending[account] = self._pending.get(account, 0) + amount

    def committed(self, offset: int) -> None:
        """Rows up to ``offset`` are durable: their credits may be spent."""
        while self._credits and self._credits[0][0] <= offset:
            _, account, amount = self._credits.popleft()
            left = self._pending[account] - amount
            if left:
                self._pending[account] = left
            else:
                del self._pending[account]

    @property
    def in_flight(self) -> tuple[int, int]:
        """Accounts with holds, and credits waiting for their commit: both 0 when nothing is in flight."""
        return len(self._held), len(self._credits)


def decide_ledger(ledger: Ledger, funds: Funds, command: LedgerCommand, at: Millis) -> LedgerEvent | Rejected:
    """Decide what concerns one wallet and the outside: a user, a deposit, a withdrawal."""
    match command:
        case CreateUser(user=user, referrer=referrer):
            if referrer is not None and referrer != user and referrer not in ledger.referrers:
                return Rejected(code=RejectCode.USER_NOT_FOUND, facts={"referrer": referrer})
            if user in ledger.referrers:
                return Rejected(code=RejectCode.USER_EXISTS, facts={"user": user})
            if referrer == user:
                return Rejected(
                    code=RejectCode.PARAMETERS_INCONSISTENT, facts={"rule": "a user cannot be their own referrer"}
                )
            deposit = _deposit(ledger, funds, user, command.deposit) if command.deposit else ()
            return deposit if isinstance(deposit, Rejected) else UserCreated(user, referrer, at, deposit)
        case Deposit(user=user, amount=amount) | Withdraw(user=user, amount=amount):
            if user not in ledger.referrers:
                return Rejected(code=RejectCode.USER_NOT_FOUND, facts={"user": user})
            if isinstance(command, Deposit):
                moved = _deposit(ledger, funds, user, amount)
                return moved if isinstance(moved, Rejected) else Deposited(user, amount, moved)
            free = funds.free(user)
            if amount > free:
                facts = {"required_micros": int(amount), "available_micros": int(free)}
                return Rejected(code=RejectCode.INSUFFICIENT_FUNDS, facts=facts)
            out = Transfer(user_account(user), WORLD, amount, TransferKind.WITHDRAWAL)
            return Withdrawn(user, amount, (out,))


def check_deposit(ledger: Ledger, amount: Micros, *, pledged: Micros) -> Rejected | None:
    """Refuse money from outside that would take all deposits together, listings in flight included, past a bound."""
    outside = pledged - ledger.balances.get(WORLD, 0)
    if outside + amount <= DEPOSITS_MAX:
        return None
    facts: dict[str, Fact] = {"rule": "all deposits together stay below 2^61 micros", "deposited_micros": outside}
    return Rejected(code=RejectCode.VALIDATION_ERROR, facts=facts)


def _deposit(ledger: Ledger, funds: Funds, user: str, amount: Micros) -> Transfers | Rejected:
    refused = check_deposit(ledger, amount, pledged=funds.held(PLEDGED))
    return refused or (Transfer(WORLD, user_account(user), amount, TransferKind.DEPOSIT),)
