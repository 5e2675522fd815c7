"""One way in for every command, whatever protocol brings it. It knows no HTTP.

A transport proves who asks (``web.auth``), builds a command, and gets one answer: ``Done``, ``Rejected`` or
``Failure``. What belongs to all of them lives here: which scope a command needs, in whose name it runs, whose client
order ids it lives under, that nobody touches another user's position, and how a repeated id gets its stored answer.

How much one payer may have in flight, and when a caller stops waiting, the bridge decides. Both must end with the
command and not with its caller: a caller who hangs up still has the command in flight.
"""

from __future__ import annotations

from typing import Final, Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from actors.messages import Failure, Outcome, Repeated, Settled, Unchanged
from actors.ports import Clock
from perps.commands import (
    CancelOrder,
    CancelOrders,
    ChangeMargin,
    ClosePosition,
    Command,
    Ids,
    OpenPosition,
    PlaceExit,
    PlaceOrder,
    PlaceTwap,
    ReplaceOrder,
    SetCancelTimer,
    SetTriggers,
    TradeNet,
)
from perps.engine import entry_of
from perps.journal import Entry, Row
from perps.market.order import split_order_id
from perps.market.position import position_id, split_position_id
from perps.query_rows import OrderRecord
from perps.refusals import RejectCode, Rejected
from web.answers.errors import RequestError, invalid
from web.auth import ADMIN_SENDER, Principal
from web.limits.shares import ReadShares
from web.metrics import Metrics
from web.readside.model import ReadModel

AnyCommand = TypeVar("AnyCommand", bound=Command)

POSITION_SHOWN_MAX: Final = 64
"""Characters of an unknown position id that a refusal repeats."""


class Done(Struct, frozen=True, gc=False):
    """The command is durable: ``entry`` is its row, and every read shows it."""

    entry: Entry
    repeated: bool = False
    """An earlier request with the same client order id did it. ``entry`` is the stored row, without its legs."""
    liquidations: int = 0
    """Positions that the command liquidated, in further rows too. Not known of a repeated one: 0."""


Answer = Done | Rejected | Failure | Unchanged


class Core(Protocol):
    """What carries commands out: ``actors.bridge.Bridge``."""

    async def send(
        self,
        command: Command,
        *,
        sender: str,
        client_order_id: str | None,
        fresh: bool,
        trace_id: str,
        payer: str | None = None,
    ) -> Outcome:
        """Send one command and wait for its end."""
        ...


class Stored(Protocol):
    """What memory no longer holds. Each raises ``JournalUnavailable``."""

    async def row(self, offset: int) -> Row | None:
        """One journal row; None when it has been archived."""
        ...

    async def owner(self, position_id: str) -> str | None:
        """Whose a position is or was; None if there never was one."""
        ...

    async def order(self, order_id: str) -> OrderRecord | None:
        """An order, also one that has ended; None if there never was one."""
        ...


