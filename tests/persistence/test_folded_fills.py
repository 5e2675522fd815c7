"""What follows from fills: the legs of every trade and every position, exactly as the events themselves say."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import get_args

import pytest
from msgspec.structs import replace

from perps.engine import effects_of
from perps.events import (
    CloseReason,
    Event,
    PositionIncreased,
    PositionOpened,
    PositionReduced,
    Transfer,
    TransferKind,
)
from perps.folding import legs_of
from perps.journal import Entry
from perps.money.accounts import FEES, WORLD, house_account, insurance_account, margin_account
from perps.money.ledger import Ledger
from perps.projection import query_rows
from perps.query_rows import LegRecord, OrderRecord, PositionRecord, StoredFill
from perps.snapshot.verification import Findings
from perps.units import Micros
from persistence.journal import writer
from persistence.journal.selections import columns
from persistence.journal.writer import STATEMENT_RECORDS_MAX, PostgresJournal
from persistence.operator.audit import Audit
from persistence.reads.queries import PostgresQueries
from tests.persistence.slow_reads import fills_of, slow_legs, slow_orders, slow_positions
from tests.persistence.stores import write
from tests.persistence.wild_days import NAMES, a_wild_day
from tests.support.entries import Scribe
from tests.support.memory import MemoryQueries, MemoryStore
from tests.support.postgres import sql
from tools.audit.verify import check_database

LEGS, FILLS = columns(LegRecord.__struct_fields__), columns(StoredFill.__struct_fields__)
POSITIONS = columns(PositionRecord.__struct_fields__)


def stored_legs(url: str) -> list[LegRecord]:
    """All legs: those stored one by one, and those that follow from fills."""
    found = [LegRecord(*record) for record in sql(url, f"select {LEGS} from legs")]
    for record in sql(url, f"select {FILLS} from fills"):
        found += legs_of(StoredFill(*record))
    return sorted(found, key=lambda leg: (leg.offset, leg.n))


def stored_positions(url: str) -> dict[str, PositionRecord]:
    return {record["id"]: PositionRecord(*record) for record in sql(url, f"select {POSITIONS} from all_positions")}


def stored_orders(url: str) -> dict[str, OrderRecord]:
    names = columns(OrderRecord.__struct_fields__)
    return {record["id"]: OrderRecord(*record) for record in sql(url, f"select {names} from orders")}


def write_in_pieces(url: str, entries: list[Entry], sizes: Sequence[int] = (7, 1, 30, 2)) -> None:
    with PostgresJournal.acquire(url) as journal:
        write(journal, entries, sizes)


DAYS = range(8)


@pytest.mark.parametrize("seed", DAYS)
def test_legs_and_positions_follow_from_fills_as_their_events_say(database_url: str, seed: int) -> None:
    entries = a_wild_day(seed)
    write_in_pieces(database_url, entries)

    assert stored_legs(database_url) == slow_legs(entries)
    assert stored_positions(database_url) == slow_positions(entries)
    assert stored_orders(database_url) == slow_orders(entries)
    trades = [event for _, _, event in fills_of(entries)]
    apart = sum(map(_pays_another_fee, trades))
    assert tuple(sql(database_url, "select count(*), count(leg) from fills")[0]) == (len(trades), len(trades) - apart)
    assert verified(database_url) == []


def _pays_another_fee(event: PositionOpened | PositionIncreased | PositionReduced) -> bool:
    """A close whose fee goes to the insurance, a liquidation in part whose margin pays it, a fill that an order pays.

    Their legs are stored.
    """
    if isinstance(event, PositionOpened | PositionIncreased):
        return event.order is not None
    is_close = event.reason is not CloseReason.LIQUIDATION
    fees = [each for each in event.transfers if each.kind is TransferKind.LIQUIDATION_FEE]
    return any(is_close or each.source.startswith("margin:") for each in fees)


def test_the_days_have_every_kind_of_event_and_of_transfer() -> None:
    """Otherwise nothing is shown here."""
    days = [entry for seed in DAYS for entry in a_wild_day(seed)]
    moving_money = {kind for kind in get_args(Event) if "transfers" in kind.__struct_fields__}
    assert {type(event) for entry in days for event in entry.events} >= moving_money
    transfers = Counter(transfer.kind for entry in days for event in entry.events for transfer in event.transfers)
    assert set(transfers) == set(TransferKind)
    assert min(transfers.values()) >= 3, transfers


def test_a_batch_of_any_size_says_the_same(database_url: str) -> None:
    scribe = Scribe()
    scribe.live(STATEMENT_RECORDS_MAX * 2, seed=3)
    write_in_pieces(database_url, scribe.entries, sizes=[STATEMENT_RECORDS_MAX + 50, 1, 700])

    assert stored_legs(database_url) == slow_legs(scribe.entries)
    assert stored_positions(database_url) == slow_positions(scribe.entries)


def test_an_open_is_one_record_and_a_close_two() -> None:
    scribe = Scribe()
    scribe.list_market()
    scribe.add_user("ann", referrer=None)
    scribe.add_user("bob", referrer="ann")
    name = scribe.open("bob")
    opened = query_rows(scribe.entries[-1:])
    assert (len(opened.fills), opened.count) == (1, 1)
    closed = query_rows(scribe.close("bob", name))
    assert (len(closed.fills), len(closed.changed), closed.count) == (1, 1, 2)


def altered(entry: Entry, change: Callable[[tuple[Transfer, ...]], tuple[Transfer, ...]], ledger: Ledger) -> Entry:
    """The row as it would be if its trades moved money otherwise."""
    events = tuple(
        replace(event, transfers=change(event.transfers))
        if isinstance(event, PositionOpened | PositionReduced)
        else event
        for event in entry.events
    )
    legs = tuple(leg for event in events for leg in ledger.post(event.transfers))
    return replace(entry, events=events, legs=legs)


def _by_one(transfers: tuple[Transfer, ...]) -> tuple[Transfer, ...]:
    first, *others = transfers
    return (replace(first, amount=Micros(first.amount + 1)), *others)


def _toll(transfers: tuple[Transfer, ...]) -> tuple[Transfer, ...]:
    return (*transfers, Transfer(WORLD, "tolls", Micros(5), TransferKind.FEE))


def _nothing(transfers: tuple[Transfer, ...]) -> tuple[Transfer, ...]:
    return (*transfers, Transfer(WORLD, "fees", Micros(0), TransferKind.FEE))


def _elsewhere(transfers: tuple[Transfer, ...]) -> tuple[Transfer, ...]:
    *others, last = transfers
    return (*others, replace(last, target="charity"))


OTHERWISE: dict[str, Callable[[tuple[Transfer, ...]], tuple[Transfer, ...]]] = {
    "backwards": lambda transfers: transfers[::-1],
    "one micro more": _by_one,
    "a toll on top": _toll,
    "a transfer of nothing": _nothing,
    "none of the first": lambda transfers: transfers[1:],
    "the last twice": lambda transfers: (*transfers, transfers[-1]),
    "to another account": _elsewhere,
    "no money": lambda transfers: (),
}


@pytest.mark.parametrize("how", OTHERWISE)
def test_an_event_that_moves_money_otherwise_keeps_it_exactly(database_url: str, how: str) -> None:
    scribe, ledger = Scribe(), Ledger()
    scribe.live(150, seed=9)
    entries = [altered(entry, OTHERWISE[how], ledger) for entry in scribe.entries]
    write_in_pieces(database_url, entries)

    assert stored_legs(database_url) == slow_legs(entries)
    assert stored_positions(database_url) == slow_positions(entries)


def test_a_user_who_is_their_own_referrer_has_exact_balances(database_url: str) -> None:
    """No rule allows it; if one did, the wallet's last balance would not say what it held before."""
    scribe, ledger = Scribe(), Ledger()
    scribe.live(150, seed=9)

    def to_oneself(transfers: tuple[Transfer, ...]) -> tuple[Transfer, ...]:
        return tuple(
            replace(each, target=each.source) if each.kind is TransferKind.REFERRAL else each for each in transfers
        )

    def own(event: Event) -> Event:
        if isinstance(event, PositionOpened | PositionReduced):
            return replace(event, position=replace(event.position, referrer=event.position.user))
        return event

    entries = []
    for entry in scribe.entries:
        moved = altered(entry, to_oneself, ledger)
        events = tuple(map(own, moved.events))
        entries.append(replace(moved, events=events, effects=effects_of(events)))
    write_in_pieces(database_url, entries)

    assert stored_legs(database_url) == slow_legs(entries)


