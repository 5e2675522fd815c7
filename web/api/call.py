"""One request on its way to its handler: who asks, what of, and how to answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Generic, TypeVar

from aiohttp import web
from msgspec import Struct

from actors.messages import Unchanged
from perps.commands import Command, ListMarket, MarketCommand
from perps.params import MarketParams
from perps.refusals import RejectCode, Rejected
from perps.wire.base import Answer
from perps.wire.contract.weights import WEIGHT, WEIGHTS
from perps.wire.operation import EVENTS, UPGRADE, Operation
from perps.wire.streams import UserStreamQuery
from perps.wire.users import ME
from web.answers import errors
from web.answers.errors import invalid
from web.api.context import Context
from web.auth import READING, Principal
from web.gateway import Done, in_name_of
from web.limits.admission import NOBODY
from web.limits.connections import Request

B = TypeVar("B")
Q = TypeVar("Q")


class Call(Generic[B, Q]):
    """A request and what is known of it so far. A handler gets it read and authorised.

    ``body`` and ``query`` are the operation's.
    """

    __slots__ = (
        "_principal",
        "body",
        "caller",
        "command",
        "context",
        "is_done",
        "path",
        "query",
        "request",
        "request_id",
    )

    def __init__(self, context: Context, request: Request, request_id: str) -> None:
        self.context, self.request, self.request_id = context, request, request_id
        self.path: Mapping[str, str] = {}
        self.body: B
        self.query: Q
        self._principal: Principal | None = None
        self.caller = NOBODY
        """Whose budget the request takes from."""
        self.command: Command | None = None
        """What was asked for, once that is known: for the log line of a refusal."""
        self.is_done = False
        """Its command is durable. If something fails after that, the answer must not say that nothing was done."""

    @property
    def principal(self) -> Principal:
        """Who asks. Only of an operation that needs a key."""
        if self._principal is None:
            raise TypeError("this operation asks for no key")
        return self._principal

    def authorise(self, operation: Operation) -> None:
        """Find out who asks, and whether the key allows it. Raises ``unauthorized`` or ``forbidden``."""
        if operation.may_be_public and self.context.public_leaderboard:
            return
        if operation.own:
            self.path = {**self.path, "userId": self.as_user(self.path["userId"])}
        elif operation.scope is not None:
            self._principal = self._sender()
            self._principal.require(operation.scope)
        elif operation.any_key:
            self._principal = self._sender()

    def as_user(self, user: str) -> str:
        """Whom ``user`` means: ``me`` is the key's own. The key must be that user's, or an administrator's.

        Raises ``unauthorized``, ``forbidden``, ``validation_error``.
        """
        self._principal = principal = self._sender()
        if user == ME and principal.user is not None:
            user = principal.user
        elif user == ME and principal.scopes & READING and ME not in self.context.model.users:
            raise invalid("This key belongs to no user, so it has no 'me'. Name a user.", field="userId")
        principal.require_self(user)
        return user

    def _sender(self) -> Principal:
        """Who asks, by ticket or by key. Raises ``unauthorized``."""
        ticket = self.query.ticket if isinstance(self.query, UserStreamQuery) else None
        if ticket is not None:
            return self.context.tickets.use(ticket)
        return self.caller.principal or self.context.keys.principal(self.request)

    def looking_up(self) -> AbstractAsyncContextManager[None]:
        """While something is read from the database for it. Raises ``rate_limited``."""
        return self.context.looking_up(self.request)

    async def do(self, command: Command, client_order_id: str | None = None, *, part: int | None = None) -> Done:
        """Carry a command out. Raises ``RequestError`` if it was refused or got no verdict.

        ``part``: which it is of several in one request: each then has an id of its own, in the logs and in the journal.
        """
        answer = await self.do_what_is_left(command, client_order_id, part=part)
        if answer is None:
            raise TypeError(f"{type(command).__name__} changed nothing")
        return answer

    async def do_what_is_left(
        self, command: Command, client_order_id: str | None = None, *, part: int | None = None
    ) -> Done | None:
        """As ``do``, of a command that may find nothing to do: then None."""
        self.command = command = in_name_of(self.principal, command)
        trace_id = self.request_id if part is None else f"{self.request_id}-{part}"
        answer = await self.context.gateway.send(self.principal, command, client_order_id, trace_id=trace_id)
        if isinstance(answer, Done):
            self.is_done = True
            return answer
        if isinstance(answer, Unchanged):
            return None
        if isinstance(answer, Rejected) and answer.code is RejectCode.MARKET_NOT_FOUND:
            raise self.context.no_market(str(answer.facts["ticker"]))
        raise errors.unsuccessful(answer, _params(self.context, command))


class Reply(Struct, frozen=True, gc=False):
    """An answer that has more to it than its body."""

    body: Answer
    status: int = 0
    """0: the operation's success."""
    headers: Mapping[str, str] = {}


SHARED: Final = frozenset(("listMarkets", "getMarket", "listCandles", "getFlows"))
"""Operations whose answer depends on neither the caller nor the moment within a minute: ``web/api/serving/shared``."""

Handler = Callable[..., Awaitable[Answer | Reply | web.StreamResponse]]
"""Of a call, and of what its route ``reads``."""


class Route:
    """An operation and what answers it, and what every request needs to know of it."""

    __slots__ = ("handler", "is_read", "is_shared", "is_stream", "operation", "reads", "status", "weight")

    def __init__(
        self, operation: Operation, handler: Handler, reads: Callable[[Call[Any, Any]], object] | None = None
    ) -> None:
        self.operation, self.handler = operation, handler
        self.reads = reads
        """What is asked for, out of body and path, in the domain's terms: what the contract's types cannot check is
        checked here, before the key is. The handler gets it as its second argument. Raises ``RequestError``."""
        self.status = operation.status
        self.weight = WEIGHTS.get(operation.name, WEIGHT)
        self.is_read = operation.method == "GET"
        self.is_stream = operation.answers[operation.status] in (EVENTS, UPGRADE)
        self.is_shared = operation.name in SHARED


REPLAYED: Final = {"Idempotent-Replay": "true"}


def replayable(body: Answer, answer: Done) -> Answer | Reply:
    """A command's answer, marked when it is the stored one."""
    return Reply(body, headers=REPLAYED) if answer.repeated else body


def _params(context: Context, command: Command) -> MarketParams | None:
    """The parameters of a command's market: the units of what a refusal compared."""
    if isinstance(command, ListMarket):
        return command.params
    view = context.model.markets.get(command.ticker) if isinstance(command, MarketCommand) else None
    return None if view is None else view.market.params
