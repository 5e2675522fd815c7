"""``perps verify``: whatever is done to a stored venue is found, and its place named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perps.events import PriceUpdated, decode_events, encode_events
from perps.snapshot import Snapshot
from persistence.postgres_journal import PostgresJournal
from tests.support.postgres import sql
from tests.tools.audit.conftest import ROWS, Stored, run_json
from tools.cli import main

Captured = pytest.CaptureFixture[str]
Problem = dict[str, Any]
Damage = Callable[[Stored], int | None]
"""Does it; the offset that must be named."""


def problems(stored: Stored, capsys: Captured) -> list[Problem]:
    code, answer = run_json(capsys, "verify", "--database-url", stored.url, "--json")
    assert answer["ok"] is (code == 0) is (not answer["problems"])
    found: list[Problem] = answer["problems"]
    return found


def flip_a_bit_of_a_payload(stored: Stored) -> int:
    stored.run('update journal set payload = set_bit(payload, 40, 1 - get_bit(payload, 40)) where "offset" = 70')
    return 70


def delete_a_row_in_the_middle(stored: Stored) -> int:
    stored.run('delete from journal where "offset" = 70')
    return 70


def delete_the_last_row(stored: Stored) -> int:
    stored.run('delete from journal where "offset" = $1', ROWS)
    return ROWS


def alter_a_row_and_its_own_hash(stored: Stored) -> int:
    stored.change(70, kind="sweep")
    stored.chain(70, 70)
    return 71


def swap_two_rows(stored: Stored) -> int:
    for old, new in ((70, 999), (71, 70), (999, 71)):
        stored.run('update journal set "offset" = $2 where "offset" = $1', old, new)
    return 70


def let_the_epoch_fall(stored: Stored) -> int:
    stored.run("update owner set epoch = 3")
    stored.run('update journal set epoch = 3 where "offset" between 60 and 69')
    stored.run('update journal set epoch = 2 where "offset" >= 70')
    stored.chain(60)
    return 70


def leave_a_gap_in_a_sequence(stored: Stored) -> int:
    stored.change(70, market_seq=10_000)
    stored.chain(70)
    return 70


def alter_a_balance(stored: Stored) -> int:
    offset = stored.offset_of("open")
    stored.run('update journal set user_balance = user_balance + 1 where "offset" = $1', offset)
    stored.chain(offset)
    return offset


def use_a_client_order_id_twice(stored: Stored) -> int:
    stored.run("alter table journal_1 drop constraint journal_1_client_order_id")
    opens = [row for row in stored.rows() if row.user_id == "user1" and row.kind == "open" and row.offset > 60]
    first, second, *_ = opens
    stored.change(second.offset, client_order_id=first.client_order_id)
    stored.chain(second.offset)
    return second.offset


def alter_a_leg(stored: Stored) -> int:
    offset = stored.offset_of("open")
    stored.run('update legs set amount = amount + 1 where "offset" = $1 and n = 0', offset)
    return offset


def add_a_leg(stored: Stored) -> int:
    offset = stored.offset_of("price")
    stored.run("insert into legs values ($1, 0, 1, 'deposit', 'world', 'user:user1', 5, -5, 5, null)", offset)
    return offset


def lose_a_fill(stored: Stored) -> int:
    offset = stored.offset_of("open")
    stored.run('delete from fills where "offset" = $1', offset)
    return offset


def double_a_fill(stored: Stored) -> int:
    offset = stored.offset_of("open")
    stored.run('insert into fills select * from fills where "offset" = $1', offset)
    return offset


def alter_a_price(stored: Stored) -> int:
    offset = stored.offset_of("price")
    stored.run('update prices set mark_price = mark_price + 1 where "offset" = $1', offset)
    return offset


def alter_an_open_position(stored: Stored) -> int:
    (found, *_) = stored.run("select * from positions where status = 'open' limit 1")
    stored.run("update positions set margin = margin + 1 where id = $1", found["id"])
    return int(found["offset"])


def alter_a_closed_position(stored: Stored) -> int:
    (found, *_) = stored.run("select * from positions where status <> 'open' limit 1")
    stored.run("update positions set realized_pnl = realized_pnl + 1 where id = $1", found["id"])
    return int(found["offset"])


def lose_a_position(stored: Stored) -> int:
    (found, *_) = stored.run("delete from positions where id = 'BTC-PERP-3' returning \"offset\"")
    return int(found[0])


def add_a_position(stored: Stored) -> int:
    stored.run(
        "insert into positions select 'BTC-PERP-999999', user_id, ticker, opened_offset, \"offset\", status, opened_at,"
        " closed_at, lots, cash, margin, leverage, entry_cost, funding_paid, entered_lots, entered_cost, exited_lots,"
        " exited_cost, realized_pnl, fees from positions where id = 'BTC-PERP-3'"
    )
    return int(stored.run("select opened_offset from positions where id = 'BTC-PERP-3'")[0][0])


def forge_a_price_with_all_hashes(stored: Stored) -> int:
    """No check of the journal can see this; the table of prices does."""
    row = next(
        row for row in stored.rows() if row.offset > 60 and row.kind == "price" and len(decode_events(row.payload)) == 1
    )
    (event,) = decode_events(row.payload)
    assert isinstance(event, PriceUpdated)
    forged = PriceUpdated(event.price, event.mark, event.quote, event.source, event.at, "because", 1)
    stored.change(row.offset, payload=encode_events((forged,)))
    stored.chain(row.offset)
    return row.offset


def set_the_owner_back(stored: Stored) -> int:
    stored.run("update owner set epoch = 0")
    return ROWS


def forget_the_owner(stored: Stored) -> int:
    stored.run("delete from owner")
    return ROWS


def flip_a_bit_of_a_snapshot(stored: Stored) -> int:
    stored.run('update snapshot_parts set body = set_bit(body, 999, 1 - get_bit(body, 999)) where "offset" = $1', 90)
    return 90


def truncate_a_snapshot(stored: Stored) -> int:
    stored.run('delete from snapshot_parts where "offset" = $1', 90)
    return 90


def exchange_the_snapshots(stored: Stored) -> int:
    (body,) = stored.run('select body from snapshot_parts where "offset" = 40')[0]
    stored.run('update snapshot_parts set body = $1 where "offset" = 90', body)
    return 90


def enrich_a_snapshot(stored: Stored) -> int:
    """A snapshot that is whole, and of another state."""
    (body,) = stored.run('select body from snapshot_parts where "offset" = 90')[0]
    state = Snapshot.decode(body).state()
    state.ledger.balances["user:user1"] += 5
    state.ledger.balances["world"] -= 5
    stored.run('update snapshot_parts set body = $1 where "offset" = 90', Snapshot.of(state).encode())
    return 90


DAMAGES: list[tuple[Damage, str]] = [
    (flip_a_bit_of_a_payload, "hash"),
    (delete_a_row_in_the_middle, "missing; the next row there is 71"),
    (delete_the_last_row, "lost its tail"),
    (alter_a_row_and_its_own_hash, "hash"),
    (swap_two_rows, "hash"),
    (let_the_epoch_fall, "epoch 2 after epoch 3"),
    (leave_a_gap_in_a_sequence, "sequence 10000 where"),
    (alter_a_balance, "the row says"),
    (use_a_client_order_id_twice, "user1 has the client order id"),
    (alter_a_leg, "legs: record"),
    (add_a_leg, "no row implies it"),
    (lose_a_fill, "is missing"),
    (double_a_fill, "is there 2 times"),
    (alter_a_price, "mark_price is"),
    (alter_an_open_position, "margin is"),
    (alter_a_closed_position, "realized_pnl is"),
    (lose_a_position, "positions: BTC-PERP-3 is missing"),
    (add_a_position, "positions: BTC-PERP-999999 is there, and no row opened it"),
    (forge_a_price_with_all_hashes, "reason is None, its row says because"),
    (set_the_owner_back, "the owner's epoch is 0"),
    (forget_the_owner, "there is no owner"),
    (flip_a_bit_of_a_snapshot, "checksum"),
    (truncate_a_snapshot, "not a snapshot"),
    (exchange_the_snapshots, "is of row 40"),
    (enrich_a_snapshot, "another state"),
]


@pytest.mark.parametrize(("damage", "words"), DAMAGES, ids=lambda value: getattr(value, "__name__", ""))
def test_every_damage_is_found_and_its_place_named(
    damage: Damage, words: str, stored: Stored, capsys: Captured
) -> None:
    offset = damage(stored)

    found = problems(stored, capsys)
    assert any(problem.get("offset") == offset and words in problem["problem"] for problem in found), found


SINGLE: list[Damage] = [
    alter_a_leg,
    add_a_leg,
    lose_a_fill,
    double_a_fill,
    alter_a_price,
    alter_an_open_position,
    lose_a_position,
    alter_a_closed_position,
    add_a_position,
    set_the_owner_back,
    flip_a_bit_of_a_snapshot,
    delete_the_last_row,
    alter_a_row_and_its_own_hash,
    enrich_a_snapshot,
]


@pytest.mark.parametrize("damage", SINGLE, ids=lambda damage: damage.__name__)
def test_one_damage_that_leads_to_no_other_is_one_problem(damage: Damage, stored: Stored, capsys: Captured) -> None:
    damage(stored)

    assert len(problems(stored, capsys)) == 1


def test_a_snapshot_witnesses_against_a_chain_that_was_written_anew(stored: Stored, capsys: Captured) -> None:
    alter_a_balance(stored)

    found = problems(stored, capsys)
    assert [problem["offset"] for problem in found if "a row with another hash" in problem["problem"]] == [90]


def test_a_venue_as_it_was_written_has_no_problem(stored: Stored, capsys: Captured) -> None:
    code, answer = run_json(capsys, "verify", "--database-url", stored.url, "--json")

    assert (code, answer) == (0, {"ok": True, "offset": ROWS, "problems": []})


def test_a_problem_of_a_market_names_it(stored: Stored, capsys: Captured) -> None:
    offset = alter_a_price(stored)

    (problem,) = problems(stored, capsys)
    assert problem["ticker"] == stored.rows()[offset - 1].stream


def test_several_damages_are_all_told_in_order(stored: Stored, capsys: Captured) -> None:
    stored.change(30, at=1)
    fill = lose_a_fill(stored)
    stored.change(110, kind="x")

    found = problems(stored, capsys)
    assert [problem["offset"] for problem in found] == sorted(problem["offset"] for problem in found)
    assert {30, fill, 110} <= {problem["offset"] for problem in found}


def test_many_problems_are_told_up_to_a_hundred_and_counted(stored: Stored, capsys: Captured) -> None:
    stored.run("update legs set target_balance = target_balance + 1")

    (legs,) = stored.run("select count(*) from legs")[0]
    found = problems(stored, capsys)
    assert len(found) == 101
    assert found[-1] == {"problem": f"and {legs - 100} more"}


def test_an_empty_journal_has_no_problem(database_url: str, capsys: Captured) -> None:
    PostgresJournal.acquire(database_url).close()
    code, answer = run_json(capsys, "verify", "--database-url", database_url, "--json")

    assert (code, answer) == (0, {"ok": True, "offset": 0, "problems": []})


def test_all_rows_gone_is_a_lost_tail_from_row_1(stored: Stored, capsys: Captured) -> None:
    stored.run("delete from journal")

    found = problems(stored, capsys)
    assert (found[0]["offset"], "lost its tail" in found[0]["problem"]) == (1, True)


def test_a_database_that_no_venue_was_served_from_is_one_line(database_url: str, capsys: Captured) -> None:
    assert main(["verify", "--database-url", database_url]) == 1
    assert "no venue has been served from it" in capsys.readouterr().err


def test_a_database_that_does_not_answer_is_one_line(capsys: Captured) -> None:
    assert main(["verify", "--database-url", "postgresql://nobody@127.0.0.1:1/none"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("perps: error: ")


def test_a_data_directory_without_a_database_is_one_line_and_nothing_is_made(capsys: Captured) -> None:
    assert main(["verify", "--data-dir", "nowhere"]) == 1
    assert "there is no venue's database in nowhere" in capsys.readouterr().err
    assert not Path("nowhere").exists()


def test_people_read_a_line_for_each_problem_and_how_many_there_are(stored: Stored, capsys: Captured) -> None:
    offset = alter_a_price(stored)

    assert main(["verify", "--database-url", stored.url]) == 1
    header, line, verdict = capsys.readouterr().out.splitlines()
    assert header == "offset\tticker\tproblem"
    assert line.startswith(f"{offset}\t")
    assert verdict.endswith("1 problem")


def test_verification_changes_nothing_and_takes_no_lock(stored: Stored, capsys: Captured) -> None:
    with PostgresJournal.acquire(stored.url) as journal:
        before = stored.run("select epoch, (select count(*) from journal) from owner")
        code, _ = run_json(capsys, "verify", "--database-url", stored.url, "--json")
        assert code == 0
        assert sql(stored.url, "select epoch, (select count(*) from journal) from owner") == before
        stored.scribe.epoch = journal.epoch
        stored.scribe.price(5_000_001)
        journal.append(stored.scribe.since(ROWS))
