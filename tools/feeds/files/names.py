"""How exchanges, charting programs and data sellers name their columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

TIME: Final = (
    "open_time_ms",
    "open_time",
    "opentime",
    "timeopen",
    "time_open",
    "start_time",
    "starttime",
    "time_period_start",
    "unix",
    "unix_timestamp",
    "unix_time",
    "epoch",
    "timestamp_ms",
    "timestamp",
    "time_ms",
    "transact_time",
    "transaction_time",
    "trade_time",
    "traded_at",
    "created_at",
    "created_time",
    "datetime",
    "date_time",
    "gmt_time",
    "utc_time",
    "local_time",
    "time_utc",
    "date_utc",
    "snapped_at",
    "time_period_end",
    "index",
    "date",
    "dt",
    "time",
    "at",
    "t",
    "ts",
    "day",
    "datum",
    "exchange_timestamp",
    "event_time",
    "close_time",
)
"""Best first: a bar's begin before its end, a number before a date."""
DATE: Final = ("date", "dtyyyymmdd", "day", "datum", "trade_date", "trading_date")
CLOCK: Final = ("time", "timestamp", "hour", "zeit", "trade_time")
"""A date and the time of day beside it."""

PRICE: Final = (
    "price",
    "last",
    "last_price",
    "lastprice",
    "close",
    "trade_price",
    "index_price",
    "mark_price",
    "mid",
    "mid_price",
    "value",
    "rate",
    "px",
    "p",
    "c",
    "close_price",
)
BARS: Final[Mapping[str, tuple[str, ...]]] = {
    "open": ("open", "open_price", "openprice", "price_open", "1_open", "bid_open", "first", "o"),
    "high": ("high", "high_price", "highprice", "price_high", "2_high", "max", "h"),
    "low": ("low", "low_price", "lowprice", "price_low", "3_low", "min", "l"),
    "close": ("close", "close_price", "closeprice", "price_close", "4_close", "close_last", "last", "price", "c"),
}
ASK: Final = ("ask", "ask_price", "askprice", "best_ask_price", "best_ask", "ask_px", "a")
BID: Final = ("bid", "bid_price", "bidprice", "best_bid_price", "best_bid", "bid_px", "b")

INSTRUMENT: Final = (
    "symbol",
    "ticker",
    "pair",
    "currency_pair",
    "instrument",
    "instrument_name",
    "instrument_id",
    "inst_id",
    "instid",
    "product",
    "product_id",
    "market",
    "market_id",
    "contract",
    "asset",
    "asset_id",
    "asset_code",
    "coin",
    "coin_id",
    "token",
    "crypto",
    "currency",
    "base",
    "name",
    "code",
    "figi",
    "isin",
    "sym",
)

KNOWN: Final = frozenset(
    (*TIME, *DATE, *CLOCK, *PRICE, *ASK, *BID, *INSTRUMENT, *(n for b in BARS.values() for n in b))
)


def normal(name: str) -> str:
    """A name in small letters and underscores: ``<OPEN>``, ``Open Price``, ``openPrice``."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def find(header: Sequence[str], names: Sequence[str]) -> int | None:
    """The place of the first of ``names`` that the normal names of a header have."""
    return next((header.index(name) for name in names if name in header), None)
