"""Users, and money that enters or leaves the venue: what concerns one wallet and the outside."""

from typing import Final

from perps.commands import OUTSIDE, CreateUser, Deposit, Withdraw
from perps.effects import Effects, Joined, Paid
from perps.events import Deposited, Transfer, TransferKind, Transfers, UserCreated, Withdrawn
from perps.money.accounts import WORLD, user_account
from perps.money.funds import Funds
from perps.money.ledger import Ledger
from perps.refusals import Fact, RejectCode, Rejected
from perps.rules.rule import CommandRule, EventRule, Given, nothing
from perps.units import HOUSE_DEBT_MAX, Micros

DEPOSITS_MAX: Final = HOUSE_DEBT_MAX
"""All money from outside together: half of what an account may hold. Houses may owe the other half."""


def decide_user(funds: Funds, command: CreateUser, given: Given) -> tuple[UserCreated] | Rejected:
    """Create a user who is not there yet, brought by one who is, with a first deposit if one is given."""
    user, referrer, known = command.user, command.referrer, funds.ledger.referrers
    if referrer is not None and referrer != user and referrer not in known:
        return Rejected(code=RejectCode.USER_NOT_FOUND, facts={"referrer": referrer})
    if user in known:
        return Rejected(code=RejectCode.USER_EXISTS, facts={"user": user})
    if referrer == user:
        return Rejected(code=RejectCode.PARAMETERS_INCONSISTENT, facts={"rule": "a user cannot be their own referrer"})
    deposit = _deposit(funds, user, command.deposit) if command.deposit else ()
    return deposit if isinstance(deposit, Rejected) else (UserCreated(user, referrer, given.at, deposit),)


def decide_deposit(funds: Funds, command: Deposit, _: Given) -> tuple[Deposited] | Rejected:
    """Take money in for a user who is there."""
    user, amount = command.user, command.amount
    if user not in funds.ledger.referrers:
        return Rejected(code=RejectCode.USER_NOT_FOUND, facts={"user": user})
    moved = _deposit(funds, user, amount)
    return moved if isinstance(moved, Rejected) else (Deposited(user, amount, moved),)


def decide_withdraw(funds: Funds, command: Withdraw, _: Given) -> tuple[Withdrawn] | Rejected:
    """Pay out what a wallet may spend now."""
    user, amount = command.user, command.amount
    if user not in funds.ledger.referrers:
        return Rejected(code=RejectCode.USER_NOT_FOUND, facts={"user": user})
    free = funds.free(user)
    if amount > free:
        facts = {"required_micros": int(amount), "available_micros": int(free)}
        return Rejected(code=RejectCode.INSUFFICIENT_FUNDS, facts=facts)
    return (Withdrawn(user, amount, (Transfer(user_account(user), WORLD, amount, TransferKind.WITHDRAWAL),)),)


def check_deposit(funds: Funds, amount: Micros) -> Rejected | None:
    """Refuse money from outside that would take all deposits together, those in flight included, past a bound."""
    outside = funds.held(OUTSIDE) - funds.ledger.balances.get(WORLD, 0)
    if outside + amount <= DEPOSITS_MAX:
        return None
    facts: dict[str, Fact] = {"rule": "all deposits together stay below 2^61 micros", "deposited_micros": outside}
    return Rejected(code=RejectCode.VALIDATION_ERROR, facts=facts)


def apply_user(ledger: Ledger, event: UserCreated) -> None:
    """The user is known from here on."""
    ledger.referrers[event.user] = event.referrer


def project_user(event: UserCreated) -> Effects:
    """A user, and what they bring."""
    brought = sum(transfer.amount for transfer in event.transfers)
    return (Joined(event.user, event.referrer), Paid(event.user, Micros(brought)))


def project_deposit(event: Deposited) -> Effects:
    """Money in."""
    return (Paid(event.user, event.amount),)


def project_withdrawal(event: Withdrawn) -> Effects:
    """Money out."""
    return (Paid(event.user, Micros(-event.amount)),)


def _deposit(funds: Funds, user: str, amount: Micros) -> Transfers | Rejected:
    refused = check_deposit(funds, amount)
    return refused or (Transfer(WORLD, user_account(user), amount, TransferKind.DEPOSIT),)


COMMANDS = (
    CommandRule(CreateUser, decide_user),
    CommandRule(Deposit, decide_deposit),
    CommandRule(Withdraw, decide_withdraw),
)
EVENTS = (
    EventRule(UserCreated, apply_user, project_user),
    EventRule(Deposited, nothing, project_deposit),
    EventRule(Withdrawn, nothing, project_withdrawal),
)
