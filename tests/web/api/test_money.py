"""Money over HTTP: fees and referrals, statements that add up, liquidations, and a total that is always 0."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from tests.web.conftest import Starter
from tests.web.shapes import MONEY, POSITION, amount, fits
from tests.web.venue import Backend, Client, Json, Running


async def _statement(client: Client) -> list[Json]:
    """All of a user's transactions, oldest first, page by page."""
    found: list[Json] = []
    query = "limit=3"
    while True:
        page = (await client.get(f"/api/users/{client.user}/transactions?{query}")).ok()
        found += page["transactions"]
        if page["nextCursor"] is None:
            return found[::-1]
        query = f"limit=3&cursor={page['nextCursor']}"


async def _statement_adds_up(client: Client) -> None:
    """Every movement begins where the one before ended, and the last one ends at the balance."""
    balance = amount("0")
    for movement in await _statement(client):
        assert amount(movement["balanceBefore"]) == balance, movement
        balance += amount(movement["amount"])
        assert amount(movement["balanceAfter"]) == balance, movement
        assert balance >= 0
    assert balance == amount((await client.balance())["balance"])


async def _venue_adds_up(venue: Running) -> None:
    stats = (await venue.admin.get("/api/admin/stats")).ok()
    accounts = stats["accounts"]
    assert accounts["total"] == "0.00"
    inside = sum(amount(accounts[name]) for name in ("wallets", "margin", "house", "insurance", "fees"))
    assert inside == -amount(accounts["world"])
    assert amount(accounts["margin"]) == sum(amount(market["margin"]) for market in stats["markets"])


@pytest.mark.parametrize(("share", "part"), [("0.5", "0.5"), ("0", "0"), ("1", "1"), ("0.333333333", "0.333333333")])
async def test_a_fee_is_split_with_the_referrer_to_the_last_micro(venue: Running, share: str, part: str) -> None:
    await venue.market("SHARED", "50000", referralShare=share)
    eve = await venue.user("eve", "0")
    ann = await venue.user("ann", "10000", referrer="eve")

    opened = await ann.opened("SHARED", "5000")
    closed = (await ann.close("SHARED-1")).ok()

    earned = amount("0")
    for body, notional in ((opened, opened["fill"]["notional"]), (closed, closed["fill"]["notional"])):
        fee, platform, referrer = (amount(body["fee"][name]) for name in ("amount", "platformPaid", "referrerPaid"))
        assert platform + referrer == fee
        assert 0 <= fee - amount(notional) / 1000 < amount("0.000001")
        assert 0 <= fee * amount(part) - referrer < amount("0.000001")
        earned += referrer
    assert amount((await eve.balance())["balance"]) == earned
    assert (await ann.balance())["totalFees"] == str(sum(amount(body["fee"]["amount"]) for body in (opened, closed)))
    kinds = [movement["type"] for movement in await _statement(eve)]
    assert kinds == ["referral"] * (2 if earned else 0)
    for client in (ann, eve):
        await _statement_adds_up(client)
    await _venue_adds_up(venue)


async def test_without_a_referrer_the_platform_keeps_the_fee(venue: Running) -> None:
    ann = await venue.user("ann")

    fee = (await ann.opened())["fee"]

    assert (fee["platformPaid"], fee["referrerPaid"]) == (fee["amount"], "0.00")
    assert (await venue.admin.get("/api/admin/stats")).ok()["accounts"]["fees"] == fee["amount"]


async def test_a_referrals_leg_does_not_tell_the_referrer_who_paid(venue: Running) -> None:
    eve = await venue.user("eve")
    ann = await venue.user("ann", referrer="eve")
    await ann.opened()

    answer = await eve.get("/api/users/eve/transactions")

    assert [movement["type"] for movement in answer.ok()["transactions"]] == ["referral", "deposit"]
    assert b"user:ann" not in answer.body
    assert b'"ann"' not in answer.body


