"""A database that the first release has left starts, repeats its old answers, verifies clean and trades on.

Run on the present program. A failure here is about real data: somebody who updates would meet it.
"""

from __future__ import annotations

import json
from typing import Final
from urllib.request import Request, urlopen

import pytest
from msgspec.structs import replace

from actors.recovery import recover
from perps.candles import CandleMaker
from perps.commands import Command, Deposit, Withdraw
from perps.events import CloseReason, PositionReduced, decode_events, encode_events
from perps.fingerprints import fingerprint
from perps.journal import Row
from perps.query_rows import FillRecord, KeyRecord
from perps.snapshot.format import Snapshot, state_hash
from perps.venue import VenueState
from perps.wire.base import decoder
from perps.wire.trading import CloseBody, OpenBody
from perps.wire.users import AmountBody
from persistence.journal.history import PostgresHistory
from persistence.journal.selections import columns
from persistence.journal.tables import CANDLES, FILLS, JOURNAL, LEGS, POSITIONS, PRICES, Table
from persistence.journal.writer import PostgresJournal
from persistence.migrate import migrations
from tests.endtoend.conftest import Venues
from tests.golden.first_release import (
    Json,
    Recorded,
    exact,
    load_commands,
    load_reads,
    load_result,
    losses,
    stored_rows,
)
from tests.support.postgres import sql
from tests.web.conftest import Starter
from tests.web.snapshotting import NEVER, snapshot_taken
from tests.web.venue import Client, ManualClock, OnPostgres, Running
from tools.cli import main
from web.api.bodies.commands import close_command, open_command
from web.api.bodies.units import positive_money
from web.auth import Principal
from web.compose import Limits
from web.gateway import in_name_of

RESULT: Final = load_result()
COMMANDS: Final = load_commands()
READS: Final = load_reads()
TAKEN: Final = [command for command in COMMANDS if command.is_taken and "clientOrderId" in json.loads(command.answer)]
"""Those that were answered with success under a client order id, their own or one that the venue made."""

KEYS: Final = [
    (json.loads(command.body), json.loads(command.answer))
    for command in COMMANDS
    if command.path == "/api/admin/keys" and command.is_taken
]
PRINCIPALS: Final = {
    name: (asked.get("userId"), "admin" in asked["scopes"])
    for name, key in RESULT["keys"].items()
    for asked, made in KEYS
    if made["key"] == key
} | {"admin": (None, True)}
"""By the name of its key: whose it is, and whether an administrator's."""

OTHER_TABLES: Final = (
    Table("api_keys", KeyRecord.__struct_fields__),
    Table("snapshots", ("shard", "offset", "taken_at", "size")),
    Table("snapshot_parts", ("shard", "offset", "n", "body")),
)
AFTERWARDS: Final = "This id is used only after the session was recorded."
BEGINNINGS: Final = pytest.mark.parametrize("begun_at", [RESULT["snapshot"]["offset"], 0], ids=["snapshot", "rows"])
"""A start from the snapshot that the release took; and from its rows alone, with the snapshot deleted."""


@pytest.fixture(scope="session")
def rows(first_release: str) -> list[Row]:
    """All rows of the journal."""
    return stored_rows(first_release)


@pytest.fixture
def url(database_url: str, begun_at: int) -> str:
    """A copy of the database, with the release's snapshot or without."""
    if not begun_at:
        sql(database_url, "delete from snapshots")
    return database_url


async def started(starter: Starter, url: str, begun_at: int) -> Running:
    """The present venue on that database, at the time when the recording ended."""
    limits = Limits(snapshots=NEVER)
    running = await starter(OnPostgres(url), clock=ManualClock(RESULT["now_ms"]), limits=limits)
    running.keys = RESULT["keys"]
    began = running.venue.host.began_at
    assert began == begun_at, f"the venue began from row {began}: it could not use the snapshot of row {begun_at}"
    return running


def sender(running: Running, who: str) -> Client:
    """Whoever sent a recorded request."""
    return Client(running.session, running.url, RESULT["keys"][who] if who != "admin" else "the-administrator")


