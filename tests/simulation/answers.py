"""Whether an answer says what its command asked for, and whether a refusal may leave yet."""

from __future__ import annotations

from perps.commands import (
    ClosePosition,
    Command,
    CreateUser,
    Deposit,
    FundMarket,
    ListMarket,
    OpenPosition,
    SetMode,
    Side,
    UpdatePrice,
    Withdraw,
)
from perps.events import (
    Deposited,
    Event,
    HouseFunded,
    MarketListed,
    ModeChanged,
    PositionOpened,
    PositionReduced,
    PriceUpdated,
    UserCreated,
    Withdrawn,
)
from perps.market.position import position_id, split_position_id
from perps.refusals import RejectCode, Rejected
from perps.venue import VenueState

LASTING = frozenset(RejectCode) - {RejectCode.CLIENT_ORDER_ID_REUSED, RejectCode.MARKET_NOT_FOUND}
"""Refusals that were decided after the client's id was found free: earlier attempts under it never were."""


def answers(command: Command, stream: str, event: Event) -> bool:
    """Whether ``event``, a row's own of ``stream``, is what ``command`` asked for."""
    match command, event:
        case OpenPosition(), PositionOpened(position=position, fill=fill):
            side = Side.LONG if position.lots > 0 else Side.SHORT
            asked = (command.ticker, command.user, command.side, command.leverage)
            return asked == (stream, position.user, side, position.leverage) and abs(fill.cost) <= command.size
        case ClosePosition(), PositionReduced(position=position):
            asked_for = (command.position_id, command.user)
            return asked_for == (position_id(stream, position.number), position.user)
        case UpdatePrice(), PriceUpdated(price=price):
            wanted = price if command.change is not None else command.price
            return (command.ticker, wanted, command.sequence) == (stream, price, event.sequence)
        case ListMarket(), MarketListed(params=params):
            return command.params == params
        case SetMode(), ModeChanged(mode=mode):
            return (command.ticker, command.mode) == (stream, mode)
        case FundMarket(), HouseFunded(account=account, amount=amount):
            return (command.ticker, command.account, command.amount) == (stream, account, amount)
        case CreateUser(), UserCreated(user=user):
            return (command.user, command.referrer) == (user, event.referrer)
        case Deposit(), Deposited(user=user, amount=amount):
            return (command.user, command.amount) == (user, amount)
        case Withdraw(), Withdrawn(user=user, amount=amount):
            return (command.user, command.amount) == (user, amount)
        case _:
            return False


def unfounded(refusal: Rejected, command: Command, state: VenueState) -> str | None:
    """Why a refusal must not have left: it rests on a row that is not durable. None when it may."""
    match refusal.code, command:
        case RejectCode.USER_EXISTS, CreateUser(user=user):
            return None if user in state.ledger.referrers else f"{user} is in no durable row"
        case RejectCode.POSITION_CLOSED, ClosePosition(ticker=ticker, position_id=name):
            market, parts = state.markets[ticker], split_position_id(name)
            closed = parts is not None and parts[1] < market.next_number and parts[1] not in market.positions
            return None if closed else f"{name} is closed in no durable row"
        case RejectCode.MARKET_HALTED, OpenPosition(ticker=ticker) | ClosePosition(ticker=ticker):
            touched = refusal.halt is not None or state.markets[ticker].mode_reason
            return None if touched else f"{ticker} was halted by no durable row"
        case _:
            return None
