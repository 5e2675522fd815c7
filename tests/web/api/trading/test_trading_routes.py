"""Open, close and quote, when all is well: every field of the contract, and the numbers that belong together."""

from __future__ import annotations

import pytest

from tests.web.shapes import CLOSED, FEE, FILL, OPENED, amount, fits
from tests.web.venue import Running


@pytest.mark.parametrize("side", ["long", "short"])
async def test_an_open_answers_with_position_fill_and_what_it_cost(venue: Running, side: str) -> None:
    ann = await venue.user("ann", "10000")

    body = await ann.opened(size="5000", side=side, leverage=20, clientOrderId="first")

    fits(body, OPENED)
    position, fill = body["position"], body["fill"]
    assert (position["id"], position["userId"], position["side"]) == ("BTC-PERP-1", "ann", side)
    assert (position["status"], position["closedAt"], position["leverage"]) == ("open", None, 20)
    assert body["clientOrderId"] == "first"
    assert amount(fill["notional"]) <= 5000 < amount(fill["notional"]) + 6, (
        "at most the size, and all but one lot of it"
    )
    assert position["size"] == fill["notional"]
    assert position["margin"] == body["marginPaid"]
    assert abs(amount(body["marginPaid"]) * 20 - amount(fill["notional"])) < amount("0.0001")
    paid = amount(body["marginPaid"]) + amount(body["fee"]["amount"])
    assert amount(body["newBalance"]) == 10000 - paid
    assert position["openedAt"] == "2026-01-01T00:00:00.000Z"


@pytest.mark.parametrize(("side", "is_below"), [("long", True), ("short", False)])
async def test_a_position_shows_where_it_ends(venue: Running, side: str, is_below: bool) -> None:
    ann = await venue.user("ann")

    position = (await ann.opened(side=side))["position"]

    entry, due, broke = (amount(position[name]) for name in ("entryPrice", "liquidationPrice", "bankruptcyPrice"))
    assert (broke < due < entry) if is_below else (broke > due > entry)


@pytest.mark.parametrize(("side", "price", "wins"), [("long", "51000", True), ("short", "51000", False)])
async def test_a_close_answers_with_what_was_paid_out(venue: Running, side: str, price: str, wins: bool) -> None:
    ann = await venue.user("ann")
    opened = await ann.opened(size="5000", side=side)
    await venue.price(price)

    body = (await ann.close(opened["position"]["id"], clientOrderId="out")).ok()

    fits(body, CLOSED)
    position = body["position"]
    assert (position["status"], position["side"], position["closedAt"]) == ("closed", side, "2026-01-01T00:00:00.000Z")
    assert body["clientOrderId"] == "out"
    assert not body["wasLiquidated"]
    assert (amount(body["pnl"]) > 0) is wins
    assert body["pnl"] == position["realizedPnL"]
    gross, net = amount(body["grossSettlement"]), amount(body["netSettlement"])
    assert gross == amount(opened["marginPaid"]) + amount(body["pnl"])
    assert net == gross - amount(body["fee"]["amount"])
    assert amount(body["newBalance"]) == amount(opened["newBalance"]) + net
    assert (await ann.balance())["balance"] == body["newBalance"]
    assert amount(position["quantity"]) == amount(opened["position"]["quantity"])


