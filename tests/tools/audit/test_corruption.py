"""Whatever stands in a column of the journal: each tool that reads it says what is wrong, and never breaks down."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from perps.events import MarketListed, decode_events, encode_events
from persistence.journal.tables import FILLS, JOURNAL, LEGS, POSITIONS, PRICES, Table
from tests.support.postgres import fresh_database
from tests.tools.audit.conftest import Stored
from tools.audit.event_text import row_as_json, row_in_words
from tools.cli import main
from tools.output import json_text

Captured = pytest.CaptureFixture[str]

EDGE = 2**63 - 1
HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\n\t\u202egood\x9b31m"
NOT_UTF8 = b"\xff\xfe BTC"
NUMBERS = (-EDGE - 1, -1, 0, 99_999, EDGE)
TEXTS: tuple[str | bytes, ...] = ("", HOSTILE, "@ledger", "x" * 4_000, NOT_UTF8)
BYTES = (b"", b"\x00", NOT_UTF8 * 20)
PAYLOADS = (
    b"",
    b"\x90",
    b"\x91\xc0",
    b"\x91" * 5_000 + b"\xc0",
    b"\x91\x94\xabPriceUpdated\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\x01\x01\xa6oracle",
    b"\x91\x93\xabModeChanged\xa4hal\xff\xa3why",
    b"\x91\x93\xabModeChanged\xa6halted\xa5\xff\xfe\xfd\xfc\xfb",
)
DAMAGE: dict[str, tuple[Any, ...]] = {
    "shard": (-1, 7),
    "offset": NUMBERS,
    "epoch": NUMBERS,
    "stream": TEXTS,
    "market_seq": NUMBERS,
    "at": NUMBERS,
    "kind": TEXTS,
    "schema_version": (-(2**15), -1, 0, 2, 2**15 - 1),
    "user_id": (*TEXTS, None),
    "client_order_id": (*TEXTS, None),
    "fingerprint": (*BYTES, None),
    "payload": PAYLOADS,
    "user_balance": (*NUMBERS, None),
    "hash": BYTES,
}
"""By column of the journal what somebody, or a bad disk, may have put there. Bytes in a text column: not UTF-8."""

TOOLS: dict[str, tuple[str, ...]] = {
    "verify": ("verify",),
    "verify --json": ("verify", "--json"),
    "journal": ("journal",),
    "journal --json": ("journal", "--json"),
    "journal of a user": ("journal", "--user", "user1", "--last", "50"),
    "reconcile": ("reconcile",),
    "reconcile --json": ("reconcile", "--json"),
    "snapshot": ("snapshot", "--offline"),
    "restore": ("restore", "--into", "{empty}"),
}


READERS = {"verify", "verify --json", "reconcile", "reconcile --json", "journal of a user"}
"""Tools that read query tables."""


@pytest.fixture
def empty(server_url: str) -> Iterator[str]:
    """A database that has nothing in it, and stays so: nothing is restored of a damaged journal."""
    with fresh_database(server_url) as url:
        yield url


def test_every_column_is_damaged_here() -> None:
    assert tuple(DAMAGE) == JOURNAL.columns


ALWAYS = ("verify",)
"""What is tried with every value each time; it reads all that another tool reads."""
SHARE = 3
"""One in so many of the others is tried with a value, another with the next; ``make test-faults`` tries all."""

Choice = Callable[[int], Sequence[str]]


def in_turn(value: int) -> list[str]:
    """The tools to try with the value of this number."""
    others = [name for name in TOOLS if name not in ALWAYS]
    return [*ALWAYS, *others[value % SHARE :: SHARE]]


def every_one(_: int) -> list[str]:
    """All tools."""
    return list(TOOLS)


CHOICES = [in_turn, pytest.param(every_one, marks=pytest.mark.faults)]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("column", DAMAGE)
def test_no_value_of_a_column_breaks_a_tool(
    column: str, choice: Choice, stored: Stored, capsys: Captured, empty: str
) -> None:
    stored.run("create cast (bytea as text) without function")  # how bytes that are no text come into a text column
    stored.run("create table whole as select * from journal")
    offset = stored.offset_of("open")
    before = stored.run(f'select "{column}" from journal where "offset" = $1', offset)[0][0]
    is_text = column in ("stream", "kind", "user_id", "client_order_id")
    tried = 0
    for value in DAMAGE[column]:
        put = "$2::bytea::text" if is_text and isinstance(value, bytes) else "$2"
        try:
            stored.run(f'update journal set "{column}" = {put} where "offset" = $1', offset, value)
        except asyncpg.IntegrityConstraintViolationError:
            continue
        tried += value != before
        for name in choice(tried + list(DAMAGE).index(column)) if value != before else ():
            given = tuple(argument.format(empty=empty) for argument in TOOLS[name])
            check(name, given, stored.url, capsys, f"{name} with {column} = {value!r:.40}")
        stored.run("delete from journal")
        stored.run("insert into journal select * from whole")
    assert tried


@pytest.mark.timeout(180)
@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("table", [FILLS, LEGS, PRICES, POSITIONS], ids=lambda table: str(table.name))
def test_no_value_in_a_query_table_breaks_a_tool(
    table: Table, choice: Choice, stored: Stored, capsys: Captured
) -> None:
    stored.run("create cast (bytea as text) without function")
    stored.run(f"create table whole as select * from {table.name}")
    query = "select column_name, data_type from information_schema.columns where table_name = 'whole'"
    kinds = {str(record[0]): str(record[1]) for record in stored.run(query)}
    for number, column in enumerate(table.columns):
        is_text = kinds[column] == "text"
        values = (HOSTILE, NOT_UTF8) if is_text else (EDGE if kinds[column] == "bigint" else 2**31 - 1, -1)
        for value in values if choice is every_one else values[number % 2 :][:1]:
            put = "$1::bytea::text" if isinstance(value, bytes) else "$1"
            newest = f'"offset" = (select max("offset") from {table.name})'
            stored.run(f'update {table.name} set "{column}" = {put} where {newest}', value)
            for name in READERS.intersection(choice(number)):
                check(name, TOOLS[name], stored.url, capsys, f"{name} with {table.name}.{column} = {value!r:.40}")
            stored.run(f"delete from {table.name}")
            stored.run(f"insert into {table.name} select * from whole")


def check(name: str, arguments: tuple[str, ...], url: str, capsys: Captured, what: str) -> None:
    """It ends by itself, with a documented exit code, printable lines, and on stderr at most one error."""
    capsys.readouterr()
    code = main([*arguments, "--database-url", url])
    said = capsys.readouterr()
    assert code in (0, 1), what
    for line in (said.out + said.err).split("\n"):
        assert line.replace("\t", " ").isprintable(), what
    errors = [line for line in said.err.splitlines() if line.startswith("perps: error: ")]
    assert len(errors) <= code, what
    if name in ("snapshot", "restore"):
        assert (code == 1) == bool(errors), what
    if name == "restore":
        assert code == 1, what
    if name == "verify":
        assert code == 1, what
        assert errors or re.search(r"\d+ problems?$", said.out), what


@pytest.mark.parametrize("size", [0, -1])
@pytest.mark.parametrize("field", ["tick_size", "lot_size"])
def test_sizes_and_prices_of_a_market_without_a_tick_or_a_lot_are_told_in_lots_and_ticks(
    field: str, size: int, stored: Stored
) -> None:
    rows = stored.rows()
    listing = next(row for row in rows if row.kind == "list")
    (listed,) = (event for event in decode_events(listing.payload) if isinstance(event, MarketListed))
    broken = replace(listed.params, **{field: size})

    opened = next(row for row in rows if row.kind == "open" and row.stream == listing.stream)
    assert " lots for " in row_in_words(opened, broken)[-1]
    again = replace(listing, payload=encode_events((replace(listed, params=broken),)))
    assert " ticks" in row_in_words(again, None)[-1]


def test_a_payload_with_a_text_that_is_not_utf_8_is_told_in_hex(stored: Stored) -> None:
    row = replace(stored.rows()[0], payload=PAYLOADS[-1])

    assert row_in_words(row, None)[-1].startswith("a payload that cannot be decoded: ")
    told = json.loads(json_text(row_as_json(row)))
    assert told["payload"] == PAYLOADS[-1].hex()
    assert "cannot be decoded" in told["problem"]