async def test_what_one_wins_the_house_loses(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened(size="5000")
    await venue.price("50500")
    closed = (await ann.close("BTC-PERP-1")).ok()

    accounts = (await venue.admin.get("/api/admin/stats")).ok()["accounts"]

    assert amount(accounts["house"]) == -amount(closed["pnl"]) < 0
    assert (await ann.balance())["lifetimePnL"] == closed["pnl"]
    await _venue_adds_up(venue)


async def test_a_price_liquidates_whom_it_must(venue: Running) -> None:
    ann, bob, carl = [await venue.user(name) for name in ("ann", "bob", "carl")]
    doomed = await ann.opened(size="5000", leverage=50)
    await bob.opened(size="5000", leverage=2)
    await carl.opened(size="5000", leverage=50, side="short")
    due = amount(doomed["position"]["liquidationPrice"])

    above = await venue.price(str(due + amount("0.01")))
    assert above["liquidations"] == 0
    body = await venue.price(str(due))

    assert body["liquidations"] == 1
    assert await ann.positions() == []
    (past,) = await ann.positions("closed")
    fits(past, {**POSITION, "realizedPnL": MONEY})
    assert (past["id"], past["status"], past["closedAt"]) == ("BTC-PERP-1", "liquidated", past["openedAt"])
    assert amount(past["realizedPnL"]) < 0
    assert [position["id"] for position in await bob.positions()] == ["BTC-PERP-2"]
    insurance = amount((await venue.admin.get("/api/admin/stats")).ok()["accounts"]["insurance"])
    public = (await venue.anybody.get("/api/markets/perps/BTC-PERP/liquidations")).ok()["liquidations"]
    private = (await ann.get("/api/users/ann/trades")).ok()["trades"]
    assert [(trade["kind"], trade["side"]) for trade in public] == [("liquidation", "long")]
    assert [trade["kind"] for trade in private] == ["liquidation", "open"]
    assert private[0]["id"] == public[0]["id"]
    assert amount(private[0]["fee"]["amount"]) == insurance > 0
    kinds = [movement["type"] for movement in await _statement(ann)]
    assert kinds == ["deposit", "margin", "fee", "margin_return", "liquidation_fee"]
    (await ann.close("BTC-PERP-1")).refused(409, "position_closed")
    await _statement_adds_up(ann)
    await _venue_adds_up(venue)


async def test_a_jump_past_bankruptcy_takes_the_margin_and_no_more(venue: Running) -> None:
    ann = await venue.user("ann", "1000")
    opened = await ann.opened(size="5000", leverage=50)

    assert (await venue.price("40000"))["liquidations"] == 1

    balance = await ann.balance()
    assert balance["balance"] == opened["newBalance"]
    assert balance["margin"] == "0.00"
    trades = (await ann.get("/api/users/ann/trades")).ok()["trades"]
    lost, bad_debt = amount(balance["lifetimePnL"]), sum(amount(trade["badDebt"]) for trade in trades)
    assert bad_debt > 0
    assert amount(balance["balance"]) == amount(balance["totalDeposited"]) + lost + bad_debt - amount(
        balance["totalFees"]
    )
    await _statement_adds_up(ann)
    await _venue_adds_up(venue)


async def test_more_liquidations_than_a_row_holds_are_all_counted(venue: Running) -> None:
    ann = await venue.user("ann", "100000")
    await asyncio.gather(*(ann.opened(size="20", leverage=50) for _ in range(300)))

    body = await venue.price("40000")

    assert body["liquidations"] == 300
    assert await ann.positions() == []
    found: list[Json] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await venue.anybody.get(f"/api/markets/perps/BTC-PERP/liquidations?limit=200{cursor}")).ok()
        found += page["liquidations"]
        cursor = page["nextCursor"] and f"&cursor={page['nextCursor']}"
    assert len({trade["id"] for trade in found}) == len(found) == 300
    await _venue_adds_up(venue)


async def test_a_wallet_is_never_overdrawn_by_orders_at_once(venue: Running) -> None:
    ann = await venue.user("ann", "1000")

    orders = [ann.open(size="990", leverage=2) for _ in range(10)]
    takes = [venue.admin.post("/api/admin/users/ann/withdraw", {"amount": "300"}) for _ in range(5)]
    answers = await asyncio.gather(*orders, *takes)

    for answer in answers:
        if answer.status >= 400:
            answer.refused(422, "insufficient_funds")
    assert amount((await ann.balance())["balance"]) >= 0
    await _statement_adds_up(ann)
    await _venue_adds_up(venue)


@pytest.mark.parametrize("seed", [1, 2])
async def test_random_trading_leaves_every_book_in_order(starter: Starter, backend: Backend, seed: int) -> None:
    venue = await starter(backend)
    await venue.market()
    await venue.market("ETH-PERP", "3000", takerFee="0.0008", referralShare="0.25")
    random, names = Random(seed), ["ann", "bob", "carl", "dora"]
    for name, referrer in zip(names, [None, "ann", "bob", "bob"], strict=True):
        await venue.user(name, "5000", referrer)
    prices = {"BTC-PERP": 50000.0, "ETH-PERP": 3000.0}

    async def trade(name: str) -> None:
        client = venue.client(name)
        ticker = random.choice(list(prices))
        mine = await client.positions()
        if mine and random.random() < 0.4:
            share = random.choice(["1", "0.5", f"0.{random.randrange(1, 10**9):09d}"])
            await client.close(random.choice(mine)["id"], percentage=share)
        else:
            side, leverage = random.choice(["long", "short"]), random.choice([1, 5, 20, 90])
            await client.open(
                ticker, f"{random.randrange(10, 20000)}.{random.randrange(100)}", side=side, leverage=leverage
            )

    for _ in range(12):
        await asyncio.gather(*(trade(random.choice(names)) for _ in range(6)))
        ticker = random.choice(list(prices))
        prices[ticker] *= random.uniform(0.97, 1.03)
        await venue.price(f"{prices[ticker]:.2f}", ticker)
        who, amount_ = random.choice(names), f"{random.randrange(1, 500)}.5"
        await venue.admin.post(f"/api/admin/users/{who}/{random.choice(['deposit', 'withdraw'])}", {"amount": amount_})

    await _venue_adds_up(venue)
    for name in names:
        client = venue.client(name)
        await _statement_adds_up(client)
        balance, mine = await client.balance(), await client.positions()
        assert amount(balance["margin"]) == sum(amount(position["margin"]) for position in mine)
        trades = (await client.get(f"/api/users/{name}/trades?limit=500")).ok()["trades"]
        assert amount(balance["lifetimePnL"]) == sum(amount(trade_["realizedPnL"]) for trade_ in trades)
        assert amount(balance["totalFees"]) == sum(amount(trade_["fee"]["amount"]) for trade_ in trades)
    before = await venue.footprint()
    again = await starter.restart(venue)
    after = await again.footprint()
    before["stats"]["epoch"] = after["stats"]["epoch"]
    assert after == before
