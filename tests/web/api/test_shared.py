"""What everybody may see is made once for all of them, and not sent to who has it already."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.web.conftest import Starter
from tests.web.venue import ManualClock, Running
from web.answers import markets
from web.api.serving import shared
from web.readside.model import MarketView

LIST = "/api/markets/perps"
ONE = f"{LIST}/BTC-PERP"
CANDLES = f"{ONE}/candles?interval=1m&limit=5"
PATHS = [LIST, ONE, CANDLES]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each market is rendered."""
    counted, rendered = Counter[str](), markets._rendered

    def count(view: MarketView, now_ms: int) -> object:
        counted[view.market.ticker] += 1
        return rendered(view, now_ms)

    monkeypatch.setattr(markets, "_rendered", count)
    return counted


@pytest.mark.parametrize("path", PATHS)
async def test_who_has_it_already_is_told_so(venue: Running, path: str) -> None:
    first = await venue.anybody.get(path)
    tag = first.headers["ETag"]

    for known in (tag, f'"x", W/{tag}', "*"):
        again = await venue.anybody.ask("GET", path, headers={"If-None-Match": known})
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
        assert again.headers["X-Request-Id"]
    other = await venue.anybody.ask("GET", path, headers={"If-None-Match": '"x"'})
    assert (other.status, other.body) == (200, first.body)


@pytest.mark.parametrize("path", PATHS)
async def test_a_row_the_minute_and_a_markets_health_make_another_answer(
    venue: Running, clock: ManualClock, path: str
) -> None:
    async def changed(tag: str) -> str:
        answer = await venue.anybody.ask("GET", path, headers={"If-None-Match": tag})
        assert answer.ok()["offset"] == venue.venue.context.model.offset
        return answer.headers["ETag"]

    tag = await changed("")
    await venue.price("51000")
    tag = await changed(tag)
    await venue.user("ann")
    tag = await changed(tag)
    clock.advance(60)
    tag = await changed(tag)
    venue.venue.context.model.health("BTC-PERP", "it died")
    await changed(tag)
    if path != CANDLES:
        assert b'"unavailable"' in (await venue.anybody.get(path)).body


async def test_a_market_is_rendered_once_for_each_of_its_rows_whoever_asks(
    venue: Running, clock: ManualClock, made: Counter[str]
) -> None:
    await venue.market("ETH-PERP")
    made.clear()
    await venue.price("51000")
    for path in (LIST, ONE, f"{LIST}/ETH-PERP", LIST):
        (await venue.anybody.get(path)).ok()
    made_first = dict(made)
    await venue.user("ann")
    (await venue.admin.get(LIST)).ok()
    prices = [{"ticker": "BTC-PERP", "price": 52_000 + number} for number in range(50)]
    (await venue.admin.post("/api/markets/prices", prices)).ok()

    assert made_first == {"BTC-PERP": 1, "ETH-PERP": 0} or made_first == {"BTC-PERP": 1}
    assert made["BTC-PERP"] < 50
    assert made["ETH-PERP"] == 0
    made.clear()
    clock.advance(60)
    listed = (await venue.anybody.get(LIST)).ok()["markets"]
    assert made == {"BTC-PERP": 1, "ETH-PERP": 1}
    assert [market["currentPrice"] for market in listed] == ["52049.00", "50000.00"]


async def test_the_last_24_hours_move_with_the_minute(venue: Running, clock: ManualClock) -> None:
    await venue.price("60000")
    assert (await venue.anybody.get(ONE)).ok()["market"]["high24h"] == "60000.00"
    clock.advance(60)
    await venue.price("50000")
    clock.advance(86_340)
    before = (await venue.anybody.get(ONE)).ok()["market"]
    clock.advance(59.999)
    assert (await venue.anybody.get(ONE)).ok()["market"] == before
    clock.advance(0.001)
    clock.advance(60)

    assert (await venue.anybody.get(ONE)).ok()["market"]["high24h"] == "50000.00"


async def test_names_that_mean_nothing_make_no_other_answer(venue: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await venue.anybody.get(LIST)
    monkeypatch.setattr(shared, "encode", None)

    assert (await venue.anybody.get(f"{LIST}?x=1")).body == first.body


async def test_a_wrong_query_is_refused_however_often_the_right_one_came(venue: Running) -> None:
    (await venue.anybody.get(CANDLES)).ok()
    (await venue.anybody.get(f"{ONE}/candles?interval=2m")).refused(400, "validation_error")
    (await venue.anybody.get(f"{LIST}/ETH-PERP")).refused(404, "market_not_found")


async def test_no_more_than_so_many_answers_are_kept(venue: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "KEPT_MAX", 3)
    for start in range(20):
        (await venue.anybody.get(f"{CANDLES}&from={start}")).ok()

    assert "ETag" in (await venue.anybody.get(CANDLES)).headers


async def test_figures_for_strangers_are_made_once_a_second(starter: Starter, clock: ManualClock) -> None:
    venue = await starter(clock=clock)
    first = (await venue.anybody.get("/metrics")).body
    await venue.market()

    assert (await venue.anybody.get("/metrics")).body == first
    assert b"perps_offset 1.0" in (await venue.admin.get("/metrics")).body
    await venue.price("1")
    clock.advance(1)
    assert b"perps_offset 2.0" in (await venue.anybody.get("/metrics")).body