async def lost(
    running: Running, recorded: Recorded, body: str | None = None, *, is_repeated: bool = False
) -> list[str]:
    """Send a recorded request again: what its answer has lost."""
    data = (recorded.body if body is None else body).encode()
    answer = await sender(running, recorded.who).ask(recorded.method, recorded.path, data=data)
    told = answer.body.decode()
    if answer.status != recorded.status:
        return [f"{recorded}: the status is {answer.status}, it was {recorded.status}: {told[:500]}"]
    found = [f"{recorded}: {loss}" for loss in losses(exact(recorded.answer), exact(told))]
    if is_repeated and answer.headers.get("Idempotent-Replay") != "true":
        found.append(f"{recorded}: the answer has no 'Idempotent-Replay: true'")
    return found


def first_few(losses: list[str]) -> str:
    """For whoever reads why a test failed."""
    return "\n".join([f"{len(losses)} differences to the recorded answers, such as:", *losses[:5]])


def under_its_id(recorded: Recorded) -> str:
    """The body with the client order id that it was answered under: unchanged if it had it already."""
    body = json.loads(recorded.body or "{}")
    if "clientOrderId" in body:
        return recorded.body
    return json.dumps({**body, "clientOrderId": json.loads(recorded.answer)["clientOrderId"]})


def verified(url: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, Json]:
    """The exit code of ``perps verify`` and what it prints."""
    capsys.readouterr()
    code = main(("verify", "--database-url", url, "--json"))
    said: Json = json.loads(capsys.readouterr().out)
    return code, said


def test_the_recording_has_every_kind_of_row_and_of_key(first_release: str, rows: list[Row]) -> None:
    kinds = {"list", "user", "deposit", "withdraw", "open", "close", "price", "mode", "sweep"}
    events = [event for row in rows for event in decode_events(row.payload)]
    liquidations = [
        [event for event in decode_events(row.payload) if _is_liquidation(event)] for row in rows if row.kind == "price"
    ]
    snapshots = sql(first_release, "select substr(body, 1, 8) from snapshot_parts where n = 0")

    assert {row.kind for row in rows} == kinds
    assert max(map(len, liquidations)) == 256
    assert any(isinstance(event, PositionReduced) and event.referral and event.position.lots for event in events)
    assert any(isinstance(event, PositionReduced) and event.bad_debt for event in events)
    assert {row.epoch for row in rows} == {1, 2}
    assert {row.schema_version for row in rows} == {1}
    assert [bytes(found[0]) for found in snapshots] == [b"perpsnp1"]
    assert RESULT["snapshot"]["offset"] < len(rows) == RESULT["end"]["offset"] == RESULT["verify"]["offset"]
    assert {
        json.loads(command.answer)["error"]["details"].get("reason") for command in COMMANDS if command.status == 409
    }
    assert {frozenset(asked["scopes"]) for asked, _ in KEYS} >= {
        frozenset(scopes) for scopes in (("read",), ("trade",), ("price",), ("admin",), ("read", "trade"))
    }


def test_migrations_that_were_released_have_the_text_they_were_released_with(first_release: str) -> None:
    """A database remembers the text of what was applied, comments too, and a program with another text refuses it."""
    applied = sql(first_release, "select version, name, sha256 from schema_migrations order by version")
    known = {(migration.version, migration.name): migration.sha256 for migration in migrations()}

    assert len(applied) == 3
    changed = [name for version, name, digest in applied if known[version, name] != digest]
    assert not changed, f"restore the text of the migrations {changed}, and put what you want to change into a new one"


@pytest.mark.parametrize(
    "table", [JOURNAL, FILLS, LEGS, PRICES, POSITIONS, *OTHER_TABLES], ids=lambda table: str(table.name)
)
def test_its_update_keeps_every_record(first_release: str, database_url: str, table: Table) -> None:
    all_names = FillRecord.__struct_fields__ if table == FILLS else table.columns
    names = columns([name for name in all_names if name not in ("reason", "order_number", "take_profit", "stop_loss")])
    query = f"select {names} from {table.name} order by {names}"
    before = sql(first_release, query)
    PostgresJournal.acquire(database_url).close()

    after = sql(database_url, query)

    assert before
    assert [tuple(record) for record in after] == [tuple(record) for record in before]
    if table in (FILLS, LEGS, PRICES, POSITIONS):
        assert {record[0] for record in sql(database_url, f"select shard from {table.name}")} == {0}


