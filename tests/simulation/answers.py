"""Whether an answer says what its command asked for, and whether a refusal may leave yet."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from msgspec import UNSET

from perps.commands import (
    CancelOrder,
    CancelOrders,
    ChangeMargin,
    ClosePosition,
    Command,
    CreateUser,
    Deposit,
    FundMarket,
    ListMarket,
    OpenPosition,
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
from perps.events import (
    CancelTimerSet,
    Deposited,
    Event,
    FundingAccrued,
    HouseFunded,
    MarketListed,
    MarketSettling,
    ModeChanged,
    OrderCancelled,
    OrderPlaced,
    OrderReplaced,
    ParamsChanged,
    PositionChanged,
    PositionIncreased,
    PositionOpened,
    PositionReduced,
    PriceHeld,
    PriceUpdated,
    TransferKind,
    UserCreated,
    Withdrawn,
)
from perps.market.order import Order, order_id, split_order_id
from perps.market.position import position_id, split_position_id
from perps.market.twap import Twap
from perps.params import changed
from perps.refusals import RejectCode, Rejected
from perps.rules.orders.resting import BY_OWNER
from perps.venue import VenueState

LASTING = frozenset(RejectCode) - {RejectCode.CLIENT_ORDER_ID_REUSED, RejectCode.MARKET_NOT_FOUND}
"""Refusals that were decided after the client's id was found free: earlier attempts under it never were."""


def answers(command: Command, stream: str, event: Event) -> bool:
    """Whether ``event``, a row's own of ``stream``, is what ``command`` asked for."""
    match command, event:
        case OpenPosition(position=str(name)), PositionIncreased(position=position, fill=fill, margin_added=margin):
            paid = ceil(Fraction(abs(fill.cost), command.leverage))
            return (name, command.user, paid) == (position_id(stream, position.number), position.user, margin)
        case OpenPosition(position=None), PositionOpened(position=position, fill=fill):
            side = Side.LONG if position.lots > 0 else Side.SHORT
            asked = (command.ticker, command.user, command.side, command.leverage)
            return asked == (stream, position.user, side, position.leverage) and abs(fill.cost) <= command.size
        case OpenPosition(), OrderPlaced(order=order):
            about = None if order.position is None else position_id(stream, order.position)
            said = (command.ticker, command.user, command.side, command.leverage, command.size, command.position)
            return said == (stream, order.user, order.side, order.leverage, order.size, about)
        case ClosePosition(position_id=name) | ChangeMargin(position_id=name), OrderPlaced(order=order):
            return order.reduces and (name, command.user) == (position_id(stream, order.position or 0), order.user)
        case TradeNet(), PositionReduced(position=position, fill=fill) | PositionOpened(
            position=position, fill=fill
        ) | PositionIncreased(position=position, fill=fill):
            side = Side.LONG if fill.lots > 0 else Side.SHORT
            is_asked = isinstance(event, PositionReduced) or not command.reduce_only
            sought = (command.ticker, command.user, command.side, True)
            return sought == (stream, position.user, side, is_asked) and abs(fill.cost) <= command.size
        case ClosePosition(), PositionReduced(position=position):
            asked_for = (command.position_id, command.user)
            return asked_for == (position_id(stream, position.number), position.user)
        case SetTriggers(), PositionChanged(position=position):
            exits = (command.take_profit, command.stop_loss)
            name = position_id(stream, position.number)
            return command.position_id == name and exits == (position.take_profit, position.stop_loss)
        case ChangeMargin(amount=amount), PositionChanged(position=position, transfers=transfers):
            asked_for = (command.position_id, command.user)
            moved = [-move.amount if move.kind is TransferKind.MARGIN_RETURN else move.amount for move in transfers]
            return asked_for == (position_id(stream, position.number), position.user) and moved == [amount]
        case PlaceOrder(), OrderPlaced(order=order):
            return (command.ticker, command.user, *_terms(command)) == (stream, order.user, *_terms(order))
        case PlaceTwap(slices=slices), OrderPlaced(order=order):
            terms = (command.user, command.side, command.size, command.leverage, command.expires_at)
            is_sliced = order.twap is not None and order.twap.slices == slices
            placed = (order.user, order.side, order.size, order.leverage, order.expires_at)
            return is_sliced and command.ticker == stream and terms == placed
        case PlaceExit(), OrderPlaced(order=order):
            named = (command.position_id, command.user, command.share, command.price, command.order, command.expires_at)
            has = (order.user, order.share, 0 if order.trails else order.price, order.kind, order.expires_at)
            return (*named, command.callback) == (position_id(stream, order.position or 0), *has, order.callback)
        case ReplaceOrder(), OrderReplaced(order=order):
            set_terms = zip(_terms(command), _terms(order), strict=True)
            is_set = all(asked in (UNSET, has) for asked, has in set_terms)
            is_set = is_set and command.callback in (UNSET, order.callback)
            return command.order_id == order_id(stream, order.number) and is_set
        case CancelOrder(), OrderCancelled(order=order, reason=reason):
            return (command.order_id, BY_OWNER) == (order_id(stream, order.number), reason)
        case CancelOrders() | SetCancelTimer(after_ms=0), (
            PositionOpened(order=Order(twap=Twap()))
            | PositionIncreased(order=Order(twap=Twap()))
            | OrderReplaced(order=Order(twap=Twap()))
            | OrderCancelled(reason="completed")
        ):
            return command.ticker == stream  # there was nothing to end, and a slice was due
        case CancelOrders(), FundingAccrued():
            return command.ticker == stream
        case CancelOrders(), OrderCancelled(order=order, reason=reason):
            return (command.ticker, command.user, BY_OWNER) == (stream, order.user, reason)
        case CancelOrders() | SetCancelTimer(after_ms=0), FundingAccrued():
            return command.ticker == stream  # there was nothing to end, and funding was worth a row
        case SetCancelTimer(after_ms=after), CancelTimerSet(user=user, at=at):
            return (command.ticker, command.user, bool(after)) == (stream, user, at is not None)
        case UpdatePrice(), PriceUpdated(price=price) | PriceHeld(price=price):
            wanted = price if command.change is not None else command.price
            return (command.ticker, wanted, command.sequence) == (stream, price, event.sequence)
        case ListMarket(), MarketListed(params=params):
            return command.params == params
        case SetMode(), ModeChanged(mode=mode):
            return (command.ticker, command.mode) == (stream, mode)
        case FundMarket(), HouseFunded(account=account, amount=amount):
            return (command.ticker, command.account, command.amount) == (stream, account, amount)
        case SettleMarket(), MarketSettling():
            return command.ticker == stream
        case UpdateMarket(), ParamsChanged(params=params):
            return command.ticker == stream and changed(params, command.changes) == params
        case CreateUser(), UserCreated(user=user):
            return (command.user, command.referrer) == (user, event.referrer)
        case Deposit(), Deposited(user=user, amount=amount):
            return (command.user, command.amount) == (user, amount)
        case Withdraw(), Withdrawn(user=user, amount=amount):
            return (command.user, command.amount) == (user, amount)
        case _:
            return False


