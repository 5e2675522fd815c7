"""Whatever answers at the venue's address: a tool ends with one clear line that names the address and what came."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from tools.cli import main

Captured = pytest.CaptureFixture[str]

COMMANDS = [
    ("market", "list"),
    ("market", "create", "A", "--organization-id", "a", "--name", "A", "--price", "1"),
    ("market", "mode", "A", "halted"),
    ("user", "list"),
    ("user", "create", "ann"),
    ("user", "deposit", "ann", "1"),
    ("user", "withdraw", "ann", "1"),
    ("user", "balance", "ann"),
    ("key", "list"),
    ("key", "create", "--scope", "read"),
    ("key", "revoke", "key_1"),
    ("stats",),
    ("snapshot",),
    ("feed", "simulate", "--ticker", "A", "--steps", "1", "--seed", "1"),
    ("feed", "replay", "prices.csv", "--ticker", "A"),
]
NOT_JSON = {
    "a web page": b"<html>Welcome\x1b[2J</html>",
    "nothing": b"",
    "half of it": b'{"markets": [',
    "not UTF-8": b'{"a":"\xff"}',
    "deep": b"[" * 200_000,
}
JSON_OF_ANOTHER_KIND = {"a list": b"[]", "a number": b"7", "null": b"null"}


class Strange:
    """A server with one answer to everything."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.body = b""
        self.headers: dict[str, str] = {}
        self.requests: list[tuple[str, str | None]] = []


@contextmanager
def answering() -> Iterator[Strange]:
    found = Strange()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.requests.append((self.path, self.headers["Authorization"]))
            with contextlib.suppress(OSError):
                self.send_response(found.status)
                for name, value in found.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(found.body)))
                self.end_headers()
                self.wfile.write(found.body)

        do_POST = do_DELETE = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def strange() -> Iterator[Strange]:
    """A server that answers as told."""
    with answering() as found:
        yield found


@pytest.fixture(autouse=True)
def prices(empty_place: Any) -> None:
    """Prices to play."""
    (empty_place / "prices.csv").write_text("time,price\n1,1\n")


def error_of(strange: Strange, command: tuple[str, ...], capsys: Captured) -> str:
    assert main([*command, "--url", strange.url, "--key", "k"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.rstrip("\n").isprintable()
    assert err.startswith("perps: error: ")
    assert strange.url in err
    return err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2]))
@pytest.mark.parametrize("what", NOT_JSON)
def test_an_answer_that_is_not_json_is_quoted_with_its_address(
    what: str, command: tuple[str, ...], strange: Strange, capsys: Captured
) -> None:
    strange.body, strange.headers = NOT_JSON[what], {"Content-Type": "text/html; charset=utf-8"}
    said = error_of(strange, command, capsys)
    assert f"{strange.requests[0][0]} answered 200 and " in said
    assert ("no text" if what == "nothing" else "text/html: ") in said
    assert "That is not an answer of a perps venue: check the address" in said


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2]))
@pytest.mark.parametrize("what", JSON_OF_ANOTHER_KIND)
def test_json_of_another_kind_is_an_answer_that_is_not_known(
    what: str, command: tuple[str, ...], strange: Strange, capsys: Captured
) -> None:
    strange.body = JSON_OF_ANOTHER_KIND[what]
    assert "gave an answer that this version of perps does not know" in error_of(strange, command, capsys)


@pytest.mark.parametrize("command", [("market", "list"), ("user", "list"), ("key", "list")], ids=" ".join)
@pytest.mark.parametrize("body", [b"{}", b'{"markets":[7],"users":[7],"keys":[7],"nextCursor":null}'])
def test_a_list_without_its_records_is_not_known_either(
    body: bytes, command: tuple[str, ...], strange: Strange, capsys: Captured
) -> None:
    strange.body = body
    assert "gave an answer that this version of perps does not know" in error_of(strange, command, capsys)


def test_an_error_page_of_somebody_else_is_quoted_too(strange: Strange, capsys: Captured) -> None:
    strange.status, strange.body = 404, b"<h1>Not here</h1>"
    said = error_of(strange, ("stats",), capsys)
    assert "/api/admin/stats answered 404 and a text of no named type: '<h1>Not here</h1>'" in said


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2]))
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed_and_the_error_says_where_it_leads(
    status: int, command: tuple[str, ...], strange: Strange, capsys: Captured
) -> None:
    with answering() as elsewhere:
        elsewhere.body = b'{"markets":[]}'
        strange.status, strange.headers = status, {"Location": f"{elsewhere.url}/there"}
        said = error_of(strange, command, capsys)
    assert f"was redirected ({status}) to {elsewhere.url}/there. Redirects are not followed" in said
    assert elsewhere.requests == []


def test_a_password_in_the_address_is_not_shown(strange: Strange, capsys: Captured) -> None:
    url = strange.url.replace("http://", "http://me:secret@")
    assert main(["market", "list", "--url", url]) == 1
    strange.body = b"[]"
    assert main(["market", "list", "--url", url]) == 1
    assert "secret" not in capsys.readouterr().err
