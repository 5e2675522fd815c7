"""A user's own stream: trades, positions and balances, as REST shows them, once and in order; nobody else's."""

from __future__ import annotations

import msgspec
import pytest

from perps.wire.streams import MARKET_EVENTS, USER_EVENTS
from tests.web.api.trading.test_orders import placed
from tests.web.events import Event, following, listening, read_raw
from tests.web.shapes import BALANCE, POSITION, TRADE, amount, fits
from tests.web.streams.story import of_kind, story
from tests.web.venue import Json, Running

OWN = "/api/sse/users/me"


def _names(events: list[Event]) -> list[str]:
    return [event.name for event in events]


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
    assert of_kind(events, "position") == [
        {**answer["position"], "offset": answer["offset"]} for answer in (opened, half, rest)
    ]
    assert of_kind(events, "balance")[0] == {**balance, "userId": "ann"}
    assert of_kind(events, "balance")[-1] == {**await ann.balance(), "userId": "ann"}
    shown = (await ann.get("/api/users/me/trades")).ok()["trades"]
    assert of_kind(events, "trade") == shown[::-1]
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
    assert of_kind(events, "position") == [{**answer["position"], "offset": answer["offset"]} for answer in moved]
    assert [one["balance"] for one in of_kind(events, "balance")] == [answer["newBalance"] for answer in moved]
    assert [one["margin"] for one in of_kind(events, "balance")] == [answer["position"]["margin"] for answer in moved]
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
        await story(venue)
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
        # what comes by the hour and by the minute: test_funding.py and test_flows.py in tests/web/api/markets
        shown_elsewhere = {"reset", "funding", "flow"} & set(types)
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
    offset = await story(venue)

    async with following(venue, "/api/sse/users?since=1-1", venue.admin) as stream:
        events = await stream.until_offset(offset)

    for user in ("ann", "bob", "rita"):
        balances = [data for data in of_kind(events, "balance") if data["userId"] == user]
        moved = (await venue.admin.get(f"/api/users/{user}/transactions?limit=500")).ok()["transactions"]
        wallet = {int(leg["id"].partition("-")[0]): leg["balanceAfter"] for leg in reversed(moved)}
        assert wallet.keys() <= {data["offset"] for data in balances}
        held = "0.00"
        for data in balances:
            held = wallet.get(data["offset"], held)  # a liquidation may take a margin and leave the wallet alone
            assert (data["offset"], data["balance"]) == (data["offset"], held)
        now = (await venue.admin.get(f"/api/users/{user}/balance")).ok()
        assert {**balances[-1], "offset": 0} == {**now, "userId": user, "offset": 0}
        trades = [data for data in of_kind(events, "trade") if data["userId"] == user]
        for data in balances:
            until = [trade for trade in trades if trade["offset"] <= data["offset"]]
            assert amount(data["lifetimePnL"]) == sum(amount(trade["realizedPnL"]) for trade in until)
            assert amount(data["totalFees"]) == sum(amount(trade["fee"]["amount"]) for trade in until)


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
    assert {data["ticker"] for name in ("trade", "position") for data in of_kind(events, name)} == {"OTHER"}


async def test_orders_of_other_markets_take_no_room_from_those_that_are_followed(
    venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.streams.events.LIMIT_MAX", 2)
    await venue.market("OTHER", "50000")
    ann = await venue.user("ann")
    for ticker in ("BTC-PERP", "BTC-PERP", "BTC-PERP", "OTHER", "OTHER"):
        await placed(ann, "49000", ticker=ticker)
    async with following(venue, f"{OWN}?tickers=BTC-PERP", ann) as stream:
        now = await stream.next()
    assert [order["id"] for order in now.data["orders"]] == ["BTC-PERP-o3", "BTC-PERP-o2"]


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
