"""What the read side must answer, in memory and in PostgreSQL: judged by slow models of the events themselves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random

import pytest

from perps.commands import (
    ClosePosition,
    Command,
    CreateUser,
    ListMarket,
    OrderKind,
    PlaceOrder,
    PriceSource,
    Side,
    UpdatePrice,
)
from perps.events import MarketListed, PositionOpened, PositionReduced, PriceUpdated
from perps.journal import Entry, JournalRefused
from perps.query_rows import FillRecord, KeyRecord, LegRecord, PositionRecord
from perps.sequencer import Sequencer
from perps.units import PPB, Micros, Millis, Ppb, Ticks
from persistence.journal.selections import columns
from tests.perps.build import index_market
from tests.persistence.slow_reads import fills_of, slow_positions
from tests.persistence.stores import PostgresBackend, Queries, Store, write
from tests.support.candles import slow_candles
from tests.support.entries import START_MS, Scribe
from tests.support.memory import MemoryStore
from tests.support.postgres import sql

USERS = [f"user{number}" for number in range(5)]
TICKERS = ["BTC-PERP", "ETH-PERP"]
MINUTE = 60_000
EVER = 2 * START_MS


@pytest.fixture(scope="module")
def scribe() -> Scribe:
    """A venue that lived for 1,500 rows."""
    scribe = Scribe()
    scribe.live(1500, seed=5)
    return scribe


@pytest.fixture
async def queries(store: Store, written: None) -> AsyncIterator[Queries]:
    """The read side of a store that holds the scribe's rows."""
    queries = store.queries()
    await queries.open()
    yield queries
    await queries.close()


@pytest.fixture
def written(store: Store, scribe: Scribe) -> None:
    write(store.acquire(), scribe.entries)


async def pages(page: Callable[[tuple[int, int] | None], Awaitable[list[FillRecord]]]) -> list[FillRecord]:
    """A whole list, read page by page."""
    found: list[FillRecord] = []
    before = None
    while records := await page(before):
        found += records
        before = (records[-1].offset, records[-1].n)
    return found


async def test_a_row_is_found_by_its_offset(queries: Queries, scribe: Scribe) -> None:
    assert await queries.row(700) == scribe.entries[699].row
    assert await queries.row(0) is None
    assert await queries.row(10**9) is None


async def test_rows_after_an_offset_come_in_order_and_no_more_than_asked(queries: Queries, scribe: Scribe) -> None:
    assert await queries.rows_after(700, 3) == [entry.row for entry in scribe.entries[700:703]]
    assert await queries.rows_after(scribe.offset, 3) == []
    assert await queries.rows_after(0, 0) == []


@pytest.mark.parametrize("ticker", TICKERS)
async def test_a_markets_trades_are_its_fill_events_newest_first(queries: Queries, scribe: Scribe, ticker: str) -> None:
    expected = [
        (row.offset, n, row.at, event.position.user, event.fill.lots, event.fill.cost, event.fee, event.referral)
        for row, n, event in fills_of(scribe.entries)
        if row.stream == ticker
    ]
    found = await pages(lambda before: queries.fills(ticker=ticker, before=before, limit=70))
    assert len(found) > 150
    assert [(f.offset, f.n, f.at, f.user_id, f.lots, f.cost, f.fee, f.referral) for f in found] == expected[::-1]


@pytest.mark.parametrize("kind", ["open", "close", "liquidation"])
async def test_fills_can_be_asked_by_kind(queries: Queries, scribe: Scribe, kind: str) -> None:
    expected = {
        (row.offset, n)
        for row, n, event in fills_of(scribe.entries)
        if row.stream == "BTC-PERP"
        and kind == ("open" if not isinstance(event, PositionReduced) else event.reason.replace("owner", "close"))
    }
    assert expected
    found = await pages(lambda before: queries.fills(ticker="BTC-PERP", kinds=[kind], before=before, limit=30))
    assert {(fill.offset, fill.n) for fill in found} == expected
    assert {fill.kind for fill in found} == {kind}
    both = await queries.fills(ticker="BTC-PERP", kinds=[kind, "deleverage"], limit=10_000)
    assert both == found


