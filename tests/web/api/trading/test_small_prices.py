"""A market whose ticks are a millionth of a millionth: no price of it reads as 0, and all of them are exact."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest

from perps.events import decode_events
from tests.web.events import listening
from tests.web.refused import OPEN, refused
from tests.web.venue import Client, Json, OnMemory, Running
from tools.audit.event_text import row_in_words

TICKER = "DUST"
PRICE = "0.000000012345"
LOT = 10**6
"""Base units in a lot: a tick of one is worth a micro."""
ATTO = Fraction(1, 10**18)
PRICES = {"price", "entryPrice", "exitPrice", "markPrice", "indexPrice", "quotePrice", "currentPrice"}
PRICES |= {"liquidationPrice", "bankruptcyPrice", "high24h", "low24h", "tickSize", "acceptablePrice"}


def _prices(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every price in an answer, with the name of its field; those that are null left out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _prices(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _prices(inner, name)
    elif name in PRICES and value is not None:
        yield name, value


def _small(value: Any, *names: str) -> None:
    """Every price in an answer is near the market's, and ``names`` are among them."""
    found = list(_prices(value))
    for name, text in found:
        if name != "tickSize":
            assert Fraction(PRICE) / 3 < Fraction(text) < Fraction(PRICE) * 3, (name, text)
    assert set(names) <= {name for name, _ in found}


def _is_average(price: str, paid: str, quantity: str) -> None:
    """``price`` is ``paid`` over ``quantity``, rounded down at its eighteenth decimal."""
    assert 0 <= Fraction(paid) / Fraction(quantity) - Fraction(price) < ATTO


def _fill_is_exact(fill: Json) -> None:
    _is_average(fill["price"], fill["notional"], fill["quantity"])
    assert Fraction(fill["quantity"]) % LOT == 0


@pytest.fixture
async def ann(venue: Running) -> Client:
    """Somebody with money, and the market."""
    await venue.market(TICKER, PRICE, tickSize="0.000000000001", lotSize=str(LOT))
    return await venue.user("ann", "100000")


async def test_the_market_and_its_candles_carry_its_precision(venue: Running, ann: Client) -> None:
    await venue.price("0.000000012346", TICKER)

    market = (await venue.anybody.get(f"/api/markets/perps/{TICKER}")).ok()["market"]

    assert (market["indexPrice"], market["change24h"]) == ("0.000000012346", "0.000000000001")
    assert (market["high24h"], market["low24h"]) == ("0.000000012346", PRICE)
    candles = (await venue.anybody.get(f"/api/markets/perps/{TICKER}/candles")).ok()["candles"]
    assert candles[0][1:5] == [PRICE, "0.000000012346", PRICE, "0.000000012346"]
    told = (await venue.anybody.get(f"/api/markets/perps/{TICKER}/prices")).ok()["prices"]
    assert [price["indexPrice"] for price in told] == ["0.000000012346", PRICE]


@pytest.mark.parametrize("side", ["long", "short"])
async def test_a_position_is_quoted_opened_reduced_and_closed_at_exact_prices(
    venue: Running, ann: Client, side: str
) -> None:
    body = {"ticker": TICKER, "side": side, "size": "1000", "leverage": 10}
    quoted = (await ann.post("/api/markets/perps/quote", body)).ok()
    opened = await ann.opened(TICKER, "1000", side=side)

    assert opened["fill"] == quoted["fill"]
    _small(quoted, "price", "liquidationPrice", "bankruptcyPrice")
    _small(opened, "price", "entryPrice", "markPrice", "liquidationPrice", "bankruptcyPrice")
    _fill_is_exact(opened["fill"])
    assert opened["position"]["entryPrice"] == opened["fill"]["price"]

    half = (await ann.close(f"{TICKER}-1", percentage="0.5")).ok()
    rest = (await ann.close(f"{TICKER}-1")).ok()
    for closed in (half, rest):
        _small(closed, "price", "entryPrice", "exitPrice", "markPrice")
        _fill_is_exact(closed["fill"])
        assert closed["position"]["exitPrice"] == closed["fill"]["price"]
    (past,) = await ann.positions("closed")
    _small(past, "entryPrice", "exitPrice", "markPrice")
    _is_average(past["entryPrice"], past["size"], past["quantity"])
    fetched = sum(Fraction(closed["fill"]["notional"]) for closed in (half, rest))
    assert 0 <= fetched / Fraction(past["quantity"]) - Fraction(past["exitPrice"]) < ATTO
    for path in (f"/api/markets/perps/{TICKER}/trades", "/api/users/ann/trades"):
        trades = (await ann.get(path)).ok()["trades"]
        assert len(trades) == 3
        _small(trades, "price", "markPrice", "quotePrice")
        for trade in trades:
            _is_average(trade["price"], trade["size"], trade["quantity"])


