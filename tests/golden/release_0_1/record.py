"""How the files beside this one were made: one session with a real venue of release 0.1.0, commit 74c547d.

    git worktree add --detach OLD 74c547d && make -C OLD .venv/.installed
    python -m tests.golden.release_0_1.record OLD/.venv/bin EMPTY_DIRECTORY OUT_DIRECTORY

Kept to show what was played. The files are never made again: they are what that release wrote.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

ADMIN_KEY: Final = "the-administrator-of-release-0.1"
PORT: Final = 18_741
READY_S: Final = 60.0
CRASHED: Final = 290
"""Positions that one price liquidates: a row of 256 and a sweep of the rest."""

Json = dict[str, Any]


class Recorder:
    """Sends requests, and keeps each with its whole answer."""

    def __init__(self) -> None:
        self.keys: dict[str, str | None] = {"admin": ADMIN_KEY, "nobody": None}
        self.commands: list[Json] = []
        self.reads: list[Json] = []
        self._venue = HTTPConnection("127.0.0.1", PORT, timeout=30)

    def command(self, who: str, path: str, body: object = None, *, method: str = "POST") -> Json:
        """Send a command as ``who`` and record it; the answer's body."""
        return self._sent(self.commands, who, method, path, body)

    def read(self, who: str, path: str, body: object = None) -> Json:
        """Ask something and record it; the answer's body."""
        return self._sent(self.reads, who, "GET" if body is None else "POST", path, body)

    def key(self, name: str, *scopes: str, **more: object) -> Json:
        """Make a key that later requests may use as ``name``."""
        made = self.command("admin", "/api/admin/keys", {"scopes": scopes, **more})
        self.keys[name] = made["key"]
        return made

    def disconnect(self) -> None:
        """Before the venue stops; the next request connects again."""
        self._venue.close()

    def _sent(self, kept: list[Json], who: str, method: str, path: str, body: object) -> Json:
        text = "" if body is None else body if isinstance(body, str) else json.dumps(body)
        key = self.keys[who]
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._venue.request(method, path, text.encode(), headers)
        response = self._venue.getresponse()
        answer = response.read().decode()
        record = {"who": who, "method": method, "path": path, "body": text, "status": response.status}
        if response.headers["Idempotent-Replay"] is not None:
            record["replay"] = response.headers["Idempotent-Replay"]
        kept.append({**record, "answer": answer})
        found: Json = json.loads(answer)
        return found


class Trader:
    """One who trades, with a key of that name."""

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder, self.name = recorder, name

    def open(self, ticker: str, side: str, size: object, leverage: int, **more: object) -> str:
        """Open a position; its id, or nothing if it was refused."""
        body = {"ticker": ticker, "side": side, "size": size, "leverage": leverage, **more}
        answer = self._recorder.command(self.name, "/api/markets/perps/open", body)
        return str(answer["position"]["id"]) if "position" in answer else ""

    def close(self, position: str, body: object = None) -> Json:
        """Close a position, or a part of it."""
        return self._recorder.command(self.name, f"/api/markets/perps/{position}/close", body)


