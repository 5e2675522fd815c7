"""A trader's commands against a venue: what they show, how they end, and where the key comes from."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.web.venue import ADMIN_KEY, OnMemory, Running, start
from tools.cli import main

Captured = pytest.CaptureFixture[str]


@pytest.fixture
async def venue() -> AsyncIterator[Running]:
    """A venue with a market and a trader, whose key lies in the data directory."""
    async with aiohttp.ClientSession() as session:
        running = await start(OnMemory(), session)
        await running.market()
        ann = await running.user("ann", "1000")
        await asyncio.to_thread(_keep, "ann", ann.key or "")
        yield running
        await running.venue.close()


def _keep(name: str, key: str) -> None:
    Path("keys").mkdir(exist_ok=True)
    Path(f"keys/{name}.key").write_text(f"{key}\n")


async def trade(venue: Running, *arguments: str) -> int:
    return await asyncio.to_thread(main, ["trade", *arguments, "--url", venue.url, "--data-dir", "keys"])


def table(text: str) -> list[dict[str, str]]:
    """Lines with tabs, by the names of their columns."""
    header, *lines = [line.split("\t") for line in text.splitlines()]
    return [dict(zip(header, line, strict=True)) for line in lines]


def record(text: str) -> dict[str, str]:
    return dict(line.split("\t") for line in text.splitlines())


async def test_a_position_is_previewed_opened_shown_and_closed(venue: Running, capsys: Captured) -> None:
    order = ("open", "BTC-PERP", "long", "1000", "--leverage", "10", "--stop-loss", "46000")

    assert await trade(venue, *order, "--dry-run") == 0
    told = record(capsys.readouterr().out)
    assert await trade(venue, "positions") == 0
    assert table(capsys.readouterr().out) == [], "a preview opens nothing"

    assert await trade(venue, *order) == 0
    opened = record(capsys.readouterr().out)
    assert opened["position.id"] == "BTC-PERP-1"
    assert (opened["fill.price"], opened["marginPaid"]) == (told["fill.price"], told["marginRequired"])

    assert await trade(venue, "positions") == 0
    [shown] = table(capsys.readouterr().out)
    assert (shown["position"], shown["side"], shown["leverage"], shown["stop-loss"]) == (
        "BTC-PERP-1",
        "long",
        "10",
        "46000.00",
    )

    assert await trade(venue, "close", "BTC-PERP-1", "--percentage", "0.5") == 0
    assert record(capsys.readouterr().out)["position.status"] == "open"
    assert await trade(venue, "close", "BTC-PERP-1") == 0
    closed = record(capsys.readouterr().out)
    assert closed["position.status"] == "closed"

    assert await trade(venue, "history") == 0
    assert [row["kind"] for row in table(capsys.readouterr().out)] == ["close", "close", "open"]
    assert await trade(venue, "balance", "--json") == 0
    assert json.loads(capsys.readouterr().out)["balance"] == closed["newBalance"]


async def test_an_order_is_placed_shown_and_cancelled(venue: Running, capsys: Captured) -> None:
    assert await trade(venue, "order", "BTC-PERP", "limit", "long", "500", "40000", "--expires-at", "2027-01-01") == 0
    [placed] = table(capsys.readouterr().out)
    assert (placed["order"], placed["price"], placed["status"]) == ("BTC-PERP-o1", "40000.00", "open")

    assert await trade(venue, "orders") == 0
    assert [row["order"] for row in table(capsys.readouterr().out)] == ["BTC-PERP-o1"]
    assert await trade(venue, "cancel", "BTC-PERP-o1") == 0
    assert table(capsys.readouterr().out)[0]["status"] == "cancelled"
    assert await trade(venue, "orders", "--status", "all") == 0
    assert [row["status"] for row in table(capsys.readouterr().out)] == ["cancelled"]


async def test_a_trailing_stop_is_quoted_placed_and_cancelled(venue: Running, capsys: Captured) -> None:
    assert await trade(venue, "open", "BTC-PERP", "long", "500") == 0
    capsys.readouterr()
    assert await trade(venue, "trail", "BTC-PERP-1", "0.02", "--dry-run") == 0
    [quoted] = table(capsys.readouterr().out)
    assert (quoted["mark"], quoted["leaves-at"]) == ("50000.00", "49000.00")
    assert await trade(venue, "trail", "BTC-PERP-1", "0.02", "--percentage", "0.5", "--json") == 0
    order = json.loads(capsys.readouterr().out)["order"]
    assert (order["extremePrice"], order["price"], order["percentage"]) == ("50000.00", "49000.00", "0.5")
    assert await trade(venue, "cancel", "BTC-PERP-o1") == 0
    assert await trade(venue, "trail", "BTC-PERP-1", "2") == 1
    assert "callback must be more than 0 and less than 1: 0.02 is 2 %. For 2 % send 0.02." in capsys.readouterr().err


async def test_everything_can_be_cancelled_and_closed_at_once(venue: Running, capsys: Captured) -> None:
    for _ in range(2):
        assert await trade(venue, "open", "BTC-PERP", "short", "100") == 0
        assert await trade(venue, "order", "BTC-PERP", "limit", "long", "100", "40000") == 0
    capsys.readouterr()
    assert await trade(venue, "cancel", "--all", "--ticker", "BTC-PERP") == 0
    assert len(table(capsys.readouterr().out)) == 2
    assert await trade(venue, "close", "--all") == 0
    assert [row["position"] for row in table(capsys.readouterr().out)] == ["BTC-PERP-2", "BTC-PERP-1"]
    assert await trade(venue, "positions") == 0
    assert table(capsys.readouterr().out) == []


async def test_a_refusal_is_one_line_and_exit_code_1(venue: Running, capsys: Captured) -> None:
    assert await trade(venue, "open", "BTC-PERP", "long", "5000") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("perps: error: insufficient_funds: The wallet does not hold enough. (")
    assert err.count("\n") == 1

    assert await trade(venue, "open", "BTC-PERP", "long", "5000", "--json") == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "insufficient_funds"


async def test_an_order_with_an_id_of_ones_own_is_done_once(venue: Running, capsys: Captured) -> None:
    for _ in range(2):
        assert await trade(venue, "open", "BTC-PERP", "long", "100", "--client-order-id", "mine") == 0
    capsys.readouterr()
    assert await trade(venue, "positions") == 0
    assert len(table(capsys.readouterr().out)) == 1


async def test_the_key_comes_from_the_environment_a_file_or_the_data_directory(
    venue: Running, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = await venue.user("bob", "7")
    assert bob.key is not None

    assert await trade(venue, "balance", "--json") == 0
    assert json.loads(capsys.readouterr().out)["balance"] == "1000.00", "ann is the only one"

    await asyncio.to_thread(_keep, "bob", bob.key)
    assert await trade(venue, "balance") == 2
    assert capsys.readouterr().err == "perps: error: say who trades: --as ann or --as bob\n"
    assert await trade(venue, "balance", "--as", "bob", "--json") == 0
    assert json.loads(capsys.readouterr().out)["balance"] == "7.00"
    assert await trade(venue, "balance", "--key-file", "keys/bob.key", "--json") == 0
    assert json.loads(capsys.readouterr().out)["balance"] == "7.00"

    monkeypatch.setenv("PERPS_KEY", bob.key)
    assert await trade(venue, "balance", "--json") == 0
    assert json.loads(capsys.readouterr().out)["balance"] == "7.00"
    assert await trade(venue, "balance", "--as", "ann", "--json") == 0
    assert json.loads(capsys.readouterr().out)["balance"] == "1000.00", "who is named counts"


async def test_without_a_key_it_says_how_to_make_one(
    venue: Running, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await trade(venue, "balance", "--as", "carl") == 2
    assert "no key: keys/carl.key cannot be read (No such file or directory). To make one: perps key create" in (
        capsys.readouterr().err
    )
    monkeypatch.setenv("PERPS_KEY", ADMIN_KEY)
    assert await trade(venue, "balance") == 1
    assert "This key belongs to no user" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("close",), "name a position, or say --all"),
        (("close", "A-1", "--all"), "name a position, or say --all"),
        (("close", "A-1", "--ticker", "A"), "--ticker goes with --all"),
        (("close", "--all", "--quantity", "1"), "--all closes each position whole"),
        (("cancel",), "name an order, or say --all"),
        (("open", "BTC-PERP", "up", "100"), "'up' is not one of"),
        (("open", "BTC-PERP", "long", "-5"), "No such option"),
        (("balance", "--as", "ann", "--key-file", "keys/ann.key"), "give --as or --key-file, not both"),
        (("balance", "--key", "secret"), "No such option"),
    ],
)
async def test_a_mistake_in_an_argument_is_told(
    venue: Running, capsys: Captured, arguments: tuple[str, ...], said: str
) -> None:
    assert await trade(venue, *arguments) == 2
    assert said.lower() in capsys.readouterr().err.lower()


async def test_a_net_trade_turns_a_position(venue: Running, capsys: Captured) -> None:
    await trade(venue, "open", "BTC-PERP", "long", "1000", "--leverage", "10")
    capsys.readouterr()

    assert await trade(venue, "net", "BTC-PERP", "short", "2500", "--leverage", "10", "--reduce-only") == 0
    closed = record(capsys.readouterr().out)
    assert await trade(venue, "net", "BTC-PERP", "short", "500", "--leverage", "10") == 0
    opened = record(capsys.readouterr().out)

    assert closed["marginPaid"] == "0.00"
    assert "opened.position.id" not in closed
    assert opened["opened.position.id"] == "BTC-PERP-2"
    assert await trade(venue, "net", "BTC-PERP", "short", "500", "--reduce-only") == 1
    assert "position_not_found" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (("open", "FOO", "long", "1000"), "To see the markets: perps market list"),
        (("open", "BTC", "long", "1000"), "Did you mean BTC-PERP?"),
        (("close", "BTC-PERP-9"), "To see yours: perps trade positions"),
        (("cancel", "BTC-PERP-o9"), "To see yours: perps trade orders"),
    ],
)
async def test_a_name_that_the_venue_does_not_know_is_told_with_the_command_that_lists_the_names(
    venue: Running, capsys: pytest.CaptureFixture[str], given: tuple[str, ...], hint: str
) -> None:
    assert await trade(venue, *given) == 1
    assert capsys.readouterr().err.strip().endswith(hint)
