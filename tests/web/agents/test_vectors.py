"""The frames that clients of other languages are tested with are answered as the file says, in both subprotocols."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack

import msgspec
import pytest

from perps.wire.agents import KINDS, OWN_KINDS
from tests.web.agents.channel import PROTOCOLS, channel
from tests.web.agents.vectors import BEFORE, PAGE, prepared, replied, steady
from tests.web.conftest import Starter

FILE = json.loads(PAGE.read_text())


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_venue_answers_every_vector_as_the_file_says(starter: Starter, protocol: str) -> None:
    venue = await starter()
    ann = await prepared(venue)
    async with AsyncExitStack() as stack:
        agent = await stack.enter_async_context(channel(ann, protocol))
        assert steady(agent.hello) == FILE["hello"]
        for vector in FILE["vectors"]:
            answers, events = len(vector.get("answers", ())), len(vector.get("events", ()))
            found = steady(await replied(agent, vector, protocol, answers=answers, events=events))
            assert found == {name: vector[name] for name in ("answers", "events", "closes") if name in vector}, vector
            if "closes" in vector:
                agent = await stack.enter_async_context(channel(ann, protocol))


def test_every_vector_is_the_same_in_both_subprotocols() -> None:
    for vector in FILE["vectors"]:
        if "frame" in vector:
            assert msgspec.msgpack.decode(bytes.fromhex(vector["msgpack"])) == vector["frame"]


def test_every_kind_has_a_vector() -> None:
    kinds = {envelope[1] for vector in FILE["vectors"] for envelope in vector.get("frame", ()) if len(envelope) > 1}
    assert KINDS.keys() | OWN_KINDS.keys() <= kinds
    assert FILE["before"] == BEFORE
