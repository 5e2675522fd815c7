"""Open, close, and what an open would do."""

from __future__ import annotations

from perps.commands import ClosePosition, OpenPosition
from perps.refusals import Rejected
from perps.rules.opening import decide_open
from perps.rules.rule import Given
from perps.units import AMOUNT_MAX
from perps.wire import trading
from perps.wire.base import Answer
from perps.wire.operation import NoQuery
from perps.wire.trading import CloseBody, OpenBody, Quoted
from web.answers import errors, positions
from web.api.call import Call, Reply, Route, replayable
from web.api.commands import close_command, open_command
from web.gateway import in_name_of


def opening(call: Call[OpenBody, NoQuery]) -> OpenPosition:
    """What an open, or its quote, asks for."""
    return open_command(call.body)


async def open_position(call: Call[OpenBody, NoQuery], asked: OpenPosition) -> Answer | Reply:
    """Open a position: what it became, or a refusal."""
    answer = await call.do(asked, call.body.client_order_id)
    return replayable(positions.opened(answer.entry, call.context.market(asked.ticker).market.params), answer)


async def quote(call: Call[OpenBody, NoQuery], asked: OpenPosition) -> Quoted:
    """What an open would do now, from committed state; nothing changes and no money is looked at."""
    context = call.context
    call.command = command = in_name_of(call.principal, asked)
    view = context.market(command.ticker)
    user = context.model.users.get(command.user)
    if user is None:
        raise errors.not_found("user", userId=command.user)
    now_ms = context.clock.now_ms()
    given = Given(now_ms, view.price_in_doubt, held=AMOUNT_MAX, referrer=user.referrer)
    outcome = decide_open(view.market, command, given)
    if isinstance(outcome, Rejected):
        raise errors.of_rejected(outcome, view.market.params)
    return positions.quoted(outcome[0], view.market, context.model.offset)


def closing(call: Call[CloseBody, NoQuery]) -> ClosePosition:
    """What a close asks for."""
    return close_command(call.body, call.path["positionId"])


async def close_position(call: Call[CloseBody, NoQuery], asked: ClosePosition) -> Answer | Reply:
    """Close a position or a share of it: what was paid out, or a refusal."""
    answer = await call.do(asked, call.body.client_order_id)
    return replayable(positions.reduced(answer.entry, call.context.market(asked.ticker).market.params), answer)


ROUTES = (
    Route(trading.OPEN, open_position, opening),
    Route(trading.QUOTE, quote, opening),
    Route(trading.CLOSE, close_position, closing),
)