async def test_a_liquidation_is_told_at_its_price_everywhere(venue: Running, ann: Client) -> None:
    await ann.opened(TICKER, "1000", leverage=100)
    async with listening(venue, f"?tickers={TICKER}") as stream:
        _small((await stream.next()).data, "indexPrice", "currentPrice", "markPrice")
        taken = await venue.price("0.000000012000", TICKER)
        assert taken["liquidations"] == 1
        price, trade, liquidation = await stream.until_offset(taken["offset"])

    assert price.data["indexPrice"] == "0.000000012"
    _small([price.data, trade.data, liquidation.data], "price", "markPrice", "quotePrice")
    _is_average(trade.data["price"], trade.data["size"], trade.data["quantity"])
    assert liquidation.data["price"] == trade.data["price"]
    (past,) = await ann.positions("closed")
    assert (past["status"], past["exitPrice"]) == ("liquidated", trade.data["price"])
    told = (await ann.get(f"/api/markets/perps/{TICKER}/liquidations")).ok()["liquidations"]
    assert [trade["price"] for trade in told] == [past["exitPrice"]]


async def test_the_journal_in_words_tells_its_prices(venue: Running, ann: Client) -> None:
    opened = await ann.opened(TICKER, "1000")
    backend = venue.backend
    assert isinstance(backend, OnMemory)
    listed, done = backend.store.rows_of(TICKER)
    listing = decode_events(listed.payload)[0]

    words = row_in_words(done, listing.params)[-1]  # type: ignore[union-attr]

    assert f"listed at {PRICE}" in row_in_words(listed, None)[-1]
    assert f"at {opened['fill']['price']}," in words


@pytest.mark.parametrize("side", ["long", "short"])
async def test_an_acceptable_price_is_exact_to_its_twelfth_decimal(venue: Running, ann: Client, side: str) -> None:
    body = {"ticker": TICKER, "side": side, "size": "1000", "leverage": 10}
    await venue.price("0.000000000999", TICKER)
    fill = (await ann.post("/api/markets/perps/quote", body)).ok()["fill"]
    worse, better = ("0.000000001000", "0.000000000999") if side == "long" else ("0.000000000998", "0.000000000999")

    details = await refused(venue, ann, OPEN, {**body, "acceptablePrice": better}, 422, "price_beyond_limit")

    assert details["acceptablePrice"] == "0.000000000999"
    assert details["price"] == ("0.000000000999" if side == "long" else "0.000000000998")
    assert Fraction(details["paid"]) == Fraction(fill["notional"])
    slipped = await refused(venue, ann, OPEN, {**body, "maxSlippageBps": 0}, 422, "price_beyond_limit")
    assert slipped["acceptablePrice"] == "0.000000000999"
    await ann.opened(TICKER, "1000", side=side, acceptablePrice=worse)


async def test_the_rest_below_a_nano_tells_one_order_from_another(venue: Running, ann: Client) -> None:
    first = await ann.opened(TICKER, acceptablePrice="0.000000012346", clientOrderId="a")

    assert await ann.opened(TICKER, acceptablePrice="0.000000012346", clientOrderId="a") == first
    again = await ann.open(TICKER, acceptablePrice="0.000000012347", clientOrderId="a")
    again.refused(409, "client_order_id_reused")


@pytest.mark.parametrize("price", ["0.0000000000001", "0", "-0.000000000001", "9223372036.854775808"])
async def test_an_acceptable_price_with_a_thirteenth_decimal_or_out_of_range_is_refused(
    venue: Running, ann: Client, price: str
) -> None:
    details = await refused(
        venue, ann, OPEN, {"ticker": TICKER, "side": "long", "size": "1000", "leverage": 10, "acceptablePrice": price},
        400, "validation_error",
    )  # fmt: skip

    assert details["field"] == "acceptablePrice"


async def test_a_price_between_two_ticks_is_told_back_written_out(venue: Running, ann: Client) -> None:
    await venue.market("COARSE", "0.00002", tickSize="0.00000001", lotSize="100")

    answer = await venue.admin.post("/api/markets/perps/COARSE/price", {"price": "0.0000000012"})

    assert answer.refused(400, "validation_error")["price"] == "0.0000000012"
    assert b"E-" not in json.dumps(answer.json).encode()