def play_first(recorder: Recorder) -> dict[str, str]:
    """Markets, users, keys, and a first round of trades; ids of positions that stay open, by a word for them."""
    admin = "admin"
    btc = {"ticker": "BTC-PERP", "organizationId": "btc", "name": "Bitcoin", "price": "50000"}
    recorder.command(admin, "/api/admin/markets", {**btc, "houseDeposit": "100000", "takerFee": "0.01"})  # refused
    recorder.command(admin, "/api/admin/markets", {**btc, "houseDeposit": "100000"})
    recorder.command(admin, "/api/admin/markets", btc)  # refused
    story = {"ticker": "STORY-PERP", "organizationId": "story", "name": "A story", "price": "1", "tickSize": "0.001"}
    depth = {"lotSize": "0.01", "skewScale": "100000", "maxSkew": "1500", "maxOpenInterest": "1500", "maxLeverage": 5}
    more = {"markSource": "quote", "minOrderSize": "1", "liquidationFee": "0.01", "houseCreditLimit": "500"}
    recorder.command(admin, "/api/admin/markets", {**story, **depth, **more, "maxPriceAge": "86400"})
    eth = {"ticker": "ETH-PERP", "organizationId": "eth", "name": "Ether", "price": "2500", "maxLeverage": 100}
    recorder.command(admin, "/api/admin/markets", {**eth, "houseDeposit": "250000"})
    poor = {"ticker": "POOR-PERP", "organizationId": "poor", "name": "An empty house", "price": "100"}
    recorder.command(admin, "/api/admin/markets", {**poor, "houseCreditLimit": "0", "maxLeverage": 20})

    users = "/api/admin/users"
    recorder.command(admin, users, {"userId": "ann", "deposit": "500000"})
    recorder.command(admin, users, {"userId": "bob", "deposit": "250000.123456", "referrer": "ann"})
    recorder.command(admin, users, {"userId": "cid"})
    recorder.command(admin, users, {"userId": "dora.d_d@example:1-2", "deposit": 1000, "referrer": "bob"})
    recorder.command(admin, users, {"userId": "ann", "deposit": "1"})  # refused
    recorder.command(admin, users, {"userId": "eve", "referrer": "nobody-there"})  # refused

    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat(timespec="milliseconds")
    for name, scopes, extra in (
        ("ann", ("read", "trade"), {"userId": "ann", "label": "phone"}),
        ("bob", ("trade",), {"userId": "bob"}),
        ("cid", ("read", "trade"), {"userId": "cid", "expiresAt": "2100-01-01T00:00:00Z"}),
        ("dora", ("trade", "read", "price"), {"userId": "dora.d_d@example:1-2", "label": 'says "hi" \\ é ✓'}),
        ("feed", ("price",), {"label": "the feed"}),
        ("reader", ("read",), {"userId": "ann"}),
        ("onlooker", ("read",), {}),
        ("operator", ("admin",), {"label": "an administrator bound to nobody"}),
        ("chief", ("admin", "trade", "read", "price"), {"userId": "cid"}),
        ("expired", ("read",), {"userId": "bob", "expiresAt": soon}),
    ):
        recorder.key(name, *scopes, **extra)
    lost = recorder.key("revoked", "read", "trade", userId="ann", label="lost")
    recorder.command(admin, f"/api/admin/keys/{lost['keyId']}", method="DELETE")
    recorder.command(admin, "/api/admin/keys", {"scopes": ["trade"]})  # refused

    recorder.command(admin, "/api/admin/users/cid/deposit", {"amount": "70025.5", "clientOrderId": "d-1"})
    recorder.command("operator", "/api/admin/users/cid/deposit", {"amount": 70025.50, "clientOrderId": "d-1"})  # again
    recorder.command(admin, "/api/admin/users/cid/deposit", {"amount": "70025.51", "clientOrderId": "d-1"})  # refused
    recorder.command("chief", "/api/admin/users/ann/withdraw", {"amount": "12.5", "clientOrderId": 'w 1 ~!"%\\'})
    recorder.command(admin, "/api/admin/users/ann/withdraw", {"amount": "0.000001"})
    recorder.command(admin, "/api/admin/users/ann/withdraw", {"amount": "1e9", "clientOrderId": "w-2"})  # refused

    ann, bob, cid, dora = (Trader(recorder, name) for name in ("ann", "bob", "cid", "dora"))
    stay: dict[str, str] = {}
    stay["ann's long"] = ann.open("BTC-PERP", "long", "20000", 10, clientOrderId="first")
    stay["bob's short"] = bob.open("BTC-PERP", "short", 9000.5, 5, maxSlippageBps=100, clientOrderId="first")
    gone = cid.open("BTC-PERP", "long", "30000", 100, acceptablePrice="60000", clientOrderId="c" * 64)
    ann.open("BTC-PERP", "long", "20000", 10, clientOrderId="first")  # again
    ann.open("BTC-PERP", "long", "20001", 10, clientOrderId="first")  # refused
    bob.open("BTC-PERP", "short", "1e3", 2, acceptablePrice=49_000.25, maxSlippageBps=10_000, clientOrderId="both")
    dora.open("BTC-PERP", "short", "200", 1)
    for name, user in (("operator", "bob"), ("chief", "dora.d_d@example:1-2")):
        Trader(recorder, name).open("ETH-PERP", "long", "300", 3, userId=user, clientOrderId=f"by-{name}")
    stay["chief's own"] = Trader(recorder, "chief").open("ETH-PERP", "short", "500", 7, clientOrderId="own")
    stay["bob's story"] = bob.open("STORY-PERP", "long", "300", 5, clientOrderId="story-1")
    ann.open("STORY-PERP", "short", "200", 2, clientOrderId="story-2")
    for body in (  # all refused
        {"ticker": "BTC-PERP", "side": "long", "size": "5", "leverage": 10},
        {"ticker": "BTC-PERP", "side": "long", "size": "1000", "leverage": 101, "clientOrderId": "too-much"},
        {"ticker": "BTC-PERP", "side": "long", "size": "10000000", "leverage": 1},
        {"ticker": "BTC-PERP", "side": "long", "size": "9000000", "leverage": 10},
        {"ticker": "BTC-PERP", "side": "long", "size": "1000", "leverage": 10, "acceptablePrice": "40000"},
        {"ticker": "BTC-PERP", "side": "long", "size": "1000", "leverage": 10, "maxSlippageBps": 0},
        {"ticker": "XRP-PERP", "side": "long", "size": "1000", "leverage": 10},
        {"ticker": "BTC-PERP", "side": "long", "size": "1000", "leverage": 10, "stopLoss": "1"},
        {"ticker": "BTC-PERP", "side": "up", "size": "1000", "leverage": 10},
        '{"ticker": "BTC-PERP", "size"',
    ):
        recorder.command("ann", "/api/markets/perps/open", body)
    for name in ("nobody", "revoked", "feed", "onlooker", "operator"):
        Trader(recorder, name).open("BTC-PERP", "long", "1000", 10, clientOrderId="not-mine")  # refused

    price = "/api/markets/perps/{}/price"
    recorder.command("feed", price.format("BTC-PERP"), {"price": "50100", "source": "oracle", "sequence": 7})
    recorder.command("feed", price.format("BTC-PERP"), {"price": "50101", "source": "oracle", "sequence": 7})  # refused
    recorder.command("feed", price.format("BTC-PERP"), {"price": "50100.001"})  # refused
    recorder.command("ann", price.format("BTC-PERP"), {"price": "50100.01"})  # refused
    chapter = {"price": "1.055", "source": "agent", "reason": "a chapter, “told”"}
    recorder.command("feed", price.format("STORY-PERP"), chapter)
    event = {"price": 2510.25, "source": "event", "reason": "", "at": "2026-01-31T12:00:00.5+01:00"}
    recorder.command("dora", price.format("ETH-PERP"), event)
    recorder.command("dora", price.format("ETH-PERP"), {**event, "at": "2026-01-31T11:00:00Z"})  # refused
    recorder.command("dora", price.format("ETH-PERP"), {**event, "at": "2026-01-31T10:59:59Z"})  # refused
    listed = [
        {"ticker": "BTC-PERP", "price": "50200", "source": "oracle", "sequence": 8},
        {"ticker": "XRP-PERP", "price": "1"},
        {"ticker": "ETH-PERP", "price": "2500.005"},
        {"ticker": "ETH-PERP", "price": "2520"},
    ]
    recorder.command("feed", "/api/markets/prices", listed)

    half = bob.close(stay["bob's short"], {"percentage": "0.333333333", "clientOrderId": "part"})
    assert half["position"]["status"] == "open", half
    bob.close(stay["bob's short"], {"percentage": "0.333333333", "clientOrderId": "part"})  # again
    bob.close(stay["bob's short"], {"percentage": "0.5", "clientOrderId": "part"})  # refused
    bob.close(stay["bob's short"], {"percentage": 1e-9, "acceptablePrice": "60000", "clientOrderId": "a lot"})
    bob.close(stay["ann's long"])  # refused
    bob.close("BTC-PERP-999")  # refused
    ann.close(stay["ann's long"], {"percentage": 0.25, "maxSlippageBps": 50, "clientOrderId": "quarter"})
    ann.close(stay["ann's long"], {"percentage": "0.1", "acceptablePrice": "60000", "clientOrderId": "dear"})  # refused
    Trader(recorder, "admin").close(stay["ann's long"], {"percentage": "0.1"})
    lower = {"price": "49600", "source": "oracle", "sequence": 9}
    fallen = recorder.command("feed", price.format("BTC-PERP"), lower)
    assert fallen["liquidations"] == 1, fallen
    cid.close(gone)  # refused: liquidated

    mode = "/api/admin/markets/{}/mode"
    recorder.command(admin, mode.format("STORY-PERP"), {"mode": "reduce_only"})
    ann.open("STORY-PERP", "short", "20", 2)  # refused
    partly = bob.close(stay["bob's story"], {"percentage": "0.5"})
    assert partly["fee"]["referrerPaid"] != "0.00", partly
    recorder.command(admin, mode.format("STORY-PERP"), {"mode": "halted"})
    bob.close(stay["bob's story"])  # refused
    recorder.command("operator", mode.format("STORY-PERP"), {"mode": "enabled"})
    recorder.command("ann", mode.format("STORY-PERP"), {"mode": "enabled"})  # refused

    winner = ann.open("POOR-PERP", "long", "2000", 10, clientOrderId="winner")
    bob.open("POOR-PERP", "long", "100", 2, clientOrderId="poor-bob")
    recorder.command("feed", price.format("POOR-PERP"), {"price": "150"})
    ann.close(winner, {"clientOrderId": "too-rich"})  # refused: the house is empty, and the market halts itself
    ann.close(winner)  # refused: it is halted
    recorder.command("feed", price.format("POOR-PERP"), {"price": "140"})
    return stay


