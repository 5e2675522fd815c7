"""A running venue does what its contract says, whatever is sent: schemathesis tries it out, and nobody gains a cent."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from perps.wire.contract.openapi import document
from perps.wire.contract.operations import OPERATIONS
from perps.wire.operation import EVENTS, UPGRADE
from tests.web.venue import ADMIN_KEY, Running
from web.limits.budgets import FailedKeys

HERE: Final = Path(__file__).parent
STREAMS: Final = [each.name for each in OPERATIONS if each.answers[each.status] in (EVENTS, UPGRADE)]
LOOK_S: Final = 0.2
"""Between two looks at the sum of all accounts."""


def _without_tuples(schema: Any) -> Any:
    """Schemathesis 4.32 checks no answer against ``prefixItems``; ``test_openapi`` holds the one that there is."""
    if isinstance(schema, list):
        return [_without_tuples(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _without_tuples(part) for name, part in schema.items()}
    if "prefixItems" in plain:
        plain["items"] = {"anyOf": plain.pop("prefixItems")}
    return plain


ADMINISTRATOR: Final = "an administrator"
PHASES: Final = {ADMINISTRATOR: "examples,coverage,fuzzing", "a trader": "examples"}
"""Of schemathesis, by who asks. Whoever may do less is refused before most of a body is read."""
ALL_PHASES: Final = {
    ADMINISTRATOR: "examples,coverage,fuzzing,stateful",
    "a trader": "examples,fuzzing",
    "anybody": "examples",
}
EXAMPLES, MORE_EXAMPLES = 2, 10
"""Of each operation: each time, and in ``make test-faults``."""


async def _try_out(url: str, key: str | None, phases: str, place: Path, examples: int) -> str:
    """Run schemathesis against a venue: what it has found, or nothing."""
    contract = place / "openapi.json"
    await asyncio.to_thread(contract.write_text, json.dumps(_without_tuples(json.loads(document("1")))))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml")),
        *("run", str(contract), "--url", url, *(("--header", f"Authorization: Bearer {key}") if key else ())),
        *("--phases", phases, "--max-examples", str(examples), "--generation-deterministic"),
        # What the rules of a market refuse no schema can say.
        *("--exclude-checks", "positive_data_acceptance", "--warnings", "off", "--no-color"),
        *(word for name in STREAMS for word in ("--exclude-operation-id", name)),
        cwd=place,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = (await process.communicate())[0].decode()
    return said if process.returncode else ""


@asynccontextmanager
async def _every_cent_is_accounted_for(venue: Running) -> AsyncIterator[list[int]]:
    """Look at the sum of all accounts again and again: it is always 0. Gives the offsets of the looks."""
    offsets: list[int] = []

    async def look() -> None:
        stats = (await venue.admin.get("/api/admin/stats")).ok()
        assert stats["accounts"]["total"] == "0.00"
        offsets.append(stats["offset"])

    async def watch() -> None:
        while True:
            await look()
            await asyncio.sleep(LOOK_S)

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch())
        yield offsets
        watching.cancel()
    await look()


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("who", PHASES)
async def test_whatever_is_sent_gets_an_answer_of_the_contract(
    venue: Running, who: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _all_is_answered(venue, who, PHASES[who], EXAMPLES, tmp_path, monkeypatch)


@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize("who", ALL_PHASES)
async def test_whatever_else_is_sent_gets_an_answer_of_the_contract(
    venue: Running, who: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _all_is_answered(venue, who, ALL_PHASES[who], MORE_EXAMPLES, tmp_path, monkeypatch)


async def _all_is_answered(
    venue: Running, who: str, phases: str, examples: int, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FailedKeys, "wait_s", lambda *_: 0)  # it tries wrong keys all the time
    ann = await venue.user("ann", "1000000")
    await ann.opened(leverage=2)
    keys: Mapping[str, str | None] = {ADMINISTRATOR: ADMIN_KEY, "a trader": ann.key, "anybody": None}

    async with _every_cent_is_accounted_for(venue) as offsets:
        found = await _try_out(venue.url, keys[who], phases, place, examples)

    assert not found, found[:20_000]
    assert len(offsets) > 5
    assert (offsets[-1] > offsets[0]) == (keys[who] is not None), "only who has a key changes something"


async def test_a_path_says_which_methods_it_takes(venue: Running) -> None:
    paths = {each.path for each in OPERATIONS}
    for path in sorted(paths):
        methods = {each.method for each in OPERATIONS if each.path == path}
        streams = {each.method for each in OPERATIONS if each.path == path and each.name in STREAMS}
        allowed = methods | ({"HEAD"} if methods - streams & {"GET"} else set())
        filled = path.replace("{ticker}", "BTC-PERP").replace("{userId}", "ann").replace("{file}", "start.js")
        for method in sorted({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"} - allowed):
            answer = await venue.admin.ask(method, filled)
            assert answer.status == 405, (method, path)
            assert set(answer.headers["Allow"].split(", ")) == allowed, (method, path)
