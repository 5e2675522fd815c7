"""The REST client: errors with what the venue said, and repeats only what cannot be done twice."""

from collections import deque
from decimal import Decimal

import pytest

from tests.tools.conftest import Running
from tests.tools.fake_venue import ADMIN_KEY
from tools.client import Venue
from tools.errors import ApiError, BadAnswer, VenueUnreachable

OVERLOADED, UNKNOWN = (503, "overloaded"), (503, "outcome_unknown")


async def test_an_error_carries_what_the_venue_said(running: Running) -> None:
    running.venue.refusals["open"] = deque([(422, "insufficient_funds")])
    async with Venue(running.url, ADMIN_KEY) as venue:
        with pytest.raises(ApiError) as caught:
            await venue.open("BTC", "long", "10", 2)
    error = caught.value
    assert (error.code, error.message, error.status, error.details) == (
        "insufficient_funds",
        "No.",
        422,
        {"required": "2.00"},
    )
    assert str(error) == "insufficient_funds: No. (required 2.00)"


async def test_a_wrong_key_is_unauthorized(running: Running) -> None:
    async with Venue(running.url, "wrong") as venue:
        with pytest.raises(ApiError, match="unauthorized"):
            await venue.create_user("ann")


async def test_nothing_done_is_sent_again_whatever_it_is(running: Running) -> None:
    running.venue.refusals["create_user"] = deque([OVERLOADED, OVERLOADED])
    async with Venue(running.url, ADMIN_KEY) as venue:
        await venue.create_user("ann")
    assert running.venue.seen["create_user"] == 3
    assert list(running.venue.users) == ["ann"]


async def test_an_unknown_outcome_is_not_sent_again_without_a_client_id(running: Running) -> None:
    running.venue.refusals["create_user"] = deque([UNKNOWN])
    async with Venue(running.url, ADMIN_KEY) as venue:
        with pytest.raises(ApiError, match="outcome_unknown"):
            await venue.create_user("ann")
    assert running.venue.seen["create_user"] == 1


async def test_an_unknown_outcome_is_sent_again_under_the_same_client_id(running: Running) -> None:
    venue = running.venue
    venue.refusals["open"] = deque([UNKNOWN, UNKNOWN])
    async with Venue(running.url, ADMIN_KEY) as client:
        await client.open("BTC", "long", "10", 2)
        await client.open("BTC", "long", "10", 2)
    assert venue.seen["open"] == 4
    ids = [body["clientOrderId"] for name, body in venue.bodies if name == "open"]
    assert len(set(ids)) == 2


async def test_it_gives_up_after_a_few_times(running: Running) -> None:
    running.venue.refusals["market"] = deque([OVERLOADED] * 10)
    async with Venue(running.url, attempts_max=3) as venue:
        with pytest.raises(ApiError, match="overloaded"):
            await venue.market("BTC")
    assert running.venue.seen["market"] == 3


async def test_a_bad_gateway_is_an_unknown_outcome(running: Running) -> None:
    running.venue.refusals["create_user"] = deque([(502, "bad_gateway")])
    async with Venue(running.url, ADMIN_KEY) as venue:
        with pytest.raises(ApiError, match="bad_gateway"):
            await venue.create_user("ann")
    assert running.venue.seen["create_user"] == 1


async def test_a_price_that_turns_out_stale_when_repeated_had_been_taken(running: Running) -> None:
    venue = running.venue
    venue.add_market("BTC")
    async with Venue(running.url, ADMIN_KEY) as client:
        assert await client.set_price("BTC", Decimal("101"), sequence=5) == 0
        venue.refusals["price"] = deque([UNKNOWN])
        assert await client.set_price("BTC", Decimal("102"), sequence=5) == 0
        with pytest.raises(ApiError, match="price_stale"):
            await client.set_price("BTC", Decimal("103"), sequence=5)


async def test_a_price_goes_out_exactly(running: Running) -> None:
    running.venue.add_market("BTC")
    async with Venue(running.url, ADMIN_KEY) as client:
        await client.set_price("BTC", Decimal("1E+2"), sequence=1)
        await client.set_price("BTC", Decimal("0.10"), sequence=2)
    assert [price["price"] for price in running.venue.prices] == ["100", "0.10"]


async def test_nobody_there_is_told_in_one_line(unused_tcp_port: int) -> None:
    async with Venue(f"http://127.0.0.1:{unused_tcp_port}", attempts_max=1) as venue:
        with pytest.raises(VenueUnreachable, match="cannot be reached"):
            await venue.markets()


async def test_another_kind_of_answer_is_told_as_such(running: Running) -> None:
    running.venue.add_market("BTC")
    del running.venue.markets["BTC"]["tickSize"]
    async with Venue(running.url) as venue:
        with pytest.raises(BadAnswer, match="tickSize"):
            await venue.market("BTC")
