"""The fingerprint of a command: equal commands have equal ones, whatever version of the program sends them."""

from collections.abc import Callable
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Final, NamedTuple, cast

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from perps.commands import COMMANDS, Command, ListMarket, ReplaceOrder
from perps.params import MarketParams
from perps.units import Micros

_encode = msgspec.msgpack.Encoder().encode


def fingerprint(command: Command) -> bytes:
    """16 bytes that tell one command from another: BLAKE2b over its fields. Equal commands, equal fingerprints.

    Fields of ``later`` that hold their default are left out, so that adding one does not change the digest of any
    command that does not use it. So is what a replacement's sender knew of the order: sent again it may know more.
    """
    if isinstance(command, ReplaceOrder):
        command = replace(command, known_size=Micros(0), known_leverage=1)
    if isinstance(command, ListMarket):
        named = {"type": type(command).__name__, "params": _released(command.params), "price": command.price}
        return blake2b(_encode(named), digest_size=16).digest()
    return blake2b(_encode(_released(command) if command.later else command), digest_size=16).digest()


def _released(value: Command | MarketParams) -> Struct | dict[str, object]:
    """What is encoded: a command, or a market's parameters, as its first release had it; with each later field that
    does not hold its default.

    Both forms are the same map to MessagePack: the tag of a command, then the fields in their order.
    """
    first_release, fields, later, defaults = _RELEASES[type(value)]
    if later(value) == defaults:
        return first_release(*fields(value))
    unused = {name for name, default in zip(value.later, defaults[1:], strict=True) if getattr(value, name) == default}
    used = [name for name in value.__struct_fields__ if name not in unused]
    tag = {} if isinstance(value, MarketParams) else {"type": type(value).__name__}
    values = {name: getattr(value, name) for name in used}
    return {**tag, **{name: what for name, what in values.items() if what is not UNSET}}


class _Release(NamedTuple):
    """A command or a market's parameters as the first release had them, and how to read them from what they are now."""

    form: Callable[..., Struct]
    fields: Callable[[Any], tuple[Any, ...]]
    later: Callable[[Any], tuple[Any, ...]]
    """The type and its later fields …"""
    defaults: tuple[Any, ...]
    """… and what this is while none of them is used."""


def _release(kind: type[Any]) -> _Release:
    defaults = {field.name: field.default for field in msgspec.structs.fields(kind)}
    first = [name for name in defaults if name not in kind.later]
    tag = kind is not MarketParams
    form = msgspec.defstruct(kind.__name__, [(name, object) for name in first], tag=tag, gc=False)
    later = attrgetter("__class__", *kind.later)
    return _Release(form, attrgetter(*first), later, (kind, *(defaults[name] for name in kind.later)))


_RELEASES: Final = {kind: _release(kind) for kind in (*COMMANDS, cast(Any, MarketParams)) if kind.later}
