"""Answers as bytes on the line: one after the other on a connection, and each with the head that HTTP wants."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.web.venue import Running


async def said(venue: Running, sent: bytes) -> bytes:
    """All that a connection says to this, until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(venue.url.rpartition(":")[2]))
    writer.write(sent)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


def request(path: str, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: 127.0.0.1", *lines, "", ""]).encode()


async def test_two_on_one_connection_are_answered_in_order_and_the_last_ends_it(venue: Running) -> None:
    answer = await said(venue, request("/healthz") + request("/api/markets/perps", "Connection: close"))

    heads = [part.partition(b"\r\n\r\n")[0].decode() for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert [head[:6] for head in heads] == ["200 OK", "200 OK"]
    assert ["Connection: close" in head for head in heads] == [False, True]
    assert answer.count(b'{"status":"ok"}') == 1
    assert answer.endswith(b"}")


async def test_a_head_has_what_http_wants(venue: Running) -> None:
    head, _, body = (await said(venue, request("/healthz", "Connection: close"))).partition(b"\r\n\r\n")
    lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])

    assert body == b'{"status":"ok"}'
    assert lines["Content-Length"] == str(len(body))
    assert lines["Content-Type"] == "application/json"
    assert re.fullmatch(r"[0-9a-f]{24}", lines["X-Request-Id"])
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", lines["Date"])
    assert len(lines) == 6 == head.count(b"\r\n"), "no line twice"


@pytest.mark.parametrize(("lines", "closes"), [((), True), (("Connection: keep-alive",), False)])
async def test_http_1_0_is_answered(venue: Running, lines: tuple[str, ...], closes: bool) -> None:
    asked = request("/healthz", *lines, version="1.0")
    answer = await said(venue, asked if closes else asked + request("/healthz", version="1.0"))

    assert answer.startswith(b"HTTP/1.0 200 OK")
    assert answer.count(b'{"status":"ok"}') == (1 if closes else 2)


async def test_a_head_alone_has_no_body(venue: Running) -> None:
    answer = await said(venue, request("/healthz", "Connection: close", method="HEAD"))

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"\r\n\r\n")
