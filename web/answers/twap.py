"""The slices of a TWAP order as the API shows them."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from perps.market.order import Order
from perps.query_rows import STATUS_OPEN, OrderRecord
from perps.wire.orders.twap import Twap
from web.answers import decimals
from web.answers.times import rfc3339


def slices_of(order: Order, *, is_open: bool) -> Twap | UnsetType:
    """Of a TWAP how far it has come; of any other order nothing."""
    twap = order.twap
    if twap is None:
        return UNSET
    return Twap(
        slices=twap.slices,
        interval_ms=twap.interval,
        done=twap.done,
        skipped=twap.skipped,
        skip_reason=twap.reason,
        filled=decimals.money(twap.cost),
        left=decimals.money(twap.size - twap.cost),
        next_at=rfc3339(twap.next_at) if is_open else None,
    )


def recorded_slices(record: OrderRecord) -> Twap | UnsetType:
    """As ``slices_of``, from the query tables."""
    if record.slices is None:
        return UNSET
    filled = abs(record.filled_cost or 0)
    next_at = record.next_slice_at if record.status == STATUS_OPEN else None
    return Twap(
        slices=record.slices,
        interval_ms=record.interval_ms or 0,
        done=record.slices_done or 0,
        skipped=record.slices_skipped or 0,
        skip_reason=record.skip_reason,
        filled=decimals.money(filled),
        left=decimals.money(record.size - filled),
        next_at=None if next_at is None else rfc3339(next_at),
    )
