"""What the outside can see is written down, and what is written down is so."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import rich_click as click

from perps.client import Venue
from perps.events import TransferKind
from perps.market.listing import check_params
from perps.refusals import RejectCode
from perps.wire.base import Answer, decoder
from perps.wire.contract.operations import OPERATIONS
from perps.wire.errors import STATUS, ErrorCode
from perps.wire.listing import MarketBody
from perps.wire.operation import Operation
from perps.wire.streams import MARKET_EVENTS, USER_EVENTS
from tests.support.slowness import soon
from tests.web.events import listening
from tests.web.venue import ADMIN_KEY, Json, OnMemory, Running, start
from tools.commands import perps
from tools.serve import serve
from tools.settings import setting_name
from web.api.bodies.commands import list_command

ROOT = Path(__file__).parent.parent
API = (ROOT / "docs" / "api.md").read_text()
RUNNING = (ROOT / "docs" / "running.md").read_text()
README = (ROOT / "README.md").read_text()
PAGES = [page.relative_to(ROOT) for pattern in ("*.md", "docs/*.md", "examples/*.md") for page in ROOT.glob(pattern)]
CLIENT = (ROOT / "docs" / "client.md").read_text()
JSON_BLOCKS = re.findall(r"```json\n(.*?)```", API, re.DOTALL)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_operation_is_documented(operation: Operation) -> None:
    assert re.search(rf"`{operation.method} {re.escape(operation.path)}[`?]", API)


def test_every_route_in_the_document_is_an_operation() -> None:
    told = set(re.findall(r"`(GET|POST|DELETE) (/[^`?\s]*)", API))
    assert told <= {(operation.method, operation.path) for operation in OPERATIONS}


@pytest.mark.parametrize("code", STATUS)
def test_every_code_is_documented(code: str) -> None:
    assert f"`{code}`" in API


def test_the_table_of_codes_has_each_with_its_status_in_the_order_in_which_they_are_reported() -> None:
    table = API.partition("| Status | Codes |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    told = [(code, statuses) for statuses, codes in rows for code in re.findall(r"`([a-z_]+)`", codes)]
    assert [code for code, _ in told if code not in ("method_not_allowed", "payload_too_large")] == [
        code for code in STATUS if code not in ("method_not_allowed", "payload_too_large")
    ]
    assert all(str(STATUS[ErrorCode(code)]) in statuses for code, statuses in told)


def test_every_refusal_has_a_status() -> None:
    assert {str(code) for code in RejectCode} <= STATUS.keys()


@pytest.mark.parametrize("field", MarketBody.__struct_encode_fields__)
def test_every_market_parameter_is_documented(field: str) -> None:
    assert f"`{field}`" in API


@pytest.mark.parametrize(
    "kind", sorted(set(TransferKind) - {TransferKind.HOUSE_DEPOSIT, TransferKind.HOUSE_FUNDING, TransferKind.BAD_DEBT})
)
def test_every_movement_of_a_wallet_is_documented(kind: str) -> None:
    assert f"`{kind}`" in API


@pytest.mark.parametrize("option", [option for option in serve.params if isinstance(option, click.Option)])
def test_every_setting_is_documented(option: click.Option) -> None:
    assert f"`--{setting_name(option)}" in RUNNING


@pytest.mark.parametrize("option", ["--host", "--port", "--data-dir", "--database-url", "--demo/--no-demo"])
def test_the_settings_of_the_contract_are_there(option: str) -> None:
    known = {name for parameter in serve.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert set(option.split("/")) <= known


def _commands(command: click.Command, name: str) -> Iterator[str]:
    if not isinstance(command, click.Group):
        yield name
        return
    context = click.Context(command)
    for below in command.list_commands(context):
        found = command.get_command(context, below)
        assert found is not None
        yield from _commands(found, f"{name} {below}")


@pytest.mark.parametrize("command", list(_commands(perps, "perps")))
def test_every_command_has_a_line(command: str) -> None:
    assert f"    {command}" in RUNNING


@pytest.mark.parametrize("line", [line for line in RUNNING.splitlines() if line.startswith("    perps ")])
def test_every_line_with_a_command_can_be_typed(line: str) -> None:
    words = re.split(r" {3,}", line.strip())[0]
    command: click.Command = perps
    context = click.Context(perps)
    arguments = re.sub(r"\[.*", "", words).split()[1:]
    while isinstance(command, click.Group):
        below = command.get_command(context, arguments.pop(0))
        assert below is not None
        command, context = below, click.Context(below, parent=context)
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in arguments if word.startswith("--")} <= known


@pytest.mark.parametrize("block", JSON_BLOCKS)
def test_every_example_is_json(block: str) -> None:
    json.loads(block)


@pytest.mark.parametrize("told", ['"preset"', '"maxQuantity"'])
def test_the_listings_that_are_shown_can_be_listed(told: str) -> None:
    (block,) = [block for block in JSON_BLOCKS if told in block]
    command = list_command(decoder(MarketBody).decode(block))
    assert check_params(command.params, command.price) is None


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)(#[^)]*)?\)", (ROOT / page).read_text()):
        there = (ROOT / page).parent / target if target else ROOT / page
        assert there.exists(), target
        assert not anchor or anchor in _anchors(there), f"{target}{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_path_of_the_project_that_a_page_names_is_there(page: Path) -> None:
    top = "|".join(("actors", "docs", "examples", "perps", "persistence", "tests", "tools", "web"))
    for path in re.findall(rf"`((?:{top})/[\w./-]*)", (ROOT / page).read_text()):
        assert (ROOT / path).exists(), path


@pytest.fixture
async def venue() -> AsyncIterator[Running]:
    """A venue on memory, empty."""
    async with aiohttp.ClientSession() as session:
        running = await start(OnMemory(), session)
        yield running
        await running.venue.close()


def _fields(value: object) -> Iterator[str]:
    """Every name in an answer but those that are data: tickers, parts."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _fields(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _fields(inner)