def play_crowd(recorder: Recorder) -> None:
    """Many small longs in ETH-PERP, open when the snapshot is taken."""
    for number in range(5):
        user = f"crowd-{number}"
        referrer = {"referrer": "ann"} if number % 2 else {}
        recorder.command("admin", "/api/admin/users", {"userId": user, "deposit": "1000", **referrer})
        recorder.key(user, "trade", userId=user)
    for number in range(CRASHED):
        user = f"crowd-{number % 5}"
        more = {"clientOrderId": f"crowd-{number}"} if number % 10 == 0 else {}
        opened = Trader(recorder, user).open("ETH-PERP", "long", 100 + number % 7, 20 + number % 31, **more)
        assert opened, number


def play_last(recorder: Recorder, stay: dict[str, str]) -> None:
    """After the snapshot, by a second owner: every kind of row once more."""
    ann, bob = Trader(recorder, "ann"), Trader(recorder, "bob")
    crash = recorder.command("feed", "/api/markets/perps/ETH-PERP/price", {"price": "2300", "source": "oracle"})
    assert crash["liquidations"] > 256, crash["liquidations"]
    recorder.command("feed", "/api/markets/perps/ETH-PERP/price", {"price": "2450", "source": "oracle"})
    dawn = {"ticker": "DAWN-PERP", "organizationId": "dawn", "name": "Listed after the snapshot", "price": "10"}
    recorder.command("operator", "/api/admin/markets", {**dawn, "houseDeposit": "5000"})
    recorder.command("admin", "/api/admin/users", {"userId": "fay", "deposit": "2000", "referrer": "bob"})
    recorder.key("fay", "read", "trade", userId="fay", label="made after the snapshot")
    fay = Trader(recorder, "fay")
    dawned = fay.open("DAWN-PERP", "short", "1500", 2, clientOrderId="first")
    recorder.command("feed", "/api/markets/perps/DAWN-PERP/price", {"price": "9.5", "source": "system"})
    fay.close(dawned, {"percentage": "0.5", "clientOrderId": "second"})
    recorder.command("admin", "/api/admin/users/fay/deposit", {"amount": "5", "clientOrderId": "third"})
    recorder.command("admin", "/api/admin/users/fay/withdraw", {"amount": "7.25", "clientOrderId": "fourth"})
    ann.open("BTC-PERP", "long", "20000", 10, clientOrderId="first")  # again, answered by the first owner
    turn = recorder.command("feed", "/api/markets/perps/STORY-PERP/price", {"price": "1.9", "reason": "the turn"})
    assert turn["liquidations"] == 1, turn
    bob.close(stay["bob's story"], {"clientOrderId": "the end"})
    bob.close(stay["bob's story"])  # refused
    Trader(recorder, "admin").close(stay["chief's own"], {"percentage": "0.5", "clientOrderId": "by the admin"})
    gone = ann.open("BTC-PERP", "short", "12345.678901", 33, maxSlippageBps=500, clientOrderId="late")
    ann.close(gone, {"clientOrderId": "late too"})
    recorder.command("admin", "/api/admin/markets/STORY-PERP/mode", {"mode": "reduce_only"})
    Trader(recorder, "expired").open("BTC-PERP", "long", "1000", 10)  # refused


