"""Accounts and what of a wallet may be spent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perps.commands import CreateUser, Deposit, Side, Withdraw
from perps.engine import apply_ledger, decide_ledger
from perps.events import PositionReduced, Transfer, TransferKind, UserCreated, Withdrawn
from perps.market.sums import MarketSums
from perps.money.funds import Funds
from perps.money.ledger import Ledger
from perps.refusals import InvariantViolated, RejectCode, Rejected
from perps.rules.rule import Given
from perps.rules.users import DEPOSITS_MAX
from perps.units import AMOUNT_MAX, BALANCE_MAX, MICRO, Micros, Millis
from tests.perps.build import BTC_PRICE, START_MS, Books, done, index_market, opened, reductions, refused

KIND = TransferKind.DEPOSIT


def move(source: str, target: str, amount: int) -> Transfer:
    return Transfer(source, target, Micros(amount), KIND)


def funded(amount: int = 100) -> tuple[Ledger, Funds]:
    ledger = Ledger()
    apply_ledger(ledger, UserCreated("ann", None, Millis(START_MS)))
    ledger.post((move("world", "user:ann", amount),))
    return ledger, Funds(ledger)


def decide(ledger: Ledger, funds: Funds, command: CreateUser | Deposit | Withdraw) -> object:
    decided = decide_ledger(funds, command, Given(Millis(START_MS)))
    return decided if isinstance(decided, Rejected) else decided[0]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"), st.integers(0, AMOUNT_MAX)), max_size=3))
def test_transfers_never_change_the_sum_of_all_accounts(moves: list[tuple[str, str, int]]) -> None:
    ledger = Ledger()
    legs = ledger.post(tuple(move(*each) for each in moves))

    assert ledger.total() == 0
    for account in "abcd":
        paid = sum(amount for source, _, amount in moves if source == account)
        got = sum(amount for _, target, amount in moves if target == account)
        assert ledger.balances.get(account, 0) == got - paid
    assert len(legs) == len(moves)


def test_a_leg_says_what_it_left_on_either_side() -> None:
    ledger, _ = funded()
    first, second = ledger.post((move("user:ann", "fees", 30), move("user:ann", "house:X", 70)))

    assert (first.source_balance, first.target_balance) == (70, 30)
    assert (second.source_balance, second.target_balance) == (0, 70)


@pytest.mark.parametrize(
    "transfer",
    [
        move("user:ann", "fees", 101),
        move("user:nobody", "fees", 1),
        move("fees", "user:ann", -1),
        move("world", "house:X", BALANCE_MAX + 1),
        move("world", "user:ann", BALANCE_MAX - 99),
    ],
)
def test_what_cannot_be_is_not_posted_in_silence(transfer: Transfer) -> None:
    ledger, _ = funded(100)
    with pytest.raises(InvariantViolated):
        ledger.post((transfer,))


def test_a_house_may_stand_below_zero_but_a_wallet_may_not() -> None:
    ledger, _ = funded(0)
    ledger.post((move("house:X", "user:ann", 5), move("user:ann", "fees", 5)))
    assert ledger.balances["house:X"] == -5

    with pytest.raises(InvariantViolated):
        ledger.post((move("user:ann", "fees", 1),))


@pytest.mark.parametrize("field", ["margin", "house", "insurance"])
def test_a_market_that_counts_otherwise_is_found_out(field: str) -> None:
    sums = {"margin": 7, "house": 8, "insurance": 9}
    ledger = Ledger()
    ledger.post(tuple(move("world", f"{name}:X", amount) for name, amount in sums.items()))
    assert ledger.disagreement(MarketSums("X", **{name: Micros(value) for name, value in sums.items()})) is None

    wrong = {name: Micros(value + (name == field)) for name, value in sums.items()}
    assert f"{field}:X holds" in (ledger.disagreement(MarketSums("X", **wrong)) or "")


def test_what_is_held_cannot_be_spent_and_a_void_gives_it_back() -> None:
    ledger, funds = funded()
    funds.hold("ann", Micros(60))
    assert funds.free("ann") == 40
    funds.hold("ann", Micros(40))
    assert refused(decide(ledger, funds, Withdraw(user="ann", amount=Micros(1)))).code is RejectCode.INSUFFICIENT_FUNDS
    funds.release("ann", Micros(60))
    funds.release("ann", Micros(40))

    assert (funds.free("ann"), funds.in_flight) == (100, (0, 0))


def test_more_released_than_held_is_a_bug() -> None:
    _, funds = funded()
    funds.hold("ann", Micros(10))
    with pytest.raises(InvariantViolated):
        funds.release("ann", Micros(11))


def test_a_credit_is_spendable_only_once_its_row_is_durable() -> None:
    ledger, funds = funded()
    for offset, amount in ((5, 10), (6, 20)):
        credit = (move("house:X", "user:ann", amount),)
        ledger.post(credit)
        funds.await_commit(offset, credit)
    free = []
    for offset in (4, 5, 6):
        funds.committed(offset)
        free.append(funds.free("ann"))

    assert free == [100, 110, 130]
    assert funds.in_flight == (0, 0)


def test_a_withdrawal_does_not_take_a_credit_in_flight() -> None:
    ledger, funds = funded()
    credit = (move("house:X", "user:ann", 10),)
    ledger.post(credit)
    funds.await_commit(1, credit)
    command = Withdraw(user="ann", amount=Micros(101))

    assert refused(decide(ledger, funds, command)).facts == {"required_micros": 101, "available_micros": 100}
    funds.committed(1)
    assert isinstance(decide(ledger, funds, command), Withdrawn)


def test_a_close_in_flight_never_makes_what_is_free_negative() -> None:
    """All of the wallet is held for the next open when a close settles: its fee comes out of its own credit."""
    venue = Books((index_market(), BTC_PRICE))
    venue.add_user("ann", 200 * MICRO)
    position = opened(venue.open("ann", Side.LONG, 1_000 * MICRO))
    (event,) = reductions(venue.close(position))
    ledger, funds = funded(0)
    ledger.post((move("world", "margin:BTC-PERP", 10**9),))
    ledger.post(event.transfers)
    funds.await_commit(1, event.transfers)

    assert isinstance(event, PositionReduced)
    assert event.fee > 0
    assert funds.free("ann") == 0
    funds.committed(1)
    assert funds.free("ann") == event.settlement - event.fee


def test_a_referral_waits_for_its_commit() -> None:
    venue = Books((index_market(), BTC_PRICE))
    venue.add_user("bob", 0)
    venue.add_user("ann", referrer="bob")
    event = opened(venue.open("ann", Side.LONG, 1_000 * MICRO))
    ledger, funds = funded(10**9)
    ledger.post(event.transfers)
    funds.await_commit(1, event.transfers)

    assert (ledger.wallet("bob"), funds.free("bob")) == (event.referral, 0)
    assert funds.free("ann") == 10**9 - event.position.margin - event.fee
    funds.committed(1)
    assert funds.free("bob") == event.referral


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (CreateUser(user="ann"), RejectCode.USER_EXISTS),
        (CreateUser(user="ann", referrer="ann"), RejectCode.USER_EXISTS),
        (CreateUser(user="ann", referrer="nobody"), RejectCode.USER_NOT_FOUND),
        (CreateUser(user="bob", referrer="nobody"), RejectCode.USER_NOT_FOUND),
        (CreateUser(user="bob", referrer="bob"), RejectCode.PARAMETERS_INCONSISTENT),
        (Deposit(user="bob", amount=Micros(1)), RejectCode.USER_NOT_FOUND),
        (Withdraw(user="bob", amount=Micros(10**9)), RejectCode.USER_NOT_FOUND),
        (Withdraw(user="ann", amount=Micros(101)), RejectCode.INSUFFICIENT_FUNDS),
        (Deposit(user="ann", amount=Micros(DEPOSITS_MAX - 99)), RejectCode.VALIDATION_ERROR),
        (CreateUser(user="bob", deposit=Micros(DEPOSITS_MAX - 99)), RejectCode.VALIDATION_ERROR),
    ],
)
def test_what_the_ledger_refuses(command: CreateUser | Deposit | Withdraw, code: RejectCode) -> None:
    ledger, funds = funded(100)

    assert refused(decide(ledger, funds, command)).code is code


@pytest.mark.parametrize(
    "command",
    [
        Withdraw(user="ann", amount=Micros(100)),
        Deposit(user="ann", amount=Micros(DEPOSITS_MAX - 100)),
        CreateUser(user="bob", deposit=Micros(5), referrer="ann"),
        CreateUser(user="bob"),
    ],
)
def test_what_the_ledger_accepts_can_be_posted(command: CreateUser | Deposit | Withdraw) -> None:
    ledger, funds = funded(100)
    event = decide(ledger, funds, command)
    assert not isinstance(event, Rejected)

    ledger.post(event.transfers)  # type: ignore[attr-defined]
    assert ledger.total() == 0


def test_money_goes_in_and_out_only_through_the_world() -> None:
    venue = Books()
    venue.add_user("ann", 50)
    done(venue.send(Deposit(user="ann", amount=Micros(7))))
    done(venue.send(Withdraw(user="ann", amount=Micros(57))))

    assert venue.ledger.balances == {"world": 0, "user:ann": 0}
    assert venue.ledger.seq == 3