async def test_a_users_trades_are_his_in_every_market_or_in_one(queries: Queries, scribe: Scribe) -> None:
    everywhere = await pages(lambda before: queries.fills(user="user1", before=before, limit=50))
    assert [(fill.offset, fill.n) for fill in everywhere] == [
        (row.offset, n) for row, n, event in fills_of(scribe.entries) if event.position.user == "user1"
    ][::-1]
    here = await pages(lambda before: queries.fills(user="user1", ticker="ETH-PERP", before=before, limit=50))
    assert here == [fill for fill in everywhere if fill.ticker == "ETH-PERP"]


async def test_a_fill_knows_the_side_of_its_position(queries: Queries) -> None:
    fills = await queries.fills(ticker="BTC-PERP", limit=10_000)
    longs = {fill.position_id for fill in fills if fill.kind == "open" and fill.lots > 0}
    assert all(fill.is_long is (fill.position_id in longs) for fill in fills)


async def test_fills_of_nobody_nowhere_are_not_asked_for(queries: Queries) -> None:
    with pytest.raises(ValueError, match="which user or market"):
        await queries.fills(limit=1)


@pytest.mark.parametrize("user", USERS)
async def test_a_wallets_transactions_lead_from_nothing_to_its_balance(
    queries: Queries, scribe: Scribe, user: str
) -> None:
    wallet, legs, before = f"user:{user}", list[LegRecord](), None
    while page := await queries.transactions(user, before=before, limit=64):
        legs += page
        before = (page[-1].offset, page[-1].n)
    assert [(leg.offset, leg.n) for leg in legs] == sorted({(leg.offset, leg.n) for leg in legs}, reverse=True)
    balance = 0
    for leg in reversed(legs):
        change = leg.amount if leg.target == wallet else -leg.amount
        balance += change
        assert balance == (leg.target_balance if leg.target == wallet else leg.source_balance)
    assert balance == scribe.ledger.balances[wallet]


async def test_a_leg_names_the_position_it_moved_for(queries: Queries, scribe: Scribe) -> None:
    opened = {
        row.offset: f"{row.stream}-{event.position.number}"
        for row, _, event in fills_of(scribe.entries)
        if isinstance(event, PositionOpened) and event.position.user == "user0"
    }
    legs = await queries.transactions("user0", limit=10_000)
    assert {leg.offset: leg.position_id for leg in legs if leg.kind == "margin"} == opened
    assert {leg.position_id for leg in legs if leg.kind in ("deposit", "withdrawal")} == {None}


@pytest.mark.parametrize("ticker", TICKERS)
async def test_a_markets_prices_are_its_price_events_newest_first(
    queries: Queries, scribe: Scribe, ticker: str
) -> None:
    expected: list[tuple[int, int, int, int, int, str]] = []
    for entry in scribe.entries:
        for n, event in enumerate(entry.events):
            if entry.row.stream == ticker and isinstance(event, PriceUpdated):
                expected.append((entry.row.offset, n, event.price, event.mark, event.quote, event.source))
            elif entry.row.stream == ticker and isinstance(event, MarketListed):
                expected.append((entry.row.offset, n, event.price, event.price, event.price, "system"))
    found, before = [], None
    while page := await queries.prices(ticker, before=before, limit=40):
        found += page
        before = (page[-1].offset, page[-1].n)
    read = [(p.offset, p.n, p.index_price, p.mark_price, p.quote_price, p.source) for p in found]
    assert read == expected[::-1]