def test_its_update_makes_the_candles_that_its_rows_imply(database_url: str, rows: list[Row]) -> None:
    """The session took less than a minute, in which no candle ends. So here each row comes 20 s later than it did."""
    state = VenueState()
    entries = [state.apply(row) for row in rows]
    slower = [replace(entry, row=replace(entry.row, at=entry.row.at + 20_000 * entry.row.offset)) for entry in entries]
    for table in ("fills", "prices"):
        sql(database_url, f'update {table} set at = at + 20000 * "offset"')
    PostgresJournal.acquire(database_url).close()

    found = sql(database_url, f'select {columns(CANDLES.columns)} from candles order by "offset", n')
    assert len(found) > 50
    assert [tuple(record) for record in found] == CandleMaker(from_first=True).take(slower)


def _is_liquidation(event: object) -> bool:
    return isinstance(event, PositionReduced) and event.reason is CloseReason.LIQUIDATION


def test_its_events_decode_and_can_be_encoded_again(rows: list[Row]) -> None:
    for row in rows:
        events = decode_events(row.payload)
        assert decode_events(encode_events(events)) == events, f"row {row.offset}, {row.kind}"


def test_its_rows_lead_to_the_state_hash_its_snapshot_has(rows: list[Row], first_release: str) -> None:
    """Compared in the snapshot's own format."""
    (stored,) = sql(first_release, "select string_agg(body, null order by n) as body from snapshot_parts")
    snapshot = Snapshot.decode(bytes(stored["body"]))
    state = VenueState()
    for row in rows[: snapshot.offset]:
        state.apply(row)

    assert snapshot.state_hash.hex() == RESULT["snapshot"]["stateHash"]
    assert snapshot.hash_of_state() == state_hash(state)


def test_its_snapshot_and_its_rows_lead_to_the_same_state(database_url: str) -> None:
    begun = recover(PostgresHistory(database_url), lambda *_: None)
    sql(database_url, "delete from snapshots")
    replayed = recover(PostgresHistory(database_url), lambda *_: None)

    assert (begun.begun_at, replayed.begun_at) == (RESULT["snapshot"]["offset"], 0), "the snapshot cannot be used"
    assert state_hash(begun.state) == state_hash(replayed.state)


def command_of(recorded: Recorded) -> Command:
    """The command that a recorded request is to the present program."""
    user, is_admin = PRINCIPALS[recorded.who]
    principal = Principal("key", user, frozenset(("trade", *(["admin"] if is_admin else []))))
    body, words = recorded.body or "{}", recorded.path.split("/")
    if words[-1] == "open":
        return in_name_of(principal, open_command(decoder(OpenBody).decode(body)))
    if words[-1] == "close":
        return in_name_of(principal, close_command(decoder(CloseBody).decode(body), words[-2], lambda _: 1))
    amount = positive_money(decoder(AmountBody).decode(body).amount, "amount")
    return Deposit(user=words[-2], amount=amount) if words[-1] == "deposit" else Withdraw(user=words[-2], amount=amount)


def test_each_command_still_has_the_fingerprint_that_is_stored(rows: list[Row]) -> None:
    """A field that commands get later must not change the digest of those without it: retries would be refused."""
    for recorded in TAKEN:
        answer = json.loads(recorded.answer)
        row, command = rows[answer["offset"] - 1], command_of(recorded)
        assert row.client_order_id == answer["clientOrderId"]
        assert row.fingerprint == fingerprint(command), f"row {row.offset} holds another digest than {command}"


@BEGINNINGS
async def test_a_venue_starts_on_it_and_shows_all_that_was_shown(starter: Starter, url: str, begun_at: int) -> None:
    running = await started(starter, url, begun_at)

    told = [loss for recorded in READS for loss in await lost(running, recorded)]
    assert not told, first_few(told)


