"""What of each wallet may be spent now."""

from collections import deque
from collections.abc import Iterable

from perps.events import Transfer
from perps.money.accounts import user_account
from perps.money.ledger import Ledger
from perps.refusals import InvariantViolated
from perps.units import Micros


class Funds:
    """What each wallet may spend: its balance, less what is held, less credits not durable yet.

    Debits are held up front and credits wait for their commit, so no durable row can depend on a lost one.
    Money that a command brings in is held under ``OUTSIDE``, so that what is in flight counts against the bound of all
    deposits. Not part of the replayed state: after a crash nothing is in flight.
    """

    __slots__ = ("_credits", "_held", "_pending", "ledger")

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._held: dict[str, int] = {}
        self._pending: dict[str, int] = {}
        self._credits: deque[tuple[int, str, int]] = deque()

    def free(self, user: str) -> Micros:
        """Spendable micros."""
        account = user_account(user)
        balance = self.ledger.balances.get(account, 0)
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

    def await_commit(self, offset: int, transfers: Iterable[Transfer]) -> None:
        """Lock what row ``offset`` credits to wallets, by all its transfers, until ``committed`` passes it.

        Net of what the same row takes from them: a close's fee, or the margin of an open behind a close, is paid out of
        the settlement, not out of free funds. Both are durable, or neither is.
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
