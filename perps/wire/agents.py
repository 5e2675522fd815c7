"""The agents' channel: many requests and events on one WebSocket. What a frame has in it, and which requests there are.

A frame to the venue is an array of envelopes ``[id, kind, body]``; one back is an array of answers
``[id, status, body]`` or of events ``[0, event, data, streamId]``. A kind is an operation of the contract: its body has
the fields that the operation takes in path, query and body, and its answer is the operation's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Raw, Struct, defstruct

from perps.wire import margin, markets, prices, streams, trading, triggers, users
from perps.wire.base import ALLOWED, Answer, Body, Offset, Query, Time, UserId
from perps.wire.errors import ErrorCode as Code
from perps.wire.operation import PATH_TYPES, UPGRADE, NoQuery, Operation
from perps.wire.orders import cancelling, placing
from perps.wire.streams import Since, Tickers
from perps.wire.trading import GrownPosition, OpenBody

MSGPACK: Final = "perps.v1.msgpack"
JSON: Final = "perps.v1.json"
PROTOCOLS: Final = (MSGPACK, JSON)
"""Subprotocols: the same frames as MessagePack, which is the default, or as JSON."""

ENVELOPES_MAX: Final = 256
"""Envelopes of one frame."""

FRAME_BYTES_MAX: Final = 64 * 1024
"""Bytes of one frame to the venue."""

IN_FLIGHT_MAX: Final = 256
"""Envelopes of one channel without an answer."""

EVENT: Final = 0
"""What stands where an answer has its envelope's id, if it is an event."""


class Envelope(Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """One request of a frame. ``body`` is read when its kind is known; without one it is ``{}``."""

    id: Annotated[int, Meta(ge=1, le=2**53)]
    kind: Annotated[str, Meta(max_length=64)]
    body: Raw = Raw()


class IncreaseBody(OpenBody, kw_only=True):
    """An open that is added to a position."""

    position_id: GrownPosition


class SubscribeBody(Body):
    """What to follow: with ``user`` alone that user, with ``tickers`` alone those markets, with both both; with neither
    all markets.
    """

    tickers: Tickers = None
    user: Annotated[UserId | None, Meta(description="This user's events. `me`: the key's.")] = None
    since: Since = None


class NoBody(Body):
    """Nothing to say."""


class Hello(Answer):
    """``hello``: the first event of every channel: the venue, whose key it is, and what the channel may carry."""

    version: Annotated[str, Meta(description="The venue's.")]
    protocol: Annotated[str, Meta(description="The subprotocol that is spoken.")]
    user_id: Annotated[str | None, Meta(description="The key's user.")]
    scopes: list[str]
    in_flight_max: Annotated[int, Meta(description="Envelopes without an answer; beyond, an envelope gets 429.")]
    envelopes_max: Annotated[int, Meta(description="Envelopes of one frame.")]
    frame_bytes_max: Annotated[int, Meta(description="Bytes of one frame to the venue.")]
    heartbeat: Annotated[int, Meta(description="Seconds of silence after which the venue sends a ping.")]
    offset: Offset


class Pong(Answer):
    """The answer to ``ping``."""

    time: Time
    offset: Offset


class Subscribed(Answer):
    """From here on events come; those of an earlier subscription are over."""

    offset: Offset


class Unsubscribed(Answer):
    """No events come any more."""

    offset: Offset


class Asking(Struct, frozen=True):
    """A kind of envelope: the operation that it asks for, and what its body is read as."""

    operation: Operation
    body: type[Struct]
    places: tuple[tuple[str, str], ...] = ()
    """What the operation has in its path: the place's name, and the field of the body that has it."""


def _asking(operation: Operation, base: type[Struct] | None = None) -> Asking:
    """An operation as an envelope asks for it: the fields of body or query, and those of the path beside them."""
    base = base or operation.body or (NoBody if operation.query is NoQuery else operation.query)
    places = tuple((place, _snake(place)) for place in re.findall(r"{(\w+)}", operation.path))
    fields: list[Any] = [
        (field, PATH_TYPES[place], users.ME) if place == "userId" else (field, PATH_TYPES[place])
        for place, field in places
    ]
    if not fields and issubclass(base, Body):
        return Asking(operation, base)
    name = operation.name[0].upper() + operation.name[1:] + "Envelope"
    kind = defstruct(name, fields, bases=(base,), kw_only=True, forbid_unknown_fields=True, module=__name__)
    return Asking(operation, kind, places)


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda capital: "_" + capital.group().lower(), name)


KINDS: Final[Mapping[str, Asking]] = {
    "open": _asking(trading.OPEN),
    "increase": _asking(trading.OPEN, IncreaseBody),
    "close": _asking(trading.CLOSE),
    "margin": _asking(margin.MARGIN),
    "triggers": _asking(triggers.TRIGGERS),
    "order.place": _asking(placing.PLACE),
    "order.replace": _asking(placing.REPLACE),
    "order.cancel": _asking(cancelling.CANCEL),
    "order.cancelAll": _asking(cancelling.CANCEL_ALL),
    "price": _asking(prices.SET_PRICE),
    "quote": _asking(trading.QUOTE),
    "positions": _asking(trading.POSITIONS),
    "balance": _asking(users.BALANCE),
    "markets": _asking(markets.LIST_MARKETS),
}
"""Kinds that are operations of the contract."""

SUBSCRIBE: Final = "subscribe"
UNSUBSCRIBE: Final = "unsubscribe"
PING: Final = "ping"

OWN_KINDS: Final[Mapping[str, type[Body]]] = {SUBSCRIBE: SubscribeBody, UNSUBSCRIBE: NoBody, PING: NoBody}
"""Kinds that are of the channel itself."""


class AgentsQuery(Query):
    """How the channel ends."""

    cancel_on_disconnect: Annotated[
        Literal["0", "1"],
        Meta(
            description="`1`: when the channel ends, the venue cancels all resting orders of the key's user.",
            extra={ALLOWED: ["0", "1"]},
        ),
    ] = "0"


AGENTS: Final = Operation(
    name="connectAgent",
    tag="Trading",
    method="GET",
    path="/api/agents",
    summary="A channel for programs: many requests and events on one WebSocket",
    description="Send `Upgrade: websocket` and a key. Subprotocols: `perps.v1.msgpack` (the default) and "
    "`perps.v1.json`. The venue's first frame is the event `hello` with the channel's limits. "
    "`docs/agents.md` has the frames, and examples of each kind.",
    any_key=True,
    query=AgentsQuery,
    answers={101: UPGRADE},
    events={"hello": Hello, **streams.MIXED_STREAM.events},
    refusals=(Code.OVERLOADED,),
)
