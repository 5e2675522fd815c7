"""Who comes back to a stream of their own has missed nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.web.conftest import Starter
from tests.web.events import following, read_raw
from tests.web.streams.story import of_kind, story
from tests.web.venue import Backend, Running
from web.compose import Limits
from web.streams import hub as hub_module


@pytest.fixture(params=[20_000, 1], ids=["memory", "journal"])
async def told(request: pytest.FixtureRequest, starter: Starter, backend: Backend) -> tuple[Running, dict[str, bytes]]:
    """A venue, and what readers of each stream got of a story while it happened: by path, from row 1 on."""
    venue = await starter(backend, limits=Limits(rows_kept=request.param))
    await venue.market()
    paths = ["/api/sse/markets", "/api/sse/users", "/api/sse?tickers=BTC-PERP"]
    readers = {path: asyncio.create_task(_read_until_deposit(venue, path)) for path in paths}
    while venue.venue.context.streams.readers < len(paths):  # noqa: ASYNC110 - a plain value
        await asyncio.sleep(0)
    await story(venue)
    await venue.price("45001")
    return venue, {path: await reader for path, reader in readers.items()}


async def _read_until_deposit(venue: Running, path: str) -> bytes:
    """All that a stream tells after its snapshot, up to the price that ends the story."""
    last = b'"indexPrice":"45001.00"' if path != "/api/sse/users" else b'"totalWithdrawn":"7.00"'
    return await read_raw(venue, path, venue.admin, until=last)


async def test_who_comes_back_reads_the_same_bytes_as_who_was_there(
    told: tuple[Running, dict[str, bytes]], starter: Starter
) -> None:
    venue, live = told
    again = await starter.restart(venue, limits=Limits(rows_kept=1))

    for path, seen in live.items():
        ids = [block.rpartition(b"id: ")[2].decode() for block in seen.split(b"\n\n") if b"id: " in block]
        for since in ("1-1", *ids[1:-1:3]):
            mark = "&" if "?" in path else "?"
            last = b'"indexPrice":"45001.00"' if path != "/api/sse/users" else b'"totalWithdrawn":"7.00"'
            missed = await read_raw(again, f"{path}{mark}since={since}", again.admin, until=last)
            assert missed == (seen if since == "1-1" else seen.split(f"id: {since}\n\n".encode(), 1)[1])


@pytest.mark.parametrize("page", [1, 3, 1000])
async def test_a_user_who_comes_back_misses_nothing_where_a_page_ends(
    starter: Starter, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "RESUME_EVENTS", page)
    monkeypatch.setattr(hub_module, "RESUME_PAGE", min(page, 7))
    venue = await starter(limits=Limits(rows_kept=1))
    await venue.market()
    offset = await story(venue)
    async with following(venue, "/api/sse/users?since=1-1", venue.admin) as stream:
        everything = await stream.until_offset(offset)

    for user in ("ann", "bob", "rita"):
        own = [event for event in everything if event.data["userId"] == user]
        for since in range(1, own[-1].offset, 2):
            missed = [event.data for event in own if event.offset > since]
            async with following(venue, f"/api/sse/users/{user}?since=1-{since}", venue.admin) as stream:
                assert [event.data for event in await stream.take(len(missed))] == missed


async def test_rows_that_come_while_a_user_catches_up_are_told_with_their_balance(starter: Starter) -> None:
    """Somebody whom none of the missed rows touched is touched by one that comes meanwhile."""
    venue = await starter(limits=Limits(rows_kept=1))
    await venue.market()
    ann, bob = await venue.user("ann"), await venue.user("bob")
    since = (await ann.opened())["offset"] - 1
    await ann.opened()
    hub = venue.venue.context.streams
    pages, rows_after = list[int](), hub._rows_after

    async def meanwhile(after: int, limit: int) -> Any:
        pages.append(after)
        if len(pages) == 3:  # its place, then what it missed once to go back; now to tell it
            await bob.opened()
        return await rows_after(after, limit)

    hub._rows_after = meanwhile
    async with following(venue, f"/api/sse/users?since=1-{since}", venue.admin) as stream:
        events = await stream.until_offset(since + 3)

    assert len(pages) == 3
    assert of_kind(events, "balance")[-1] == {**await bob.balance(), "userId": "bob"}