@pytest.mark.parametrize("reason", list(CloseReason))
def test_a_trade_of_every_transfer_at_once_has_exact_balances(database_url: str, reason: CloseReason) -> None:
    """No rule makes such a one: a gain, or a loss, beside a debt that the insurance covers, a fee and a referral."""
    scribe, ledger, entries = Scribe(), Ledger(), list[Entry]()
    scribe.live(150, seed=9)
    is_liquidation = reason is CloseReason.LIQUIDATION
    fees = insurance_account("BTC-PERP") if is_liquidation else FEES
    kind = TransferKind.LIQUIDATION_FEE if is_liquidation else TransferKind.FEE
    wallet, posted, house = "user:ann", margin_account("BTC-PERP"), house_account("BTC-PERP")
    for entry in scribe.entries:
        moved = entry
        if entry.row.stream == "BTC-PERP" and isinstance(event := entry.events[0], PositionReduced):
            pnl = 700 if entry.row.offset % 2 else -800
            gain = (house, wallet, 700, TransferKind.PROFIT) if pnl > 0 else (posted, house, 800, TransferKind.LOSS)
            moves = (
                (posted, wallet, 600, TransferKind.MARGIN_RETURN),
                gain,
                (insurance_account("BTC-PERP"), house, 50, TransferKind.BAD_DEBT),
                (wallet, fees, 9, kind),
                (wallet, "user:bob", 4, TransferKind.REFERRAL),
            )
            altered_event = replace(
                event,
                position=replace(event.position, user="ann", referrer="bob"),
                reason=reason,
                pnl=Micros(pnl),
                fee=Micros(13),
                referral=Micros(4),
                bad_debt=Micros(0),
                transfers=tuple(Transfer(source, target, Micros(much), why) for source, target, much, why in moves),
            )
            events = (altered_event, *entry.events[1:])
            moved = replace(entry, events=events, effects=effects_of(events))
        entries.append(
            replace(moved, legs=tuple(leg for event in moved.events for leg in ledger.post(event.transfers)))
        )
    write_in_pieces(database_url, entries)

    assert stored_legs(database_url) == slow_legs(entries)
    assert sql(database_url, "select bool_and(leg is not null) from fills")[0][0]


