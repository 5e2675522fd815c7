"""The journal's row: the one place where a fact becomes true.

One row per accepted command, position, money and price together. Offsets have no gap; each row's hash covers the row
before it, so that nothing can be changed, dropped or inserted without a trace.
"""

from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from perps.effects import Effects
from perps.events import Events, decode_events
from perps.money.ledger import Leg
from perps.units import Micros, Millis

LEDGER_STREAM: Final = "@ledger"
"""The stream of rows that belong to no market. Not a possible ticker."""

GENESIS: Final = bytes(32)
"""The hash before the first row."""


class JournalUnavailable(Exception):
    """The store did not confirm. Whatever was sent is in doubt: durable or not. Never read this as "no"."""


class DiskFull(JournalUnavailable):
    """The store has no room left. It keeps what it has, and takes nothing more until somebody makes room."""


class LoginRefused(JournalUnavailable):
    """The store does not let this user in, or has no such database: to try again does not help."""


class JournalRefused(JournalUnavailable):
    """The store said for certain that a row cannot be: nothing of its batch was written. The message names the row.

    Whoever made the row believes something of the journal that is not so: he starts again from what it holds.
    """


class OwnershipLost(Exception):
    """Another process owns the shard now, or has owned it. Nothing was written, and nothing more may be."""


class Row(Struct, frozen=True, gc=False):
    """One journal row, as stored."""

    offset: int
    """Position in the shard's one order, from 1, without gaps."""
    epoch: int
    """Which ownership of the shard wrote it; never falls."""
    stream: str
    """The ticker, or ``LEDGER_STREAM``."""
    market_seq: int
    """Position in its stream, from 1, without gaps."""
    at: Millis
    kind: str
    """The command's name: ``open``, ``close``, ``price``, … or ``sweep`` for liquidations that overflowed a row."""
    schema_version: int
    user_id: str | None
    """Who sent the command: with ``client_order_id``, unique."""
    client_order_id: str | None
    fingerprint: bytes | None
    """Digest of the command, to tell a retry from another command under the same id."""
    payload: bytes
    """The events, encoded."""
    user_balance: Micros | None
    """The wallet of the user concerned, after this row."""
    hash: bytes
    """SHA-256 of the previous row's hash and every field above."""


class Entry(Struct, frozen=True, gc=False):
    """A row with what it means: its events decoded, what they show to readers, and its money posted."""

    row: Row
    events: Events
    effects: tuple[Effects, ...]
    """Of each event."""
    legs: tuple[Leg, ...]


_encode = msgspec.msgpack.Encoder().encode


def row_hash(previous: bytes, fields: tuple[object, ...]) -> bytes:
    """SHA-256 over the previous row's hash and a row's fields in order, as MessagePack. 32 bytes."""
    return sha256(_encode((previous, *fields))).digest()


def make_row(previous: bytes, *fields: Any) -> Row:
    """A row with its hash computed. ``fields`` are ``Row``'s, in order, without the hash."""
    return Row(*(*fields, row_hash(previous, fields)))


def hash_of(previous: bytes, row: Row) -> bytes:
    """What ``row.hash`` must be when ``previous`` is the hash of the row before it."""
    return row_hash(previous, astuple(row)[:-1])


def events_of(row: Row) -> Events:
    """What a row says happened. Raises ``msgspec.MsgspecError`` on a payload that is no row's."""
    return decode_events(row.payload, row.schema_version)
