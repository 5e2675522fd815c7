"""What the read model knows beyond the venue's state, as bytes: it travels with each snapshot of that state.

Kept because the same sums, asked of the query tables, take 0.8 s for 1,000,000 fills (users' sums 0.5, deposits 0.3),
and the candles a query for each market and interval; a whole start from a snapshot takes 0.39 s, and 1 s is the goal.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from msgspec import Struct

from perps.snapshot.format import Snapshot, SnapshotBroken
from web.readside.flows import FlowsImage
from web.readside.history import HistoryImage
from web.readside.model import ReadModel
from web.readside.sums import Sum, packed


class UserImage(NamedTuple):
    """A user's sums, micros, and their open positions in the order they were opened."""

    user: str
    deposited: Sum
    withdrawn: Sum
    pnl: Sum
    fees: Sum
    positions: list[tuple[str, int]]
    volume: Sum = 0


class ViewImage(NamedTuple):
    """One market's last row, where its price came from, its history, and what it was funded with."""

    offset: int
    price_offset: int
    price_source: str
    history: HistoryImage
    funded: Sum = 0
    """Micros that administrators paid into its house and insurance, less what they took out."""
    flows: FlowsImage | None = None
    """None: the snapshot is older than flows."""


class ViewsImage(Struct, frozen=True):
    """All of it."""

    users: list[UserImage]
    markets: dict[str, ViewImage]
    volume_from: int | None = None
    """The row behind which the users' volumes count. None: the snapshot has none, so it is the snapshot's own."""


def views_of(model: ReadModel) -> ViewsImage:
    """What of a model goes beside the state."""
    users = [
        UserImage(
            name,
            packed(user.deposited),
            packed(user.withdrawn),
            packed(user.pnl),
            packed(user.fees),
            list(user.positions),
            packed(user.volume),
        )
        for name, user in model.users.items()
    ]
    markets = {
        ticker: ViewImage(
            view.offset,
            view.price_offset,
            view.price_source,
            view.history.image(),
            packed(view.funded),
            view.flows.image(),
        )
        for ticker, view in model.markets.items()
    }
    return ViewsImage(users, markets, model.volume_from)


def encode_views(model: ReadModel) -> bytes:
    """The bytes for ``Snapshot.views``."""
    return msgspec.msgpack.encode(views_of(model))


def decode_views(snapshot: Snapshot) -> ViewsImage:
    """The views in a snapshot, whatever they say. Raises ``SnapshotBroken``."""
    try:
        return msgspec.msgpack.decode(snapshot.views, type=ViewsImage)
    except msgspec.MsgspecError as error:
        raise SnapshotBroken(f"its views cannot be decoded: {error}") from error