async def test_every_field_of_every_answer_is_documented(venue: Running) -> None:
    answers: list[Json] = [await venue.market()]
    async with listening(venue) as stream:
        ann = await venue.user("ann", "1000", referrer=None)
        answers += [await ann.opened(leverage=100), await ann.opened(side="short")]
        answers += [(await ann.close("BTC-PERP-2", percentage="0.5")).ok(), (await ann.close("BTC-PERP-2")).ok()]
        opening = {"ticker": "BTC-PERP", "side": "long", "size": "20", "leverage": 2}
        answers += [(await ann.post("/api/markets/perps/quote", opening)).ok(), await venue.price("40000", reason="x")]
        answers += [(await venue.admin.post("/api/admin/users/ann/withdraw", {"amount": "1"})).ok()]
        answers += [(await venue.admin.post("/api/admin/keys", {"scopes": ["price"]})).ok(201)]
        answers += [(await venue.admin.post("/api/admin/snapshots")).ok(201)]
        order = {**opening, "type": "limit", "price": "39000"}
        answers += [(await ann.post("/api/orders", order)).ok(201)]
        await venue.mode("halted")
        events = await stream.until_offset(venue.venue.context.model.offset)
    for operation in OPERATIONS:
        answer = operation.answers[operation.status]
        if operation.method != "GET" or not (isinstance(answer, type) and issubclass(answer, Answer)):
            continue
        path = operation.path.replace("{ticker}", "BTC-PERP").replace("{userId}", "ann")
        path = path.replace("{orderId}", "BTC-PERP-o1") + ("?userId=ann" if operation.name == "listOrders" else "")
        answers.append((await venue.admin.get(path)).ok())
    answers.append((await venue.admin.get("/api/markets/positions/ann?status=all")).ok())

    words = set(re.findall(r"\w+", API))
    told = {name for answer in answers for name in _fields(answer)}
    assert told <= words, sorted(told - words)
    rows = {name: line for line in API.splitlines() for name in re.findall(r"^\| `(\w+)` \|", line)}
    assert {"snapshot", "price", "trade", "liquidation", "market"} == {event.name for event in events}
    for event in events:
        row = rows["trade" if event.name == "liquidation" else event.name]
        missing = event.data.keys() - set(re.findall(r"\w+", row))
        assert not missing, (event.name, missing)
    async with listening(venue, "?since=99-1") as stream:
        reset = await stream.next()
    assert (reset.name, set(reset.data)) == ("reset", {"since", "offset"})
    assert '`reset` | `{"since", "offset"}`' in API


SHELLS = [
    pytest.param(shell, marks=pytest.mark.skipif(not shutil.which(shell), reason=f"{shell} is not installed"))
    for shell in ("sh", "bash", "zsh")
]
ZSH_NAMES = set(
    re.findall(
        r"\w+",
        "path cdpath fpath manpath mailpath module_path fignore psvar watch status argv pipestatus options commands"
        " aliases functions history prompt signals parameters",
    )
)
"""Variables that zsh gives a meaning of its own."""


