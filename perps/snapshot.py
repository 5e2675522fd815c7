"""Snapshots: a venue's whole state at one offset, as compact bytes that say when they are broken.

Layout: 8 bytes of magic (with the format's version), 32 bytes SHA-256 of what follows, then zlib-compressed MessagePack
of ``Snapshot``. ``state_hash`` is what proves a snapshot right: it is the same for a replay of the journal and for the
live venue at that offset. Chunks of the ledger and of each market can be decoded by themselves.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from perps.images import LedgerImage, MarketImage, digest
from perps.journal import SCHEMA_VERSION
from perps.ledger import Ledger, MarketSums
from perps.market import Market
from perps.venue import VenueState

MAGIC: Final = b"perpsnp1"
"""Of this format. Another version is another magic; there is no reading of old ones: the journal has it all, or the
archive and the journal."""

_CHECKSUM: Final = slice(len(MAGIC), len(MAGIC) + 32)
_BODY: Final = slice(len(MAGIC) + 32, None)
_COMPRESSION: Final = 1
"""zlib's level: the quickest. Higher ones take several times as long for a few per cent."""


class SnapshotBroken(Exception):
    """These bytes are no snapshot this program can use. The one before it, or the whole journal, will do."""


class Snapshot(Struct, frozen=True):
    """The state after journal row ``offset``, whose hash is ``last_hash``."""

    schema_version: int
    """Of the events that led here."""
    offset: int
    epoch: int
    last_hash: bytes
    state_hash: bytes
    ledger: list[bytes]
    """A ``LedgerImage``, in chunks."""
    markets: dict[str, list[bytes]]
    """By ticker a ``MarketImage``, in chunks."""
    views: bytes
    """What the read side adds for itself. Follows from the journal too, but is no part of the state or its hash."""

    @classmethod
    def of(cls, state: VenueState, views: bytes = b"") -> Snapshot:
        """The snapshot of a state."""
        ledger = list(state.ledger.image(state.offset).chunks())
        markets = {ticker: list(state.markets[ticker].image().chunks()) for ticker in sorted(state.markets)}
        said = _hash_of(state.offset, state.last_hash, ledger, markets)
        return cls(SCHEMA_VERSION, state.offset, state.epoch, state.last_hash, said, ledger, markets, views)

    def encode(self) -> bytes:
        """The bytes to store."""
        body = zlib.compress(_encode(self), _COMPRESSION)
        return MAGIC + sha256(body).digest() + body

    @classmethod
    def decode(cls, stored: bytes) -> Snapshot:
        """The snapshot in these bytes, whole and with the state hash it claims. Raises ``SnapshotBroken``."""
        if stored[: len(MAGIC)] != MAGIC:
            raise SnapshotBroken("it is not a snapshot of this program's format")
        body = stored[_BODY]
        if sha256(body).digest() != stored[_CHECKSUM]:
            raise SnapshotBroken("its checksum does not fit: it was truncated or altered")
        try:
            snapshot = _decoder.decode(zlib.decompress(body))
        except (zlib.error, msgspec.MsgspecError) as error:
            raise SnapshotBroken(f"it cannot be decoded: {error}") from error
        if snapshot.schema_version > SCHEMA_VERSION:
            raise SnapshotBroken(f"schema version {snapshot.schema_version} is newer than this program's")
        if snapshot.computed_hash() != snapshot.state_hash:
            raise SnapshotBroken("its state does not have the hash it claims")
        return snapshot

    def computed_hash(self) -> bytes:
        """The state hash of what is in it."""
        return _hash_of(self.offset, self.last_hash, self.ledger, self.markets)

    def state(self) -> VenueState:
        """The state, to begin from. Raises ``SnapshotBroken``."""
        state = VenueState()
        try:
            image = LedgerImage.from_chunks(self.ledger)
            state.ledger = Ledger.from_image(image)
            for ticker in self.markets:
                state.markets[ticker] = self.market(ticker)
        except msgspec.MsgspecError as error:
            raise SnapshotBroken(f"it cannot be decoded: {error}") from error
        if image.offset != self.offset:
            raise SnapshotBroken(f"its ledger stands at row {image.offset}, the rest at row {self.offset}")
        for market in state.markets.values():
            problem = state.ledger.disagreement(MarketSums.of(market))
            if problem:
                raise SnapshotBroken(problem)
        if state.ledger.total():
            raise SnapshotBroken(f"its accounts sum to {state.ledger.total()}")
        state.offset, state.epoch, state.last_hash = self.offset, self.epoch, self.last_hash
        return state

    def market(self, ticker: str) -> Market:
        """One of its markets by itself. Raises ``KeyError`` and ``msgspec.MsgspecError``."""
        return Market.from_image(MarketImage.from_chunks(self.markets[ticker]))


def state_hash(state: VenueState) -> bytes:
    """SHA-256 that stands for the whole state: the journal's position, every account, user, market and position."""
    markets = {ticker: market.image().chunks() for ticker, market in state.markets.items()}
    return _hash_of(state.offset, state.last_hash, state.ledger.image(state.offset).chunks(), markets)


def _hash_of(offset: int, last_hash: bytes, ledger: Iterable[bytes], markets: Mapping[str, Iterable[bytes]]) -> bytes:
    digests = [(ticker, digest(markets[ticker])) for ticker in sorted(markets)]
    return sha256(_encode((offset, last_hash, digest(ledger), digests))).digest()


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Snapshot)
