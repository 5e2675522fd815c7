"""One client order id, one row: the same answer for ever, to whoever asks again."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from actors.answers import Answers
from tests.web.conftest import Starter
from tests.web.venue import Answer, Backend, Client, Json, OnMemory, Running
from web.compose import Limits

OPEN = "/api/markets/perps/open"
ORDER = {"ticker": "BTC-PERP", "side": "long", "size": "1000", "leverage": 10, "clientOrderId": "order-1"}
CLOSE = "/api/markets/perps/BTC-PERP-1/close"
PART = {"percentage": "0.5", "clientOrderId": "close-1"}
ORDERS = "/api/orders"
DEPOSIT, WITHDRAW = "/api/admin/users/ann/deposit", "/api/admin/users/ann/withdraw"
MONEY = {"amount": "12.34", "clientOrderId": "money-1"}


def _is_replay(answer: Answer, first: Answer) -> None:
    assert answer.headers["Idempotent-Replay"] == "true"
    assert (answer.status, answer.body) == (first.status, first.body)
    assert answer.headers["X-Request-Id"] != first.headers["X-Request-Id"]


async def _each_once(venue: Running) -> list[tuple[Client, str, Json]]:
    """Every kind of command with an id, in an order in which each can be done."""
    ann = await venue.user("ann")
    exits = {"positionId": "BTC-PERP-1", "percentage": "0.5"}
    return [
        (ann, OPEN, ORDER),
        (ann, CLOSE, PART),
        (venue.admin, DEPOSIT, MONEY),
        (venue.admin, WITHDRAW, {**MONEY, "clientOrderId": "money-2"}),
        (ann, "/api/markets/perps/BTC-PERP-1/margin", {"amount": "5", "clientOrderId": "margin-1"}),
        (ann, "/api/markets/perps/BTC-PERP-1/triggers", {"takeProfit": "70000", "clientOrderId": "triggers-1"}),
        (ann, ORDERS, {**ORDER, "type": "limit", "price": "30000", "clientOrderId": "limit-1"}),
        (ann, ORDERS, {**ORDER, "type": "stop", "price": "70000", "clientOrderId": "stop-1"}),
        (ann, ORDERS, {**exits, "type": "take_profit", "price": "70000", "clientOrderId": "exit-1"}),
        (ann, ORDERS, {**exits, "type": "trailing_stop", "callback": "0.3", "clientOrderId": "trailing-1"}),
        (ann, ORDERS, {**ORDER, "type": "twap", "slices": 2, "intervalMs": 86_400_000, "clientOrderId": "twap-1"}),
        (ann, "/api/markets/perps/trade", {**ORDER, "clientOrderId": "trade-1"}),
    ]


async def test_the_same_again_gets_the_same_answer_byte_for_byte(venue: Running) -> None:
    for client, path, body in await _each_once(venue):
        first = await client.post(path, body)
        first.ok(first.status)
        assert "Idempotent-Replay" not in first.headers
        await venue.price("49000")
        async with venue.unchanged():
            for _ in range(3):
                _is_replay(await client.post(path, body), first)


async def test_the_same_in_other_words_is_the_same(venue: Running) -> None:
    ann = await venue.user("ann")
    first = await ann.post(OPEN, ORDER)

    for other in (
        b'{"clientOrderId":"order-1","leverage":10,"size":1000.00,"side":"long","ticker":"BTC-PERP"}',
        b'{ "ticker": "BTC-PERP", "side": "long", "size": "1e3", "leverage": 10, "clientOrderId": "order-1" }',
        b'{"ticker":"BTC-PERP","side":"long","size":"1000","leverage":10,"clientOrderId":"order-1","userId":"ann"}',
    ):
        _is_replay(await ann.post(OPEN, other), first)


@pytest.mark.parametrize(
    "change",
    [{"size": "1000.01"}, {"side": "short"}, {"leverage": 11}, {"acceptablePrice": "99999"}, {"maxSlippageBps": 5}],
)
async def test_another_open_under_the_same_id_is_refused(venue: Running, change: Json) -> None:
    ann = await venue.user("ann")
    await ann.post(OPEN, ORDER)

    async with venue.unchanged():
        details = (await ann.post(OPEN, {**ORDER, **change})).refused(409, "client_order_id_reused")

    assert details == {"clientOrderId": "order-1"}


async def test_another_command_under_the_same_id_is_refused(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.post(OPEN, ORDER)
    used = {"clientOrderId": "order-1"}

    async with venue.unchanged():
        (await ann.post(CLOSE, used)).refused(409, "client_order_id_reused")
        (await venue.admin.post(DEPOSIT, {"amount": "1", **used})).refused(409, "client_order_id_reused")
        (await venue.admin.post(WITHDRAW, {"amount": "1", **used})).refused(409, "client_order_id_reused")


async def test_another_user_may_use_the_same_id(venue: Running) -> None:
    ann, bob = await venue.user("ann"), await venue.user("bob")

    answers = [await client.post(OPEN, ORDER) for client in (ann, bob)]

    assert [answer.ok(201)["position"]["userId"] for answer in answers] == ["ann", "bob"]
    assert not any("Idempotent-Replay" in answer.headers for answer in answers)


async def test_a_user_and_the_administrator_acting_for_him_share_his_ids(venue: Running) -> None:
    ann = await venue.user("ann")
    first = await ann.post(OPEN, ORDER)

    _is_replay(await venue.admin.post(OPEN, {**ORDER, "userId": "ann"}), first)


async def test_an_administrators_own_ids_are_nobody_elses(venue: Running) -> None:
    ann, other = await venue.user("ann"), await venue.user("@admin")
    await ann.opened()
    await ann.opened()
    await other.opened()
    (await venue.admin.close("BTC-PERP-1", clientOrderId="x")).ok()

    for client, position in ((ann, "BTC-PERP-2"), (other, "BTC-PERP-3")):
        answer = await client.close(position, clientOrderId="x")
        answer.ok()
        assert "Idempotent-Replay" not in answer.headers


async def test_fifty_at_once_are_one_row(venue: Running) -> None:
    for client, path, body in await _each_once(venue):
        before = (await venue.admin.get("/api/admin/stats")).ok()["offset"]

        answers = await asyncio.gather(*(client.post(path, body) for _ in range(50)))

        fresh = [answer for answer in answers if "Idempotent-Replay" not in answer.headers]
        assert len(fresh) == 1, [answer.status for answer in answers]
        for answer in answers:
            assert (answer.status, answer.body) == (fresh[0].status, fresh[0].body)
        assert fresh[0].json["offset"] == before + 1
        assert (await venue.admin.get("/api/admin/stats")).ok()["offset"] == before + 1


async def test_of_two_bodies_at_once_under_one_id_one_is_done(venue: Running) -> None:
    ann = await venue.user("ann")
    bodies = [{**ORDER, "leverage": 1 + n % 2} for n in range(20)]

    answers = await asyncio.gather(*(ann.post(OPEN, body) for body in bodies))

    done = {answer.body for answer in answers if answer.status == 201}
    refused = [answer.refused(409, "client_order_id_reused") for answer in answers if answer.status != 201]
    assert (len(done), len(refused)) == (1, 10)
    assert len(await ann.positions()) == 1


async def test_a_refused_id_is_free_again(venue: Running) -> None:
    ann = await venue.user("ann", "1")
    for _ in range(3):
        (await ann.post(OPEN, ORDER)).refused(422, "insufficient_funds")
    (await venue.admin.post(DEPOSIT, {"amount": "1000"})).ok()

    answer = await ann.post(OPEN, {**ORDER, "leverage": 20})

    answer.ok(201)
    assert "Idempotent-Replay" not in answer.headers


async def test_without_an_id_every_request_is_its_own(venue: Running) -> None:
    ann = await venue.user("ann")
    order = {name: value for name, value in ORDER.items() if name != "clientOrderId"}

    answers = [(await ann.post(OPEN, order)).ok(201) for _ in range(2)]

    assert len({answer["clientOrderId"] for answer in answers}) == 2
    made = {**order, "clientOrderId": answers[0]["clientOrderId"]}
    assert (await ann.post(OPEN, made)).headers["Idempotent-Replay"] == "true"


@pytest.mark.parametrize("order_id", ["x", "x" * 64, "a b", "{}", "'; drop table journal; --", "%00", "~!@#$%^&*()"])
async def test_an_id_may_be_any_printable_text(starter: Starter, backend: Backend, order_id: str) -> None:
    venue = await starter(backend)
    await venue.market()
    ann = await venue.user("ann")

    first = await ann.post(OPEN, {**ORDER, "clientOrderId": order_id})

    assert first.ok(201)["clientOrderId"] == order_id
    _is_replay(await ann.post(OPEN, {**ORDER, "clientOrderId": order_id}), first)


async def test_a_restart_forgets_no_answer(starter: Starter, backend: Backend) -> None:
    venue = await starter(backend)
    await venue.market()
    commands = await _each_once(venue)
    firsts = [await client.post(path, body) for client, path, body in commands]

    again = await starter.restart(venue)
    url = again.url
    async with again.unchanged():
        for (client, path, body), first in zip(commands, firsts, strict=True):
            client.url = url
            _is_replay(await client.post(path, body), first)
            (await client.post(path, {**body, "clientOrderId": body["clientOrderId"], **_other(body)})).refused(
                409, "client_order_id_reused"
            )


async def test_an_answer_that_memory_has_forgotten_comes_from_the_journal(
    starter: Starter, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.recovery.Answers", partial(Answers, recent_max=1))
    venue = await starter(backend, limits=Limits(rows_kept=1))
    await venue.market()
    commands = await _each_once(venue)
    firsts = [await client.post(path, body) for client, path, body in commands]
    for _ in range(3):
        await venue.client("ann").opened(size="20")

    async with venue.unchanged():
        for (client, path, body), first in zip(commands, firsts, strict=True):
            answers = await asyncio.gather(*(client.post(path, body) for _ in range(5)))
            for answer in answers:
                _is_replay(answer, first)
            (await client.post(path, {**body, **_other(body)})).refused(409, "client_order_id_reused")
    never = await venue.client("ann").post(OPEN, {**ORDER, "clientOrderId": "never-used"})
    never.ok(201)
    assert "Idempotent-Replay" not in never.headers


async def test_the_journal_holds_one_row_for_each_id(starter: Starter) -> None:
    backend = OnMemory()
    venue = await starter(backend)
    await venue.market()
    sent = await _each_once(venue)
    for client, path, body in sent:
        await asyncio.gather(*(client.post(path, body) for _ in range(10)))

    ids = [(row.user_id, row.client_order_id) for row in backend.store.journal if row.client_order_id is not None]

    assert sorted(ids) == sorted(("ann", body["clientOrderId"]) for _, _, body in sent)


def _other(body: Json) -> Json:
    """A change that makes a body another one."""
    if "size" in body:
        return {"size": "999"}
    if "takeProfit" in body:
        return {"takeProfit": "71000"}
    return {"percentage": "0.4"} if "percentage" in body else {"amount": "1"}
