"""Users: a user's own data, for that user and for administrators; and what administrators do with users."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from perps.commands import CreateUser, Deposit, Withdraw
from perps.market.position import Position, split_position_id
from perps.money.accounts import user_account
from perps.query_rows import PositionRecord
from perps.units import Micros
from perps.wire import history, trading
from perps.wire import users as wire
from perps.wire.base import Answer
from perps.wire.history import UserTrades
from perps.wire.lists import LIMIT_MAX, Page
from perps.wire.operation import NoQuery
from perps.wire.trading import Perpetuals, Positions, PositionsQuery, PositionStats
from perps.wire.users import ME, AmountBody, Balance, Transactions, UserBody, UserCreated, Users
from web.answers import decimals
from web.answers import positions as position_answers
from web.answers import users as user_answers
from web.answers.errors import invalid
from web.answers.times import rfc3339
from web.answers.trades import user_trade
from web.api.bodies.units import money_from_zero, positive_money
from web.api.call import Call, Reply, Route, replayable
from web.api.paging import before, next_cursor
from web.readside.model import ReadModel


async def balance(call: Call[None, NoQuery]) -> Balance:
    """Wallet, margin and lifetime sums."""
    return user_answers.balance(call.context.model, _existing(call))


async def positions(call: Call[None, PositionsQuery]) -> Positions:
    """Positions, newest first: the first page of open ones from memory, the others from the query tables."""
    context, query, user = call.context, call.query, _existing(call)
    model, cursor = context.model, None
    page = _in_memory(model, user, query)
    if page is not None:
        found, cursor = page
        valued = [position_answers.valued(position, model.markets[name].market) for name, position in found]
    else:
        async with call.looking_up():
            records = await context.queries.positions(
                user, status=query.status, ticker=query.ticker, before=before(query), limit=query.limit
            )
        _remember_opened(model, user, records)
        valued = [position_answers.recorded(record, model.markets[record.ticker].market) for record in records]
        if len(records) == query.limit:
            cursor = _cursor(*records[-1].place)
    stats = PositionStats(
        total_positions=len(valued),
        total_pnl=decimals.money(sum(item.pnl for item in valued)),
        total_funding=decimals.money(sum(item.funding for item in valued)),
    )
    return Positions(
        perpetuals=Perpetuals(positions=[item.shown for item in valued], stats=stats),
        timestamp=rfc3339(context.clock.now_ms()),
        offset=model.offset,
        next_cursor=cursor,
    )


async def transactions(call: Call[None, Page]) -> Transactions:
    """Movements of the wallet, newest first."""
    query, user = call.query, _existing(call)
    async with call.looking_up():
        records = await call.context.queries.transactions(user, before=before(query), limit=query.limit)
    account = user_account(user)
    shown = [user_answers.transaction(record, account) for record in records]
    return Transactions(transactions=shown, next_cursor=next_cursor(records, query.limit))


async def trades(call: Call[None, Page]) -> UserTrades:
    """The user's own trades, newest first."""
    query, user = call.query, _existing(call)
    async with call.looking_up():
        records = await call.context.queries.fills(user=user, before=before(query), limit=query.limit)
    markets = call.context.model.markets
    shown = [user_trade(record, markets[record.ticker].market.params) for record in records]
    return UserTrades(trades=shown, next_cursor=next_cursor(records, query.limit))


def creation(call: Call[UserBody, NoQuery]) -> CreateUser:
    """What a new user asks for."""
    asked = call.body
    if asked.user_id == ME:
        raise invalid("No user can be called 'me': in a path it is the user of the key.", field="userId")
    first = Micros(0) if asked.deposit is None else money_from_zero(asked.deposit, "deposit")
    return CreateUser(user=asked.user_id, deposit=first, referrer=asked.referrer)


async def create_user(call: Call[UserBody, NoQuery], asked: CreateUser) -> UserCreated:
    """Create a user, with a first deposit and a referrer if wanted."""
    answer = await call.do(asked)
    return user_answers.created(call.context.model, asked.user, answer.entry.row.offset)


async def list_users(call: Call[None, Page]) -> Users:
    """Every user with what they have, the newest first."""
    model, count, after = call.context.model, call.query.limit, before(call.query)
    users = model.users
    left = len(users) if after is None else min(after[0], len(users))
    names = list(islice(reversed(users), len(users) - left, len(users) - left + count))
    return Users(
        users=[user_answers.user(model, name) for name in names],
        offset=model.offset,
        next_cursor=f"{left - count}-0" if left > count else None,
    )


def depositing(call: Call[AmountBody, NoQuery]) -> Deposit:
    """What money in asks for."""
    return Deposit(user=call.path["userId"], amount=positive_money(call.body.amount, "amount"))


def withdrawing(call: Call[AmountBody, NoQuery]) -> Withdraw:
    """What money out asks for."""
    return Withdraw(user=call.path["userId"], amount=positive_money(call.body.amount, "amount"))


async def move(call: Call[AmountBody, NoQuery], asked: Deposit | Withdraw) -> Answer | Reply:
    """Money enters a wallet, or leaves it if the wallet has it."""
    answer = await call.do(asked, call.body.client_order_id)
    return replayable(user_answers.paid(answer.entry, asked.user, asked.amount), answer)


def _in_memory(
    model: ReadModel, user: str, query: PositionsQuery
) -> tuple[list[tuple[str, Position]], str | None] | None:
    """The first page of open positions and the cursor of the next; None when memory cannot say it.

    It looks at ``LIMIT_MAX`` positions more than the page has at most, however many the user holds.
    """
    if query.status != "open" or query.cursor:
        return None
    newest = islice(model.open_positions(user), query.limit + LIMIT_MAX)
    found = list(islice((item for item in newest if query.ticker in (None, item[0])), query.limit + 1))
    if len(found) <= query.limit:
        return (found, None) if len(model.users[user].positions) <= query.limit + LIMIT_MAX else None
    page = found[: query.limit]
    ticker, last = page[-1]
    offset = model.users[user].opened.get((ticker, last.number))
    return None if offset is None else (page, _cursor(offset, last.number))


def _cursor(opened_offset: int, number: int) -> str:
    """Of the page behind a position: one row can open several, so its number belongs to it."""
    return f"{opened_offset}-{number}"


def _remember_opened(model: ReadModel, user: str, records: Sequence[PositionRecord]) -> None:
    """Keep which rows opened positions that are still open: the next one who asks for this page gets it from memory."""
    view = model.users[user]
    for record in records:
        parts = split_position_id(record.id)
        if parts in view.positions:
            view.opened[parts] = record.opened_offset


def _existing(call: Call[None, Any]) -> str:
    """The user in the path, who must exist."""
    user = call.path["userId"]
    call.context.user(user)
    return user


ROUTES = (
    Route(wire.BALANCE, balance),
    Route(trading.POSITIONS, positions),
    Route(wire.TRANSACTIONS, transactions),
    Route(history.USER_TRADES, trades),
    Route(wire.CREATE_USER, create_user, creation),
    Route(wire.LIST_USERS, list_users),
    Route(wire.DEPOSIT, move, depositing),
    Route(wire.WITHDRAW, move, withdrawing),
)