async def test_a_close_needs_no_body(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()

    body = (await ann.ask("POST", "/api/markets/perps/BTC-PERP-1/close")).ok()

    assert body["position"]["status"] == "closed"
    assert body["clientOrderId"]


async def test_a_part_of_a_position_can_be_closed(venue: Running) -> None:
    ann = await venue.user("ann")
    opened = await ann.opened(size="5000")

    body = (await ann.close("BTC-PERP-1", percentage="0.25")).ok()

    fits(body, CLOSED)
    whole = amount(opened["position"]["quantity"])
    left = amount(body["position"]["quantity"])
    assert body["position"]["status"] == "open"
    assert 0 < whole - left <= whole / 4
    assert amount(body["marginReturned"]) < amount(opened["marginPaid"]) / 4 + 1
    assert [p["quantity"] for p in await ann.positions()] == [body["position"]["quantity"]]


@pytest.mark.parametrize("size", ['"1234.5"', "1234.5", "1234.500000", "12345e-1", '"1.2345E3"'])
async def test_a_number_may_come_as_text_or_literal_and_is_read_exactly(venue: Running, size: str) -> None:
    ann = await venue.user("ann")
    raw = f'{{"ticker":"BTC-PERP","side":"long","size":{size},"leverage":10}}'

    body = (await ann.post("/api/markets/perps/open", raw.encode())).ok(201)

    assert body["fill"]["notional"] == "1230.000076"


async def test_a_quote_says_what_an_open_would_do_and_changes_nothing(venue: Running) -> None:
    ann = await venue.user("ann")
    asked = {"ticker": "BTC-PERP", "side": "short", "size": "5000", "leverage": 10}

    async with venue.unchanged():
        quoted = (await ann.post("/api/markets/perps/quote", asked)).ok()

    fits(quoted, {"fill": FILL, "fee": FEE})
    opened = await ann.opened(size="5000", side="short")
    assert quoted["fill"] == opened["fill"]
    assert quoted["fee"] == opened["fee"]
    assert quoted["marginRequired"] == opened["marginPaid"]
    assert quoted["liquidationPrice"] == opened["position"]["liquidationPrice"]
    assert quoted["bankruptcyPrice"] == opened["position"]["bankruptcyPrice"]
    assert amount(quoted["totalRequired"]) == amount(opened["marginPaid"]) + amount(opened["fee"]["amount"])


async def test_an_administrator_opens_for_a_user_and_closes_for_him(venue: Running) -> None:
    ann = await venue.user("ann")

    opened = await venue.admin.opened(userId="ann")
    closed = (await venue.admin.close(opened["position"]["id"])).ok()

    assert opened["position"]["userId"] == closed["position"]["userId"] == "ann"
    assert (await ann.balance())["balance"] == closed["newBalance"]


async def test_who_has_an_answer_reads_what_it_says(venue: Running) -> None:
    ann = await venue.user("ann")

    for _ in range(20):
        opened = await ann.opened(size="20")
        balance = await ann.balance()
        assert balance["balance"] == opened["newBalance"]
        assert balance["offset"] >= opened["offset"]
        assert opened["position"]["id"] in [position["id"] for position in await ann.positions()]


@pytest.mark.parametrize(
    ("share", "closed"),
    [("0.3333333333333333", "0.0066"), ("0.99999999999", "0.0198"), (0.5, "0.0099"), ("0.000000001", "0.0001")],
)
async def test_a_share_is_rounded_down_to_whole_lots(venue: Running, share: object, closed: str) -> None:
    ann = await venue.user("ann")
    opened = await ann.opened(size="1000")
    assert opened["fill"]["quantity"] == "0.0199"

    body = (await ann.close("BTC-PERP-1", percentage=share)).ok()

    assert body["fill"]["quantity"] == closed


@pytest.mark.parametrize(("share", "hint"), [("50", "For 50 % send 0.5."), ("33.5", "For 33.5 % send 0.335.")])
async def test_a_share_in_per_cent_gets_a_hint(venue: Running, share: str, hint: str) -> None:
    ann = await venue.user("ann")
    await ann.opened()

    answer = await ann.close("BTC-PERP-1", percentage=share)

    assert answer.refused(400, "validation_error") == {"field": "percentage"}
    assert hint in answer.error()["message"]


@pytest.mark.parametrize("named", ["BTC", "BTC-USD"])
async def test_a_market_that_is_not_there_names_the_one_that_was_meant(venue: Running, named: str) -> None:
    ann = await venue.user("ann")

    for answer in (await ann.open(named), await ann.get(f"/api/markets/perps/{named}")):
        assert answer.refused(404, "market_not_found") == {"ticker": named, "didYouMean": "BTC-PERP"}
        assert "Did you mean BTC-PERP?" in answer.error()["message"]
