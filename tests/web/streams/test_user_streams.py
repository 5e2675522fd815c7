"""A user's own stream: trades, positions and balances, as REST shows them, once and in order; nobody else's."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from perps.wire.streams import MARKET_EVENTS, USER_EVENTS
from tests.web.conftest import Starter
from tests.web.events import Event, following, listening, read_raw
from tests.web.shapes import BALANCE, POSITION, TRADE, amount, fits
from tests.web.venue import Backend, Json, Running
from web.compose import Limits
from web.streams import hub as hub_module

OWN = "/api/sse/users/me"


def _names(events: list[Event]) -> list[str]:
    return [event.name for event in events]


def _of(events: list[Event], name: str) -> list[Any]:
    return [event.data for event in events if event.name == name]


async def _story(venue: Running) -> int:
    """Two traders and a referrer in two markets: everything that can touch a wallet. The offset of the last row."""
    await venue.market("OTHER", "100")
    await venue.user("rita", "100")
    ann, bob = await venue.user("ann", referrer="rita"), await venue.user("bob")
    await ann.opened(leverage=100)
    await bob.opened(side="short", leverage=20)
    await ann.opened("OTHER", "500", side="short")
    await asyncio.gather(*(trader.opened(size="50") for trader in (ann, bob) for _ in range(4)))
    (await ann.close("OTHER-1", percentage="0.3")).ok()
    (await bob.close("BTC-PERP-2", percentage="0.5")).ok()
    for moved in ("3", "-1"):
        (await ann.post("/api/markets/perps/OTHER-1/margin", {"amount": moved})).ok()
    await bob.opened(side="short", size="50", positionId="BTC-PERP-2")
    await venue.price("45000")
    (await ann.close("OTHER-1")).ok()
    (await venue.admin.post("/api/admin/users/ann/deposit", {"amount": "5"})).ok()
    last = await venue.admin.post("/api/admin/users/bob/withdraw", {"amount": "7"})
    offset: int = last.ok()["offset"]
    return offset


async def test_a_users_stream_begins_with_what_they_have(venue: Running) -> None:
    ann, bob = await venue.user("ann"), await venue.user("bob")
    for _ in range(2):
        await ann.opened()
    await bob.opened()

    async with following(venue, OWN, ann) as stream:
        now = await stream.next()

    assert (now.name, now.id) == ("snapshot", f"1-{now.offset}")
    assert now.data["userId"] == "ann"
    assert now.data["balance"] == await ann.balance()
    assert now.data["positions"] == await ann.positions()
    assert (now.data["openPositions"], now.data["orders"]) == (2, [])


async def test_each_event_carries_what_rest_answers(venue: Running) -> None:
    ann = await venue.user("ann")
    async with following(venue, OWN, ann) as stream:
        await stream.next()
        opened = await ann.opened()
        events = await stream.until_offset(opened["offset"])
        balance = await ann.balance()
        half = (await ann.close("BTC-PERP-1", percentage="0.5")).ok()
        rest = (await ann.close("BTC-PERP-1")).ok()
        events += await stream.until_offset(rest["offset"])

    assert _names(events) == ["trade", "position", "balance"] * 3
    assert _of(events, "position") == [
        {**answer["position"], "offset": answer["offset"]} for answer in (opened, half, rest)
    ]
    assert _of(events, "balance")[0] == {**balance, "userId": "ann"}
    assert _of(events, "balance")[-1] == {**await ann.balance(), "userId": "ann"}
    shown = (await ann.get("/api/users/me/trades")).ok()["trades"]
    assert _of(events, "trade") == shown[::-1]
    for event in events:
        fits(event.data, {"trade": TRADE, "position": POSITION, "balance": BALANCE}[event.name])


async def test_margin_in_and_out_is_told_to_the_owner_alone_as_rest_answers_it(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    async with following(venue, OWN, ann) as stream, listening(venue) as markets:
        await stream.next()
        await markets.next()
        path = "/api/markets/perps/BTC-PERP-1/margin"
        moved = [(await ann.post(path, {"amount": sent})).ok() for sent in ("5", "-2")]
        events = await stream.until_offset(moved[-1]["offset"])
        price = await venue.price("51000")
        public = await markets.until_offset(price["offset"])

    assert _names(events) == ["position", "balance"] * 2
    assert _of(events, "position") == [{**answer["position"], "offset": answer["offset"]} for answer in moved]
    assert [one["balance"] for one in _of(events, "balance")] == [answer["newBalance"] for answer in moved]
    assert [one["margin"] for one in _of(events, "balance")] == [answer["position"]["margin"] for answer in moved]
    assert _names(public) == ["price"]


async def test_an_increase_is_told_as_a_trade_with_the_position_it_left(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    async with following(venue, OWN, ann) as stream:
        await stream.next()
        more = await ann.opened(positionId="BTC-PERP-1")
        events = await stream.until_offset(more["offset"])

    assert _names(events) == ["trade", "position", "balance"]
    assert events[0].data["kind"] == "open"
    assert events[1].data == {**more["position"], "offset": more["offset"]}


async def test_every_event_is_of_its_type_in_the_contract(venue: Running) -> None:
    """No field is missing, and none is there that the type has not."""
    async with following(venue, "/api/sse/users?since=1-0", venue.admin) as stream, listening(venue) as markets:
        own, public = [], [await markets.next()]
        await _story(venue)
        order = {"ticker": "OTHER", "type": "limit", "side": "long", "size": "10", "leverage": 2, "price": "50"}
        rests = (await venue.client("ann").post("/api/orders", order)).ok(201)
        own += await stream.until_offset(rests["offset"])
        await venue.mode("reduce_only")
        (await venue.admin.patch("/api/admin/markets/BTC-PERP", {"priceBand": "0.1"})).ok()
        await venue.price("1")
        public += await markets.until_offset(venue.venue.context.model.offset)
    async with following(venue, "/api/sse/users/ann?since=9-9", venue.admin) as stream:
        own += await stream.take(2)

    for events, types in ((own, USER_EVENTS), (public, MARKET_EVENTS)):
        shown_elsewhere = {"reset", "funding"} & set(types)  # an hour of funding: tests/web/api/test_funding.py
        assert {event.name for event in events} | shown_elsewhere == set(types)
        for event in events:
            whole = msgspec.to_builtins(msgspec.convert(event.data, types[event.name]))
            assert whole == event.data


async def test_what_others_cause_is_told_too(venue: Running) -> None:
    rita = await venue.user("rita")
    ann = await venue.user("ann", referrer="rita")
    async with following(venue, OWN, rita) as ritas, following(venue, OWN, ann) as anns:
        await ritas.next()
        await anns.next()
        opened = await ann.opened(leverage=100)
        credit = await ritas.until_offset(opened["offset"])
        await anns.until_offset(opened["offset"])
        crash = await venue.price("40000")
        liquidated = await anns.until_offset(crash["offset"])

    assert _names(credit) == ["balance"]
    assert credit[0].data["balance"] == (await rita.balance())["balance"]
    assert float(credit[0].data["balance"]) > 10_000
    assert _names(liquidated) == ["trade", "liquidation", "position", "balance"]
    assert liquidated[2].data["status"] == "liquidated"
    assert liquidated[3].data == {**await ann.balance(), "userId": "ann"}
    assert [event.id for event in liquidated] == [None, None, None, f"1-{crash['offset']}"]


async def test_the_balance_after_each_row_is_what_the_ledger_has_of_that_row(venue: Running) -> None:
    """Also amid a commit of many rows: each has the wallet that its last leg left, and the sums up to it."""
    offset = await _story(venue)

    async with following(venue, "/api/sse/users?since=1-1", venue.admin) as stream:
        events = await stream.until_offset(offset)

    for user in ("ann", "bob", "rita"):
        balances = [data for data in _of(events, "balance") if data["userId"] == user]
        moved = (await venue.admin.get(f"/api/users/{user}/transactions?limit=500")).ok()["transactions"]
        wallet = {int(leg["id"].partition("-")[0]): leg["balanceAfter"] for leg in reversed(moved)}
        assert wallet.keys() <= {data["offset"] for data in balances}
        held = "0.00"
        for data in balances:
            held = wallet.get(data["offset"], held)  # a liquidation may take a margin and leave the wallet alone
            assert (data["offset"], data["balance"]) == (data["offset"], held)
        now = (await venue.admin.get(f"/api/users/{user}/balance")).ok()
        assert {**balances[-1], "offset": 0} == {**now, "userId": user, "offset": 0}
        trades = [data for data in _of(events, "trade") if data["userId"] == user]
        for data in balances:
            until = [trade for trade in trades if trade["offset"] <= data["offset"]]
            assert amount(data["lifetimePnL"]) == sum(amount(trade["realizedPnL"]) for trade in until)
            assert amount(data["totalFees"]) == sum(amount(trade["fee"]["amount"]) for trade in until)


@pytest.fixture(params=[20_000, 1], ids=["memory", "journal"])
async def told(request: pytest.FixtureRequest, starter: Starter, backend: Backend) -> tuple[Running, dict[str, bytes]]:
    """A venue, and what readers of each stream got of a story while it happened: by path, from row 1 on."""
    venue = await starter(backend, limits=Limits(rows_kept=request.param))
    await venue.market()
    paths = ["/api/sse/markets", "/api/sse/users", "/api/sse?tickers=BTC-PERP"]
    readers = {path: asyncio.create_task(_read_until_deposit(venue, path)) for path in paths}
    while venue.venue.context.streams.readers < len(paths):  # noqa: ASYNC110 - a plain value
        await asyncio.sleep(0)
    await _story(venue)
    await venue.price("45001")
    return venue, {path: await reader for path, reader in readers.items()}


async def _read_until_deposit(venue: Running, path: str) -> bytes:
    """All that a stream tells after its snapshot, up to the price that ends the story."""
    last = b'"indexPrice":"45001.00"' if path != "/api/sse/users" else b'"totalWithdrawn":"7.00"'
    return await read_raw(venue, path, venue.admin, until=last)


async def test_who_comes_back_reads_the_same_bytes_as_who_was_there(
    told: tuple[Running, dict[str, bytes]], starter: Starter
) -> None:
    venue, live = told
    again = await starter.restart(venue, limits=Limits(rows_kept=1))

    for path, seen in live.items():
        ids = [block.rpartition(b"id: ")[2].decode() for block in seen.split(b"\n\n") if b"id: " in block]
        for since in ("1-1", *ids[1:-1:3]):
            mark = "&" if "?" in path else "?"
            last = b'"indexPrice":"45001.00"' if path != "/api/sse/users" else b'"totalWithdrawn":"7.00"'
            missed = await read_raw(again, f"{path}{mark}since={since}", again.admin, until=last)
            assert missed == (seen if since == "1-1" else seen.split(f"id: {since}\n\n".encode(), 1)[1])


@pytest.mark.parametrize("page", [1, 3, 1000])
async def test_a_user_who_comes_back_misses_nothing_where_a_page_ends(
    starter: Starter, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "RESUME_EVENTS", page)
    monkeypatch.setattr(hub_module, "RESUME_PAGE", min(page, 7))
    venue = await starter(limits=Limits(rows_kept=1))
    await venue.market()
    offset = await _story(venue)
    async with following(venue, "/api/sse/users?since=1-1", venue.admin) as stream:
        everything = await stream.until_offset(offset)

    for user in ("ann", "bob", "rita"):
        own = [event for event in everything if event.data["userId"] == user]
        for since in range(1, own[-1].offset, 2):
            missed = [event.data for event in own if event.offset > since]
            async with following(venue, f"/api/sse/users/{user}?since=1-{since}", venue.admin) as stream:
                assert [event.data for event in await stream.take(len(missed))] == missed


async def test_rows_that_come_while_a_user_catches_up_are_told_with_their_balance(starter: Starter) -> None:
    """Somebody whom none of the missed rows touched is touched by one that comes meanwhile."""
    venue = await starter(limits=Limits(rows_kept=1))
    await venue.market()
    ann, bob = await venue.user("ann"), await venue.user("bob")
    since = (await ann.opened())["offset"] - 1
    await ann.opened()
    hub = venue.venue.context.streams
    pages, rows_after = list[int](), hub._rows_after

    async def meanwhile(after: int, limit: int) -> Any:
        pages.append(after)
        if len(pages) == 3:  # its place, then what it missed once to go back; now to tell it
            await bob.opened()
        return await rows_after(after, limit)

    hub._rows_after = meanwhile
    async with following(venue, f"/api/sse/users?since=1-{since}", venue.admin) as stream:
        events = await stream.until_offset(since + 3)

    assert len(pages) == 3
    assert _of(events, "balance")[-1] == {**await bob.balance(), "userId": "bob"}


async def test_tickers_narrow_trades_and_positions_and_no_balance(venue: Running) -> None:
    await venue.market("OTHER", "100")
    ann = await venue.user("ann")
    await ann.opened()
    await ann.opened("OTHER")
    async with following(venue, f"{OWN}?tickers=OTHER", ann) as stream:
        now = await stream.next()
        await ann.opened()
        last = await ann.opened("OTHER")
        events = await stream.until_offset(last["offset"])

    assert [position["ticker"] for position in now.data["positions"]] == ["OTHER"]
    assert _names(events) == ["balance", "trade", "position", "balance"]
    assert {data["ticker"] for name in ("trade", "position") for data in _of(events, name)} == {"OTHER"}


async def test_one_connection_carries_markets_and_ones_own(venue: Running) -> None:
    await venue.market("OTHER", "100")
    ann, bob = await venue.user("ann"), await venue.user("bob")
    async with following(venue, "/api/sse?tickers=BTC-PERP&user=me", ann) as stream:
        now = await stream.next()
        await bob.opened()
        await bob.opened("OTHER")
        mine = await ann.opened("OTHER")
        last = await ann.opened()
        events = await stream.until_offset(last["offset"])

    assert [market["ticker"] for market in now.data["markets"]] == ["BTC-PERP"]
    assert now.data["user"]["userId"] == "ann"
    assert [(event.name, event.data.get("userId"), event.data.get("ticker")) for event in events] == [
        ("trade", None, "BTC-PERP"),
        ("trade", "ann", "OTHER"),
        ("position", "ann", "OTHER"),
        ("balance", "ann", None),
        ("trade", None, "BTC-PERP"),
        ("trade", "ann", "BTC-PERP"),
        ("position", "ann", "BTC-PERP"),
        ("balance", "ann", None),
    ]
    ids = [event.id for event in events if event.id]
    assert ids == [f"1-{mine['offset'] - 2}", f"1-{mine['offset']}", f"1-{last['offset']}"]


@pytest.mark.parametrize(("tickers", "shown"), [("", ["BTC-PERP"]), ("&tickers=", [])])
async def test_with_a_user_the_snapshot_has_both_whatever_markets_are_named(
    venue: Running, tickers: str, shown: list[str]
) -> None:
    ann = await venue.user("ann")
    async with following(venue, f"/api/sse?user=me{tickers}", ann) as stream:
        now = await stream.next()

    assert [market["ticker"] for market in now.data["markets"]] == shown
    assert now.data["user"]["userId"] == "ann"


async def test_without_a_user_it_is_the_markets_stream(venue: Running) -> None:
    async with following(venue, "/api/sse", None) as stream, following(venue, "/api/sse/markets", None) as markets:
        await venue.price("50001")
        assert await stream.take(2) == await markets.take(2)


async def test_an_administrator_follows_everybody(venue: Running) -> None:
    async with following(venue, "/api/sse/users", venue.admin) as stream:
        now = await stream.next()
        ann, bob = await venue.user("ann"), await venue.user("bob")
        await ann.opened()
        last = await bob.opened()
        events = await stream.until_offset(last["offset"])

    assert now.data == {"users": 0, "offset": 1}
    assert [(event.name, event.data["userId"]) for event in events] == [
        ("balance", "ann"),
        ("balance", "bob"),
        *((name, user) for user in ("ann", "bob") for name in ("trade", "position", "balance")),
    ]


async def test_no_users_stream_shows_another(venue: Running) -> None:
    rita = await venue.user("rita")
    async with following(venue, OWN, rita) as stream:
        await stream.next()
        ann = await venue.user("ann", referrer="rita")
        names = ["r", "rit", "ritas", "Rita", "user:rita", "rita.x"]  # near to it
        for name in names:
            await venue.user(name)
        opened = [await venue.client(name).opened() for name in names]
        await ann.opened()
        last = (await venue.admin.post("/api/admin/users/rita/deposit", {"amount": "1"})).ok()
        events = await stream.until_offset(last["offset"])
        raw = await read_raw(venue, f"{OWN}?since=1-1", rita, until=b'"totalDeposited":"10001.00"')

    assert opened
    assert {event.data["userId"] for event in events} == {"rita"}
    assert _names(events) == ["balance", "balance"]
    for other in (b'"ann"', b'"r"', b'"ritas"', b'"Rita"', b'"user:rita"', b"PERP"):
        assert other not in raw


@pytest.mark.parametrize("path", ["/api/sse/users/ann", "/api/sse?user=ann"])
async def test_a_users_stream_is_for_them_and_the_administrator(venue: Running, path: str) -> None:
    ann, bob = await venue.user("ann"), await venue.user("bob")
    feed = await venue.key("price", userId="ann")

    assert (await bob.get(path)).refused(403, "forbidden") == {"userId": "ann"}
    assert (await feed.get(path)).refused(403, "forbidden") == {"scope": "read"}
    (await venue.anybody.get(path)).refused(401, "unauthorized")
    for reader in (ann, venue.admin):
        async with following(venue, path, reader) as stream:
            assert (await stream.next()).name == "snapshot"


async def test_all_users_are_for_the_administrator(venue: Running) -> None:
    ann = await venue.user("ann")

    (await ann.get("/api/sse/users")).refused(403, "forbidden")
    (await venue.anybody.get("/api/sse/users")).refused(401, "unauthorized")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/sse/users/nobody", 404, "user_not_found"),
        ("/api/sse?user=nobody", 404, "user_not_found"),
        ("/api/sse?user=no/body", 400, "validation_error"),
        ("/api/sse/users/ann?tickers=NONE", 404, "market_not_found"),
        ("/api/sse?tickers=NONE&user=ann", 404, "market_not_found"),
        ("/api/sse/users/me", 400, "validation_error"),
        ("/api/sse?user=me", 400, "validation_error"),
    ],
)
async def test_what_is_not_there_cannot_be_followed(venue: Running, path: str, status: int, code: str) -> None:
    await venue.user("ann")

    (await venue.admin.get(path)).refused(status, code)


async def test_a_place_that_is_not_the_journals_is_reset_with_ones_own_snapshot(venue: Running) -> None:
    ann = await venue.user("ann")
    async with following(venue, f"{OWN}?since=1-99", ann) as stream:
        reset, now = await stream.take(2)

    assert (reset.name, reset.data["since"]) == ("reset", "1-99")
    assert (now.name, now.data["userId"]) == ("snapshot", "ann")


async def test_of_many_positions_the_newest_are_shown_and_all_counted(
    venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.streams.events.LIMIT_MAX", 2)
    ann = await venue.user("ann")
    for _ in range(3):
        await ann.opened(size="50")
    async with following(venue, OWN, ann) as stream:
        data: Json = (await stream.next()).data

    assert ([position["id"] for position in data["positions"]], data["openPositions"]) == (
        ["BTC-PERP-3", "BTC-PERP-2"],
        3,
    )
