"""The agents' channel: its request, and envelopes carried out as requests of HTTP are, by the same handlers."""

from __future__ import annotations

import asyncio
from functools import partial
from importlib.metadata import version
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import Raw

from perps.wire import agents as wire
from perps.wire.agents import KINDS, OWN_KINDS, PING, SUBSCRIBE, AgentsQuery, Asking, Envelope, Hello, Pong
from perps.wire.base import Answer
from perps.wire.contract.weights import WEIGHT, WEIGHTS
from perps.wire.errors import STATUS, ErrorCode
from perps.wire.orders.cancelling import CANCEL_ALL, CancelQuery
from perps.wire.streams import MIXED_STREAM
from web.agents import socket
from web.agents.frames import JSON, MSGPACK, JsonFrames, PackedFrames, Replied
from web.agents.session import Following, Session
from web.answers.errors import RequestError
from web.answers.times import rfc3339
from web.api import markets, orders, prices, streams, trading, users
from web.api.bodies.reading import PackedReader, Reader
from web.api.call import Call, Reply, Route
from web.api.context import Context
from web.api.serving import error_responses
from web.api.serving.carrying import carry_out, note, refusal_of
from web.api.serving.request_ids import request_ids
from web.api.serving.shared import stamp
from web.auth import Principal
from web.gateway import wallet_of
from web.limits.connections import Connection, Request

VERSION: Final = version("perps")

AGENTS_MAX: Final = 10_000
"""Channels that are open at a time. An idle one takes 22 KiB: ``tools.benchmark.sockets``."""

CANCEL_TRIES: Final = 30
CANCEL_PAUSE_S: Final = 1.0
"""How often, and after how long, the orders of an agent that has gone are cancelled again until there is a verdict."""

SAID: Final[tuple[str, ...]] = ("Idempotent-Replay", "Retry-After")
"""Headers of an answer in HTTP that an answer here has, too."""

_ROUTES: Final = {
    route.operation.name: route for module in (trading, orders, prices, users, markets) for route in module.ROUTES
}
_OWN_WEIGHTS: Final = {SUBSCRIBE: WEIGHTS[MIXED_STREAM.name]}
_BODIES: Final = {**{kind: asking.body for kind, asking in KINDS.items()}, **OWN_KINDS}
_ids = request_ids()


class _Kind:
    """A kind of envelope: who carries it out, and what reads it in each subprotocol."""

    __slots__ = ("asking", "is_read", "readers", "route", "weight")

    def __init__(self, name: str) -> None:
        asking: Asking | None = KINDS.get(name)
        self.asking = asking
        self.route: Route | None = None if asking is None else _ROUTES[asking.operation.name]
        self.weight = _OWN_WEIGHTS.get(name, WEIGHT) if self.route is None else self.route.weight
        self.is_read = name != PING if self.route is None else self.route.is_read
        self.readers: dict[str, Reader] = {
            JSON.name: Reader(_BODIES[name]),
            MSGPACK.name: PackedReader(_BODIES[name]),
        }


_KINDS: Final = {name: _Kind(name) for name in _BODIES}