def _terms(what: PlaceOrder | ReplaceOrder | Order) -> tuple[object, ...]:
    return what.size, what.leverage, what.price, what.expires_at, what.take_profit, what.stop_loss


def unfounded(refusal: Rejected, command: Command, state: VenueState) -> str | None:
    """Why a refusal must not have left: it rests on a row that is not durable. None when it may."""
    match refusal.code, command:
        case RejectCode.USER_EXISTS, CreateUser(user=user):
            return None if user in state.ledger.referrers else f"{user} is in no durable row"
        case RejectCode.POSITION_CLOSED, (
            ClosePosition(ticker=ticker, position_id=name)
            | ChangeMargin(ticker=ticker, position_id=name)
            | SetTriggers(ticker=ticker, position_id=name)
            | PlaceExit(ticker=ticker, position_id=name)
            | OpenPosition(ticker=ticker, position=str(name))
        ):
            market, parts = state.markets[ticker], split_position_id(name)
            closed = parts is not None and parts[1] < market.next_number and parts[1] not in market.positions
            return None if closed else f"{name} is closed in no durable row"
        case RejectCode.ORDER_CLOSED, CancelOrder(ticker=ticker, order_id=name) | ReplaceOrder(
            ticker=ticker, order_id=name
        ):
            market, parts = state.markets[ticker], split_order_id(name)
            ended = parts is not None and parts[1] < market.next_order and parts[1] not in market.orders.by_number
            return None if ended else f"{name} has ended in no durable row"
        case RejectCode.MARKET_HALTED, (
            OpenPosition(ticker=ticker)
            | ClosePosition(ticker=ticker)
            | ChangeMargin(ticker=ticker)
            | TradeNet(ticker=ticker)
        ):
            return None if state.markets[ticker].mode_reason else f"{ticker} was halted by no durable row"
        case _:
            return None
