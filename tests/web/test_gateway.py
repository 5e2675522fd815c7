"""The gateway: one answer for a principal, a command and an id, whatever protocol asks. No HTTP here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from typing import Any, get_args

import pytest
from msgspec.structs import replace

from actors.messages import Failure, FailureKind
from perps.commands import (
    CancelOrder,
    CancelOrders,
    ChangeMargin,
    ClosePosition,
    Command,
    CreateUser,
    Deposit,
    FundMarket,
    HouseAccount,
    ListMarket,
    ObserveTime,
    OpenPosition,
    OrderKind,
    PlaceExit,
    PlaceOrder,
    PlaceTwap,
    ReplaceOrder,
    SetCancelTimer,
    SetMode,
    SettleMarket,
    SetTriggers,
    Side,
    TradeNet,
    UpdateMarket,
    UpdatePrice,
    Withdraw,
)
from perps.params import Mode, ParamChanges
from perps.refusals import RejectCode, Rejected
from perps.units import Micros, Millis, Ppb, Ticks
from tests.actors.venue import FixedClock, Running, close, listing, open_long, running, set_price
from tests.support.memory import MemoryQueries
from tests.web.asked import Asked, Nothing
from web.answers.errors import RequestError
from web.auth import ADMIN_SENDER, SCOPES, Principal
from web.gateway import Done, Gateway, _sender, in_name_of
from web.limits.shares import ReadShares
from web.metrics import Metrics
from web.readside.model import ReadModel

BTC = "BTC-PERP"
ANN = Principal("key-ann", "ann", frozenset(("read", "trade")))
BOB = Principal("key-bob", "bob", frozenset(("trade",)))
ADMIN = Principal("admin", None, frozenset(SCOPES))
ANN_THE_ADMIN = Principal("key-boss", "ann", frozenset(("admin",)))
FEED = Principal("key-feed", None, frozenset(("price",)))
UNBOUND = Principal("key-unbound", None, frozenset(("trade",)))

COMMANDS: dict[type, Command] = {
    OpenPosition: open_long(BTC, "ann"),
    ClosePosition: close(BTC, "ann", 1),
    ChangeMargin: ChangeMargin(ticker=BTC, user="ann", position_id="BTC-PERP-1", amount=Micros(1)),
    SetTriggers: SetTriggers(ticker=BTC, user="ann", position_id=f"{BTC}-1", take_profit=None, stop_loss=None),
    UpdatePrice: set_price(BTC, 101),
    ListMarket: listing("NEW"),
    SetMode: SetMode(ticker=BTC, mode=Mode.HALTED),
    PlaceTwap: PlaceTwap(
        ticker=BTC, user="ann", side=Side.LONG, size=Micros(10**8), leverage=2, slices=2, interval=Millis(1_000)
    ),
    PlaceOrder: PlaceOrder(
        ticker=BTC,
        user="ann",
        order=OrderKind.LIMIT,
        side=Side.LONG,
        size=Micros(10**8),
        leverage=2,
        price=Ticks(90),
    ),
    ReplaceOrder: ReplaceOrder(
        ticker=BTC, user="ann", order_id=f"{BTC}-o1", size=Micros(10**8), leverage=2, price=Ticks(90)
    ),
    PlaceExit: PlaceExit(
        ticker=BTC,
        user="ann",
        order=OrderKind.STOP,
        position_id=f"{BTC}-1",
        share=Ppb(10**9),
        price=Ticks(90),
    ),
    CancelOrder: CancelOrder(ticker=BTC, user="ann", order_id=f"{BTC}-o1"),
    CancelOrders: CancelOrders(ticker=BTC, user="ann"),
    SetCancelTimer: SetCancelTimer(ticker=BTC, user="ann", after_ms=60_000),
    TradeNet: TradeNet(ticker=BTC, user="ann", side=Side.LONG, size=Micros(10**8), leverage=2),
    FundMarket: FundMarket(ticker=BTC, account=HouseAccount.HOUSE, amount=Micros(1)),
    UpdateMarket: UpdateMarket(ticker=BTC, changes=ParamChanges(max_leverage=50)),
    SettleMarket: SettleMarket(ticker=BTC),
    ObserveTime: ObserveTime(ticker=BTC),
    CreateUser: CreateUser(user="cid"),
    Deposit: Deposit(user="ann", amount=Micros(1)),
    Withdraw: Withdraw(user="ann", amount=Micros(1)),
}


BUSY = Failure(FailureKind.OVERLOADED, "busy")


def _without_core(core: Asked) -> Gateway:
    return Gateway(core, ReadModel(), Nothing(), ReadShares(), Metrics(), FixedClock())


def _of(venue: Running, **other: Any) -> Gateway:
    """A gateway to a core; ``other`` replaces what it has."""
    parts: dict[str, Any] = {
        "core": venue.host.bridge,
        "model": venue.model,
        "stored": MemoryQueries(venue.store),
        "read_shares": ReadShares(),
        "metrics": venue.metrics,
        "clock": venue.clock,
    }
    return Gateway(**parts | other)


@pytest.fixture
async def venue() -> AsyncIterator[Running]:
    """A core with a market and two users."""
    async with running() as core:
        await core.list_market(BTC)
        await core.add_user("ann")
        await core.add_user("bob")
        yield core


TRACES = (f"trace-{number}" for number in count())


async def _done(gateway: Gateway, principal: Principal, command: Command, order_id: str | None = None) -> Done:
    answer = await gateway.send(principal, command, order_id, trace_id=next(TRACES))
    assert isinstance(answer, Done), answer
    return answer


async def _refused(gateway: Gateway, principal: Principal, command: Command, order_id: str | None = None) -> Rejected:
    answer = await gateway.send(principal, command, order_id, trace_id=next(TRACES))
    assert isinstance(answer, Rejected), answer
    return answer


def test_every_command_has_an_example_here() -> None:
    assert set(COMMANDS) == set(get_args(Command))


async def test_a_command_that_is_done_comes_with_its_row(venue: Running) -> None:
    done = await _done(_of(venue), ANN, open_long(BTC, ""))

    assert (done.entry.row.kind, done.entry.row.user_id, done.repeated) == ("open", "ann", False)
    assert venue.model.offset == done.entry.row.offset


async def test_a_price_says_how_many_it_liquidated(venue: Running) -> None:
    gateway = _of(venue)
    for principal in (ANN, BOB):
        await _done(gateway, principal, open_long(BTC, "", dollars=1000, leverage=100))

    done = await _done(gateway, FEED, set_price(BTC, 50))

    assert done.liquidations == 2
    assert done.entry.row.client_order_id is None


@pytest.mark.parametrize("remembers", [True, False], ids=["from memory", "from the journal"])
async def test_a_repeated_id_gets_the_stored_row(venue: Running, remembers: bool) -> None:
    gateway = _of(venue) if remembers else _of(venue, model=ReadModel())
    first = await _done(gateway, ANN, open_long(BTC, ""), "once")

    again = await _done(gateway, ANN, open_long(BTC, ""), "once")

    assert (first.repeated, again.repeated) == (False, True)
    assert (again.entry.row, again.entry.events) == (first.entry.row, first.entry.events)


async def test_fifty_at_once_under_one_id_are_one_row(venue: Running) -> None:
    gateway = _of(venue)

    answers = await asyncio.gather(*(_done(gateway, ANN, open_long(BTC, ""), "once") for _ in range(50)))

    assert sorted(answer.repeated for answer in answers) == [False] + [True] * 49
    assert len({answer.entry.row.offset for answer in answers}) == 1


async def test_another_command_under_the_same_id_is_refused(venue: Running) -> None:
    gateway = _of(venue)
    await _done(gateway, ANN, open_long(BTC, ""), "once")

    assert (await _refused(gateway, ANN, open_long(BTC, "", dollars=50), "once")).code == (
        RejectCode.CLIENT_ORDER_ID_REUSED
    )


async def test_an_answer_that_has_been_archived_is_refused_and_says_which(venue: Running) -> None:
    gateway = _of(venue, model=ReadModel(), stored=Nothing())
    first = await _done(gateway, ANN, open_long(BTC, ""), "once")

    with pytest.raises(RequestError) as refused:
        await gateway.send(ANN, open_long(BTC, ""), "once", trace_id="t")

    assert (refused.value.code, refused.value.details) == (
        "client_order_id_reused",
        {"offset": first.entry.row.offset},
    )


async def test_look_ups_of_old_answers_are_a_share_of_the_principals(
    venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.limits.shares.LOOK_UPS_MAX", 0)
    gateway = _of(venue, model=ReadModel(), read_shares=ReadShares())
    await _done(gateway, ANN, open_long(BTC, ""), "once")

    with pytest.raises(RequestError) as refused:
        await gateway.send(ANN, open_long(BTC, ""), "once", trace_id="t")

    assert refused.value.code == "rate_limited"


async def test_an_administrators_order_for_a_user_lives_under_the_users_ids(venue: Running) -> None:
    gateway = _of(venue)
    await _done(gateway, ADMIN, open_long(BTC, "ann"), "once")

    assert (await _done(gateway, ANN, open_long(BTC, ""), "once")).repeated


@pytest.mark.parametrize("kind", COMMANDS)
@pytest.mark.parametrize("scope", SCOPES)
async def test_a_key_without_the_commands_scope_gets_nothing_done(kind: Any, scope: str) -> None:
    core, command = Asked(BUSY), COMMANDS[kind]
    principal = Principal("key", "ann", frozenset((scope,)))
    if scope in (kind.scope, "admin"):
        await _without_core(core).send(principal, command, trace_id="t")
        of_a_position = kind in (ClosePosition, ChangeMargin, SetTriggers, PlaceExit, ReplaceOrder, CancelOrder)
        assert len(core.commands) == (not of_a_position), "a venue without markets has no position and no order"
        return

    with pytest.raises(RequestError) as refused:
        await _without_core(core).send(principal, command, trace_id="t")

    assert (refused.value.code, refused.value.details) == ("forbidden", {"scope": kind.scope})
    assert core.commands == []


@pytest.mark.parametrize(
    ("kind", "sender"),
    [
        (OpenPosition, "ann"),
        (ClosePosition, ADMIN_SENDER),
        (ChangeMargin, "ann"),
        (SetTriggers, ADMIN_SENDER),
        (UpdatePrice, ADMIN_SENDER),
        (ListMarket, ADMIN_SENDER),
        (SetMode, ADMIN_SENDER),
        (PlaceOrder, "ann"),
        (PlaceTwap, "ann"),
        (PlaceExit, "ann"),
        (ReplaceOrder, "ann"),
        (CancelOrder, ADMIN_SENDER),
        (CancelOrders, "ann"),
        (SetCancelTimer, "ann"),
        (TradeNet, "ann"),
        (FundMarket, ADMIN_SENDER),
        (UpdateMarket, ADMIN_SENDER),
        (SettleMarket, ADMIN_SENDER),
        (ObserveTime, ADMIN_SENDER),
        (CreateUser, "cid"),
        (Deposit, "ann"),
        (Withdraw, "ann"),
    ],
)
def test_ids_belong_to_the_user_whose_wallet_moves_or_to_the_administrators(kind: type, sender: str) -> None:
    assert _sender(ADMIN, COMMANDS[kind]) == sender


@pytest.mark.parametrize("kind", COMMANDS)
async def test_a_command_that_must_not_be_done_twice_gets_an_id_of_its_own(venue: Running, kind: Any) -> None:
    core = Asked(BUSY)
    await venue.do(open_long(BTC, "ann"))
    await venue.do(COMMANDS[PlaceOrder])

    for order_id in (None, "mine"):
        await _of(venue, core=core).send(ADMIN, COMMANDS[kind], order_id, trace_id="t")

    own = "req-t" if kind.gets_id else None
    assert [(how["client_order_id"], how["fresh"]) for how in core.how] == [(own, True), ("mine", False)]
    assert {how["trace_id"] for how in core.how} == {"t"}


async def test_a_command_is_paid_by_who_sends_it_in_whosever_name() -> None:
    core = Asked(BUSY)
    gateway = _without_core(core)

    for principal in (ANN, ANN_THE_ADMIN, ADMIN):
        await gateway.send(principal, open_long(BTC, "ann"), trace_id="t")

    assert [how["payer"] for how in core.how] == ["ann", "ann", "!key:admin"]
    assert {how["sender"] for how in core.how} == {"ann"}


async def test_nobody_but_an_administrator_opens_for_another() -> None:
    core = Asked(BUSY)

    with pytest.raises(RequestError) as refused:
        await _without_core(core).send(ANN, open_long(BTC, "bob"), trace_id="t")

    assert (refused.value.code, refused.value.details) == ("forbidden", {"userId": "bob"})
    assert core.commands == []


@pytest.mark.parametrize("principal", [UNBOUND, ADMIN])
def test_a_key_of_no_user_must_name_whose_wallet_it_opens_with(principal: Principal) -> None:
    with pytest.raises(RequestError) as refused:
        in_name_of(principal, open_long(BTC, ""))

    assert (refused.value.code, refused.value.details) == ("validation_error", {"field": "userId"})


def test_who_claims_another_name_for_a_close_gets_his_own() -> None:
    claimed = replace(close(BTC, "bob", 1), any_owner=True)

    mine = in_name_of(ANN, claimed)

    assert (mine.user, mine.any_owner) == ("ann", False)
    assert (in_name_of(ADMIN, claimed).user, in_name_of(ADMIN, claimed).any_owner) == ("", True)


@pytest.mark.parametrize("state", ["open", "closed", "halted"])
async def test_a_position_of_somebody_else_is_forbidden_before_anything_else_is_said(
    venue: Running, state: str
) -> None:
    gateway = _of(venue)
    await _done(gateway, BOB, open_long(BTC, ""))
    if state == "closed":
        await _done(gateway, BOB, close(BTC, "", 1))
    if state == "halted":
        await _done(gateway, ADMIN, SetMode(ticker=BTC, mode=Mode.HALTED))

    for principal in (ANN, UNBOUND):
        refused = await _refused(gateway, principal, close(BTC, "bob", 1))
        assert (refused.code, dict(refused.facts)) == (RejectCode.FORBIDDEN, {"position": "BTC-PERP-1"})


async def test_a_closed_position_whose_owner_is_not_found_is_nobodys(venue: Running) -> None:
    gateway = _of(venue, stored=Nothing())
    await _done(gateway, BOB, open_long(BTC, ""))
    await _done(gateway, BOB, close(BTC, "", 1))

    for principal in (ANN, BOB, UNBOUND):
        assert (await _refused(gateway, principal, close(BTC, "", 1))).code == RejectCode.FORBIDDEN


async def test_an_administrator_closes_anybodys(venue: Running) -> None:
    gateway = _of(venue)
    await _done(gateway, BOB, open_long(BTC, ""))

    assert (await _done(gateway, ADMIN, close(BTC, "", 1))).entry.row.kind == "close"


@pytest.mark.parametrize("position", ["BTC-PERP-2", "BTC-PERP-0", "NO-SUCH-1", "nonsense", "BTC-PERP-" + "9" * 99])
@pytest.mark.parametrize("principal", [ANN, ADMIN])
async def test_a_position_that_never_was_is_not_found(venue: Running, principal: Principal, position: str) -> None:
    core = Asked(BUSY)
    await venue.do(open_long(BTC, "ann"))
    asked = replace(close(BTC, "", 1), position_id=position, ticker=position.rpartition("-")[0])

    refused = await _refused(_of(venue, core=core), principal, asked)

    assert (refused.code, dict(refused.facts)) == (RejectCode.POSITION_NOT_FOUND, {"position": position[:64]})
    assert core.commands == []


async def test_what_the_core_refuses_or_cannot_say_comes_as_it_is(venue: Running) -> None:
    refused = await _refused(_of(venue), ANN, open_long(BTC, "", leverage=1000))

    assert refused.code == RejectCode.LEVERAGE_TOO_HIGH
    assert await _without_core(Asked(BUSY)).send(ANN, open_long(BTC, ""), trace_id="t") is BUSY


async def test_the_time_of_a_command_is_counted_when_it_is_done_and_not_when_it_is_repeated(venue: Running) -> None:
    gateway = _of(venue)
    for order_id in ("one", "one", "two"):
        await _done(gateway, ANN, open_long(BTC, ""), order_id)
    await _refused(gateway, ANN, open_long(BTC, "", leverage=1000))

    assert venue.metrics.registry.get_sample_value("perps_command_seconds_count") == 2