class Desk:
    """Carries out the envelopes of one agent. See ``web.agents.session.Desk``."""

    def __init__(self, call: Call[None, AgentsQuery], form: JsonFrames | PackedFrames) -> None:
        self._context: Context = call.context
        self._request: Request = call.request
        self._caller = call.caller
        self._form = form
        self._nothing = form.encoded({})
        self._refused_for_number = 0
        """Envelopes that were refused since the agent was held back, because they were too many."""

    @property
    def offset(self) -> int:
        """The last durable row."""
        return self._context.model.offset

    @property
    def draining(self) -> bool:
        """Whether the venue stops."""
        return self._context.draining

    @property
    def payer(self) -> str:
        """Whose turns it takes."""
        return self._principal.payer

    async def hold_back(self) -> None:
        """Wait, if more was refused for its number than the agent may be told in a second."""
        refused, self._refused_for_number = self._refused_for_number, 0
        if refused:
            await self._context.admission.hold_back(self._caller, "", refused)

    def is_read(self, kind: str) -> bool:
        """Whether a kind of envelope only looks."""
        known = _KINDS.get(kind)
        return known is not None and known.is_read

    async def answer(self, envelope: Envelope) -> Replied:
        """Carry an envelope out, as a request of its operation."""
        call = self._call()
        try:
            kind, read = self._read(call, envelope)
            if kind.asking is None or kind.route is None:
                now = rfc3339(self._context.clock.now_ms())
                return Replied(envelope.id, 200, Pong(time=now, offset=self.offset))
            operation = kind.asking.operation
            if operation.body is not None:
                call.body = read
            call.query = read
            if kind.asking.places:
                call.path = {place: getattr(read, field) for place, field in kind.asking.places}
            if kind.is_read:
                return Replied(envelope.id, kind.route.status, await self._looked_up(call, kind.route))
            answer = await carry_out(call, kind.route)
            if isinstance(answer, Answer):
                return Replied(envelope.id, kind.route.status, self._form.writable(answer))
            if isinstance(answer, Reply):
                said = {name: answer.headers[name] for name in SAID if name in answer.headers}
                return Replied(envelope.id, answer.status or kind.route.status, self._form.writable(answer.body), said)
            raise TypeError(f"{operation.name} answers with a response of HTTP")
        except Exception as error:  # noqa: BLE001 - logged there
            return self._refused(call, envelope, error)

    def following(self, envelope: Envelope) -> Following | Replied:
        """What an envelope asks to follow, or why it may not."""
        context, call = self._context, self._call()
        try:
            _, read = self._read(call, envelope)
            call.query = read
            streams.check_room(context)
            topics = streams.followed(call, read.tickers, read.user)
            turn = context.streams.resume_turns.of(self._principal.payer, self._request.remote or "")
            subscriber = context.streams.subscriber(context.agent_events[self._form.name], topics)
            return Following(subscriber, read.since, turn)
        except Exception as error:  # noqa: BLE001 - logged there
            return self._refused(call, envelope, error)

    def over_the_limit(self, envelope: Envelope) -> Replied:
        """The refusal of an envelope that is one too many."""
        limit = wire.IN_FLIGHT_MAX
        said = f"You have {limit} envelopes without an answer. Nothing was done: wait for some of the answers."
        return self._refused(self._call(), envelope, RequestError("rate_limited", said, {"limit": limit}))

    async def cancel_orders(self) -> None:
        """Cancel what rests of the agent's user: the agent has gone. Tried again while there is no verdict."""
        route = _ROUTES[CANCEL_ALL.name]
        for _ in range(CANCEL_TRIES):
            call = self._call()
            call.query = CancelQuery()
            try:
                await carry_out(call, route)
                return
            except Exception as error:  # noqa: BLE001 - logged there
                refusal = refusal_of(call, route.operation.path, error)
                note(call, refusal, method="AGENT", path="disconnect")
                if STATUS[ErrorCode(refusal.code)] not in (429, 503) or self._context.draining:
                    return
            await asyncio.sleep(CANCEL_PAUSE_S)

    @property
    def _principal(self) -> Principal:
        if self._caller.principal is None:
            raise TypeError("an agent has a key")
        return self._caller.principal

    def _call(self) -> Call[Any, Any]:
        call: Call[Any, Any] = Call(self._context, self._request, next(_ids))
        call.caller = self._caller
        return call

    def _read(self, call: Call[Any, Any], envelope: Envelope) -> tuple[_Kind, Any]:
        """Take its points out of the agent's budget, and read it. Raises ``RequestError``."""
        kind = _KINDS.get(envelope.kind)
        if kind is None:
            self._context.admission.spend(call.caller, WEIGHT)
            raise RequestError("not_found", "There is no such kind of envelope.", {"allowed": list(_KINDS)})
        self._context.admission.spend(call.caller, kind.weight)
        raw = bytes(envelope.body)
        return kind, kind.readers[self._form.name].read(self._nothing if raw in NO_BODY else raw)

    async def _looked_up(self, call: Call[Any, Any], route: Route) -> Raw:
        """The answer of what only looks, encoded; one that is the same for all is made by whoever asks first."""
        kept, name = self._context.agents.kept, f"{self._form.name} {route.operation.name}"
        now = stamp(self._context)
        if route.is_shared and name in kept and kept[name][0] == now:
            raw = kept[name][1]
        else:
            answer = await carry_out(call, route)
            if not isinstance(answer, Answer):
                raise TypeError(f"{route.operation.name} has more to its answer than a body")
            raw = self._form.body(answer)
            if route.is_shared and stamp(self._context) == now:
                kept[name] = (now, raw)
        await self._context.admission.pace(call.caller, size=len(bytes(raw)))
        return raw

    def _refused(self, call: Call[Any, Any], envelope: Envelope, error: Exception) -> Replied:
        refusal = refusal_of(call, envelope.kind, error)
        self._refused_for_number += refusal.code == "rate_limited"
        note(call, refusal, method="AGENT", path=envelope.kind)
        headers = error_responses.headers_of(refusal)
        body = error_responses.body_of(refusal, call.request_id)
        said = {name: headers[name] for name in SAID if name in headers}
        return Replied(envelope.id, STATUS[ErrorCode(refusal.code)], body, said)


NO_BODY: Final = (b"", msgspec.json.encode(None), msgspec.msgpack.encode(None))
"""An envelope without a body, and one whose body is null."""


async def connect(call: Call[None, AgentsQuery]) -> web.StreamResponse:
    """Serve an agent until it leaves, its key ends or the venue stops."""
    context, principal = call.context, call.principal
    cancels = call.query.cancel_on_disconnect == "1"
    if cancels:
        principal.require("trade")
        wallet_of(principal, None)
    channel = socket.Channel(call.request, heartbeat_s=context.heartbeat_s, request_id=call.request_id)
    desk = Desk(call, channel.form)
    with context.agents.place(AGENTS_MAX) as is_free:
        if not is_free:
            said = f"The venue is stopping, or has {AGENTS_MAX} channels open, as many as it serves. Retry in 1 s."
            raise RequestError("overloaded", said, {"limit": AGENTS_MAX})
        line = await channel.open()
        if isinstance(call.request.protocol, Connection):
            call.request.protocol.become_a_socket()
        session = Session(desk, context.streams, line, channel.form, channel.close, context.agents.turns)
        context.agents.add(session)
    try:
        session.greet(
            Hello(
                version=VERSION,
                protocol=channel.form.name,
                user_id=principal.user,
                scopes=sorted(principal.scopes),
                in_flight_max=wire.IN_FLIGHT_MAX,
                envelopes_max=wire.ENVELOPES_MAX,
                frame_bytes_max=wire.FRAME_BYTES_MAX,
                heartbeat=max(1, int(context.heartbeat_s)),
                offset=context.model.offset,
            )
        )
        await socket.serve(channel, session, line, partial(context.keys.while_good, principal))
    finally:
        context.agents.remove(session, _ended(session, desk if cancels else None))
    return channel.response


async def _ended(session: Session, cancelling: Desk | None) -> None:
    """What is left to do when a channel has ended. Its orders are cancelled behind what it has under way."""
    await session.left(is_patient=cancelling is not None)
    if cancelling is not None and not cancelling.draining:
        await cancelling.cancel_orders()


ROUTES = (Route(wire.AGENTS, connect),)
