"""Users, and money that enters or leaves the venue: what concerns one wallet and the outside."""

from perps.commands import CreateUser, Deposit, LedgerCommand, Withdraw
from perps.events import Deposited, LedgerEvent, Transfer, TransferKind, Transfers, UserCreated, Withdrawn
from perps.money.accounts import WORLD, user_account
from perps.money.funds import PLEDGED, Funds
from perps.money.ledger import Ledger
from perps.refusals import Fact, RejectCode, Rejected
from perps.units import HOUSE_DEBT_MAX, Micros, Millis

DEPOSITS_MAX = HOUSE_DEBT_MAX
"""All money from outside together: half of what an account may hold."""


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
