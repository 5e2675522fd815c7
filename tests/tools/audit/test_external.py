"""Prices from outside: read exactly, or refused in one line that says where."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from tools.audit import external
from tools.audit.external import BadExternal, ExternalPrice, read_csv, read_file, read_url


def read(text: str | bytes) -> list[ExternalPrice]:
    return read_csv("x.csv", text.encode() if isinstance(text, str) else text)


def test_a_ticker_and_a_price_are_enough() -> None:
    assert read("ticker,price\nBTC-PERP,64000.10\n") == [ExternalPrice("BTC-PERP", Decimal("64000.10"), None, None)]


def test_columns_may_stand_anywhere_under_their_usual_names() -> None:
    text = "\ufeffUpdatedAt, Current_Price ,note,SYMBOL\n2026-01-01T00:00:01Z,1e-3,x,A\n\n  ,2,,B\n"

    assert read(text) == [
        ExternalPrice("A", Decimal("0.001"), None, 1_767_225_601_000),
        ExternalPrice("B", Decimal(2), None, None),
    ]


def test_a_position_is_named_by_its_id_or_by_its_number() -> None:
    found = read("ticker,positionId,price\nA,A-1,1\nA,2,1\n")

    assert [price.position for price in found] == ["A-1", "A-2"]


def test_no_digit_of_a_price_is_lost() -> None:
    digits = "123456789012345678.123456789012345678901234567890"

    assert f"{read(f'ticker,price{chr(10)}A,{digits}')[0].price:f}" == digits


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "it is empty"),
        (b" \n\n", "it is empty"),
        (b"ticker,price\n", "it has a header and no rows"),
        (b"BTC-PERP,64000\n", "no column for the ticker and the price"),
        (b"ticker,size\nA,1\n", "no column for the price"),
        (b"ticker,price,price\nA,1,2\n", "more than one column for the price"),
        (b"ticker,price,mark_price\nA,1,2\n", "more than one column for the price"),
        (b"ticker,price\nA,NaN\n", "line 2: the price must be a number above 0, such as 12.5; it is 'NaN'"),
        (b"ticker,price\nA,inf\n", "must be a number above 0"),
        (b"ticker,price\nA,-1\n", "must be a number above 0"),
        (b"ticker,price\nA,0\n", "must be a number above 0"),
        (b"ticker,price\nA,0e9\n", "must be a number above 0"),
        (b"ticker,price\nA,1_0\n", "must be a number above 0"),
        (b'ticker,price\nA,"1,000"\n', "must be a number above 0, such as 12.5; it is '1,000'"),
        ("ticker,price\nA,١\n".encode(), "must be a number above 0"),
        (b"ticker,price\nA,\n", "must be a number above 0, such as 12.5; it is ''"),
        (b"ticker,price\nA,1\nB\n", "line 3: it has 1 column, the header has 2"),
        (b"ticker,price\nA,1,2\n", "line 2: it has 3 columns, the header has 2"),
        (b"ticker,price\n,1\n", "line 2: it has no ticker"),
        (b"ticker,positionId,price\nA,,1\n", "line 2: it has no position id"),
        (b"ticker,price\nA,1\nB,1\nA,1\n", "line 4: A is already in line 2"),
        (b"ticker,positionId,price\nA,1,1\nA,A-1,2\n", "line 3: A-1 is already in line 2"),
        (b"ticker,price,at\nA,1,yesterday\n", "line 2: 'yesterday' is not a time"),
        (b"ticker,price\nA,1\n\xff,1\n", "line 3: it is not UTF-8 text"),
        ("ticker,price\nA,1\n".encode("utf-16"), "not UTF-8 text"),
        (b'ticker,price\nA,"1\n', "line 2"),
        (b"ticker,price\nA\x00,1\n", "line 2"),
        (b"ticker,price\nA,1e999999\n", "line 2: the price must be a number above 0, such as 12.5; it is '1e999999'"),
        (b"ticker,price\nA,1e100\n", "must be a number above 0"),
        (b"ticker,price\nA," + b"9" * 5_000 + b"\n", "must be a number above 0"),
        (b"ticker,price\nA,0x10\n", "must be a number above 0"),
        (b"ticker,price\nA,sNaN\n", "must be a number above 0"),
        (b",\n", "no column for the ticker and the price"),
        (b'""\n', "no column for the ticker and the price"),
        (b"\x00\x00\x00", "no column for the ticker and the price"),
        (b"ticker,price\n" + b"," * 20_000, "line 2: it has more than 10000 characters"),
        (b"," * 20_000, "line 1: it has more than 10000 characters"),
        (b'ticker,price\nA,"' + b"\n" * 50 + b'"\n', "line 2: this row has more than 10 lines"),
        (b"ticker,price,at\nA,1,0001-01-01T00:00+14:00\n", "line 2: -62135647200000 ms since 1970 is outside"),
        (b"ticker,price,at\nA,1,9999-12-31T23:59-14:00\n", "outside the years 1 to 9999"),
        (b"ticker,price,at\nA,1," + b"9" * 9_000 + b"\n", "line 2: "),
        (b"ticker,price\n\x1b[2J,1\n", "line 2: the ticker or position has characters that cannot be printed"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: bytes, problem: str) -> None:
    with pytest.raises(BadExternal) as refused:
        read(text)
    assert str(refused.value).startswith("x.csv")
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadExternal, match="No such file"):
        read_file(tmp_path / "none.csv")
    with pytest.raises(BadExternal, match="directory"):
        read_file(tmp_path)
    with pytest.raises(BadExternal, match="null"):
        read_file(tmp_path / "\0")


@pytest.mark.parametrize("endless", ["a device", "a file"])
def test_no_more_is_read_of_a_file_than_the_limit(
    endless: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(external, "BYTES_MAX", 100_000)
    path = Path("/dev/zero")
    if endless == "a file":
        path = tmp_path / "prices.csv"
        path.write_bytes(b"ticker,price\n" + b"A,1\n" * 25_000)
    with pytest.raises(BadExternal, match="more than 100000 bytes"):
        read_file(path)


def test_a_page_without_an_end_is_left_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "BYTES_MAX", 100_000)

    def endless(handler: BaseHTTPRequestHandler) -> None:
        with contextlib.suppress(OSError):  # until the reader has had enough
            for _ in range(100_000):
                handler.wfile.write(b"A,1\n" * 1_000)

    with answering(endless) as url, pytest.raises(BadExternal, match="more than 100000 bytes"):
        asyncio.run(read_url(url))


def test_a_page_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "FETCH_TIMEOUT_S", 0.2)
    given_up = Event()
    with answering(lambda _: given_up.wait(10) and None) as url:
        with pytest.raises(BadExternal, match="no answer within 0 s"):
            asyncio.run(read_url(url))
        given_up.set()


@pytest.mark.parametrize(
    "url",
    ["http://", "http://[::1", "http://x:99999/", f"http://{'a' * 70}.com/", "http://\x00/", "http://127.0.0.1:1/"],
)
def test_an_address_that_leads_nowhere_is_one_error(url: str) -> None:
    with pytest.raises(BadExternal):
        asyncio.run(read_url(url))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "where", ["http://{}/prices.csv", "http://u:secret@{}/", "/elsewhere", "file:///etc/passwd", "x:"]
)
def test_a_redirect_is_not_followed_and_the_error_says_where_it_leads(where: str, status: int) -> None:
    asked: list[str] = []

    def redirect(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        handler.wfile.write(b"ticker,price\nA,1\n")

    with answering(lambda _: asked.append("elsewhere")) as elsewhere:
        location = where.format(elsewhere.removeprefix("http://").rstrip("/"))
        with answering(redirect, status, location) as url, pytest.raises(BadExternal) as refused:
            asyncio.run(read_url(url))
    shown = location.replace("secret", "…")
    assert str(refused.value) == f"{url}: it redirects to {shown}, which is not followed; give that address itself"
    assert asked == ["/"]


def test_a_password_in_an_address_is_not_told() -> None:
    with pytest.raises(BadExternal) as refused:
        asyncio.run(read_url("http://me:secret@127.0.0.1:1/prices.csv"))
    assert "secret" not in str(refused.value)


@contextmanager
def answering(
    body: Callable[[BaseHTTPRequestHandler], object], status: int = 200, location: str | None = None
) -> Iterator[str]:
    """The address of a server that answers with ``status`` and ``location``, and then as ``body`` does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if location is not None:
                self.send_header("Location", location)
            self.end_headers()
            body(self)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
