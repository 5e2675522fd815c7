"""Every stream against the journal: over disconnects, kill -9 and restarts of a real venue under load (I10).

Readers of each stream come back with the last id they saw whenever the line breaks, and often break it themselves. What
they got, row by row, must be the bytes that somebody gets who reads it all at the end; and what it says must be what
the query tables say of the same rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, Final

import aiohttp
import msgspec
import pytest

from tests.endtoend.api import Api, client
from tests.endtoend.conftest import Venues
from tests.endtoend.load import Record, Storm
from tests.endtoend.rounds import Journal, prepared
from tests.endtoend.test_kill_9 import strike_at
from tests.endtoend.venue_process import ADMIN_KEY
from tests.model.slow_rules import micros
from tests.support.faults import fault
from tests.support.journal_money import JournalMoney
from tests.support.postgres import sql
from tests.support.slowness import soon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

ROUNDS: Final = 3
CLIENTS: Final = 16
RAGE_S: Final = (0.4, 0.9)
ROWS_MAX: Final = 150
"""A reader hangs up by itself after at most so many rows."""
PAUSE_S: Final = 0.01
WAIT_S: Final = 30.0
READERS: Final = 3
"""Of each stream."""

USER: Final = "user-0"
STREAMS: Final = (
    "/api/sse/markets",
    "/api/sse/markets?tickers=AAA,CCC",
    "/api/sse/users",
    f"/api/sse/users/{USER}",
    "/api/sse/users/user-1?tickers=BBB",
    "/api/sse?tickers=AAA&user=user-3",
)

Rows = dict[int, bytes]
"""The events of each row as they came, by offset, in the order in which they came."""

TRADES: Final = """
    select "offset", n, user_id, position_id, kind, cost, pnl, fee from fills order by 1, 2
"""
ROWS: Final = 'select "offset", payload, schema_version from journal order by 1'


class Follower:
    """Reads one stream from the first row on, again and again from where it was."""

    def __init__(self, session: aiohttp.ClientSession, url: str, path: str, chance: Random | None) -> None:
        self._session, self._url, self._chance = session, f"{url}{path}", chance
        self._last_id = "0-0"
        self.rows: Rows = {}
        self.breaks = 0

    async def follow(self) -> None:
        """Until cancelled."""
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                asked = {**headers, "Last-Event-ID": self._last_id}
                async with self._session.get(self._url, headers=asked, timeout=timeout) as response:
                    assert response.status in (200, 503), await response.text()
                    if response.status == 200:
                        await self._read(response)
            self.breaks += 1
            await asyncio.sleep(PAUSE_S)

    async def _read(self, response: aiohttp.ClientResponse) -> None:
        """Take whole rows; what broke off before its row's id comes again."""
        rest, row = b"", b""
        left = None if self._chance is None else self._chance.randint(1, ROWS_MAX)
        async for chunk in response.content.iter_any():
            *blocks, rest = (rest + chunk).split(b"\n\n")
            for block in blocks:
                if not block.startswith(b"event: "):
                    continue
                assert not block.startswith((b"event: reset", b"event: snapshot")), "a reader has lost its place"
                row += block + b"\n\n"
                ident = block.rpartition(b"\nid: ")[2].decode() if b"\nid: " in block else None
                if ident is None:
                    continue
                offset, last = int(ident.partition("-")[2]), int(self._last_id.partition("-")[2])
                assert offset > last, f"row {offset} after row {last}"
                self.rows[offset], self._last_id, row = row, ident, b""
                left = None if left is None else left - 1
            if left is not None and left <= 0:
                return


def events_of(row: bytes) -> Iterator[tuple[str, Any]]:
    """A row's events: name and data."""
    for block in row.removesuffix(b"\n\n").split(b"\n\n"):
        name, data, *_ = block.split(b"\n")
        yield name.removeprefix(b"event: ").decode(), msgspec.json.decode(data.removeprefix(b"data: "))


@fault("kill -9 amid readers of every stream, who break off and come back", "I10", "I8")
async def test_every_stream_is_the_journal_once_and_in_order(venues: Venues, tmp_path: Path) -> None:
    chance, venue = Random(7), venues()
    await asyncio.to_thread(venue.start)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        with closing(Record(tmp_path / "acknowledged.jsonl")) as record:
            async with client(venue.url) as api:
                storm = Storm(api, await prepared(api, chance, CLIENTS), record, chance)
                followers = {
                    path: [Follower(session, venue.url, path, Random(chance.random())) for _ in range(READERS)]
                    for path in STREAMS
                }
                tasks = [asyncio.create_task(one.follow()) for many in followers.values() for one in many]
                try:
                    for number in range(1, ROUNDS + 1):
                        strike = asyncio.create_task(strike_at(chance.uniform(*RAGE_S), venue, None))
                        await storm.rage(number)
                        await strike
                        assert await asyncio.to_thread(venue.wait_exit) == -signal.SIGKILL
                        await asyncio.to_thread(venue.start_whatever_it_takes)
                        await storm.resolve(number)
                    whole = await _read_all(session, venue.url, api)
                    await _until_all_have_it(followers, whole, tasks)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.wait(tasks)
    url = await asyncio.to_thread(venue.postgres.start)
    await asyncio.to_thread(Journal(url).catch_up)
    for path, many in followers.items():
        for one in many:
            assert one.breaks >= ROUNDS
            assert list(one.rows.items()) == list(whole[path].items()), path
    await asyncio.to_thread(_says_what_the_tables_say, url, whole)
    print({path: (len(rows), sum(map(len, rows.values()))) for path, rows in whole.items()})