def verified(url: str) -> list[str]:
    """What ``perps verify`` finds wrong."""
    findings = Findings()
    with Audit(url) as audit:
        check_database(audit, findings, lambda done, note="": None)
    return [finding.problem for finding in findings.told()]


async def test_a_database_that_two_versions_wrote_answers_as_if_one_had(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, half = a_wild_day(4, rows=400), 200
    memory = MemoryStore()
    write(memory.acquire(), entries)

    def write_both() -> None:
        with PostgresJournal.acquire(database_url) as journal:
            with monkeypatch.context() as older:
                older.setattr(writer, "query_rows", partial(query_rows, fold=False))
                write(journal, entries[:half], sizes=[13])
            write(journal, entries[half:], sizes=[13])

    await asyncio.to_thread(write_both)

    assert await asyncio.to_thread(stored_legs, database_url) == slow_legs(entries) == memory.legs
    assert await asyncio.to_thread(stored_positions, database_url) == slow_positions(entries) == memory.positions
    assert await asyncio.to_thread(verified, database_url) == []
    queries, model = PostgresQueries(database_url), MemoryQueries(memory)
    await queries.open()
    for user in NAMES:
        for before in (None, (half + 20, 1), (half, 0), (half - 20, 0)):
            found = await queries.transactions(user, before=before, limit=60)
            assert found == await model.transactions(user, before=before, limit=60)
            for status in ("open", "closed", "all"):
                asked = partial(model.positions, user, status=status, before=before, limit=7)
                assert await queries.positions(user, status=status, before=before, limit=7) == await asked()
    await queries.close()
