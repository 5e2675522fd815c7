"""What a TWAP order has that others do not: its slices."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from perps.params import INTERVAL_MS_MAX, INTERVAL_MS_MIN, SLICES_MAX, SLICES_MIN
from perps.wire.base import Answer, Money, Time

Slices = Annotated[
    int,
    Meta(
        ge=SLICES_MIN,
        le=SLICES_MAX,
        description="Of a `twap`: in how many equal slices it takes its `size`.",
        examples=[12],
    ),
]
IntervalMs = Annotated[
    int,
    Meta(
        ge=INTERVAL_MS_MIN,
        le=INTERVAL_MS_MAX,
        description="Of a `twap`: milliseconds from one slice to the next. The first one comes at once.",
        examples=[300_000],
    ),
]


class Twap(Answer):
    """How far a TWAP order has come. ``averagePrice`` of the order is that of all slices so far."""

    slices: int
    interval_ms: int
    done: Annotated[int, Meta(description="Slices whose turn has come: made or skipped.")]
    skipped: Annotated[int, Meta(description="Those of them that took nothing. Their size goes to the later ones.")]
    skip_reason: Annotated[str | None, Meta(description="The code that the last skipped slice was refused with.")]
    filled: Annotated[Money, Meta(description="The notional that the slices have taken.")]
    left: Annotated[Money, Meta(description="Of the order's `size`, what they have not taken.")]
    next_at: Annotated[
        Time | None,
        Meta(
            description="When the next slice is due. It takes `left` / (`slices` - `done`) at the first look at the "
            "market from then on at which it trades. Null: the order has ended."
        ),
    ]