def look(recorder: Recorder) -> None:
    """Everything that the venue says of where this has led."""
    tickers = [market["ticker"] for market in recorder.read("nobody", "/api/markets/perps")["markets"]]
    for ticker in tickers:
        market = f"/api/markets/perps/{ticker}"
        recorder.read("nobody", market)
        for history in ("trades", "liquidations", "prices", "funding"):
            recorder.read("nobody", f"{market}/{history}?limit=500")
        for interval in ("1m", "1h", "1d"):
            recorder.read("nobody", f"{market}/candles?interval={interval}")
    for user in recorder.read("admin", "/api/admin/users")["users"]:
        name = user["userId"]
        recorder.read("admin", f"/api/users/{name}/balance")
        for status in ("open", "all"):
            recorder.read("admin", f"/api/markets/positions/{name}?status={status}&limit=500")
        for history in ("transactions", "trades"):
            recorder.read("admin", f"/api/users/{name}/{history}?limit=500")
    recorder.read("admin", "/api/admin/stats")
    recorder.read("admin", "/api/admin/keys?limit=500")
    recorder.read("reader", "/api/users/ann/balance")
    recorder.read("expired", "/api/users/bob/balance")
    quote = {"ticker": "BTC-PERP", "side": "short", "size": "1000", "leverage": 4}
    recorder.read("ann", "/api/markets/perps/quote", quote)


