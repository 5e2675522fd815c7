"""kill -9 amid concurrent opens and closes, over and over on one data directory: I1 to I5 and I13 after each.

In every other round the database crashes too: its journal session is frozen, the venue has some time to promise what is
not durable, and then both are killed. What the session had not committed is gone then, whereas a session that survives
its venue still commits what it has been sent.

``PERPS_E2E_ROUNDS`` sets the rounds, ``PERPS_E2E_SEED`` repeats the orders and the moments of a run (what was in flight
at such a moment is the machine's choice).
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Final

import pytest

from perps.venue import VenueState
from persistence.postgres_history import PostgresHistory
from tests.endtoend.api import Api, client
from tests.endtoend.candles import dollars
from tests.endtoend.conftest import Venues
from tests.endtoend.load import CASHIER, PRICES, Acknowledged, Cashier, Client, Record, Storm
from tests.endtoend.venue_process import VenueProcess
from tests.model.slow_model import micros
from tests.support.postgres import sql

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

ROUNDS: Final = int(os.environ.get("PERPS_E2E_ROUNDS", "20"))
SEED: Final = int(os.environ.get("PERPS_E2E_SEED", str(random.SystemRandom().randrange(10**6))))
CLIENTS: Final = 64
POOR_EVERY: Final = 8
"""Each eighth user has little, so that some opens are refused for want of money."""
KILL_S: Final = (0.05, 0.7)
"""Between these moments of the storm the venue is killed."""
FROZEN_S: Final = 0.05
"""How long the database session is frozen before both are killed."""
OLD_SAMPLE: Final = 150
"""Acknowledgements of earlier rounds asked for again in each."""


class Journal:
    """The venue's journal, read beside it and replayed row by row: each round goes on where the last one stopped."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._history = PostgresHistory(url)
        self._state = VenueState()
        self.epochs: Counter[int] = Counter()
        self.offsets: dict[tuple[str, str], int] = {}
        """The row of each (sender, client order id)."""

    def catch_up(self) -> int:
        """Replay what is new: the last offset. ``VenueState`` checks the hash chain, offsets, sequences and sums."""
        before = self._state.offset
        for expected, row in enumerate(self._history.rows(before), before + 1):
            assert row.offset == expected
            self._state.apply(row)
            self.epochs[row.epoch] += 1
            if row.client_order_id is not None and not row.client_order_id.startswith("req-"):
                key = (row.user_id or "", row.client_order_id)
                assert key not in self.offsets, f"rows {self.offsets[key]} and {row.offset} are both {key}"
                self.offsets[key] = row.offset
        assert self._state.ledger.total() == 0
        return self._state.offset

    def session(self) -> int:
        """The process of the database server that writes the journal."""
        found = sql(self._url, "select pid from pg_stat_activity where application_name like 'perps journal%'")
        assert len(found) == 1, found
        return int(found[0]["pid"])

    def check_whole(self) -> None:
        """A replay from the first row ends where the rounds have ended."""
        state = VenueState()
        for row in self._history.rows():
            state.apply(row)
        assert state.last_hash == self._state.last_hash


async def test_nothing_acknowledged_is_lost_by_kill_9(venues: Venues, tmp_path: Path) -> None:
    print(f"PERPS_E2E_SEED={SEED} PERPS_E2E_ROUNDS={ROUNDS}")
    chance = Random(SEED)
    venue = venues()
    await asyncio.to_thread(venue.start)
    with closing(Record(tmp_path / "acknowledged.jsonl")) as record:
        async with client(venue.url) as api:
            storm = Storm(api, await prepared(api, chance), record, chance)
            journal = Journal(await asyncio.to_thread(venue.postgres.start))
            for number in range(1, ROUNDS + 1):
                try:
                    await one_round(venue, storm, journal, number, chance)
                except BaseException:
                    print(f"round {number} of seed {SEED}; the record is {record}")
                    raise
            await every_trade_is_acknowledged(api, record)
    await asyncio.to_thread(journal.check_whole)


async def one_round(venue: VenueProcess, storm: Storm, journal: Journal, number: int, chance: Random) -> None:
    """Kill it, start it, and look."""
    moment = chance.uniform(*KILL_S)
    session = await asyncio.to_thread(journal.session) if number % 2 == 0 else None
    strike = asyncio.create_task(strike_at(moment, venue, session))
    answered = await storm.rage(number)
    await strike
    began = time.monotonic()
    assert await asyncio.to_thread(venue.wait_exit) == -signal.SIGKILL
    await asyncio.to_thread(venue.start_whatever_it_takes)
    started = time.monotonic()
    stats = await storm.api.get("/api/admin/stats")
    assert stats["epoch"] == number + 1
    offset = await asyncio.to_thread(journal.catch_up)
    assert offset == stats["offset"], "REST and the journal end at different rows"
    assert set(journal.epochs) <= set(range(1, number + 1))

    told = list(storm.record)
    everything_acknowledged_is_there(told, journal)
    in_doubt, done = await storm.resolve(number)
    told = list(storm.record)
    await asyncio.to_thread(journal.catch_up)
    everything_there_is_acknowledged(told, journal)
    older = [one for one in told if one.is_done and one.round < number]
    fresh = [one for one in told if one.is_done and one.round == number]
    await retries_are_answered_alike(storm, [*fresh, *chance.sample(older, min(OLD_SAMPLE, len(older)))])
    await the_sums_agree(storm.api, storm.clients, told)
    killed = "venue and session" if session else "venue"
    print(
        f"round {number}: {killed} killed after {moment:.3f} s, {answered} answered, {in_doubt} in doubt, "
        f"{done} of them done, {offset} rows, ready after {started - began:.2f} s, "
        f"checked in {time.monotonic() - started:.2f} s"
    )


