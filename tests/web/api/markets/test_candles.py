"""Candles, and the figures of the last 24 hours: of time, not of rows."""

from __future__ import annotations

import pytest

from tests.web.conftest import Starter
from tests.web.shapes import DECIMAL, MONEY, amount
from tests.web.venue import START_MS, Backend, Json, ManualClock, Running

TICKER = "/api/markets/perps/BTC-PERP"
MINUTE, HOUR, DAY = 60, 3600, 86400
INTERVALS = {"1m": MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "1h": HOUR, "4h": 4 * HOUR, "1d": DAY}


async def _candles(venue: Running, query: str) -> list[list[object]]:
    found: list[list[object]] = (await venue.anybody.get(f"{TICKER}/candles?{query}")).ok()["candles"]
    return found


async def _market(venue: Running) -> Json:
    market: Json = (await venue.anybody.get(TICKER)).ok()["market"]
    return market


def _at(seconds: float) -> int:
    return START_MS + int(seconds * 1000)


async def test_a_candle_has_open_high_low_close_volume_and_count(venue: Running, clock: ManualClock) -> None:
    ann = await venue.user("ann", "100000")
    clock.advance(MINUTE)
    for price in ("50010", "50030", "49990", "50005"):
        await venue.price(price)
        clock.advance(10)
    first = await ann.opened()
    second = await ann.opened(side="short")
    clock.advance(19.999)
    await venue.price("50006")
    clock.advance(0.001)
    await venue.price("60000")

    body = (await venue.anybody.get(f"{TICKER}/candles?interval=1m")).ok()

    start, *prices, volume, count = body["candles"][1]
    assert start == _at(MINUTE)
    assert prices == ["50010.00", "50030.00", "49990.00", "50006.00"]
    assert amount(volume) == amount(first["fill"]["notional"]) + amount(second["fill"]["notional"])
    assert count == 2
    assert [candle[0] for candle in body["candles"]] == [_at(0), _at(MINUTE), _at(2 * MINUTE)]
    for candle in body["candles"]:
        assert all(DECIMAL(price) for price in candle[1:5])
        assert MONEY(candle[5])
    assert body["closed"] is False
    clock.advance(MINUTE)
    assert (await venue.anybody.get(f"{TICKER}/candles")).ok()["closed"] is True


@pytest.mark.parametrize("interval", INTERVALS)
async def test_candles_of_every_interval_begin_at_its_multiples(
    venue: Running, clock: ManualClock, interval: str
) -> None:
    width = INTERVALS[interval]
    clock.advance(width / 2)
    for number in range(4):
        await venue.price(50_100 + number)
        clock.advance(width)

    candles = await _candles(venue, f"interval={interval}")

    assert [candle[0] for candle in candles] == [_at(width * number) for number in range(4)]
    assert [candle[4] for candle in candles] == [f"{50_100 + number}.00" for number in range(4)]


async def test_a_minute_without_events_has_no_candle(venue: Running, clock: ManualClock) -> None:
    clock.advance(10 * MINUTE)
    await venue.price("50001")

    assert [candle[0] for candle in await _candles(venue, "interval=1m")] == [_at(0), _at(10 * MINUTE)]


async def test_a_span_is_from_its_beginning_up_to_its_end(venue: Running, clock: ManualClock) -> None:
    for number in range(1, 10):
        clock.advance(MINUTE)
        await venue.price(50_000 + number)

    spans = {
        f"from={_at(120)}&to={_at(240)}": [2, 3],
        f"from={_at(119.999)}&to={_at(240.001)}": [2, 3, 4],
        f"from={_at(120.001)}&to={_at(239.999)}": [3],
        "from=2026-01-01T00:02:00.000Z&to=2026-01-01T00:04:00Z": [2, 3],
        "from=2026-01-01T01:02:00%2B01:00&to=2026-01-01T00:04:00Z": [2, 3],
        f"from={_at(120)}&limit=3": [2, 3, 4],
        f"from={_at(120)}&to={_at(240)}&limit=1": [2],
        f"to={_at(10**6)}&limit=2": [8, 9],
        f"to={_at(240)}&limit=1": [3],
        f"from={_at(10**6)}": [],
        "to=1": [],
    }
    for query, minutes in spans.items():
        found = await _candles(venue, f"interval=1m&{query}")
        assert [candle[0] for candle in found] == [_at(60 * minute) for minute in minutes], query


