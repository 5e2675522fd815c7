"""An operation of the contract and its values, as one request. Numbers go out exactly: a float is an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Final, get_origin
from urllib.parse import quote, urlencode
from uuid import uuid4

from msgspec import Struct

from perps.wire.agents import AGENTS, KINDS
from perps.wire.base import encode, outside
from perps.wire.keys import REVOKE_KEY
from perps.wire.markets import SET_MODE
from perps.wire.operation import Operation
from perps.wire.orders.cancelling import CANCEL, CANCEL_AFTER, CANCEL_ALL
from perps.wire.prices import SET_PRICE, SET_PRICES
from perps.wire.venue import TAKE_SNAPSHOT

Exact = int | str | Decimal
"""A number that goes out. Money and sizes are US dollars, prices are US dollars for one base unit."""


class Nothing(Enum):
    """What takes a value away, where None leaves it as it is."""

    NOTHING = "nothing"


NOTHING: Final = Nothing.NOTHING

REPEATABLE: Final = frozenset(
    each.name for each in (CANCEL, CANCEL_ALL, CANCEL_AFTER, SET_MODE, REVOKE_KEY, TAKE_SNAPSHOT)
)
"""Commands without an id that may be done twice: the second changes nothing that matters."""


class Request(Struct, frozen=True):
    """What is sent, each time the same."""

    method: str
    target: str
    """Path and query, encoded."""
    body: bytes | None = None
    client_order_id: str | None = None
    has_effect: bool = False
    is_repeatable: bool = True
    """Sent twice, it is done once. If not, it is sent again only after an answer that says that nothing was done."""
    accepts: tuple[int, ...] = (200,)
    """Statuses that are no failure."""


class Asked(Request, frozen=True, kw_only=True):
    """The same on an agent's channel, where it is an envelope."""

    kind: str
    fields: dict[str, Any]
    """Its body, with the values that a path or a query has."""


KIND_OF: Final = {asking.operation.name: kind for kind, asking in KINDS.items() if kind != "increase"}
"""Operations that can be asked on the channel, by name. (An increase is an open with a position.)"""


def asked_of(operation: Operation, values: Mapping[str, object]) -> Asked:
    """The envelope for an operation of ``KIND_OF``. ``values`` and errors as of ``request_of``."""
    given = {name: _exact(name, value) for name, value in values.items() if value is not None}
    order_id, is_repeatable = _repeatable(operation, given)
    kind = KIND_OF[operation.name]
    return envelope(
        kind,
        _named(operation, KINDS[kind].body, given),
        client_order_id=order_id,
        has_effect=operation.has_effect,
        is_repeatable=is_repeatable,
        accepts=tuple(operation.answers),
    )


def envelope(kind: str, fields: dict[str, Any], **more: Any) -> Asked:
    """An envelope with these fields. ``more``: as of ``Request``."""
    return Asked(method="the envelope", target=f"{AGENTS.path} {kind}", kind=kind, fields=fields, **more)


def request_of(operation: Operation, values: Mapping[str, object]) -> Request:
    """The request for an operation. ``values`` by their names in snake_case; None is left out.

    Raises ``TypeError`` for a float or a name that the operation does not have, ``ValueError`` for a number that is not
    finite and for an id that no path can have.
    """
    given = {name: _exact(name, value) for name, value in values.items() if value is not None}
    target = operation.path
    for name in list(given):
        place = f"{{{outside(name)}}}"
        if place in target:
            target = target.replace(place, _part(name, str(given.pop(name))))
    order_id, is_repeatable = _repeatable(operation, given)
    if operation.body is None:
        query = _named(operation, operation.query, given)
        target += f"?{urlencode(query)}" if query else ""
        body = None
    else:
        items = given.get("items") if get_origin(operation.body) is list else None
        fields = _named(operation, operation.body, given) if items is None else items
        body = encode(fields) if fields or not operation.body_optional else None
    return Request(
        method=operation.method,
        target=target,
        body=body,
        client_order_id=order_id,
        has_effect=operation.has_effect,
        is_repeatable=is_repeatable,
        accepts=tuple(operation.answers),
    )


def _part(name: str, value: str) -> str:
    """A value as a part of a path. Proxies take ``..`` out of a path, with what is before it."""
    if value in ("", ".", ".."):
        raise ValueError(f"{outside(name)}: {value!r} is no id")
    return quote(value, safe="")


def _repeatable(operation: Operation, given: dict[str, Any]) -> tuple[str | None, bool]:
    """A command's client order id, made here if none is ``given``, and whether the command may be done twice."""
    if not operation.has_effect:
        return None, True
    if operation.body is None:
        return None, operation.name in REPEATABLE
    if operation is SET_PRICES:
        return None, all("sequence" in item for item in given["items"])
    if get_origin(operation.body) is list:
        return None, all("clientOrderId" in item for item in given["items"])
    if "client_order_id" not in operation.body.__struct_fields__:
        return None, operation.name in REPEATABLE or (operation is SET_PRICE and "sequence" in given)
    order_id: str = given.setdefault("client_order_id", uuid4().hex)
    return order_id, True


def _named(operation: Operation, kind: type[Struct], given: Mapping[str, object]) -> dict[str, object]:
    """Values by the names that the contract has for them."""
    names = dict(zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True))
    unknown = given.keys() - names.keys()
    if unknown:
        raise TypeError(f"{operation.name} takes no {', '.join(sorted(unknown))}")
    return {names[name]: value for name, value in given.items()}


def _exact(name: str, value: object) -> object:
    """A value as JSON and MessagePack have it, without rounding anything."""
    if value is NOTHING:
        return None
    if isinstance(value, float):
        raise TypeError(f"{name}: {value!r} is a float, which is not exact. Give an int, a str or a Decimal")
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{name}: {value} is not a finite number")
        return f"{value:f}"
    if isinstance(value, Mapping):
        return {key: _exact(f"{name}.{key}", item) for key, item in value.items() if item is not None}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_exact(name, item) for item in value]
    return value
