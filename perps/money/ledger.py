"""The ledger: every account, what moved between them, and what of a wallet may be spent.

Double entry: a transfer takes from one account what it gives to another, so Σ of all accounts is 0 by construction;
``post`` checks what construction does not give: no wallet below 0, no balance beyond 64 bits.
"""

from msgspec import Struct

from perps.events import (
    Transfer,
    Transfers,
)
from perps.market.sums import MarketSums
from perps.money.accounts import house_account, insurance_account, margin_account, orders_account, user_account
from perps.refusals import InvariantViolated
from perps.snapshot.images import LedgerImage
from perps.units import BALANCE_MAX, Micros


class Leg(Struct, frozen=True, array_like=True, gc=False):
    """A transfer as posted: with the balance it left on either side."""

    transfer: Transfer
    source_balance: Micros
    target_balance: Micros


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
            (orders_account(sums.ticker), sums.reserved),
        )
        for account, amount in said:
            if self.balances.get(account, 0) != amount:
                return f"{account} holds {self.balances.get(account, 0)}, its market says {amount}"
        return None

    def total(self) -> int:
        """Σ of all accounts: 0, always."""
        return sum(self.balances.values())
