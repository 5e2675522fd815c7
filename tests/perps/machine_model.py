"""What the market's machine tells the slow model: each event of a row, which must be one that the model expects."""

from perps.commands import ChangeMargin, ClosePosition, OpenPosition, SetTriggers, TradeNet
from perps.events import (
    CancelTimerSet,
    CloseReason,
    DeleveragingChanged,
    Events,
    FundingAccrued,
    HouseFunded,
    ModeChanged,
    OrderCancelled,
    OrderPlaced,
    OrderReplaced,
    ParamsChanged,
    PositionChanged,
    PositionIncreased,
    PositionOpened,
    PositionReduced,
    PriceUpdated,
)
from perps.market.order import Order, order_id
from perps.market.position import position_id
from perps.market.twap import COMPLETED, Twap
from perps.params import Mode
from perps.refusals import Rejected
from perps.rules.checks import CLOSED
from perps.rules.orders.cancel_timers import BY_TIMER
from tests.model.rules import rules_of, slow_order
from tests.model.slow_deleveraging import Leaving
from tests.model.slow_parts import is_least_part
from tests.model.slow_twap import skipped
from tests.perps.machine_checks import Checked


class Followed(Checked):
    """The part of the machine that follows what was decided."""

    moves: list[tuple[int, str, int]]
    """Margin in and out: behind how many trades, of which position, how much."""

    leaving: dict[str, Leaving]
    """By market in which a deleveraging is under way; between commands in none."""

    def follow(
        self,
        ticker: str,
        outcome: Events | Rejected,
        command: OpenPosition | ClosePosition | ChangeMargin | SetTriggers | TradeNet | None = None,
    ) -> None:
        """Tell the slow model what was accepted; it works out the money on its own."""
        if isinstance(outcome, Rejected):
            assert command is not None
            return
        if any(isinstance(event, FundingAccrued) for event in outcome):
            market = self.model.observed(ticker, self.venue.at)
            assert market.index == self.venue.markets[ticker].funding_index
        for event in outcome:
            match event:
                case ModeChanged(mode=mode):
                    self.model.switched(ticker, is_halted=mode is Mode.HALTED)
                case HouseFunded(account=account, amount=amount):
                    self.model.funded(ticker, account.value, amount)
                case ParamsChanged(params=params):
                    self.params[ticker] = params
                    self.model.changed(rules_of(params), self.venue.at)
                case PriceUpdated(price=price):
                    self.model.priced(ticker, self.unticked(ticker, price))
                    self.model.markets[ticker].becomes_known(by_feed=False, said_at=0, now=self.venue.at)
                    begins = any(isinstance(each, DeleveragingChanged) for each in outcome)
                    can_begin = self.params[ticker].deleveraging and self.venue.markets[ticker].mode not in CLOSED
                    assert begins or not can_begin or not Leaving(self.model, ticker).is_due()
                case OrderReplaced(order=order) if order.twap is not None:
                    assert skipped(self.model, order_id(ticker, order.number), self.venue.at) is None
                    self.check_slices(ticker, order)
                case OrderPlaced(order=order) | OrderReplaced(order=order):
                    self.model.rested(order_id(ticker, order.number), slow_order(ticker, order, self.params[ticker]))
                case CancelTimerSet(user=user, at=at):
                    due = self.model.orders.timer_set(user, ticker, at)
                    assert at is not None or due is not None
                case OrderCancelled(order=order, reason=reason):
                    self.model.ended(order_id(ticker, order.number))
                    assert reason != COMPLETED or (order.twap is not None and order.twap.is_over)
                    assert reason != BY_TIMER or self.model.orders.timers[order.user, ticker] is None
                case (
                    PositionOpened(order=Order(twap=Twap()) as order)
                    | PositionIncreased(order=Order(twap=Twap()) as order)
                ):
                    self.slice_made(ticker, order, event)
                case PositionOpened(position=position, order=Order() as order):
                    self.filled(ticker, order, event)
                case PositionOpened(position=position):
                    assert isinstance(command, OpenPosition | TradeNet)
                    name = position_id(ticker, position.number)
                    self.model.opened(command.user, ticker, name, position.lots, command.leverage)
                    assert abs(event.fill.cost) <= command.size
                    self.exits(ticker, position)
                    self.note(ticker, "open", event, command.leverage)
                case PositionIncreased(position=position, order=Order() as order):
                    self.taken(ticker, order)
                    self.model.increased(position_id(ticker, position.number), event.fill.lots, order.leverage)
                    self.note(ticker, "open", event, order.leverage)
                case PositionIncreased(position=position, fill=fill):
                    assert isinstance(command, OpenPosition | TradeNet)
                    self.model.increased(position_id(ticker, position.number), fill.lots, command.leverage)
                    assert abs(fill.cost) <= command.size
                    self.note(ticker, "open", event, command.leverage)
                case PositionChanged(position=position, order=Order() as order):
                    name = position_id(ticker, position.number)
                    self.taken(ticker, order)
                    assert order.size <= self.model.withdrawable(name)
                    self.model.margin_moved(name, -order.size)
                    self.moves.append((len(self.trades), name, -order.size))
                case PositionChanged(position=position) if isinstance(command, ChangeMargin):
                    name = position_id(ticker, position.number)
                    assert -command.amount <= max(self.model.withdrawable(name), 0)
                    self.model.margin_moved(name, command.amount)
                    self.moves.append((len(self.trades), name, command.amount))
                case PositionChanged(position=position):
                    self.exits(ticker, position)
                case PositionReduced(position=position, reason=CloseReason.OWNER, order=Order() as order) if (
                    self.model.is_liquidatable(position_id(ticker, position.number))
                ):
                    self.model.ended(order_id(ticker, order.number))
                    self.model.liquidated(position_id(ticker, position.number))
                    self.note(ticker, "forced_stop", event)
                case PositionReduced(position=position, reason=CloseReason.OWNER, order=order):
                    if order is not None:
                        self.taken(ticker, order)
                    self.model.closed(position_id(ticker, position.number), abs(event.fill.lots))
                    self.note(ticker, "close", event)
                case PositionReduced(position=position, reason=CloseReason.LIQUIDATION):
                    name = position_id(ticker, position.number)
                    assert self.model.is_liquidatable(name)
                    assert is_least_part(self.model, name, abs(event.fill.lots))
                    self.model.liquidated(name, abs(event.fill.lots))
                    self.note(ticker, "liquidation", event)
                case DeleveragingChanged(deleveraging=None):
                    assert self.leaving.pop(ticker).may_end()
                case DeleveragingChanged():
                    self.leaving[ticker] = Leaving(self.model, ticker)
                    assert self.leaving[ticker].may_begin()
                case PositionReduced(position=position, reason=CloseReason.DELEVERAGE, pnl=pnl):
                    name = position_id(ticker, position.number)
                    assert pnl > 0
                    assert self.leaving[ticker].may_go_on()
                    assert self.leaving[ticker].is_in_turn(name)
                    self.model.deleveraged(name, abs(event.fill.lots))
                    self.note(ticker, "deleverage", event)
                case PositionReduced(position=position, reason=reason):
                    self.leave(ticker, position, reason, event)
                case _:
                    pass
        assert not self.leaving
