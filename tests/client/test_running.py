"""The helpers that a bot's program is made of."""

from __future__ import annotations

from contextlib import aclosing
from decimal import Decimal

import pytest

from perps.client import Agent, Refused, Venue, run
from tests.client.test_agent import cut
from tests.support.answers import at_once
from tests.support.slowness import soon
from tests.web.conftest import clock, no_fault_goes_unnoticed, session, starter, venue
from tests.web.venue import Running

__all__ = ["clock", "no_fault_goes_unnoticed", "session", "starter", "venue"]


@pytest.mark.parametrize("kind", [Venue, Agent])
async def test_prices_are_the_present_one_and_each_that_differs_also_after_a_cut(
    venue: Running, kind: type[Venue]
) -> None:
    await venue.market("ETH-PERP", "2000")
    async with (
        soon(15),
        kind(venue.url, venue.admin.key or "") as client,
        aclosing(client.index_prices("BTC-PERP")) as prices,
    ):
        found = [await anext(prices)]
        await venue.price("50000")
        await venue.price("2100", ticker="ETH-PERP")
        await venue.price("50100")
        found.append(await anext(prices))
        cut(venue)
        await venue.price("50200")
        found.append(await anext(prices))
    assert found == [Decimal(50_000), Decimal(50_100), Decimal(50_200)]


async def test_leave_closes_what_is_open_in_one_market_and_no_other(venue: Running) -> None:
    await venue.market("ETH-PERP", "2000")
    ann = await venue.user("ann", "1000000")
    async with Agent(venue.url, ann.key or "") as agent:
        opened = [at_once(await agent.open("BTC-PERP", "long", 20, 10)).position.id for _ in range(3)]
        other = at_once(await agent.open("ETH-PERP", "long", 20, 10)).position.id
        assert {at_once(one).position.id for one in await agent.leave("BTC-PERP")} == set(opened)
        assert await agent.leave("BTC-PERP") == []
        assert [one.id async for one in agent.list_positions("me")] == [other]


async def test_leave_does_not_mind_a_position_that_ends_meanwhile(
    venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await venue.user("ann", "1000000")
    async with Agent(venue.url, ann.key or "") as agent, Venue(venue.url, ann.key) as http:
        first = at_once(await agent.open("BTC-PERP", "long", 20, 10)).position.id
        second = at_once(await agent.open("BTC-PERP", "long", 20, 10)).position.id
        real = Agent.close

        async def close(self: Agent, position: str) -> object:
            if position == first:
                await http.close(first)
            return await real(self, position)

        monkeypatch.setattr(Agent, "close", close)
        assert [at_once(one).position.id for one in await agent.leave("BTC-PERP")] == [second]


async def test_leave_says_what_else_is_refused(venue: Running) -> None:
    ann = await venue.user("ann", "1000000")
    await ann.opened()
    reader = await venue.key("read", userId="ann")
    async with Agent(venue.url, reader.key or "") as agent:
        with pytest.raises(Refused) as refused:
            await agent.leave("BTC-PERP")
    assert refused.value.code == "forbidden"


def test_a_program_ends_with_a_message_and_no_traceback() -> None:
    async def refused() -> None:
        raise Refused("unauthorized", "This key is not known.", {}, 401)

    async def interrupted() -> None:
        raise KeyboardInterrupt

    async def fine() -> int:
        return 7

    assert run(fine()) == 7
    with pytest.raises(SystemExit) as ended:
        run(interrupted())
    assert ended.value.code == 130
    with pytest.raises(SystemExit, match="unauthorized: This key is not known"):
        run(refused())