class Release:
    """The programs of the release, on one data directory."""

    def __init__(self, programs: Path, data: Path) -> None:
        self.programs, self.data = programs, data

    def perps(self, *words: str) -> str:
        """What one of its commands prints."""
        command = [str(self.programs / "perps"), *words]
        environment = {**os.environ, "PERPS_ADMIN_KEY": ADMIN_KEY}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    @contextmanager
    def serving(self, recorder: Recorder) -> Iterator[None]:
        """The venue runs, and stops in order."""
        command = [str(self.programs / "perps"), "serve", "--port", str(PORT), "--data-dir", str(self.data)]
        environment = {**os.environ, "PERPS_ADMIN_KEY": ADMIN_KEY}
        with (self.data.parent / "venue.log").open("ab") as log:
            venue = subprocess.Popen([*command, "--snapshot-seconds", "86400"], env=environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + READY_S
            while not _is_ready():
                assert time.monotonic() < deadline, "the venue is not ready"
                assert venue.poll() is None, "the venue has ended"
                time.sleep(0.2)
            yield
        finally:
            recorder.disconnect()
            venue.terminate()
            venue.wait(60)

    def dump(self) -> bytes:
        """The whole database, as ``pg_dump`` of the embedded server writes it."""
        reading = (
            "import subprocess, sys\n"
            "from pathlib import Path\n"
            "from persistence.embedded import EmbeddedPostgres, program_path\n"
            "server = EmbeddedPostgres(Path(sys.argv[1]) / 'postgres', say=lambda _: None)\n"
            "url = server.start()\n"
            "command = [program_path('pg_dump'), '--no-owner', '--no-privileges', url]\n"
            "subprocess.run(command, check=True)\n"
            "server.stop()\n"
        )
        command = [str(self.programs / "python"), "-c", reading, str(self.data)]
        return subprocess.run(command, cwd=self.data, check=True, capture_output=True).stdout


def _is_ready() -> bool:
    venue = HTTPConnection("127.0.0.1", PORT, timeout=5)
    try:
        venue.request("GET", "/readyz")
        return venue.getresponse().status == 200
    except OSError:
        return False
    finally:
        venue.close()


def main(programs: Path, data: Path, out: Path) -> None:
    """Play, look, dump."""
    release, recorder = Release(programs, data / "data"), Recorder()
    with release.serving(recorder):
        stay = play_first(recorder)
        play_crowd(recorder)
        snapshot = release.perps("snapshot", "--url", f"http://127.0.0.1:{PORT}", "--json")
    with release.serving(recorder):
        play_last(recorder, stay)
        look(recorder)
        now_ms = int(time.time() * 1000)
    verified = release.perps("verify", "--data-dir", str(release.data), "--json")
    dump = release.dump()
    with release.serving(recorder):
        last = release.perps("snapshot", "--url", f"http://127.0.0.1:{PORT}", "--json")
    result = {
        "commit": "74c547d",
        "now_ms": now_ms,
        "snapshot": json.loads(snapshot),
        "end": json.loads(last),
        "verify": json.loads(verified),
        "keys": recorder.keys,
    }
    out.mkdir(exist_ok=True)
    (out / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    for name, content in (
        ("database.sql.gz", dump),
        ("commands.jsonl.gz", _lines(recorder.commands)),
        ("reads.jsonl.gz", _lines(recorder.reads)),
    ):
        (out / name).write_bytes(gzip.compress(content, 9, mtime=0))
        print(name, len(content), (out / name).stat().st_size)


def _lines(records: list[Json]) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