async def strike_at(moment: float, venue: VenueProcess, session: int | None) -> None:
    """After ``moment`` seconds, kill the venue, and the process of its database session if one is given."""
    await asyncio.sleep(moment)
    if session is not None:
        os.kill(session, signal.SIGSTOP)
        await asyncio.sleep(FROZEN_S)
    venue.signal(signal.SIGKILL)
    if session is not None:
        os.kill(session, signal.SIGKILL)


async def prepared(api: Api, chance: Random) -> list[Client]:
    """Markets, users, and the cashier."""
    for ticker, cents in PRICES.items():
        await api.list_market(ticker, dollars(cents))
    clients: list[Client] = []
    for number in range(CLIENTS):
        user = f"user-{number}"
        referrer = clients[number - 1].user if number % 3 == 1 else None
        key = await api.add_user(user, deposit_of(number), referrer)
        clients.append(Client(user, key, Random(chance.random())))
    cashier = Cashier(CASHIER, None, Random(chance.random()), users=[one.user for one in clients])
    return [*clients, cashier]


def deposit_of(number: int) -> str:
    """A user's first money."""
    return "100" if number % POOR_EVERY == 0 else "20000"


def everything_acknowledged_is_there(told: Iterable[Acknowledged], journal: Journal) -> None:
    """I1, and the half of I13 that is about refusals."""
    for one in told:
        row = journal.offsets.get(one.command.key)
        if one.is_done:
            assert row == one.offset, f"acknowledged as row {one.offset}, in the journal it is {row}: {one}"
        else:
            assert row is None, f"refused, and yet row {row}: {one}"


def everything_there_is_acknowledged(told: Iterable[Acknowledged], journal: Journal) -> None:
    """I4, I13: all doubts are resolved, and each row with a client's id is the one answer to it."""
    known = [one.command.key for one in told]
    assert len(known) == len(set(known))
    done = {one.command.key: one.offset for one in told if one.is_done}
    assert journal.offsets == done
    positions = [one.position for one in told if one.position is not None]
    assert len(positions) == len(set(positions)), "one position answers two commands"


async def retries_are_answered_alike(storm: Storm, told: list[Acknowledged]) -> None:
    """I1, I4: the same command again gets the same bytes."""

    async def retry(ones: list[Acknowledged]) -> None:
        for one in ones:
            answer = await storm.send(one.command)
            digest = sha256(answer.body).hexdigest()
            assert (answer.status, answer.is_replay) == (one.status, True), f"{one}: {answer}"
            assert digest == one.digest, f"{one}: {answer}"
            assert (answer.json["offset"], answer.json["newBalance"]) == (one.offset, one.new_balance)

    await asyncio.gather(*(retry(told[start::CLIENTS]) for start in range(CLIENTS)))


async def the_sums_agree(api: Api, clients: list[Client], told: Iterable[Acknowledged]) -> None:
    """I2, I3, I7, as REST shows them, against what the harness knows to have been paid in."""
    users = [one.user for one in clients if one.user != CASHIER]
    balances = await asyncio.gather(*(api.get(f"/api/users/{user}/balance") for user in users))
    lists = await asyncio.gather(*(api.get(f"/api/markets/positions/{user}") for user in users))
    stats = await api.get("/api/admin/stats")
    accounts = {name: micros(amount) for name, amount in stats["accounts"].items()}
    wallets = [micros(balance["balance"]) for balance in balances]
    paid_in = sum(micros(deposit_of(number)) for number in range(CLIENTS))
    paid_in += sum(
        micros(one.command.body["amount"]) * (1 if one.command.kind == "deposit" else -1)
        for one in told
        if one.is_done and one.command.user == CASHIER
    )
    margins: Counter[str] = Counter(dict.fromkeys(PRICES, 0))
    for positions in lists:
        for position in positions["perpetuals"]["positions"]:
            margins[position["ticker"]] += micros(position["margin"])

    assert min(wallets) >= 0
    assert accounts["total"] == 0
    assert accounts["wallets"] == sum(wallets)
    assert accounts["margin"] == sum(margins.values()) == sum(micros(balance["margin"]) for balance in balances)
    assert {market["ticker"]: micros(market["margin"]) for market in stats["markets"]} == margins
    assert -accounts["world"] == paid_in
    parts = ("wallets", "margin", "house", "insurance", "fees")
    assert sum(accounts[part] for part in parts) == paid_in


async def every_trade_is_acknowledged(api: Api, record: Record) -> None:
    """I4 by REST: as many opened positions and closes as there are client ids that were answered with one."""
    expected: dict[str, Counter[str]] = {}
    for one in record:
        if one.is_done and one.command.user != CASHIER:
            expected.setdefault(one.command.user, Counter())[one.command.kind] += 1
    liquidations = 0
    for user, counts in expected.items():
        trades = Counter(trade["kind"] for trade in await api.pages(f"/api/users/{user}/trades", "trades"))
        liquidations += trades.pop("liquidation", 0)
        assert trades == counts, user
    assert liquidations > 0, "the storm was too mild"
