"""Administration from the command line: tables, lines and JSON; exit codes; where the key comes from."""

import asyncio
import json
import stat
from collections import deque
from pathlib import Path

import msgspec
import pytest

from perps.wire.contract.examples import EXAMPLES
from perps.wire.markets import MarketAnswer, Settled
from perps.wire.operation import Operation
from tests.tools.conftest import Running
from tests.tools.fake_venue import ADMIN_KEY
from tools.cli import main
from tools.output import flat

Captured = pytest.CaptureFixture[str]


async def run(running: Running, *arguments: str) -> int:
    """The command line, in a thread, so that the fake venue can answer."""
    return await asyncio.to_thread(main, [*arguments, "--url", running.url])


def write_key(key: str, directory: str = "data") -> None:
    Path(directory).mkdir()
    path = Path(directory) / "admin.key"
    path.write_text(f"{key}\n")
    path.chmod(stat.S_IRUSR)


async def test_markets_are_lines_with_tabs_where_there_is_no_terminal(running: Running, capsys: Captured) -> None:
    running.venue.add_market("BTC-PERP", "64000.00")
    assert await run(running, "market", "list") == 0
    header, line = capsys.readouterr().out.splitlines()
    row = dict(zip(header.split("\t"), line.split("\t"), strict=True))
    assert (row["ticker"], row["index"], row["OI long"]) == ("BTC-PERP", "64000.00", "0.00")


async def test_json_is_what_the_venue_said(running: Running, capsys: Captured) -> None:
    running.venue.add_market("BTC-PERP")
    assert await run(running, "market", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out)["markets"] == [running.venue.markets["BTC-PERP"]]