class Gateway:
    """Takes commands for one venue, on one event loop."""

    def __init__(
        self, core: Core, model: ReadModel, stored: Stored, read_shares: ReadShares, metrics: Metrics, clock: Clock
    ) -> None:
        self._core, self._model, self._stored = core, model, stored
        self._read_shares, self._metrics, self._clock = read_shares, metrics, clock

    async def send(
        self, principal: Principal, command: Command, client_order_id: str | None = None, *, trace_id: str
    ) -> Answer:
        """Carry a command out in the principal's name, and wait for its end.

        ``trace_id``, which nobody used before, names it in the logs; a client order id that it gets is made of it.

        Raises ``RequestError`` for a command that does not get as far: ``forbidden`` or ``validation_error`` when the
        principal may not send it, ``rate_limited`` when the principal has too many look-ups under way,
        ``client_order_id_reused`` when the stored answer has been archived. Raises ``JournalUnavailable`` when a
        look-up gets no answer. In all of these this request did nothing.
        """
        command = in_name_of(principal, command)
        refused = await self.not_theirs(principal, command)
        if refused is None and isinstance(command, CancelOrder | ReplaceOrder):
            refused = await self._not_their_order(principal, command)
        if refused is not None:
            return refused
        is_fresh = client_order_id is None
        if is_fresh and command.gets_id:
            client_order_id = f"req-{trace_id}"
        began_ns = self._clock.monotonic_ns()
        outcome = await self._core.send(
            command,
            sender=_sender(principal, command),
            client_order_id=client_order_id,
            fresh=is_fresh,
            trace_id=trace_id,
            payer=principal.payer,
        )
        if isinstance(outcome, Settled):
            self._metrics.done(began_ns, self._clock.monotonic_ns())
            return Done(outcome.entry, False, outcome.liquidations)
        if isinstance(outcome, Repeated):
            return Done(await self._stored_entry(principal, outcome.offset), True)
        return outcome

    async def not_theirs(self, principal: Principal, command: Command) -> Rejected | None:
        """A refusal of a command that names a position, unless that exists and belongs to the command's user.

        An administrator closes anybody's. Whose it is comes before how it is: a stranger must not learn whether it is
        closed. The principal has sent the command: see ``in_name_of``.
        """
        match command:
            case (
                ClosePosition(position_id=name)
                | ChangeMargin(position_id=name)
                | SetTriggers(position_id=name)
                | PlaceExit(position_id=name)
                | OpenPosition(position=str(name))
            ):
                pass
            case _:
                return None
        view, parts = self._model.markets.get(command.ticker), split_position_id(name)
        if view is None and isinstance(command, OpenPosition):
            return None  # the market is what is not found
        is_known = view is not None and parts is not None and 0 < parts[1] < view.market.next_number
        if view is None or parts is None or not is_known or name != position_id(command.ticker, parts[1]):
            shown = name[:POSITION_SHOWN_MAX]
            return Rejected(code=RejectCode.POSITION_NOT_FOUND, facts={"position": shown})
        if isinstance(command, ClosePosition | SetTriggers) and command.any_owner:
            return None
        position = view.market.positions.get(parts[1])
        if position is not None:
            owner: str | None = position.user
        else:
            async with self._read_shares.one(principal.payer):
                owner = await self._stored.owner(name)
        if owner == command.user:
            return None
        return Rejected(code=RejectCode.FORBIDDEN, facts={"position": name})

    async def _not_their_order(self, principal: Principal, command: CancelOrder | ReplaceOrder) -> Rejected | None:
        """As ``not_theirs``, of an order. A replacement is paid by its owner, so an administrator names him."""
        view, parts = self._model.markets.get(command.ticker), split_order_id(command.order_id)
        if view is None or parts is None or not 0 < parts[1] < view.market.next_order:
            return Rejected(code=RejectCode.ORDER_NOT_FOUND, facts={"order": command.order_id[:POSITION_SHOWN_MAX]})
        if isinstance(command, CancelOrder) and command.any_owner:
            return None
        order = view.market.orders.by_number.get(parts[1])
        if order is not None:
            owner: str | None = order.user
        else:
            async with self._read_shares.one(principal.payer):
                stored = await self._stored.order(command.order_id)
            owner = None if stored is None else stored.user_id
        if owner == command.user:
            return None
        return Rejected(code=RejectCode.FORBIDDEN, facts={"order": command.order_id})

    async def _stored_entry(self, principal: Principal, offset: int) -> Entry:
        """A row that was answered before, from memory or from the journal."""
        row = self._model.row(offset)
        if row is None:
            async with self._read_shares.one(principal.payer):
                row = await self._stored.row(offset)
        if row is None:
            message = "This clientOrderId was already used. Its answer has moved to the archive. Use a new one."
            raise RequestError("client_order_id_reused", message, {"offset": offset})
        return entry_of(row)


_OF_A_WALLET: Final = (
    OpenPosition,
    ChangeMargin,
    PlaceOrder,
    PlaceTwap,
    PlaceExit,
    ReplaceOrder,
    CancelOrders,
    SetCancelTimer,
    TradeNet,
)


def in_name_of(principal: Principal, command: AnyCommand) -> AnyCommand:
    """The command in the name of its sender: with the wallet that pays, or the owner of a close, filled in.

    One that takes from a wallet names nobody by ``user=""``. Raises ``RequestError``: ``forbidden`` when the key lacks
    the command's scope, and as ``wallet_of`` does.
    """
    principal.require(command.scope)
    if isinstance(command, _OF_A_WALLET):
        if command.user and command.user == principal.user:
            return command
        return replace(command, user=wallet_of(principal, command.user or None))
    if isinstance(command, ClosePosition | SetTriggers | CancelOrder):
        user, any_owner = principal.user or "", principal.is_admin
        if command.user == user and command.any_owner is any_owner:
            return command
        return replace(command, user=user, any_owner=any_owner)
    return command


def _sender(principal: Principal, command: Command) -> str:
    """Whose client order ids a command lives under."""
    match command.ids:
        case Ids.USER:
            return str(getattr(command, "user"))  # noqa: B009 - a test holds that these commands have one
        case Ids.SENDER:
            return principal.sender
        case Ids.ADMINISTRATION:
            return ADMIN_SENDER


def wallet_of(principal: Principal, named: str | None) -> str:
    """Whose wallet a trade takes from: the key's user; an administrator may name another.

    Raises ``RequestError``: ``forbidden`` or ``validation_error``.
    """
    if named is not None and named != principal.user and not principal.is_admin:
        raise RequestError("forbidden", "Only an administrator may trade for another user.", {"userId": named})
    user = named or principal.user
    if user is None and principal.is_admin:
        raise invalid("This key belongs to no user. Name the user in userId.", field="userId")
    if user is None:
        raise invalid(
            "This key belongs to no user, so it cannot trade. Ask an administrator for a key with a userId.",
            field="userId",
        )
    return user
