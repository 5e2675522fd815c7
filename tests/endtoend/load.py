"""A storm of commands, each under an id of its own, and the record of what was acknowledged, kept by the clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Final

import aiohttp
import msgspec

from tests.endtoend.api import Answer, Api, Json
from tests.support.bitcoin import dollars

PRICES: Final = {"AAA": 10_000, "BBB": 250_000, "CCC": 1_000_000, "DDD": 5_000_000}
"""The markets and their first prices, cents."""
CASHIER: Final = "cashier"
TWICE: Final = 0.1
"""How many commands are sent twice at once, by somebody who has lost his patience."""
REFUSALS: Final = frozenset({"insufficient_funds", "position_closed", "would_be_liquidated", "max_skew_exceeded"})


class Command(msgspec.Struct, frozen=True):
    """One POST under a client order id, which is unique among all of them."""

    id: str
    user: str
    """Whose key; ``CASHIER``: the administrator's."""
    path: str
    body: Json

    @property
    def kind(self) -> str:
        """``open``, ``close``, ``deposit`` or ``withdraw``."""
        return self.path.rpartition("/")[2]

    @property
    def key(self) -> tuple[str, str]:
        """What is unique in the journal: whose wallet it is about, and the id."""
        return (self.path.split("/")[-2] if self.user == CASHIER else self.user), self.id


class Acknowledged(msgspec.Struct, frozen=True):
    """What a client was told, to be held against the venue ever after."""

    round: int
    command: Command
    status: int
    digest: str
    """SHA-256 of the body, byte by byte."""
    offset: int | None
    new_balance: str | None
    position: str | None
    """The position it opened."""

    @property
    def is_done(self) -> bool:
        """Done; else refused."""
        return self.status < 400


def acknowledged(round_number: int, command: Command, answer: Answer) -> Acknowledged:
    """The record of an answer. A refusal that nothing can explain fails the test."""
    body = answer.json
    assert answer.status in (200, 201) or answer.code in REFUSALS, f"{command}: {body}"
    position = body["position"]["id"] if command.kind == "open" and answer.status == 201 else None
    digest = sha256(answer.body).hexdigest()
    offset, balance = body.get("offset"), body.get("newBalance")
    return Acknowledged(round_number, command, answer.status, digest, offset, balance, position)


