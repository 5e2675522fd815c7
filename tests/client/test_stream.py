"""Streams come row by row, each row once, over any number of lines."""

from __future__ import annotations

import json

import pytest

from perps.client import BadAnswer, Refused, Retry, Row, Unavailable, Venue, stream
from perps.client.stream import RowReader
from tests.client.scripted import Scripted, Step, refusal, serving
from tests.client.scripted import stream as streaming


def event(name: str, row: str | None = None, **data: object) -> str:
    ident = "" if row is None else f"id: {row}\n"
    return f"event: {name}\ndata: {json.dumps(data)}\n{ident}\n"


SNAPSHOT = event("snapshot", "1-5", markets=[], offset=5)
CRASH = event("price", indexPrice="1.00") + event("trade", price="1.00") + event("liquidation", "1-6", price="1.00")
PRICE = event("price", "1-7", indexPrice="2.00")


async def rows_of(server: Scripted, count: int, told: list[Retry] | None = None, **options: object) -> list[Row]:
    """The first rows of a stream. ``told`` gets each time that it comes back."""
    found: list[Row] = []
    heard = [] if told is None else told
    async with Venue(server.url, "key", retry_s=5.0, on_retry=heard.append) as venue:
        async for row in venue.stream(**options):  # type: ignore[arg-type]
            found.append(row)
            if len(found) == count:
                break
    return found


def names(rows: list[Row]) -> list[tuple[str, list[str]]]:
    return [(row.id, [event.name for event in row.events]) for row in rows]


WHOLE = [("1-5", ["snapshot"]), ("1-6", ["price", "trade", "liquidation"]), ("1-7", ["price"])]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_come_out_however_the_bytes_are_cut(size: int, end: str) -> None:
    text = (
        ("retry: 250\n\n: still here\n\n" + SNAPSHOT + CRASH + ": still here\n\n" + PRICE).replace("\n", end).encode()
    )
    reader, found = RowReader(), []
    for at in range(0, len(text), size):
        found += list(reader.feed(text[at : at + size]))
    assert names(found) == WHOLE
    assert [row.offset for row in found] == [5, 6, 7]
    assert reader.back_s == 0.25


@pytest.mark.parametrize("cut", range(1, len(CRASH), 17))
async def test_a_row_that_was_cut_comes_again_from_its_first_event(cut: int) -> None:
    again = "retry: 1\n\n"
    async with serving(streaming(again, SNAPSHOT, CRASH[:cut]), streaming(again, CRASH, PRICE, hangs=True)) as server:
        assert names(await rows_of(server, 3)) == WHOLE
    assert ["Last-Event-ID" in asked.headers for asked in server.asked] == [False, True]
    assert server.asked[1].headers["Last-Event-ID"] == "1-5"


async def test_a_stream_comes_back_after_the_time_that_it_names_with_jitter_and_more_after_each_failure() -> None:
    told: list[Retry] = []
    busy = refusal(503, "overloaded")
    steps = (streaming("retry: 20\n\n", SNAPSHOT), busy, busy, busy, streaming(PRICE, hangs=True))
    async with serving(*steps) as server:
        assert [row.id for row in await rows_of(server, 2, told)] == ["1-5", "1-7"]
    assert [retry.tries for retry in told] == [1, 2, 3, 4]
    for retry, most in zip(told, (0.02, 0.04, 0.08, 0.16), strict=True):
        assert most / 2 <= retry.pause_s <= most


async def test_a_silent_line_counts_as_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SILENCE_S_MAX", 0.2)
    steps = (streaming("retry: 1\n\n", SNAPSHOT, hangs=True), streaming(PRICE, hangs=True))
    async with serving(*steps) as server:
        assert [row.id for row in await rows_of(server, 2)] == ["1-5", "1-7"]


async def test_a_venue_that_is_not_there_from_the_beginning_is_an_error(unused_tcp_port: int) -> None:
    async with Venue(f"http://127.0.0.1:{unused_tcp_port}", retry_s=0.1) as venue:
        with pytest.raises(Unavailable, match="Connection refused"):
            async for _ in venue.stream():
                pass


@pytest.mark.parametrize(("status", "code"), [(401, "unauthorized"), (403, "forbidden"), (404, "market_not_found")])
async def test_a_verdict_ends_a_stream_also_when_it_comes_back(status: int, code: str) -> None:
    async with serving(streaming("retry: 1\n\n", SNAPSHOT), refusal(status, code)) as server:
        with pytest.raises(Refused, match=code):
            await rows_of(server, 2)
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "step", [Step(200, b"{}"), streaming("event: price\ndata: [1]\nid: 1-5\n\n"), streaming("data: {\nid: 1-5\n\n")]
)
async def test_what_is_no_stream_of_a_venue_is_told(step: Step) -> None:
    async with serving(step) as server:
        with pytest.raises(BadAnswer):
            await rows_of(server, 1)


async def test_a_row_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "ANSWER_BYTES_MAX", 1_000)
    async with serving(streaming(SNAPSHOT, *[event("trade")] * 100)) as server:
        with pytest.raises(BadAnswer, match="a row of more than 1000 bytes"):
            await rows_of(server, 2)


@pytest.mark.parametrize(
    ("options", "target"),
    [
        ({}, "/api/sse/markets"),
        ({"tickers": ["A", "B"]}, "/api/sse/markets?tickers=A,B"),
        ({"tickers": ["A"], "user": "me"}, "/api/sse?tickers=A&user=me"),
        ({"user": "a@b"}, "/api/sse/users/a%40b"),
    ],
)
async def test_one_stream_carries_markets_a_user_or_both(options: dict[str, object], target: str) -> None:
    async with serving(streaming(SNAPSHOT, hangs=True)) as server:
        await rows_of(server, 1, None, **options)
    assert [asked.target for asked in server.asked] == [target]