@pytest.mark.parametrize("status", ["all", "open", "closed"])
async def test_a_users_positions_are_what_their_events_made_of_them(
    queries: Queries, scribe: Scribe, status: str
) -> None:
    model = list(slow_positions(scribe.entries).values())
    assert {position.status for position in model} == {"open", "closed", "liquidated"}
    for user in USERS:
        expected = [
            position
            for position in model
            if position.user_id == user and (status == "all" or (position.status == "open") is (status == "open"))
        ]
        found: list[PositionRecord] = []
        before = None
        while page := await queries.positions(user, status=status, before=before, limit=17):
            found += page
            before = (page[-1].opened_offset, 0)
        assert found == sorted(expected, key=lambda position: -position.opened_offset)
        eth = await queries.positions(user, status=status, ticker="ETH-PERP", limit=10_000)
        assert eth == [position for position in found if position.ticker == "ETH-PERP"]


@pytest.mark.parametrize("status", ["all", "open", "closed"])
async def test_positions_that_one_row_opened_are_on_one_page_each(store: Store, status: str) -> None:
    sequencer, entries, at = Sequencer(), list[Entry](), START_MS

    def send(command: Command) -> None:
        entries.extend(sequencer.send(command, Millis(at), sender="test").entries)

    send(ListMarket(params=index_market(), price=Ticks(5_000_000)))
    send(CreateUser(user="ann", deposit=Micros(10**12)))
    for price in range(4_899_988, 4_900_000):
        limit = PlaceOrder(
            ticker="BTC-PERP",
            user="ann",
            order=OrderKind.LIMIT,
            side=Side.LONG,
            size=Micros(10**8),
            leverage=10,
            price=Ticks(price),
        )
        send(limit)
    at = Millis(at + 1000)
    send(UpdatePrice(ticker="BTC-PERP", price=Ticks(4_890_000), source=PriceSource.EVENT))
    names = [f"BTC-PERP-{number}" for number in range(12, 0, -1)]
    if status == "closed":
        for name in names[::-1]:
            send(ClosePosition(ticker="BTC-PERP", user="ann", position_id=name, share=Ppb(PPB)))
    await asyncio.to_thread(lambda: write(store.acquire(), entries))
    queries, found = store.queries(), list[PositionRecord]()
    await queries.open()
    before = None
    while page := await queries.positions("ann", status=status, before=before, limit=5):
        found += page
        before = page[-1].place
    await queries.close()
    assert len({position.opened_offset for position in found}) == 1
    assert [position.id for position in found] == names


async def test_a_position_that_was_closed_or_changed_has_an_owner(queries: Queries, scribe: Scribe) -> None:
    """Of one that stands as it was opened, memory knows it (``web/gateway.py``)."""
    for identity, position in slow_positions(scribe.entries).items():
        untouched = position.offset == position.opened_offset
        assert await queries.owner(identity) == (None if untouched else position.user_id)
    assert await queries.owner("BTC-PERP-0") is None


@pytest.mark.parametrize("interval", [MINUTE, 5 * MINUTE, 60 * MINUTE, 24 * 60 * MINUTE])
@pytest.mark.parametrize("ticker", TICKERS)
async def test_candles_are_what_every_price_and_fill_in_order_makes(
    queries: Queries, scribe: Scribe, ticker: str, interval: int
) -> None:
    expected = slow_candles(scribe.entries, ticker, interval)
    everything = await queries.candles(ticker, interval_ms=interval, start_ms=0, end_ms=EVER, limit=10_000)
    assert everything == expected


async def test_candles_of_a_span_are_whole_and_the_newest_as_many_as_asked(queries: Queries, scribe: Scribe) -> None:
    every = slow_candles(scribe.entries, "BTC-PERP", MINUTE)
    random = Random(3)
    for _ in range(20):
        start = random.randrange(every[0].start - 10 * MINUTE, every[-1].start)
        end = random.randrange(start, every[-1].start + 10 * MINUTE)
        limit = random.choice([0, 1, 5, 500])
        expected = [candle for candle in every if start <= candle.start < end]
        found = await queries.candles("BTC-PERP", interval_ms=MINUTE, start_ms=start, end_ms=end, limit=limit)
        assert found == (expected[-limit:] if limit else [])


