"""Paths, queries and headers that are absurd: always a 4xx in the contract's shape, never a 5xx."""

from __future__ import annotations

import pytest

from tests.web.venue import Running

TICKER = "/api/markets/perps/BTC-PERP"
LISTS = [
    f"{TICKER}/trades",
    f"{TICKER}/prices",
    f"{TICKER}/liquidations",
    f"{TICKER}/funding",
    "/api/users/ann/transactions",
    "/api/users/ann/trades",
    "/api/markets/positions/ann",
]
LIMITS = [
    "",
    "0",
    "-1",
    "501",
    "1.0",
    "1e2",
    "ten",
    "%31%30%30%30",
    "+5",
    "%205",
    "5%20",
    "1_0",
    "\u0665",
    "9" * 5000,
    "%00",
]
CURSORS = [
    "",
    "5",
    "-",
    "5-",
    "-5",
    "a-b",
    "5-5-5",
    "%20" + "5-5",
    "5-5%0a",
    "1_0-5",
    "9" * 19 + "-0",
    "0-" + "9" * 16,
    "%00",
]
MOMENTS = [
    "",
    "now",
    "-1",
    "1.5",
    "1e9",
    "9" * 16,
    "2026-01-01",
    "2026-01-01T00:00:00",
    "2026-13-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "20260101T000000Z",
    "2026-W01-1T00:00:00Z",
    "2026-01-01T00:00:00%2b99:00",
    "0001-01-01T00:00:00%2b23:59",
    "9999-12-31T23:59:59-23:59",
    "\u0662026-01-01T00:00:00Z",
    "%00",
    "1_000",
]


@pytest.mark.parametrize("path", LISTS)
async def test_absurd_pages_are_refused(venue: Running, path: str) -> None:
    ann = await venue.user("ann")

    for limit in LIMITS:
        (await ann.get(f"{path}?limit={limit}")).refused(400, "validation_error")
    for cursor in CURSORS:
        (await ann.get(f"{path}?cursor={cursor}")).refused(400, "validation_error")
    for query in ("limit=1", "limit=500", "cursor=0-0", f"cursor={'9' * 18}-{'9' * 9}", "unknown=1"):
        (await ann.get(f"{path}?{query}")).ok()


@pytest.mark.parametrize("field", ["from", "to"])
async def test_absurd_moments_are_refused(venue: Running, field: str) -> None:
    for moment in MOMENTS:
        (await venue.anybody.get(f"{TICKER}/candles?{field}={moment}")).refused(400, "validation_error")
    for moment in (
        "0",
        "9" * 15,
        "2026-01-01T00:00:00.000Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
    ):
        (await venue.anybody.get(f"{TICKER}/candles?{field}={moment}")).ok()


@pytest.mark.parametrize("interval", ["", "1", "2m", "1M", "60", "1m ", "%00", "1m,5m", "1d" * 1000])
async def test_absurd_intervals_are_refused(venue: Running, interval: str) -> None:
    (await venue.anybody.get(f"{TICKER}/candles?interval={interval}")).refused(400, "validation_error")


async def test_a_span_that_ends_before_it_begins_is_empty(venue: Running) -> None:
    assert (await venue.anybody.get(f"{TICKER}/candles?from=2000&to=1000")).ok()["candles"] == []


@pytest.mark.parametrize("status", ["", "Open", "liquidated", "open,closed", "%00"])
async def test_absurd_statuses_are_refused(venue: Running, status: str) -> None:
    ann = await venue.user("ann")
    (await ann.get(f"/api/markets/positions/ann?status={status}")).refused(400, "validation_error")


BAD_TICKERS = [
    "btc",
    "-BTC",
    "A" * 33,
    "..",
    "%2e%2e",
    "A%2fB",
    "A%00",
    "A%0a",
    "%ff",
    "%ed%a0%80",
    "A%20",
    "\u0410",
    "@ledger",
    "*",
]


@pytest.mark.parametrize("ticker", BAD_TICKERS)
async def test_a_ticker_that_cannot_be_one_is_refused(venue: Running, ticker: str) -> None:
    for path in (
        f"/api/markets/perps/{ticker}",
        f"/api/markets/perps/{ticker}/trades",
        f"/api/sse/markets?tickers={ticker}",
    ):
        answer = await venue.anybody.get(path)
        assert answer.error()["code"] in ("validation_error", "not_found"), (path, answer)
    answer = await venue.admin.post(f"/api/markets/perps/{ticker}/price", {"price": "1"})
    assert answer.error()["code"] in ("validation_error", "not_found")


