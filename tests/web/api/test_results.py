"""How users do: their equity over time and the leaderboard, on memory and on PostgreSQL."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from actors.clock import ManualClock as SteppedClock
from tests.web.conftest import Starter
from tests.web.venue import Backend, Client, ManualClock, Running
from web.compose import Limits
from web.process import observations
from web.readside.leaderboard import BOARD_NS, Leaderboards

HOUR_S = 3_600
BOARD = "/api/users/leaderboard"


@pytest.fixture
async def stepped(starter: Starter, backend: Backend) -> Running:
    """A venue whose time an administrator advances: with a market, and with ann and bob."""
    venue = await starter(backend, clock=SteppedClock(ManualClock()))
    await venue.venue.context.observations.look()  # before anybody is there
    await venue.market()
    for name in ("ann", "bob"):
        await venue.user(name)
    return venue


async def advance(venue: Running, seconds: int) -> None:
    (await venue.admin.post("/api/admin/clock/advance", {"seconds": seconds})).ok()


async def points(client: Client, query: str = "") -> list[tuple[Decimal, Decimal]]:
    """Equity and what was paid in, newest first."""
    body = (await client.get(f"/api/users/{client.user}/equity{query}")).ok()
    return [(Decimal(point["equity"]), Decimal(point["paidIn"])) for point in body["points"]]


def forget(venue: Running) -> None:
    """Let the next leaderboard be made anew: its 10 s are of real time."""
    context = venue.venue.context
    context.leaderboards = Leaderboards(context.model, venue.backend.stores().equity, context.clock)


async def leaders(venue: Running, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await venue.admin.get(BOARD + query)).ok()["leaders"]
    return found


async def worth(client: Client) -> Decimal:
    """What a user has by the other answers: wallet, margins, unrealised PnL."""
    balance, positions = await client.balance(), await client.positions()
    unrealized = sum(Decimal(position["unrealizedPnL"]) for position in positions)
    return Decimal(balance["balance"]) + Decimal(balance["margin"]) + unrealized


async def test_equity_is_wallet_margin_and_unrealised_pnl(stepped: Running) -> None:
    ann = stepped.client("ann")
    for side in ("long", "short", "long"):
        await ann.opened(side=side)
    await stepped.price("50777")

    assert await points(ann) == [(await worth(ann), Decimal(10_000))]


async def test_each_full_hour_has_a_point_if_anything_changed(stepped: Running) -> None:
    ann = stepped.client("ann")
    seen = []
    await ann.opened()
    for price in ("50100", "50200"):
        await stepped.price(price)
        await advance(stepped, HOUR_S)
        seen.append(await worth(ann))
    await advance(stepped, 3 * HOUR_S)

    assert [equity for equity, _ in await points(ann)] == [seen[1], seen[1], seen[0]]


async def test_a_deposit_is_no_gain(stepped: Running) -> None:
    ann = stepped.client("ann")
    await advance(stepped, HOUR_S)
    (await stepped.admin.post("/api/admin/users/ann/deposit", {"amount": "500"})).ok()
    (await stepped.admin.post("/api/admin/users/bob/withdraw", {"amount": "250"})).ok()

    assert await points(ann) == [(Decimal(10_500), Decimal(10_500)), (Decimal(10_000), Decimal(10_000))]
    assert {leader["userId"]: leader["gain"] for leader in await leaders(stepped, "?by=equity")} == {
        "ann": "0.00",
        "bob": "0.00",
    }


async def test_a_window_ends_with_the_last_point_before_it(stepped: Running) -> None:
    ann = stepped.client("ann")
    await ann.opened()
    for price in ("50100", "50200", "50300"):
        await stepped.price(price)
        await advance(stepped, 20 * HOUR_S)

    equities = [equity for equity, _ in await points(ann)]

    assert len(equities) == 4
    assert [equity for equity, _ in await points(ann, "?window=24h")] == equities[:3]
    assert [equity for equity, _ in await points(ann, "?window=7d")] == equities


async def test_the_history_comes_in_pages(stepped: Running) -> None:
    ann = stepped.client("ann")
    await ann.opened()
    for price in range(50_100, 50_600, 100):
        await stepped.price(price)
        await advance(stepped, HOUR_S)
    whole = (await ann.get("/api/users/me/equity")).ok()["points"]
    paged, cursor = list[Any](), ""

    for _ in range(3):
        body = (await ann.get(f"/api/users/me/equity?limit=2{cursor}")).ok()
        assert len(body["points"]) == 2
        paged += body["points"]
        cursor = f"&cursor={body['nextCursor']}"

    assert paged == whole
    assert cursor == "&cursor=None"
    assert len(whole) == 6


async def test_later_the_last_hour_of_a_day_stays(stepped: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observations, "HOURS_KEPT_MS", 24 * HOUR_S * 1000)
    ann = stepped.client("ann")
    await ann.opened()
    for price in ("50100", "50200", "50300"):
        await stepped.price(price)
        await advance(stepped, HOUR_S)
    before = await points(ann)

    await advance(stepped, 2 * 24 * HOUR_S)

    assert (await points(ann))[1:] == before[1:2]


async def test_a_history_outlives_the_venue(starter: Starter, stepped: Running) -> None:
    ann = stepped.client("ann")
    await ann.opened()
    await stepped.price("50100")
    await advance(stepped, HOUR_S)
    before, board = await points(ann), await leaders(stepped, "?by=volume")

    again = await starter.restart(stepped)

    assert await points(again.client("ann")) == before
    assert await leaders(again, "?by=volume") == board


async def test_only_the_user_and_an_administrator_see_it(stepped: Running) -> None:
    path = "/api/users/ann/equity"
    (await stepped.client("bob").get(path)).refused(403, "forbidden")
    (await stepped.anybody.get(path)).refused(401, "unauthorized")
    (await stepped.admin.get("/api/users/eve/equity")).refused(404, "user_not_found")
    assert (await stepped.admin.get(path)).ok() == (await stepped.client("ann").get(path)).ok()


async def test_the_best_comes_first(stepped: Running) -> None:
    ann, bob = stepped.client("ann"), stepped.client("bob")
    first = await ann.opened(side="short")
    await bob.opened(size="3000")
    await stepped.price("51000")
    await ann.close(first["position"]["id"])

    by_pnl, by_gain, by_volume = [await leaders(stepped, f"?by={by}") for by in ("lifetimePnL", "equity", "volume")]

    assert [leader["userId"] for leader in by_pnl] == ["bob", "ann"]
    assert by_pnl[1]["realizedPnL"] == (await ann.balance())["lifetimePnL"]
    assert [leader["userId"] for leader in by_gain] == ["bob", "ann"]
    assert Decimal(by_gain[0]["gain"]) == await worth(bob) - 10_000 > 0
    assert [(leader["rank"], leader["userId"]) for leader in by_volume] == [(1, "bob"), (2, "ann")]
    trades = (await ann.get("/api/users/ann/trades")).ok()["trades"]
    assert Decimal(by_volume[1]["volume"]) == sum(Decimal(trade["size"]) for trade in trades)


async def test_a_window_counts_from_the_hour_before_it(stepped: Running) -> None:
    ann = stepped.client("ann")
    await ann.opened(size="1000")
    await advance(stepped, HOUR_S)
    since = (await stepped.admin.get(f"{BOARD}?window=24h")).ok()["since"]
    forget(stepped)
    await ann.opened(size="500")
    await stepped.user("eve")
    await stepped.client("eve").opened(size="100")

    def volumes(found: list[dict[str, Any]]) -> dict[str, float]:
        return {leader["userId"]: round(float(leader["volume"]), -2) for leader in found}

    assert volumes(await leaders(stepped, "?by=volume")) == {"ann": 1500, "eve": 100, "bob": 0}
    assert since == "2026-01-01T00:00:00.000Z"
    await advance(stepped, 24 * HOUR_S)
    forget(stepped)
    assert volumes(await leaders(stepped, "?by=volume&window=24h")) == {"ann": 500, "eve": 100, "bob": 0}


async def test_a_leaderboard_is_made_once_for_all_who_ask_within_ten_seconds(
    starter: Starter, clock: ManualClock
) -> None:
    venue = await starter(clock=clock)
    await venue.market()
    await venue.user("ann")
    first = await venue.admin.get(BOARD)
    await venue.user("bob")

    again = await venue.admin.get(BOARD)
    assert (again.body, again.headers["ETag"]) == (first.body, first.headers["ETag"])
    known = await venue.admin.ask("GET", BOARD, headers={"If-None-Match": first.headers["ETag"]})
    assert (known.status, known.body) == (304, b"")

    clock.advance(BOARD_NS / 1e9)
    assert len(await leaders(venue)) == 2


async def test_a_leaderboard_comes_in_pages(starter: Starter) -> None:
    venue = await starter()
    for number in range(5):
        (await venue.admin.post("/api/admin/users", {"userId": f"u{number}"})).ok(201)

    first = (await venue.admin.get(f"{BOARD}?limit=3")).ok()
    rest = (await venue.admin.get(f"{BOARD}?limit=3&cursor={first['nextCursor']}")).ok()

    assert [leader["userId"] for leader in first["leaders"] + rest["leaders"]] == [f"u{number}" for number in range(5)]
    assert [leader["rank"] for leader in rest["leaders"]] == [4, 5]
    assert rest["nextCursor"] is None


async def test_nobody_but_an_administrator_sees_it_unless_it_is_public(starter: Starter) -> None:
    venue = await starter()
    ann = await venue.user("ann")
    (await venue.anybody.get(BOARD)).refused(401, "unauthorized")
    (await ann.get(BOARD)).refused(403, "forbidden")

    public = await starter(limits=Limits(public_leaderboard=True))
    await public.user("ann")
    assert [leader["userId"] for leader in (await public.anybody.get(BOARD)).ok()["leaders"]] == ["ann"]


@pytest.mark.parametrize("query", ["?by=fees", "?window=1h", "?cursor=x", "?limit=0"])
async def test_what_is_no_leaderboard_is_refused(starter: Starter, query: str) -> None:
    venue = await starter()

    details = (await venue.admin.get(BOARD + query)).refused(400, "validation_error")

    assert details["field"] == query[1:].partition("=")[0]