async def test_candles_beyond_memory_come_from_the_store(
    starter: Starter, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.readside.history.CANDLES_KEPT", 3)
    clock = ManualClock()
    venue = await starter(backend, clock=clock)
    await venue.market()
    ann = await venue.user("ann", "100000")
    for number in range(1, 12):
        clock.advance(MINUTE)
        await venue.price(50_000 + number)
        if number % 3 == 0:
            await ann.opened()

    everything = await _candles(venue, f"interval=1m&from={_at(0)}")
    newest = await _candles(venue, "interval=1m&limit=5")
    oldest = await _candles(venue, f"interval=1m&from={_at(0)}&limit=2")

    assert [candle[0] for candle in everything] == [_at(60 * number) for number in range(12)]
    assert [candle[6] for candle in everything] == [0, *[0, 0, 1] * 3, 0, 0]
    assert newest == everything[-5:]
    assert oldest == everything[:2]
    assert (await _candles(venue, f"interval=5m&from={_at(0)}"))[0][0] == _at(0)


async def _quiet(starter: Starter, backend: Backend, monkeypatch: pytest.MonkeyPatch, kept: int = 3) -> Running:
    """A market with prices and trades in some minutes of its first 40, of which memory keeps the last few."""
    monkeypatch.setattr("web.readside.history.CANDLES_KEPT", kept)
    clock = ManualClock()
    venue = await starter(backend, clock=clock)
    await venue.market()
    ann = await venue.user("ann", "100000")
    for minutes in (1, 1, 2, 7, 1, 1, 12, 1, 3, 1, 8):
        clock.advance(minutes * MINUTE)
        await venue.price(50_000 + minutes)
        await ann.opened(size="100")
    clock.advance(2 * MINUTE)
    return venue


async def _pages(venue: Running, query: str, name: str) -> list[list[list[object]]]:
    """All pages, each asked for with the last one's ``nextCursor`` as the query's ``name``."""
    path = f"{TICKER}/candles?{query}"
    pages, body = [], (await venue.anybody.get(f"{path}&from=0")).ok()
    while True:
        pages.append(body["candles"])
        if body["nextCursor"] is None:
            return pages
        assert len(pages) < 100
        first = "&from=0" if name == "cursor" else ""
        body = (await venue.anybody.get(f"{path}{first}&{name}={body['nextCursor']}")).ok()


@pytest.mark.parametrize("name", ["cursor", "from"])
@pytest.mark.parametrize("interval", ["1m", "5m", "1h"])
async def test_pages_from_a_moment_on_leave_nothing_out(
    starter: Starter, backend: Backend, monkeypatch: pytest.MonkeyPatch, interval: str, name: str
) -> None:
    venue = await _quiet(starter, backend, monkeypatch)
    everything = await _candles(venue, f"interval={interval}&from=0&limit=500")

    for limit in (1, 2, 3, 5, 500):
        pages = await _pages(venue, f"interval={interval}&limit={limit}", name)
        assert [candle for page in pages for candle in page] == everything
        assert {len(page) for page in pages[:-1]} <= {limit}
        assert 0 < len(pages[-1]) <= limit


async def test_whoever_adds_to_the_open_time_of_the_last_candle_pages_too(
    starter: Starter, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients that know no cursor do so."""
    venue = await _quiet(starter, backend, monkeypatch)
    found, since = [], 0
    while page := await _candles(venue, f"from={since}&limit=4"):
        found += page
        since = int(str(page[-1][0])) + 1

    assert found == await _candles(venue, "from=0&limit=500")
    assert len(found) == 12


async def test_the_next_page_ends_where_the_span_does(venue: Running, clock: ManualClock) -> None:
    for number in range(1, 6):
        clock.advance(MINUTE)
        await venue.price(50_000 + number)
    for query, expected in {
        f"from={_at(60)}&limit=2": str(_at(180)),
        f"from={_at(60)}&to={_at(181)}&limit=2": str(_at(180)),
        f"from={_at(60)}&to={_at(180)}&limit=2": None,
        f"from={_at(240)}&limit=2": None,
        f"cursor={_at(240)}&from=0&limit=1": str(_at(300)),
        "limit=2": None,
        f"to={_at(120)}&limit=1": None,
        "from=0&to=5": None,
    }.items():
        assert (await venue.anybody.get(f"{TICKER}/candles?{query}")).ok()["nextCursor"] == expected, query


def _filled(candles: list[list[object]], starts: range) -> list[list[object]]:
    """Candles with a flat one for each start that has none, from the first candle on."""
    there, filled = {candle[0]: candle for candle in candles}, list[list[object]]()
    for start in starts:
        close = filled[-1][4] if filled else None
        if start in there:
            filled.append(there[start])
        elif close is not None:
            filled.append([start, close, close, close, close, "0.00", 0])
    return filled


@pytest.mark.parametrize("interval", ["1m", "5m"])
async def test_gaps_are_filled_with_the_close_before_them_across_pages(
    starter: Starter, backend: Backend, monkeypatch: pytest.MonkeyPatch, interval: str
) -> None:
    venue = await _quiet(starter, backend, monkeypatch)
    width = INTERVALS[interval] * 1000
    candles = await _candles(venue, f"interval={interval}&from=0&limit=500")
    expected = _filled(candles, range(_at(0), _at(40 * MINUTE) + 1, width))
    assert len(expected) > len(candles)

    for limit in (1, 3, 4, 500):
        pages = await _pages(venue, f"interval={interval}&fill=1&limit={limit}", "cursor")
        assert [candle for page in pages for candle in page] == expected
        assert {len(page) for page in pages[:-1]} <= {limit}
        newest = await _candles(venue, f"interval={interval}&fill=1&limit={limit}")
        assert newest == expected[-limit:]


async def test_a_span_in_the_middle_of_a_gap_is_flat(
    starter: Starter, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = await _quiet(starter, backend, monkeypatch)
    before = (await _candles(venue, f"from={_at(4 * MINUTE)}&limit=1"))[0]
    body = (await venue.anybody.get(f"{TICKER}/candles?fill=1&from={_at(301)}&to={_at(540)}&limit=2")).ok()

    assert body["candles"] == [[_at(60 * minute), *[before[4]] * 4, "0.00", 0] for minute in (6, 7)]
    assert body["nextCursor"] == str(_at(480))
    assert (await _candles(venue, f"from={_at(301)}&to={_at(540)}")) == []


async def test_nothing_is_filled_before_the_first_candle_or_after_now(venue: Running, clock: ManualClock) -> None:
    clock.advance(90)
    for query in ("from=0", f"from=0&to={_at(10**6)}", "limit=500", f"from={_at(-600)}&limit=500"):
        body = (await venue.anybody.get(f"{TICKER}/candles?fill=1&{query}")).ok()
        assert [candle[0] for candle in body["candles"]] == [_at(0), _at(60)], query
        assert (body["nextCursor"], body["closed"]) == (None, False)
    for query in (f"from=0&to={_at(-60)}", f"from={_at(10**6)}", "from=2000&to=1000", f"to={_at(-60)}"):
        body = (await venue.anybody.get(f"{TICKER}/candles?fill=1&{query}")).ok()
        assert (body["candles"], body["nextCursor"]) == ([], None), query


@pytest.mark.parametrize("query", ["fill=2", "fill=", "fill=true", "fill=01", "cursor=8-0", "cursor=", "cursor=-1"])
async def test_a_fill_or_cursor_that_is_none_is_refused(venue: Running, query: str) -> None:
    refused = (await venue.anybody.get(f"{TICKER}/candles?{query}")).refused(400, "validation_error")
    assert refused["field"] == query.partition("=")[0]


async def test_candles_are_the_same_after_a_restart(starter: Starter, backend: Backend) -> None:
    clock = ManualClock()
    venue = await starter(backend, clock=clock)
    await venue.market()
    ann = await venue.user("ann")
    for number in range(1, 9):
        clock.advance(50)
        await venue.price(50_000 + 7 * number % 5)
        if number % 2:
            await ann.opened(size="100")
    before = [await _candles(venue, f"interval={interval}") for interval in INTERVALS]
    shown = await _market(venue)

    again = await starter.restart(venue)

    assert [await _candles(again, f"interval={interval}") for interval in INTERVALS] == before
    assert await _market(again) == shown


async def _figures(venue: Running) -> list[str]:
    market = await _market(venue)
    return [market[f"{name}24h"] for name in ("change", "changePercent", "high", "low", "volume")]


async def test_the_figures_are_of_24_hours_of_time(venue: Running, clock: ManualClock) -> None:
    ann = await venue.user("ann", "100000")
    assert await _figures(venue) == ["0.00", "0.00", "50000.00", "50000.00", "0.00"]
    opened = await ann.opened()
    (await ann.close("BTC-PERP-1")).ok()
    clock.advance(HOUR)
    await venue.price("60000")
    clock.advance(HOUR)
    await venue.price("45000")
    clock.advance(HOUR)
    await venue.price("50500")

    change, percent, high, low, volume = await _figures(venue)

    assert (change, percent) == ("500.00", "1.00")
    assert (high, low) == ("60000.00", "45000.00")
    assert amount(volume) >= 2 * amount(opened["fill"]["notional"]) - 1
    clock.advance(21 * HOUR + MINUTE)
    assert (await _figures(venue)) == ["500.00", "1.00", "60000.00", "45000.00", "0.00"]
    clock.advance(HOUR)
    assert (await _figures(venue)) == ["-9500.00", "-15.8334", "60000.00", "45000.00", "0.00"]
    clock.advance(HOUR)
    assert (await _figures(venue)) == ["5500.00", "12.2222", "50500.00", "45000.00", "0.00"]
    clock.advance(HOUR)
    assert (await _figures(venue)) == ["0.00", "0.00", "50500.00", "50500.00", "0.00"]
    clock.advance(365 * DAY)
    assert (await _figures(venue)) == ["0.00", "0.00", "50500.00", "50500.00", "0.00"]


async def test_many_rows_in_a_minute_do_not_push_out_a_day(venue: Running, clock: ManualClock) -> None:
    clock.advance(HOUR)
    await venue.price("60000")
    clock.advance(HOUR)
    prices = [{"ticker": "BTC-PERP", "price": 50_000 + number % 7} for number in range(1000)]
    for _ in range(3):
        (await venue.admin.post("/api/markets/prices", prices)).ok()

    change, _, high, low, _ = await _figures(venue)

    assert (change, high, low) == ("5.00", "60000.00", "50000.00")


async def test_the_price_of_24_hours_ago_is_the_one_that_held_then(venue: Running, clock: ManualClock) -> None:
    clock.advance(30)
    await venue.price("40000")
    clock.advance(10 * HOUR)
    await venue.price("44000")
    clock.advance(14 * HOUR + 5 * MINUTE)

    assert (await _figures(venue))[:4] == ["4000.00", "10.00", "44000.00", "40000.00"]


async def test_volume_leaves_after_24_hours(venue: Running, clock: ManualClock) -> None:
    ann = await venue.user("ann", "100000")
    clock.advance(MINUTE)
    opened = await ann.opened()
    clock.advance(DAY - MINUTE)
    assert (await _figures(venue))[4] == opened["fill"]["notional"]
    clock.advance(2 * MINUTE)
    assert (await _figures(venue))[4] == "0.00"
