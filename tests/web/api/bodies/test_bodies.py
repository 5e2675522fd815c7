"""Bodies that are not what they should be: an answer of the contract's shape, and nothing changed."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

from tests.web.conftest import Starter
from tests.web.venue import Answer, Backend, Running

OPEN = "/api/markets/perps/open"
ROUTES = [
    OPEN,
    "/api/markets/perps/quote",
    "/api/markets/perps/BTC-PERP-1/close",
    "/api/markets/perps/BTC-PERP/price",
    "/api/markets/prices",
    "/api/admin/users",
    "/api/admin/users/ann/deposit",
    "/api/admin/users/ann/withdraw",
    "/api/admin/keys",
    "/api/admin/markets",
    "/api/admin/markets/BTC-PERP/mode",
]

NOT_JSON = {
    "nothing": b" ",
    "words": b"hello",
    "cut off": b'{"ticker": "BTC',
    "two values": b"{} {}",
    "single quotes": b"{'a': 1}",
    "a trailing comma": b'{"a": 1,}',
    "a comment": b'{"a": 1} // no',
    "NaN": b'{"size": NaN}',
    "Infinity": b'{"size": -Infinity}',
    "a leading zero": b'{"size": 01}',
    "a plus sign": b'{"size": +1}',
    "no digit before the point": b'{"size": .5}',
    "hexadecimal": b'{"size": 0x10}',
    "bad UTF-8": b'{"\xff\xfe": 1}',
    "a cut-off UTF-8 sequence": b'{"a": "\xe2\x82"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a raw newline in text": b'{"a": "\n"}',
    "a NUL byte": b'{"a": 1}\0',
    "half a surrogate pair": b'{"a": "\\ud800"}',
    "30,000 brackets": b"[" * 30_000,
    "30,000 nested objects": b'{"a":' * 10_000,
    "closed brackets, deep": b"[" * 30_000 + b"]" * 30_000,
}

NOT_OURS = {
    "null": b"null",
    "true": b"true",
    "a number": b"1",
    "text": b'"{}"',
    "an unknown field": b'{"unknown": 1}',
    "an unknown field in a list": b'[{"unknown": 1}]',
    "an empty name": b'{"": 1}',
}


@pytest.mark.parametrize("path", ROUTES)
async def test_a_body_that_is_not_json_is_refused(venue: Running, path: str) -> None:
    async with venue.unchanged():
        for body in NOT_JSON.values():
            answer = await venue.admin.post(path, body)
            if answer.error()["code"] != "validation_error":
                answer.refused(400, "invalid_json")
            assert answer.status == 400, body[:50]


@pytest.mark.parametrize("name", NOT_JSON)
async def test_a_body_that_is_not_json_is_called_that(venue: Running, name: str) -> None:
    known = {"NaN", "Infinity"}
    answer = await venue.admin.post("/api/markets/prices", NOT_JSON[name])

    assert answer.error()["code"] == "invalid_json" or name in known or answer.status == 400


@pytest.mark.parametrize("path", ROUTES)
async def test_a_body_that_is_something_else_is_refused(venue: Running, path: str) -> None:
    async with venue.unchanged():
        for body in (*NOT_OURS.values(), b"[]" if not path.endswith("prices") else b"{}"):
            (await venue.admin.post(path, body)).refused(400, "validation_error")


@pytest.mark.parametrize("path", [path for path in ROUTES if not path.endswith("close")])
async def test_an_empty_body_is_refused(venue: Running, path: str) -> None:
    (await venue.admin.post(path)).refused(400, "invalid_json")


@pytest.mark.parametrize(
    "body",
    [
        b'{"ticker":"BTC-PERP","side":"long","size":"20","leverage":2,"size":"2000"}',
        b'{"ticker":"BTC-PERP","side":"long","size":"20","leverage":2,"leverage":2}',
        b'{"ticker":"BTC-PERP","side":"long","size":"20","leverage":2,"s\\u0069de":"short"}',
    ],
)
async def test_a_name_given_twice_is_refused(venue: Running, body: bytes) -> None:
    ann = await venue.user("ann")

    async with venue.unchanged():
        (await ann.post(OPEN, body)).refused(400, "validation_error")


async def test_one_bad_price_of_many_refuses_them_all(venue: Running) -> None:
    good = {"ticker": "BTC-PERP", "price": "50001"}
    bad: list[object] = [{**good, "price": "NaN"}, {**good, "x": 1}, {"price": "1"}, {**good, "ticker": "low"}, None]

    async with venue.unchanged():
        for item in bad:
            (await venue.admin.post("/api/markets/prices", [good, item])).refused(400, "validation_error")
        (await venue.admin.post("/api/markets/prices", [])).refused(400, "validation_error")
        many = [{"ticker": "B", "price": 1}] * 1001
        details = (await venue.admin.post("/api/markets/prices", many)).refused(400, "validation_error")
        assert details == {"maximum": 1000}


@pytest.mark.parametrize("size", [64 * 1024 + 1, 10 * 1024 * 1024])
async def test_a_body_beyond_the_limit_is_too_large(venue: Running, size: int) -> None:
    body = b'{"userId": "' + b"a" * size + b'"}'

    async with venue.unchanged():
        details = (await venue.admin.post("/api/admin/users", body)).refused(413, "payload_too_large")

    assert details == {"maxBytes": 65536}


async def test_a_body_at_the_limit_is_read(venue: Running) -> None:
    body = b'{"userId": "ann"' + b" " * (65536 - 17) + b"}"
    assert len(body) == 65536

    (await venue.admin.post("/api/admin/users", body)).ok(201)


BODY = b'{"userId": "ann"}'


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
async def test_a_compressed_body_is_not_inflated(venue: Running, encoding: str) -> None:
    headers = {"Content-Encoding": encoding}

    answer = await venue.admin.ask("POST", "/api/admin/users", data=gzip.compress(BODY), headers=headers)

    answer.refused(400, "invalid_json")


RAW = {
    "a request that is not HTTP": b"hello\r\n\r\n",
    "a chunk without a size": b"POST /api/admin/users HTTP/1.1\r\nHost: a\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nxx\r\n\r\n",
    "a length that is no number": b"POST /api/admin/users HTTP/1.1\r\nHost: a\r\nContent-Length: ten\r\n\r\n{}",
    "two lengths": b"POST /api/admin/users HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "a header without end": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
    "an absurd version": b"GET /healthz HTTP/9.9\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("name", RAW)
async def test_what_is_not_a_request_is_answered_like_one_and_is_no_fault(venue: Running, name: str) -> None:
    address = urlsplit(venue.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(RAW[name])
    async with asyncio.timeout(5):
        status = await reader.readline()
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = dict(line.split(": ", 1) for line in head if line)
        body = await reader.readexactly(int(headers["Content-Length"]))
    writer.close()
    await writer.wait_closed()

    answer = Answer(int(status.split()[1]), headers, body)
    assert answer.error()["code"] in ("validation_error", "invalid_json")
    assert answer.status == 400
    (await venue.anybody.get("/healthz")).ok()


TEXTS = {
    "a NUL": "a\u0000b",
    "a control character": "a\u001fb",
    "a line separator": "a\u2028b",
    "a right-to-left override": "a\u202eb",
    "an unassigned code point": "a\U000e0fffb",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_text_that_no_database_should_see_is_refused(starter: Starter, backend: Backend, text: str) -> None:
    venue = await starter(backend)
    await venue.market()
    await venue.user("ann")
    admin = venue.admin
    opening = {"ticker": "BTC-PERP", "side": "long", "size": "20", "leverage": 2, "userId": "ann"}
    listing = {"ticker": "NEW", "organizationId": "acme", "name": "New", "price": "100"}
    bodies: list[tuple[str, Mapping[str, object]]] = [
        *((OPEN, {**opening, field: text}) for field in ("ticker", "side", "size", "clientOrderId", "userId")),
        *(("/api/markets/perps/quote", {**opening, field: text}) for field in ("ticker", "clientOrderId", "userId")),
        ("/api/markets/perps/BTC-PERP-1/close", {"clientOrderId": text}),
        *(
            ("/api/markets/perps/BTC-PERP/price", {"price": "1", field: text})
            for field in ("price", "source", "reason", "at")
        ),
        *(("/api/admin/users", {"userId": "bob", field: text}) for field in ("userId", "referrer", "deposit")),
        ("/api/admin/users/ann/deposit", {"amount": "1", "clientOrderId": text}),
        ("/api/admin/users/ann/withdraw", {"amount": "1", "clientOrderId": text}),
        ("/api/admin/keys", {"scopes": [text]}),
        *(("/api/admin/keys", {"scopes": ["read"], field: text}) for field in ("userId", "label", "expiresAt")),
        *(("/api/admin/markets", {**listing, field: text}) for field in ("ticker", "organizationId", "name", "price")),
        *(("/api/admin/markets", {**listing, field: text}) for field in ("markSource", "houseCreditLimit")),
        ("/api/admin/markets/BTC-PERP/mode", {"mode": text}),
    ]

    async with venue.unchanged():
        for path, body in bodies:
            (await admin.post(path, body)).refused(400, "validation_error")
        (await admin.post("/api/markets/prices", [{"ticker": text, "price": 1}])).refused(400, "validation_error")
    assert (await venue.anybody.get("/readyz")).ok()["problems"] == {}


async def test_text_of_every_script_is_kept(starter: Starter, backend: Backend) -> None:
    venue = await starter(backend)
    name = "Ünïcödé 株式会社 🚀"
    await venue.market("X", "100", name=name)
    await venue.price("101", "X", reason=name)

    assert (await venue.anybody.get("/api/markets/perps/X")).ok()["market"]["name"] == name
    assert (await venue.anybody.get("/api/markets/perps/X/prices")).ok()["prices"][0]["reason"] == name
