"""A user's money as of a row: the sums of ``Balance``, and what each row changes of them.

The read model has only the present sums. What they were after an earlier row is the present less what the rows since
have changed. So it is a function of the journal alone: a reader who comes back after a restart reads the same numbers
as one who was there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from perps.effects import Joined, Paid, Traded
from perps.journal import Entry
from perps.money.accounts import margin_account, orders_account, user_account
from web.readside.model import ReadModel

_USER: Final = user_account("")
_MARGIN: Final = margin_account("")
_ORDERS: Final = orders_account("")


class UserMoney(NamedTuple):
    """Micros: the wallet, the margin of the open positions, and what the user has done so far."""

    wallet: int = 0
    margin: int = 0
    deposited: int = 0
    withdrawn: int = 0
    pnl: int = 0
    fees: int = 0
    reserved: int = 0
    """What resting orders keep."""

    def plus(self, other: UserMoney) -> UserMoney:
        """The sums of both."""
        return UserMoney(*(one + two for one, two in zip(self, other, strict=True)))

    def less(self, other: UserMoney) -> UserMoney:
        """The differences."""
        return UserMoney(*(one - two for one, two in zip(self, other, strict=True)))


def money_of(model: ReadModel, user: str) -> UserMoney:
    """What a user has now. The caller has seen that the user exists."""
    view = model.users[user]
    return UserMoney(
        model.wallet(user), view.margin, view.deposited, view.withdrawn, view.pnl, view.fees, view.reserved
    )


Wants = Callable[[str], bool]
"""Whether anybody wants to know of a user."""


def changes_of(entry: Entry, wants: Wants) -> dict[str, UserMoney]:
    """What a row changes, by user, in the order in which it touches them. A user who joins is in it, too."""
    found = dict[str, UserMoney]()

    def add(user: str, **amounts: int) -> None:
        if user in found or wants(user):
            found[user] = found.get(user, _NOTHING).plus(UserMoney(**amounts))

    for event, effects in zip(entry.events, entry.effects, strict=True):
        for effect in effects:
            if isinstance(effect, Traded):
                add(effect.position.user, pnl=effect.pnl, fees=effect.fee)
            elif isinstance(effect, Joined):
                add(effect.user)
            elif isinstance(effect, Paid):
                add(effect.user, deposited=max(effect.amount, 0), withdrawn=max(-effect.amount, 0))
        for transfer in event.transfers:
            for account, amount in ((transfer.source, -transfer.amount), (transfer.target, transfer.amount)):
                if account.startswith(_USER):
                    add(account[len(_USER) :], wallet=amount)
                elif account.startswith(_MARGIN) and event.subject is not None:
                    add(event.subject, margin=amount)
                elif account.startswith(_ORDERS) and event.subject is not None:
                    add(event.subject, reserved=amount)
    return found


_NOTHING: Final = UserMoney()


class PastMoney:
    """What users had after each of some rows, which end where the read model is.

    First every row is ``noted``; then ``begin``, and every row once more, in order.
    """

    def __init__(self, model: ReadModel, wants: Wants) -> None:
        self._model, self._wants = model, wants
        self._money = dict[str, UserMoney]()

    def note(self, entries: Iterable[Entry]) -> None:
        """Rows of which nothing has been noted yet, in any order."""
        for entry in entries:
            for user, change in changes_of(entry, self._wants).items():
                self._money[user] = self._money.get(user, _NOTHING).plus(change)

    def begin(self) -> None:
        """All rows up to the read model's offset have been noted: go back to before the first of them."""
        model = self._model
        self._money = {user: money_of(model, user).less(changed) for user, changed in self._money.items()}

    def after(self, entry: Entry) -> dict[str, UserMoney]:
        """What those whom the next row touches have after it."""
        changes = changes_of(entry, self._wants)
        found = {user: self._money.get(user, _NOTHING).plus(change) for user, change in changes.items()}
        self._money.update(found)
        return found
