"""Market data and prices, when all is well."""

from __future__ import annotations

from tests.web.events import listening
from tests.web.shapes import CURSOR, MARKET, PRICE, TRADE, amount, fits, number
from tests.web.venue import Json, ManualClock, Running

TICKER = "/api/markets/perps/BTC-PERP"


async def test_markets_are_listed_with_every_field_and_without_a_key(venue: Running) -> None:
    await venue.market("ETH-PERP", "3000", tickSize="0.1", lotSize="0.001", maxLeverage=50, name="Ether")

    body = (await venue.anybody.get("/api/markets/perps")).ok()

    assert body["count"] == 2
    assert number(body["offset"])
    for market in body["markets"]:
        fits(market, MARKET)
    ether = body["markets"][1]
    assert (ether["ticker"], ether["name"], ether["organizationId"]) == ("ETH-PERP", "Ether", "acme")
    assert (ether["tickSize"], ether["lotSize"], ether["maxLeverage"]) == ("0.1", "0.001", 50)
    assert (ether["minOrderSize"], ether["takerFee"]) == ("10.00", "0.001")
    assert (ether["currentPrice"], ether["indexPrice"], ether["markPrice"]) == ("3000.00", "3000.00", "3000.00")


async def test_one_market_is_the_same_as_in_the_list(venue: Running) -> None:
    listed = (await venue.anybody.get("/api/markets/perps")).ok()

    body = (await venue.anybody.get(TICKER)).ok()

    assert body["market"] == listed["markets"][0]


async def test_trades_move_skew_interest_quote_and_volume(venue: Running) -> None:
    ann = await venue.user("ann", "1000000")
    long = await ann.opened(size="1000000")
    short = await ann.opened(size="300000", side="short")

    market = (await venue.anybody.get(TICKER)).ok()["market"]

    bought, sold = amount(long["fill"]["quantity"]), amount(short["fill"]["quantity"])
    assert amount(market["openInterest"]["long"]) == bought
    assert amount(market["openInterest"]["short"]) == sold
    assert amount(market["skew"]) == bought - sold
    assert amount(market["currentPrice"]) > amount(market["indexPrice"]) == amount(market["markPrice"])
    assert amount(market["volume24h"]) == amount(long["fill"]["notional"]) + amount(short["fill"]["notional"])


async def test_a_market_priced_by_trading_marks_at_its_quote(venue: Running) -> None:
    params = {"maxLeverage": 5, "skewScale": "100", "maxSkew": "5", "maxOpenInterest": "1"}
    await venue.market("STORY", "100", markSource="quote", **params)
    ann = await venue.user("ann")
    await ann.opened("STORY", "90", leverage=2)

    market = (await venue.anybody.get("/api/markets/perps/STORY")).ok()["market"]

    assert market["markPrice"] == market["currentPrice"] != market["indexPrice"]


async def test_a_price_answers_with_the_market_after_it(venue: Running, clock: ManualClock) -> None:
    clock.advance(1.5)
    feed = await venue.key("price")
    sent = {"price": "50123.45", "source": "oracle", "reason": "tick", "sequence": 7, "at": "2026-01-01T00:00:01.499Z"}

    body = (await feed.post(f"{TICKER}/price", sent)).ok()

    fits(body, {"market": MARKET, "liquidations": number, "offset": number})
    assert body["market"]["indexPrice"] == "50123.45"
    assert body["market"]["priceAt"] == sent["at"]
    assert body["liquidations"] == 0


async def test_prices_are_listed_newest_first_with_their_source(venue: Running) -> None:
    await venue.price("50001", source="oracle", sequence=1)
    await venue.price(50002.5, source="event", reason="a story")

    body = (await venue.anybody.get(f"{TICKER}/prices")).ok()

    fits(body, {"nextCursor": CURSOR})
    for price in body["prices"]:
        fits(price, PRICE)
    told = [(price["indexPrice"], price["source"], price["reason"], price["sequence"]) for price in body["prices"]]
    assert told == [
        ("50002.50", "event", "a story", None),
        ("50001.00", "oracle", None, 1),
        ("50000.00", "system", "listed", None),
    ]


async def test_many_prices_are_each_taken_or_refused_for_themselves(venue: Running) -> None:
    await venue.market("ETH-PERP", "3000")
    sent = [
        {"ticker": "BTC-PERP", "price": "50001", "sequence": 5, "source": "oracle"},
        {"ticker": "ETH-PERP", "price": "3001"},
        {"ticker": "NONE", "price": "1"},
        {"ticker": "BTC-PERP", "price": "50002", "sequence": 5, "source": "oracle"},
        {"ticker": "BTC-PERP", "price": "50003", "sequence": 6, "source": "oracle"},
        {"ticker": "ETH-PERP", "price": "0.001"},
    ]

    body = (await venue.admin.post("/api/markets/prices", sent)).ok()

    codes = [result.get("error", {}).get("code") for result in body["results"]]
    assert codes == [None, None, "market_not_found", "price_stale", None, "validation_error"]
    fits(body["results"][0], {"market": MARKET, "liquidations": number, "offset": number})
    markets = (await venue.anybody.get("/api/markets/perps")).ok()["markets"]
    assert [market["indexPrice"] for market in markets] == ["50003.00", "3001.00"]


async def test_trades_are_listed_newest_first(venue: Running) -> None:
    ann = await venue.user("ann")
    opened = await ann.opened(side="short")
    closed = (await ann.close("BTC-PERP-1")).ok()

    body = (await venue.anybody.get(f"{TICKER}/trades")).ok()

    fits(body, {"nextCursor": CURSOR})
    for trade in body["trades"]:
        fits(trade, TRADE)
    told = [(trade["kind"], trade["side"], trade["offset"]) for trade in body["trades"]]
    assert told == [("close", "short", closed["offset"]), ("open", "short", opened["offset"])]
    assert body["trades"][1]["size"] == opened["fill"]["notional"]
    assert body["trades"][1]["price"] == opened["fill"]["price"]
    assert body["trades"][1]["quantity"] == opened["fill"]["quantity"]


async def test_funding_and_liquidations_are_empty_lists_before_there_are_any(venue: Running) -> None:
    assert (await venue.anybody.get(f"{TICKER}/funding")).ok() == {"funding": [], "nextCursor": None}
    assert (await venue.anybody.get(f"{TICKER}/liquidations")).ok() == {"liquidations": [], "nextCursor": None}


async def test_the_list_of_trades_says_of_each_what_the_stream_said(venue: Running) -> None:
    ann = await venue.user("ann")
    async with listening(venue) as stream:
        await ann.opened(leverage=100)
        await ann.opened()
        (await ann.close("BTC-PERP-2", percentage="0.5")).ok()
        await venue.price("40000")
        events = await stream.until_offset(venue.venue.context.model.offset)
    told = [event.data for event in events if event.name == "trade"]

    listed = (await venue.anybody.get(f"{TICKER}/trades")).ok()["trades"]

    assert [trade["kind"] for trade in listed] == ["liquidation", "liquidation", "close", "open", "open"]
    for trade in listed:
        assert ("realizedPnL" in trade) is (trade["kind"] != "open")
    fields = ("kind", "side", "price", "size", "quantity", "realizedPnL", "markPrice", "quotePrice", "at", "offset")

    def shown(trades: list[Json]) -> list[Json]:
        chosen = [{name: trade[name] for name in fields if name in trade} for trade in trades]
        return sorted(chosen, key=lambda trade: (trade["offset"], trade["size"]))

    assert shown(listed) == shown(told)
    assert (await venue.anybody.get(f"{TICKER}/liquidations")).ok()["liquidations"] == listed[:2]