def _session(language: str) -> tuple[str, str]:
    """The README's session in a language: all that is typed, and all that is printed."""
    blocks = re.findall(rf"```{language}\n(.*?)```(?:\n\n```\n(.*?)```)?", README, re.DOTALL)
    return "".join(typed for typed, _ in blocks), "".join(printed for _, printed in blocks)


async def _run(venue: Running, place: Path, language: str, *command: str) -> None:
    """The README's session, as somebody types it, prints what the README shows."""
    script, printed = _session(language)

    def run() -> subprocess.CompletedProcess[str]:
        (place / "first").mkdir(exist_ok=True)
        (place / "first" / "admin.key").write_text(ADMIN_KEY + "\n")
        typed = script.replace("http://127.0.0.1:8000", venue.url)
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [*command, "-c", typed], cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    done = await asyncio.to_thread(run)
    assert (done.stdout, done.stderr) == (printed, "")


def test_the_session_of_the_readme_needs_no_jq_and_assigns_nothing_that_zsh_lives_by() -> None:
    """``path=…`` in zsh is ``PATH=…``: then no program is found any more."""
    session, _ = _session("sh")
    assigned = set(re.findall(r"(?:^|[;{(]|\bread )\s*(\w+)=", session, re.MULTILINE))
    assert {"URL", "ADMIN", "ANN", "key", "route"} <= assigned
    assert not assigned & ZSH_NAMES
    assert "jq" not in session
    assert "#" not in session, "zsh takes no comments from the keyboard"


@pytest.mark.skipif(not (shutil.which("python3") and shutil.which("curl")), reason="the session needs curl and python3")
@pytest.mark.parametrize("shell", SHELLS)
async def test_the_session_of_the_readme_prints_what_it_says(shell: str, venue: Running, tmp_path: Path) -> None:
    await _run(venue, tmp_path, "sh", shell)
    await _run(venue, tmp_path, "python", sys.executable)  # on the same venue, as the README says


async def test_the_session_in_python_needs_no_other_before_it(venue: Running, tmp_path: Path) -> None:
    await _run(venue, tmp_path, "python", sys.executable)


async def test_the_code_in_the_clients_page_works(venue: Running) -> None:
    said: asyncio.Queue[tuple[object, ...]] = asyncio.Queue()
    names: dict[str, Any] = {"print": lambda *words: said.put_nowait(words)}
    for block in re.findall(r"```python\n(.*?)```", CLIENT, re.DOTALL):
        exec(block, names)
    await venue.market(price="10000")
    ann = await venue.user("ann", "1000")
    await names["main"](venue.url, ann.key)
    assert said.get_nowait() == ("BTC-PERP-1", "10000.0005005")
    assert said.get_nowait() == ("-0.000001", "998.001997")
    async with Venue(venue.url) as client:
        await names["history"](client)
        assert [len(said.get_nowait()) for _ in range(said.qsize())] == [2, 2, 2]
        watching = asyncio.create_task(names["watch"](client))
        async with soon(10):
            assert (await said.get())[1] == "snapshot"
        watching.cancel()


def test_the_page_in_a_browser_listens_for_every_event() -> None:
    (names,) = re.findall(r"for \(const name of (\[.*?\])\)", (ROOT / "docs" / "streams.md").read_text())
    assert set(json.loads(names)) == MARKET_EVENTS.keys() | USER_EVENTS.keys()


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each.has_effect], ids=lambda each: each.name)
def test_the_clients_page_names_every_command_that_has_no_id(operation: Operation) -> None:
    """By the name of its method, in the table of commands without a client order id."""
    method = re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", operation.name)
    has_id = "client_order_id" in getattr(operation.body, "__struct_fields__", ())
    table = CLIENT.partition("These commands have no client order id")[2].partition("To make a command safe")[0]
    assert (f"`{method}`" in table) is not has_id, "docs/client.md names all commands without an id"
    again = [row for row in table.splitlines() if row.endswith("| sent again: a second time changes nothing |")]
    assert (f"`{method}`" in again[0]) is operation.repeatable, "the first row has those that are ``repeatable``"


def test_every_method_in_the_clients_page_is_there() -> None:
    named = set(re.findall(r"`((?:list|get|set|create|take|revoke|open|close|quote)_\w+)", CLIENT))
    assert named
    assert all(callable(getattr(Venue, name)) for name in named)


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {"#" + re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