async def _read_all(session: aiohttp.ClientSession, url: str, api: Api) -> dict[str, Rows]:
    """Each stream from the first row on, read at the end in one go."""
    last: dict[str, int] = {}
    for ticker in ("AAA", "CCC"):
        body = {"price": "77", "source": "system"}
        last[ticker] = (await api.done("POST", f"/api/markets/perps/{ticker}/price", body))["offset"]
    for user in (USER, "user-1", "user-3"):
        path = f"/api/admin/users/{user}/deposit"
        last[user] = (await api.done("POST", path, {"amount": "1", "clientOrderId": "the-end"}))["offset"]
    ends = (last["CCC"], last["CCC"], last["user-3"], last[USER], last["user-1"], last["user-3"])
    found: dict[str, Rows] = {}
    for path, end in zip(STREAMS, ends, strict=True):
        reader = Follower(session, url, path, None)
        task = asyncio.create_task(reader.follow())
        try:
            async with soon(WAIT_S):
                while end not in reader.rows:
                    assert not task.done() or task.result() is None
                    await asyncio.sleep(PAUSE_S)
        finally:
            task.cancel()
            await asyncio.wait([task])
        assert reader.breaks == 0
        found[path] = reader.rows
    return found


async def _until_all_have_it(
    followers: dict[str, list[Follower]], whole: dict[str, Rows], tasks: list[asyncio.Task[None]]
) -> None:
    async with soon(WAIT_S):
        while any(len(one.rows) < len(whole[path]) for path, many in followers.items() for one in many):
            for task in tasks:
                assert not task.done() or task.result() is None
            await asyncio.sleep(PAUSE_S)


def _says_what_the_tables_say(url: str, whole: dict[str, Rows]) -> None:
    fills = {f"{row['offset']}-{row['n']}": row for row in sql(url, TRADES)}
    wallets: dict[str, dict[int, int]] = {}
    money = JournalMoney()
    stored = [(row["offset"], row["payload"], row["schema_version"]) for row in sql(url, ROWS)]
    for offset, moved in money.take(stored):
        for account in moved:
            if account.startswith("user:"):
                wallets.setdefault(account.removeprefix("user:"), {})[offset] = money.balances[account]
    told = [event for row in whole["/api/sse/users"].values() for event in events_of(row)]
    trades = [data for name, data in told if name == "trade"]
    assert [trade["id"] for trade in trades] == list(fills), "trades: one lost, one twice, or out of order"
    for trade in trades:
        fill = fills[trade["id"]]
        assert (trade["userId"], trade["positionId"], trade["kind"]) == (
            fill["user_id"],
            fill["position_id"],
            fill["kind"],
        )
        assert (micros(trade["realizedPnL"]), micros(trade["fee"]["amount"])) == (fill["pnl"], fill["fee"])
    assert [trade["id"] for name, trade in told if name == "liquidation"] == [
        ident for ident, fill in fills.items() if fill["kind"] == "liquidation"
    ]
    positions = [(data["offset"], data["id"]) for name, data in told if name == "position"]
    assert positions == [(fill["offset"], fill["position_id"]) for fill in fills.values()]
    _balances_are_the_ledgers(told, wallets, list(fills.values()))
    public = [
        data["id"] for row in whole["/api/sse/markets"].values() for name, data in events_of(row) if name == "trade"
    ]
    assert public == list(fills)
    rows = sql(url, "select \"offset\" from journal where stream <> '@ledger' order by 1")
    assert list(whole["/api/sse/markets"]) == [row["offset"] for row in rows]
    narrow = sql(url, "select \"offset\" from journal where stream in ('AAA', 'CCC') order by 1")
    assert list(whole["/api/sse/markets?tickers=AAA,CCC"]) == [row["offset"] for row in narrow]
    for path, user in ((f"/api/sse/users/{USER}", USER), ("/api/sse/users/user-1?tickers=BBB", "user-1")):
        own = [data for row in whole[path].values() for _, data in events_of(row)]
        assert {data["userId"] for data in own} == {user}
    mixed = [data for row in whole["/api/sse?tickers=AAA&user=user-3"].values() for _, data in events_of(row)]
    assert {data.get("userId") for data in mixed} == {None, "user-3"}
    assert {data["ticker"] for data in mixed if "userId" not in data} == {"AAA"}


def _balances_are_the_ledgers(
    told: list[tuple[str, Any]], wallets: dict[str, dict[int, int]], fills: list[Any]
) -> None:
    """Each user's balance after each row that touched them; and their sums, of all trades up to it."""
    touched: dict[str, dict[int, Any]] = {}
    for name, data in told:
        if name == "balance":
            assert data["offset"] not in touched.setdefault(data["userId"], {}), "a balance came twice"
            touched[data["userId"]][data["offset"]] = data
    for user, balances in touched.items():
        assert wallets[user].keys() <= balances.keys()
        held = pnl = fees = 0
        own = iter([fill for fill in fills if fill["user_id"] == user])
        fill = next(own, None)
        for offset, data in balances.items():
            held = wallets[user].get(offset, held)
            while fill is not None and fill["offset"] <= offset:
                pnl, fees = pnl + fill["pnl"], fees + fill["fee"]
                fill = next(own, None)
            shown = [micros(data[field]) for field in ("balance", "lifetimePnL", "totalFees")]
            assert shown == [held, pnl, fees], (user, offset)
        assert fill is None
