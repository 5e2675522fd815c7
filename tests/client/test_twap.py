"""The client places TWAP orders, over HTTP and on the agents' channel, and sees how far they are."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from perps.client import Agent, Refused, Venue
from tests.web.conftest import clock, no_fault_goes_unnoticed, session, starter, venue
from tests.web.venue import Running

__all__ = ["clock", "no_fault_goes_unnoticed", "session", "starter", "venue"]


@pytest.mark.parametrize("kind", [Venue, Agent])
async def test_a_twap_is_placed_quoted_and_cancelled(venue: Running, kind: type[Venue]) -> None:
    key = (await venue.user("ann", "1000000")).key or ""
    async with kind(venue.url, key) as client:
        placed = await client.place_twap("BTC-PERP", "long", 6000, 10, 6, 600_000, acceptable_price="50100")
        twap = placed.order.twap
        assert twap is not UNSET
        assert (twap.slices, twap.done, twap.interval_ms) == (6, 1, 600_000)
        assert placed.order.position_id == "BTC-PERP-1"
        quoted = await client.quote_order("BTC-PERP", "twap", "long", 6000, 10, slices=6, interval_ms=600_000)
        assert (quoted.twap is not UNSET, quoted.reserve) == (True, "606.000012")
        assert (await client.get_order(placed.order.id)).order == placed.order
        (listed,) = [order async for order in client.list_orders()]
        assert listed == placed.order
        ended = (await client.cancel_order(placed.order.id)).order
        assert (ended.status, ended.reason) == ("cancelled", "owner")
        with pytest.raises(Refused, match="position_size_too_small"):
            await client.place_twap("BTC-PERP", "long", 50, 10, 6, 600_000)