async def test_the_key_is_found_in_the_data_directory(running: Running, capsys: Captured) -> None:
    await asyncio.to_thread(write_key, ADMIN_KEY)
    assert await run(running, "user", "create", "ann", "--deposit", "12.50") == 0
    shown = dict(line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert (shown["userId"], shown["balance"]) == ("ann", "12.50")


async def test_a_given_key_beats_the_one_in_the_data_directory(running: Running, capsys: Captured) -> None:
    await asyncio.to_thread(write_key, "not the one", "elsewhere")
    options = ("--data-dir", "elsewhere", "--key", ADMIN_KEY)
    assert await run(running, "user", "create", "ann", *options) == 0


async def test_the_administrators_variable_is_a_key_too(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERPS_ADMIN_KEY", ADMIN_KEY)
    assert await run(running, "user", "create", "ann") == 0
    monkeypatch.setenv("PERPS_KEY", "wrong")
    assert await run(running, "user", "create", "bob") == 1


async def test_a_refusal_is_one_line_and_exit_code_1(running: Running, capsys: Captured) -> None:
    running.venue.add_market("BTC-PERP")
    options = ("--organization-id", "b", "--name", "B", "--price", "1", "--key", ADMIN_KEY)
    assert await run(running, "market", "create", "BTC-PERP", *options) == 1
    assert capsys.readouterr().err == "perps: error: market_exists: No. (required 2.00)\n"


async def test_a_market_is_created_with_what_was_given_and_nothing_else(running: Running) -> None:
    options = ("--organization-id", "b", "--name", "B", "--price", "0.50", "--taker-fee", "0", "--max-leverage", "5")
    assert await run(running, "market", "create", "BTC-PERP", *options, "--key", ADMIN_KEY) == 0
    sent = {"organizationId": "b", "name": "B", "price": "0.50", "takerFee": "0", "maxLeverage": 5}
    assert running.venue.bodies == [("create_market", {"ticker": "BTC-PERP", **sent})]


async def test_a_deposit_in_doubt_is_sent_again_under_its_client_id(running: Running, capsys: Captured) -> None:
    running.venue.refusals["deposit"] = deque([(503, "outcome_unknown")])
    assert await run(running, "user", "create", "ann", "--key", ADMIN_KEY) == 0
    assert await run(running, "user", "deposit", "ann", "7", "--key", ADMIN_KEY) == 0
    [(_, body)] = [sent for sent in running.venue.bodies if sent[0] == "deposit"]
    assert body["clientOrderId"]
    assert running.venue.seen["deposit"] == 2
    assert "newBalance\t7.00" in capsys.readouterr().out


async def test_a_key_is_made_for_its_scopes_and_its_user(running: Running, capsys: Captured) -> None:
    options = ("--scope", "read", "--scope", "trade", "--user-id", "ann", "--expires-at", "2030-01-01")
    assert await run(running, "key", "create", *options, "--json", "--key", ADMIN_KEY) == 0
    assert json.loads(capsys.readouterr().out) == {
        "keyId": "key-1",
        "key": "secret-1",
        "userId": "ann",
        "scopes": ["read", "trade"],
    }
    sent = {"userId": "ann", "scopes": ["read", "trade"], "expiresAt": "2030-01-01T00:00:00.000Z"}
    assert running.venue.bodies == [("create_key", sent)]


async def test_a_new_key_is_a_record_that_says_whose_it_is(running: Running, capsys: Captured) -> None:
    assert await run(running, "key", "create", "--scope", "price", "--scope", "read", "--key", ADMIN_KEY) == 0
    assert capsys.readouterr().out == "keyId\tkey-1\nkey\tsecret-1\nuserId\t-\nscopes\tprice, read\n"


async def test_a_balance_is_told(running: Running, capsys: Captured) -> None:
    assert await run(running, "user", "create", "ann", "--deposit", "3", "--json", "--key", ADMIN_KEY) == 0
    capsys.readouterr()
    assert await run(running, "user", "balance", "ann", "--json", "--key", ADMIN_KEY) == 0
    assert json.loads(capsys.readouterr().out)["balance"] == "3.00"


def test_a_record_is_told_by_dotted_names() -> None:
    record = {"a": {"b": "1", "c": None}, "d": [1, 2], "e": [{"f": True, "g": False}]}
    assert dict(flat(record)) == {"a.b": "1", "a.c": "-", "d": "1, 2", "e.0.f": "yes", "e.0.g": "no"}


async def test_a_change_of_mode_is_told_in_one_line(running: Running, capsys: Captured) -> None:
    running.venue.add_market("BTC-PERP", "64000.00")
    assert await run(running, "market", "mode", "BTC-PERP", "halted", "--key", ADMIN_KEY) == 0
    header, line = capsys.readouterr().out.splitlines()
    row = dict(zip(header.split("\t"), line.split("\t"), strict=True))
    assert (row["ticker"], row["status"]) == ("BTC-PERP", "halted")


async def test_stats_are_a_record_and_a_table_of_markets(running: Running, capsys: Captured) -> None:
    running.venue.add_market("BTC-PERP", "64000.00")
    running.venue.add_market("ETH-PERP", "3000.00")
    assert await run(running, "stats", "--key", ADMIN_KEY) == 0
    figures, _, markets = capsys.readouterr().out.partition("\n\n")
    assert dict(line.split("\t") for line in figures.splitlines())["users"] == "0"
    header, *lines = [line.split("\t") for line in markets.splitlines()]
    assert header[:2] == ["ticker", "status"]
    assert [line[0] for line in lines] == ["BTC-PERP", "ETH-PERP"]


async def test_a_revoked_key_is_told_in_words(running: Running, capsys: Captured) -> None:
    assert await run(running, "key", "create", "--scope", "price", "--key", ADMIN_KEY) == 0
    assert await run(running, "key", "revoke", "key-1", "--key", ADMIN_KEY) == 0
    assert "keyId\tkey-1\nrevoked\tyes\n" in capsys.readouterr().out


async def test_keys_are_listed_without_the_keys(running: Running, capsys: Captured) -> None:
    for label in ("one", "two", "three"):
        assert await run(running, "key", "create", "--scope", "price", "--label", label, "--key", ADMIN_KEY) == 0
    capsys.readouterr()
    assert await run(running, "key", "list", "--limit", "2", "--key", ADMIN_KEY) == 0
    out, err = capsys.readouterr()
    header, *lines = [line.split("\t") for line in out.splitlines()]
    assert header == ["key id", "user", "scopes", "label", "created", "expires", "revoked"]
    assert [(line[0], line[2], line[3]) for line in lines] == [("key-3", "price", "three"), ("key-2", "price", "two")]
    assert err == "there are more; to see them, add: --cursor 2\n"
    assert await run(running, "key", "list", "--cursor", "2", "--json", "--key", ADMIN_KEY) == 0
    assert [key["keyId"] for key in json.loads(capsys.readouterr().out)["keys"]] == ["key-1"]


async def test_users_are_listed(running: Running, capsys: Captured) -> None:
    for name in ("ann", "bob"):
        assert await run(running, "user", "create", name, "--deposit", "3", "--key", ADMIN_KEY) == 0
    capsys.readouterr()
    assert await run(running, "user", "list", "--key", ADMIN_KEY) == 0
    header, *lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert header == ["user", "balance", "in margin", "open", "lifetime pnl", "fees", "referrer"]
    assert [line[:2] for line in lines] == [["bob", "3.00"], ["ann", "3.00"]]


async def test_a_market_may_be_listed_with_an_age_after_which_its_price_is_too_old(running: Running) -> None:
    options = ("--organization-id", "b", "--name", "B", "--price", "1", "--max-price-age", "2.5", "--key", ADMIN_KEY)
    assert await run(running, "market", "create", "BTC-PERP", *options) == 0
    assert running.venue.bodies[0][1]["maxPriceAge"] == "2.5"


async def test_the_public_list_of_markets_takes_what_its_siblings_take(running: Running) -> None:
    running.venue.add_market("BTC-PERP")
    assert await run(running, "market", "list", "--key", "whatever", "--data-dir", "nowhere") == 0
    assert await run(running, "market", "list") == 0


async def test_a_key_that_is_not_known_is_told_with_where_it_came_from(running: Running, capsys: Captured) -> None:
    await asyncio.to_thread(write_key, "stale")
    assert await run(running, "user", "create", "ann") == 1
    assert "the key came from data/admin.key" in capsys.readouterr().err
    assert await run(running, "user", "create", "ann", "--key", "wrong") == 1
    assert "the key came from --key" in capsys.readouterr().err


async def test_a_key_from_the_environment_is_told_by_its_variable(
    running: Running, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERPS_ADMIN_KEY", "wrong")
    assert await run(running, "user", "create", "ann") == 1
    assert "the key came from PERPS_ADMIN_KEY" in capsys.readouterr().err


def test_a_venue_that_is_not_there_is_told_with_what_to_do(capsys: Captured) -> None:
    assert main(["user", "create", "ann", "--key", "k", "--url", "http://127.0.0.1:1"]) == 1
    said = capsys.readouterr().err
    why = "http://127.0.0.1:1 cannot be reached: Connection refused"
    assert said == f"perps: error: {why}. Is the venue running? Give its address with --url\n"


async def test_an_error_is_json_too_for_whom_wants_json(running: Running, capsys: Captured) -> None:
    running.venue.add_market("BTC-PERP")
    options = ("--organization-id", "b", "--name", "B", "--price", "1", "--key", ADMIN_KEY, "--json")
    assert await run(running, "market", "create", "BTC-PERP", *options) == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == {"error": {"code": "market_exists", "message": "No.", "details": {"required": "2.00"}}}
    assert err == "perps: error: market_exists: No. (required 2.00)\n"


def test_a_venue_that_is_not_there_is_json_too(capsys: Captured) -> None:
    assert main(["stats", "--key", "k", "--url", "http://127.0.0.1:1", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "venue_unreachable"


async def test_a_change_sends_what_was_given_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    sent: list[tuple[str, dict[str, object]]] = []

    async def ask(_: object, operation: Operation, __: object, values: dict[str, object]) -> object:
        sent.append((operation.name, {name: value for name, value in values.items() if value is not None}))
        return msgspec.convert(EXAMPLES["updateMarket"].answer, MarketAnswer)

    monkeypatch.setattr("tools.admin.answers._ask", ask)
    options = ("--max-leverage", "5", "--max-price-age", "none", "--price-band", "0.1", "--force", "--key", ADMIN_KEY)
    more = ("--max-positions-per-user", "none", "--charges-maker-fee", "true")

    assert await asyncio.to_thread(main, ["market", "change", "BTC-PERP", *options, *more]) == 0
    given = {"max_leverage": 5, "max_price_age": "none", "price_band": "0.1", "force": True}
    given |= {"max_positions_per_user": "none", "charges_maker_fee": True}
    assert sent == [("updateMarket", {"ticker": "BTC-PERP", **given})]
    shown = dict(line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert shown["ticker"] == "BTC-PERP"
    assert int(shown["maxLeverage"]) == EXAMPLES["updateMarket"].answer["market"]["maxLeverage"]


async def test_a_change_of_nothing_is_a_mistake(capsys: Captured) -> None:
    assert await asyncio.to_thread(main, ["market", "change", "BTC-PERP", "--force", "--key", ADMIN_KEY]) == 2
    assert "at least one parameter" in capsys.readouterr().err


async def test_a_settlement_says_at_what_and_how_many(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    async def ask(_: object, operation: Operation, __: object, values: dict[str, object]) -> object:
        assert (operation.name, values) == ("settleMarket", {"ticker": "BTC-PERP"})
        return msgspec.convert(EXAMPLES["settleMarket"].answer, Settled)

    monkeypatch.setattr("tools.admin.answers._ask", ask)

    assert await asyncio.to_thread(main, ["market", "settle", "BTC-PERP", "--key", ADMIN_KEY]) == 0
    assert capsys.readouterr().out == "ticker\tBTC-PERP\nstatus\tenabled\nprice\t10400.00\npositions\t2\n"
