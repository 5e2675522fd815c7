"""What follows from fills: the legs of every trade and every position, exactly as the events themselves say."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any, get_args

import pytest
from msgspec.structs import replace

from perps.commands import (
    CancelOrder,
    CancelOrders,
    ChangeMargin,
    ClosePosition,
    Command,
    CreateUser,
    Deposit,
    FundMarket,
    HouseAccount,
    ListMarket,
    ObserveTime,
    OpenPosition,
    OrderKind,
    PlaceOrder,
    PriceSource,
    ReplaceOrder,
    SetMode,
    SettleMarket,
    SetTriggers,
    Side,
    UpdatePrice,
    Withdraw,
)
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
from perps.market.order import order_id
from perps.market.position import position_id
from perps.market.state import Market
from perps.money.accounts import FEES, WORLD, house_account, insurance_account, margin_account
from perps.money.ledger import Ledger
from perps.params import Mode
from perps.projection import query_rows
from perps.query_rows import LegRecord, OrderRecord, PositionRecord, StoredFill
from perps.sequencer import Sequencer
from perps.snapshot.verification import Findings
from perps.units import MICRO, PPB, Micros, Millis, Ppb, Ticks
from persistence.journal import writer
from persistence.journal.selections import columns
from persistence.journal.writer import STATEMENT_RECORDS_MAX, PostgresJournal
from persistence.operator.audit import Audit
from persistence.reads.queries import PostgresQueries
from tests.perps.build import START_MS, index_market, quote_market
from tests.persistence.slow_reads import fills_of, slow_legs, slow_orders, slow_positions
from tests.persistence.stores import write
from tests.support.entries import Scribe
from tests.support.memory import MemoryQueries, MemoryStore
from tests.support.postgres import sql
from tools.audit.verify import check_database

LEGS, FILLS = columns(LegRecord.__struct_fields__), columns(StoredFill.__struct_fields__)
POSITIONS = columns(PositionRecord.__struct_fields__)
RATES = (0, 1, PPB // 1000, PPB // 100)
SHARES = (0, PPB // 3, PPB)
NAMES = ("ann", "bob", "cid", "dan", "eve")


def a_wild_day(seed: int, rows: int = 300) -> list[Entry]:
    """At least ``rows`` rows of all that a venue can do, in markets where fees, shares and margins are extreme."""
    random, sequencer, found, now = Random(seed), Sequencer(), list[Entry](), START_MS

    def send(command: Command) -> None:
        found.extend(sequencer.send(command, Millis(now), sender="test").entries)

    for params, price in ((index_market(), 5_000_000), (quote_market(), 10_000)):
        rate, share = random.choice(RATES), random.choice(SHARES)
        params = replace(
            params,
            taker_fee=Ppb(min(rate, params.liquidation_fee)),
            referral_share=Ppb(share),
            house_deposit=Micros(random.choice([0, 10**12])),
            house_credit_limit=Micros(10**15),
        )
        send(ListMarket(params=params, price=Ticks(price)))
    for number, name in enumerate(NAMES):
        referrer = NAMES[number - 1] if number and random.random() < 0.7 else None
        send(CreateUser(user=name, deposit=Micros(random.choice([0, 10**9, 10**12])), referrer=referrer))
    tickers = list(sequencer.markets)
    while len(found) < rows:
        now += random.choice([0, 0, 1, 1000, 60_000])
        ticker, user = random.choice(tickers), random.choice(NAMES)
        market = sequencer.markets[ticker]
        what = random.randrange(30)
        if what > 23:
            send(_an_order(random, market, user))
        elif what > 19 and market.positions:
            position = random.choice(list(market.positions.values()))
            name, amount = position_id(ticker, position.number), random.choice([1, 10**8, -1, -position.margin // 3])
            if what > 21:
                send(ChangeMargin(ticker=ticker, user=position.user, position_id=name, amount=Micros(amount)))
            else:
                side = Side.LONG if position.lots > 0 else Side.SHORT
                more = Micros(random.randrange(1, 10**9))
                command = OpenPosition(ticker=ticker, user=position.user, side=side, size=more, leverage=5)
                send(replace(command, position=name))
        elif what < 8:
            size, side = random.randrange(1, 200_000) * MICRO // 10, random.choice(list(Side))
            leverage = random.choice([1, 2, 5, market.params.max_leverage])
            send(OpenPosition(ticker=ticker, user=user, side=side, size=Micros(size), leverage=leverage))
        elif what < 13 and market.positions:
            position = random.choice(list(market.positions.values()))
            share = random.choice([PPB, PPB, PPB // 2, 1])
            name = position_id(ticker, position.number)
            owner = random.random() < 0.8
            by = position.user if owner else "admin"
            send(ClosePosition(ticker=ticker, user=by, position_id=name, share=Ppb(share), any_owner=not owner))
            levels = [None, *(Ticks(market.index_price * step // 100) for step in (96, 98, 102, 104))]
            profit, stop = random.choice(levels), random.choice(levels)
            send(SetTriggers(ticker=ticker, user=position.user, position_id=name, take_profit=profit, stop_loss=stop))
        elif what < 17:
            step = random.choice([90, 97, 99, 100, 101, 103, 111])
            price = max(1, min(market.index_price * step // 100, 10**7))
            send(UpdatePrice(ticker=ticker, price=Ticks(price), source=PriceSource.ORACLE))
        elif what == 17:
            send(Deposit(user=user, amount=Micros(random.randrange(1, 10**10))))
            send(Withdraw(user=user, amount=Micros(random.randrange(1, 10**6))))
        elif what == 18:
            account = random.choice(list(HouseAccount))
            send(FundMarket(ticker=ticker, account=account, amount=Micros(random.choice([10**7, 3, -3]))))
        else:
            mode = random.choice([Mode.REDUCE_ONLY, Mode.ENABLED, Mode.HALTED])
            send(SetMode(ticker=ticker, mode=mode))
            if mode is Mode.HALTED:
                send(SettleMarket(ticker=ticker))
            send(SetMode(ticker=ticker, mode=Mode.ENABLED))
    return found


def _an_order(random: Random, market: Market, user: str) -> Command:
    """One that is placed, or what becomes of one."""
    ticker, resting = market.ticker, list(market.orders.by_number.values())
    step, size = random.choice([95, 99, 100, 101, 105]), Micros(random.randrange(1, 50_000) * MICRO // 10)
    price = Ticks(market.index_price * step // 100)
    if not resting or random.random() < 0.6:
        kind, side = random.choice(list(OrderKind)), random.choice(list(Side))
        expires_at = random.choice([None, Millis(market.at + 90_000)])
        terms: dict[str, Any] = {"size": size, "leverage": 2, "price": price, "expires_at": expires_at}
        return PlaceOrder(ticker=ticker, user=user, order=kind, side=side, **terms)
    order = random.choice(resting)
    named: dict[str, Any] = {"ticker": ticker, "user": order.user, "order_id": order_id(ticker, order.number)}
    what = random.randrange(4)
    if what == 0:
        return CancelOrder(**named)
    if what == 1:
        return CancelOrders(ticker=ticker, user=order.user)
    return ReplaceOrder(**named, size=size, leverage=3, price=price) if what == 2 else ObserveTime(ticker=ticker)


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
    """A close whose fee goes to the insurance, or a fill that an order's reserve pays: their legs are stored."""
    if isinstance(event, PositionOpened):
        return event.order is not None
    is_close = isinstance(event, PositionReduced) and event.reason is not CloseReason.LIQUIDATION
    return is_close and TransferKind.LIQUIDATION_FEE in [transfer.kind for transfer in event.transfers]


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