BAD_USERS = [
    "%2e",
    "%2e%2e",
    "a" * 65,
    "a%20b",
    "a%2fb",
    "%2e%2e%2f",
    "%00",
    "%ff",
    "%ed%a0%80",
    "\u00e9",
    "a%0a",
    "a%2fbalance",
    "a%5cb",
    "%25",
]


@pytest.mark.parametrize("user", BAD_USERS)
async def test_a_user_that_cannot_be_one_is_refused(venue: Running, user: str) -> None:
    async with venue.unchanged():
        for path in (f"/api/users/{user}/balance", f"/api/users/{user}/trades", f"/api/markets/positions/{user}"):
            answer = await venue.admin.get(path)
            assert answer.error()["code"] in ("validation_error", "not_found"), (path, answer)
        answer = await venue.admin.post(f"/api/admin/users/{user}/deposit", {"amount": "1"})
        assert answer.error()["code"] in ("validation_error", "not_found")


@pytest.mark.parametrize("user", ["...", ".a", "a:b", "@admin", "@ledger", "-", "a" * 64])
async def test_a_user_may_be_called_anything_the_contract_allows(venue: Running, user: str) -> None:
    """Dots too: a path is not a file here. But ``.`` and ``..`` no URL can name."""
    (await venue.admin.post("/api/admin/users", {"userId": user, "deposit": "1"})).ok(201)

    path = user.replace(".", "%2E")
    shown = await venue.admin.get(f"/api/users/{path}/balance")

    assert shown.ok()["balance"] == "1.00"


@pytest.mark.parametrize("user", [".", ".."])
async def test_nobody_may_be_called_what_no_url_can_name(venue: Running, user: str) -> None:
    async with venue.unchanged():
        details = (await venue.admin.post("/api/admin/users", {"userId": user})).refused(400, "validation_error")
    assert details == {"field": "userId"}


BAD_POSITIONS = [
    "BTC-PERP",
    "BTC-PERP-",
    "BTC-PERP-0",
    "BTC-PERP-01",
    "BTC-PERP--1",
    "BTC-PERP-1.0",
    "BTC-PERP-1_0",
    "BTC-PERP-%d9%a1",
    "BTC-PERP-" + "9" * 15,
    "BTC-PERP-" + "9" * 5000,
    "btc-perp-1",
    "%2e%2e%2fBTC-PERP-1",
    "%00BTC-PERP-1",
    "BTC-PERP-1%00",
    "BTC-PERP-1%0a",
    "%20BTC-PERP-1",
    "%ff-1",
    "%ed%a0%80-1",
    "1",
    "-1",
]


@pytest.mark.parametrize("position", BAD_POSITIONS)
async def test_a_position_that_cannot_be_one_is_not_found(venue: Running, position: str) -> None:
    ann = await venue.user("ann")
    await ann.opened()

    async with venue.unchanged():
        (await ann.close(position)).refused(404, "position_not_found")


HEADERS = [
    "",
    "Bearer",
    "Bearer ",
    "Basic YTpi",
    "bearer wrong",
    "Bearer " + "x" * 4000,
    "Bearer \u00e9\u00e9",
    "Bearer the-administrator x",
    "the-administrator",
]


@pytest.mark.parametrize("header", HEADERS)
async def test_a_key_that_cannot_be_one_is_refused(venue: Running, header: str) -> None:
    headers = {"Authorization": header} if header else {}
    (await venue.anybody.ask("GET", "/api/admin/stats", headers=headers)).refused(401, "unauthorized")


@pytest.mark.parametrize("key_id", ["%00", "%ff", "%ed%a0%80", "..%2f..", "x" * 5000, "%e2%80%a8"])
async def test_a_key_id_that_cannot_be_one_is_not_found(venue: Running, key_id: str) -> None:
    (await venue.admin.delete(f"/api/admin/keys/{key_id}")).refused(404, "not_found")


@pytest.mark.parametrize(
    "path",
    [
        "/..",
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/api//markets",
        "//",
        "/api/markets/perps/%",
        "/%00",
        "/%ff",
    ],
)
async def test_a_path_that_leads_nowhere_is_not_found(venue: Running, path: str) -> None:
    answer = await venue.admin.get(path)

    assert answer.status in (400, 404)
    answer.error()