class Record:
    """The harness's own log: a line appended at each acknowledgement, and read back from the file to check."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)
        self._decode = msgspec.json.Decoder(Acknowledged).decode

    def append(self, line: Acknowledged) -> None:
        """Keep one."""
        self._file.write(msgspec.json.encode(line) + b"\n")

    def __iter__(self) -> Iterator[Acknowledged]:
        with self._path.open("rb") as file:
            yield from map(self._decode, file)

    def close(self) -> None:
        """No more to come."""
        self._file.close()

    def __str__(self) -> str:
        return str(self._path)


@dataclass
class Client:
    """One user, one command at a time, until the connection breaks."""

    user: str
    key: str | None
    random: Random
    sent: int = 0
    positions: list[str] = field(default_factory=list)
    unanswered: list[Command] = field(default_factory=list)

    def next_command(self) -> Command:
        """Open, or close one of his own, or a part of it."""
        random = self.random
        self.sent += 1
        name = f"{self.user}-{self.sent}"
        if self.positions and (len(self.positions) > 4 or random.random() < 0.4):
            position = random.choice(self.positions)
            part: Json = {"percentage": f"0.{random.randint(1, 9)}"} if random.random() < 0.3 else {}
            return Command(name, self.user, f"/api/markets/perps/{position}/close", {**part, "clientOrderId": name})
        body: Json = {
            "ticker": random.choice(list(PRICES)),
            "side": random.choice(["long", "short"]),
            "size": f"{random.randint(20, 3_000)}.{random.randrange(10**6):06d}",
            "leverage": random.choice([1, 2, 5, 10, 25, 50, 90]),
            "clientOrderId": name,
        }
        return Command(name, self.user, "/api/markets/perps/open", body)

    def learn(self, told: Acknowledged) -> None:
        """Remember what is open."""
        if told.position is not None:
            self.positions.append(told.position)
        elif told.command.kind == "close" and (told.status == 409 or "percentage" not in told.command.body):
            position = told.command.path.split("/")[-2]
            if position in self.positions:
                self.positions.remove(position)


@dataclass
class Cashier(Client):
    """Money in and out, to users at random."""

    users: list[str] = field(default_factory=list)

    def next_command(self) -> Command:
        """A deposit or a withdrawal."""
        self.sent += 1
        name = f"{CASHIER}-{self.sent}"
        kind = self.random.choice(["deposit", "withdraw"])
        user = self.random.choice(self.users)
        amount = f"{self.random.randint(1, 60)}.{self.random.randrange(10**6):06d}"
        return Command(name, CASHIER, f"/api/admin/users/{user}/{kind}", {"amount": amount, "clientOrderId": name})


class Storm:
    """All clients and a feed at once, against a venue that will not survive it."""

    def __init__(self, api: Api, clients: list[Client], record: Record, random: Random) -> None:
        self.api, self.clients, self.record, self._random = api, clients, record, random
        self._sequence = 0
        self._prices = dict(PRICES)

    async def rage(self, round_number: int) -> int:
        """Go on until every client's connection has broken: how many commands were acknowledged."""
        feed = asyncio.create_task(self._feed())
        answered = await asyncio.gather(*(self._client(client, round_number) for client in self.clients))
        await feed
        return sum(answered)

    async def resolve(self, round_number: int) -> tuple[int, int]:
        """Send all that is unanswered once more: what was done is told, what was not is decided.

        How many there were, and how many of them had been done.
        """
        waiting = [(client, command) for client in self.clients for command in client.unanswered]
        done = await asyncio.gather(*(self._resolve(client, command, round_number) for client, command in waiting))
        return len(waiting), sum(done)

    async def send(self, command: Command, *, patiently: bool = False) -> Answer:
        """Send a command with its owner's key."""
        owner = next(client for client in self.clients if client.user == command.user)
        key = {} if owner.key is None else {"key": owner.key}
        send = self.api.verdict if patiently else self.api.send
        return await send("POST", command.path, command.body, **key)

    async def _client(self, client: Client, round_number: int) -> int:
        answered = 0
        while True:
            command = client.next_command()
            client.unanswered.append(command)
            copies = 2 if client.random.random() < TWICE else 1
            try:
                answers = await asyncio.gather(*(self.send(command) for _ in range(copies)))
            except aiohttp.ClientError:
                return answered
            done = [answer for answer in answers if answer.status < 400]
            assert len({answer.body for answer in done}) <= 1, f"{command} was done twice: {done}"
            self._note(client, acknowledged(round_number, command, (done or answers)[0]))
            answered += 1

    async def _resolve(self, client: Client, command: Command, round_number: int) -> bool:
        answer = await self.send(command, patiently=True)
        self._note(client, acknowledged(round_number, command, answer))
        return answer.is_replay

    def _note(self, client: Client, told: Acknowledged) -> None:
        self.record.append(told)
        client.unanswered.remove(told.command)
        client.learn(told)

    async def _feed(self) -> None:
        """A random walk with jumps that liquidate."""
        while True:
            ticker = self._random.choice(list(self._prices))
            basis_points = self._random.choice([-300, -20, -10, -5, 5, 10, 20, 300])
            cents = self._prices[ticker] * (10_000 + basis_points) // 10_000
            self._prices[ticker] = min(max(cents, PRICES[ticker] // 2), PRICES[ticker] * 2)
            self._sequence += 1
            body = {"price": dollars(self._prices[ticker]), "source": "oracle", "sequence": self._sequence}
            try:
                answer = await self.api.send("POST", f"/api/markets/perps/{ticker}/price", body)
            except aiohttp.ClientError:
                return
            assert answer.status == 200, answer.body