async def test_candles_of_a_quiet_market_are_found_however_far_apart(store: Store) -> None:
    scribe, queries = Scribe(), store.queries()
    scribe.list_market()
    for minutes in (1, 9, 1, 70, 1, 2_000, 30_000, 1, 2, 1, 1):
        scribe.now = Millis(scribe.now + minutes * MINUTE)
        scribe.price(5_000_000 + minutes)
    await asyncio.to_thread(lambda: write(store.acquire(), scribe.entries))
    every = slow_candles(scribe.entries, "BTC-PERP", MINUTE)
    await queries.open()
    for limit in range(1, len(every) + 2):
        for end in (EVER, *(every[-1].start + minutes * MINUTE for minutes in range(5))):
            expected = [candle for candle in every if candle.start < end][-limit:]
            found = await queries.candles("BTC-PERP", interval_ms=MINUTE, start_ms=0, end_ms=end, limit=limit)
            assert found == expected
    await queries.close()


async def test_the_legs_of_every_row_sum_to_zero_and_every_balance_follows(queries: Queries, scribe: Scribe) -> None:
    balances: dict[str, int] = {}
    everything = {(leg.offset, leg.n): leg for user in USERS for leg in await queries.transactions(user, limit=10_000)}
    for entry in scribe.entries:
        for n, leg in enumerate(entry.legs):
            transfer = leg.transfer
            balances[transfer.source] = balances.get(transfer.source, 0) - transfer.amount
            balances[transfer.target] = balances.get(transfer.target, 0) + transfer.amount
            stored = everything.get((entry.row.offset, n))
            touches_wallet = "user:" in transfer.source[:5] or "user:" in transfer.target[:5]
            assert (stored is not None) is touches_wallet
            if stored:
                assert stored.source_balance == balances[transfer.source]
                assert stored.target_balance == balances[transfer.target]
    assert sum(balances.values()) == 0


def test_both_stores_hold_the_same_query_records(postgres: PostgresBackend, database_url: str, scribe: Scribe) -> None:
    memory = MemoryStore()
    write(memory.acquire(), scribe.entries, sizes=[3])
    write(postgres.acquire(), scribe.entries)
    for table, records in (("fills", memory.fills), ("prices", memory.prices)):
        kind = type(records[0])
        stored = sql(database_url, f'select {columns(kind.__struct_fields__)} from {table} order by "offset", n')
        assert [kind(*record) for record in stored] == records
    stored = sql(database_url, f"select {columns(PositionRecord.__struct_fields__)} from all_positions")
    assert {record["id"]: PositionRecord(*record) for record in stored} == memory.positions


async def test_a_key_is_stored_once_and_revoked_once(store: Store, written: None) -> None:
    keys = store.keys()
    first = KeyRecord("k1", b"d1" * 16, "ann", ("read", "trade"), "Ann's", created_at=1, expires_at=99)
    second = KeyRecord("k2", b"d2" * 16, None, ("admin",), "", created_at=2)
    await keys.add(second)
    await keys.add(first)
    assert await keys.load() == [first, second]
    with pytest.raises(JournalRefused):
        await keys.add(KeyRecord("k1", b"other", None, (), "", created_at=3))
    with pytest.raises(JournalRefused):
        await keys.add(KeyRecord("k3", first.digest, None, (), "", created_at=3))
    assert await keys.revoke("k1", 50)
    assert await keys.revoke("k1", 60)
    assert not await keys.revoke("never", 60)
    assert [key.revoked_at for key in await keys.load()] == [50, None]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
async def test_keys_are_paged_newest_first_those_of_one_moment_by_id(store: Store, written: None, limit: int) -> None:
    keys = store.keys()
    made = [(5, "b"), (5, "a"), (1, "d"), (9, "c")]
    for created_at, key_id in made:
        await keys.add(KeyRecord(key_id, key_id.encode() * 32, None, ("read",), "", created_at=created_at))
    found: list[tuple[int, str]] = []
    before = None
    while page := await keys.newest(before=before, limit=limit):
        assert len(page) <= limit
        found += [(key.created_at, key.key_id) for key in page]
        before = found[-1]
    assert found == [(9, "c"), (5, "b"), (5, "a"), (1, "d")]
