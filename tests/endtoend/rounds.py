"""What is held against a venue after each fault: the harness's record, its journal replayed, and what REST shows."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from random import Random
from typing import Final

from perps.venue import VenueState
from persistence.journal.history import PostgresHistory
from tests.endtoend.api import Api
from tests.endtoend.load import CASHIER, PRICES, Acknowledged, Cashier, Client, Storm
from tests.model.slow_rules import micros
from tests.support.bitcoin import dollars
from tests.support.postgres import sql

CLIENTS: Final = 64
POOR_EVERY: Final = 8
"""Each eighth user has little, so that some opens are refused for want of money."""


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


async def prepared(api: Api, chance: Random, count: int = CLIENTS) -> list[Client]:
    """Markets, so many users, and the cashier."""
    for ticker, cents in PRICES.items():
        await api.list_market(ticker, dollars(cents))
    clients: list[Client] = []
    for number in range(count):
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
    paid_in = sum(micros(deposit_of(number)) for number in range(len(users)))
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