@BEGINNINGS
@pytest.mark.timeout(90)
async def test_every_command_sent_again_gets_its_old_answer(starter: Starter, url: str, begun_at: int) -> None:
    running = await started(starter, url, begun_at)
    offset = running.venue.context.model.offset

    found = [
        loss for command in TAKEN for loss in await lost(running, command, under_its_id(command), is_repeated=True)
    ]

    assert found == []
    assert running.venue.context.model.offset == offset == RESULT["end"]["offset"]


@BEGINNINGS
async def test_another_command_under_an_old_id_is_refused(starter: Starter, url: str, begun_at: int) -> None:
    running = await started(starter, url, begun_at)
    for recorded in TAKEN:
        asked = json.loads(recorded.body or "{}")
        if "clientOrderId" not in asked:
            continue
        changed = {"open": {"size": "77.7"}, "close": {"percentage": "0.77"}}.get(recorded.path.split("/")[-1])
        body = {**asked, **(changed or {"amount": "77.7"})}
        answer = await sender(running, recorded.who).post(recorded.path, body)
        assert (answer.status, answer.json["error"]["code"]) == (409, "client_order_id_reused"), (body, answer.body)


@BEGINNINGS
async def test_it_trades_on_and_starts_again_from_a_snapshot_taken_now(
    starter: Starter, url: str, begun_at: int
) -> None:
    running = await started(starter, url, begun_at)
    new = await running.user("gil", deposit="5000", referrer="bob")
    opened = await new.opened(size="2000", clientOrderId="first")
    await running.price("50500", sequence=10)
    part = (await new.close(opened["position"]["id"], percentage="0.5", clientOrderId="second")).ok()
    (await new.close(opened["position"]["id"])).ok()
    ann = sender(running, "ann")
    (await ann.close("BTC-PERP-1", clientOrderId=AFTERWARDS)).ok()
    assert opened["offset"] > RESULT["end"]["offset"]
    taken = await snapshot_taken(running)
    await running.market("NEXT-PERP")
    before = await running.footprint()

    again = await starter.restart(running, limits=Limits(snapshots=NEVER))

    assert again.venue.host.began_at == taken["offset"]
    after = await again.footprint()
    after["stats"]["epoch"] = before["stats"]["epoch"]
    assert after == before
    repeated = await again.client("gil").close(opened["position"]["id"], percentage="0.5", clientOrderId="second")
    assert repeated.headers["Idempotent-Replay"] == "true"
    assert repeated.ok() == part


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_process_serves_it_and_it_verifies_clean_before_and_after(
    venues: Venues, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    venue = venues(database_url=database_url)
    venue.start()
    assert venue.stop() == 0
    assert verified(database_url, capsys) == (0, {"ok": True, "offset": RESULT["end"]["offset"], "problems": []})

    venue.start()
    first = next(command for command in TAKEN if command.who == "ann")
    answer, is_replay = _posted(venue.url + first.path, first.body.encode())
    assert (list(losses(exact(first.answer), exact(answer))), is_replay) == ([], "true")
    body = {"ticker": "ETH-PERP", "side": "long", "size": "300", "leverage": 3, "clientOrderId": AFTERWARDS}
    answer, is_replay = _posted(f"{venue.url}/api/markets/perps/open", json.dumps(body).encode())
    assert (json.loads(answer)["offset"], is_replay) == (RESULT["end"]["offset"] + 1, None)
    assert venue.stop() == 0
    assert verified(database_url, capsys) == (0, {"ok": True, "offset": RESULT["end"]["offset"] + 1, "problems": []})


def _posted(url: str, body: bytes) -> tuple[str, str | None]:
    """The answer to a command of ann's, and whether it is said to be a repeated one."""
    headers = {"Authorization": f"Bearer {RESULT['keys']['ann']}"}
    with urlopen(Request(url, body, headers), timeout=20) as answer:
        return answer.read().decode(), answer.headers["Idempotent-Replay"]
