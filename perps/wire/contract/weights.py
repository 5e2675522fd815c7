"""What an operation costs of a caller's budget, in points."""

from __future__ import annotations

from typing import Final

WEIGHTS: Final[dict[str, int]] = {
    "getHealth": 0,
    "getReady": 0,
    "openPosition": 2,
    "tradeNet": 2,
    "listMarkets": 5,
    "listPositions": 5,
    "listNetPositions": 5,
    "listUsers": 5,
    "listCandles": 5,
    "getFlows": 5,
    "listTrades": 10,
    "listLiquidations": 10,
    "listPrices": 10,
    "listFunding": 10,
    "listUserTrades": 10,
    "listTransactions": 10,
    "listEquity": 10,
    "getLeaderboard": 5,
    "streamMarkets": 2,
    "streamUser": 2,
    "streamUsers": 2,
    "stream": 2,
    "connectAgent": 2,
    "setPrices": 20,
    "placeOrders": 20,
    "closeAllPositions": 20,
    "getMetrics": 20,
}
"""By name; every other one costs ``WEIGHT``. A close costs less than an open: who wants out gets out."""

WEIGHT: Final = 1
