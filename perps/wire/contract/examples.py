"""One example of each operation, as a running venue gave it: what came of a request, and its body.

They are the samples of ``docs/api.md``; tests hold both together, and each example to its type.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

_MARKET: Final = """
{"ticker": "BTC-PERP", "organizationId": "btc", "name": "Bitcoin", "status": "enabled",
 "currentPrice": "10400.00", "indexPrice": "10400.00", "markPrice": "10400.00", "change24h": "400.00",
 "changePercent24h": "4.00", "high24h": "10500.00", "low24h": "10000.00", "volume24h": "4095.900204",
 "openInterest": {"long": "0.00", "short": "0.00"}, "skew": "0.00", "fundingRate": {"rate": "0.0001",
 "predictedRate": "0.00009", "nextFundingTime": "2026-11-22T18:00:00.000Z", "annualized": "0.876",
 "velocity": "0.00002"},
 "markSource": "index",
 "skewScale": "1000000.00", "maxSkew": "1000.00", "maxOpenInterest": "2000.00", "maxLeverage": 100,
 "minOrderSize": "10.00", "tickSize": "0.01", "lotSize": "0.0001", "takerFee": "0.001", "makerFee": "0.001",
 "maintenanceRate": "0.005", "liquidationFee": "0.002", "referralShare": "0.5",
 "priceAt": "2026-11-22T17:34:58.482Z", "fundingVelocity": "0.0115", "maxFundingRate": "0.0065",
 "maxPriceAge": null, "priceBand": "0.1", "priceConfirmations": 3, "chargesMakerFee": true,
 "maxPositionsPerUser": null, "maxNotionalPerUser": null, "heldPrice": null,
 "tradingRange": {"byOpens": "0.001", "byCloses": "0.002"}, "maxStep": null, "exactMark": false,
            "execution": "immediate", "pendingLimit": "30", "clockSkew": "0.2",
 "tiers": [], "partialLiquidation": null, "liquidationBuffer": "0.25", "deleveraging": false}
"""


class Example(Struct, frozen=True):
    """What an operation answers, and for what body: JSON as text."""

    answer_text: str
    body_text: str = "null"

    @property
    def answer(self) -> Any:
        """Decoded."""
        return msgspec.json.decode(self.answer_text.replace("$MARKET", _MARKET))

    @property
    def body(self) -> Any:
        """Decoded; None: there is no body."""
        return msgspec.json.decode(self.body_text)


EXAMPLES: Final[dict[str, Example]] = {
    "openPosition": Example(
        """
 {"position": {"id": "BTC-PERP-1", "userId": "ann", "ticker": "BTC-PERP", "organizationId": "btc",
 "side": "long", "quantity": "0.0999", "size": "999.00005", "entryPrice": "10000.0005005",
 "markPrice": "10000.00", "leverage": 10, "margin": "99.900005", "liquidationPrice": "9045.22",
 "bankruptcyPrice": "9000.00", "unrealizedPnL": "-0.00005", "unrealizedPnLPercent": "-0.0001",
 "fundingPaid": "0.00", "takeProfit": null, "stopLoss": null, "status": "open",
 "openedAt": "2026-11-22T17:34:58.422Z", "closedAt": null}, "fill": {"price": "10000.0005005",
 "quantity": "0.0999", "notional": "999.00005", "priceImpact": "0.00000005"}, "marginPaid": "99.900005",
 "fee": {"amount": "0.999001", "platformPaid": "0.999001", "referrerPaid": "0.00"},
 "newBalance": "899.100994", "clientOrderId": "first", "offset": 4}""",
        '{"ticker": "BTC-PERP", "side": "long", "size": "1000", "leverage": 10, "clientOrderId": "first"}',
    ),
    "tradeNet": Example(
        """
 {"fill": {"price": "10500.00029411", "quantity": "0.1428", "notional": "1499.400042",
 "priceImpact": "0.00000002"}, "closed": [{"position": {"id": "BTC-PERP-1", "userId": "ann",
 "ticker": "BTC-PERP", "organizationId": "btc", "side": "long", "quantity": "0.0999", "size": "999.00005",
 "entryPrice": "10000.0005005", "markPrice": "10500.00", "leverage": 10, "margin": "99.900005",
 "liquidationPrice": null, "bankruptcyPrice": null, "unrealizedPnL": "0.00", "unrealizedPnLPercent": "0.00",
 "fundingPaid": "0.00", "takeProfit": null, "stopLoss": null, "status": "closed",
 "openedAt": "2026-11-22T17:34:58.422Z", "closedAt": "2026-11-22T17:34:58.472Z", "exitPrice": "10500.00052052",
 "realizedPnL": "49.950002"}, "fill": {"price": "10500.00052052", "quantity": "0.0999",
 "notional": "1048.950052", "priceImpact": "0.00000004"}, "grossSettlement": "149.850007",
 "netSettlement": "148.801056", "marginReturned": "99.900005", "pnl": "49.950002", "badDebt": "0.00",
 "fee": {"amount": "1.048951", "platformPaid": "1.048951", "referrerPaid": "0.00"}}],
 "opened": {"position": {"id": "BTC-PERP-2", "userId": "ann", "ticker": "BTC-PERP", "organizationId": "btc",
 "side": "short", "quantity": "0.0429", "size": "450.44999", "entryPrice": "10499.99976689",
 "markPrice": "10500.00", "leverage": 10, "margin": "45.044999", "liquidationPrice": "11492.54",
 "bankruptcyPrice": "11550.00", "unrealizedPnL": "-0.00001", "unrealizedPnLPercent": "-0.0001",
 "fundingPaid": "0.00", "takeProfit": null, "stopLoss": null, "status": "open",
 "openedAt": "2026-11-22T17:34:58.472Z", "closedAt": null}, "fill": {"price": "10499.99976689",
 "quantity": "0.0429", "notional": "450.44999", "priceImpact": "0.00000002"}, "marginPaid": "45.044999",
 "fee": {"amount": "0.45045", "platformPaid": "0.45045", "referrerPaid": "0.00"}}, "increased": null,
 "pnl": "49.950002", "badDebt": "0.00", "netSettlement": "148.801056", "marginPaid": "45.044999",
 "fee": {"amount": "1.499401", "platformPaid": "1.499401", "referrerPaid": "0.00"}, "newBalance": "1002.406601",
 "clientOrderId": "turn", "offset": 6}""",
        '{"ticker": "BTC-PERP", "side": "short", "size": "1500", "leverage": 10, "clientOrderId": "turn"}',
    ),
    "listNetPositions": Example(
        """
 {"netPositions": [{"ticker": "BTC-PERP", "side": "short", "quantity": "0.0429", "longQuantity": "0.00",
 "shortQuantity": "0.0429", "entryPrice": "10499.99976689", "markPrice": "10500.00", "margin": "45.044999",
 "unrealizedPnL": "-0.00001", "unrealizedPnLPercent": "-0.0001", "positions": 1}],
 "timestamp": "2026-11-22T17:34:58.482Z", "offset": 6}"""
    ),
    "quotePosition": Example(
        """
 {"fill": {"price": "10000.0005005", "quantity": "0.0999", "notional": "999.00005",
 "priceImpact": "0.00000005"}, "marginRequired": "99.900005", "fee": {"amount": "0.999001",
 "platformPaid": "0.999001", "referrerPaid": "0.00"}, "totalRequired": "100.899006", "entryPrice": "10000.0005005",
 "equity": "99.899955",
 "liquidationPrice": "9045.22", "bankruptcyPrice": "9000.00", "offset": 3,
 "largestSize": "10005000.00", "tradingRange": {"byOpens": "0.001", "byCloses": "0.002"}, "execution": "immediate",
 "maxLeverage": 100, "maintenanceRate": "0.005"}""",
        '{"ticker": "BTC-PERP", "side": "long", "size": "1000", "leverage": 10, "clientOrderId": "first"}',
    ),
    "closePosition": Example(
        """
 {"position": {"id": "BTC-PERP-1", "userId": "ann", "ticker": "BTC-PERP", "organizationId": "btc",
 "side": "long", "quantity": "0.05", "size": "500.000026", "entryPrice": "10000.00052",
 "markPrice": "10500.00", "leverage": 10, "margin": "50.000003", "liquidationPrice": "9045.22",
 "bankruptcyPrice": "9000.00", "unrealizedPnL": "24.999975", "unrealizedPnLPercent": "49.9999",
 "fundingPaid": "0.00", "takeProfit": null, "stopLoss": null, "status": "open",
 "openedAt": "2026-11-22T17:34:58.422Z", "closedAt": null, "exitPrice": "10500.00078156",
 "realizedPnL": "24.950014"}, "fill": {"price": "10500.00078156", "quantity": "0.0499",
 "notional": "523.950039", "priceImpact": "0.00000007"}, "grossSettlement": "74.850016",
 "netSettlement": "74.326065", "marginReturned": "49.900002", "pnl": "24.950014", "badDebt": "0.00",
 "fee": {"amount": "0.523951", "platformPaid": "0.523951", "referrerPaid": "0.00"}, "wasLiquidated": false,
 "newBalance": "973.926559", "clientOrderId": "req-28c5f75448dc15b9d31c6c78", "offset": 7}""",
        '{"percentage": "0.5"}',
    ),
    "closeAllPositions": Example(
        """
 {"results": [{"positionId": "BTC-PERP-1", "closed": {"position": {"id": "BTC-PERP-1", "userId": "ann",
 "ticker": "BTC-PERP", "organizationId": "btc", "side": "long", "quantity": "0.05", "size": "500.000026",
 "entryPrice": "10000.00052", "markPrice": "10500.00", "leverage": 10, "margin": "50.000003",
 "liquidationPrice": null, "bankruptcyPrice": null, "unrealizedPnL": "0.00", "unrealizedPnLPercent": "0.00",
 "fundingPaid": "0.00", "takeProfit": null, "stopLoss": null, "status": "closed",
 "openedAt": "2026-11-22T17:34:58.422Z", "closedAt": "2026-11-22T17:34:58.472Z", "exitPrice": "10500.00026",
 "realizedPnL": "24.999988"}, "fill": {"price": "10500.00026", "quantity": "0.05", "notional": "525.000013",
 "priceImpact": "0.00000002"}, "grossSettlement": "74.999991", "netSettlement": "74.47499",
 "marginReturned": "50.000003", "pnl": "24.999988", "badDebt": "0.00", "fee": {"amount": "0.525001",
 "platformPaid": "0.525001", "referrerPaid": "0.00"}, "wasLiquidated": false, "newBalance": "1048.401549",
 "clientOrderId": "req-9d1b7a52c0e84f36a7b5c1d2-0", "offset": 8}},
 {"positionId": "OLD-PERP-4", "error": {"code": "price_stale",
 "message": "The market's price is too old to trade at. Try again when the next one has come.",
 "details": {"ageMs": 61000, "maxAgeMs": 60000}}}], "remaining": 0, "offset": 8}""",
        "{}",
    ),
    "changeMargin": Example(
        """
 {"position": {"id": "BTC-PERP-1", "userId": "ann", "ticker": "BTC-PERP", "organizationId": "btc",
 "side": "long", "quantity": "0.0999", "size": "999.00005", "entryPrice": "10000.0005005",
 "markPrice": "10500.00", "leverage": 10, "margin": "149.900005", "liquidationPrice": "8542.21",
 "bankruptcyPrice": "8499.49", "unrealizedPnL": "49.94995", "unrealizedPnLPercent": "33.3221",
 "fundingPaid": "0.00", "takeProfit": null, "stopLoss": null, "status": "open",
 "openedAt": "2026-11-22T17:34:58.422Z", "closedAt": null}, "amount": "50.00", "newBalance": "849.100994",
 "clientOrderId": "more", "offset": 6}""",
        '{"amount": "50", "clientOrderId": "more"}',
    ),
    "setTriggers": Example(
        """
 {"position": {"id": "BTC-PERP-1", "userId": "ann", "ticker": "BTC-PERP", "organizationId": "btc",
 "side": "long", "quantity": "0.0999", "size": "999.00005", "entryPrice": "10000.0005005",
 "markPrice": "10000.00", "leverage": 10, "margin": "99.900005", "liquidationPrice": "9045.22",
 "bankruptcyPrice": "9000.00", "unrealizedPnL": "-0.00005", "unrealizedPnLPercent": "-0.0001",
 "fundingPaid": "0.00", "takeProfit": "11000.00", "stopLoss": "9500.00", "status": "open",
 "openedAt": "2026-11-22T17:34:58.422Z", "closedAt": null}, "clientOrderId": "t-1", "offset": 5}""",
        '{"takeProfit": "11000", "stopLoss": "9500", "clientOrderId": "t-1"}',
    ),
    "placeOrder": Example(
        """
 {"order": {"id": "BTC-PERP-o1", "userId": "ann", "ticker": "BTC-PERP", "type": "limit", "side": "long",
 "size": "1000.00", "leverage": 10, "price": "9800.00", "reserve": "101.00", "acceptablePrice": null,
 "takeProfit": "11000.00", "stopLoss": null, "status": "open", "reason": null, "positionId": null,
 "averagePrice": null, "placedAt": "2026-11-22T17:34:58.422Z", "expiresAt": null, "closedAt": null, "reduceOnly": false,
           "percentage": null, "quantity": null, "callback": null, "extremePrice": null},
 "newBalance": "947.401549", "clientOrderId": "o-1", "offset": 10}""",
        '{"ticker": "BTC-PERP", "type": "limit", "side": "long", "size": "1000", "leverage": 10, "price": "9800",'
        ' "takeProfit": "11000", "clientOrderId": "o-1"}',
    ),
    "quoteOrder": Example(
        """
 {"status": "open", "reason": null, "reserve": "101.00", "maxFee": "1.00", "markPrice": "10000.00",
 "expected": {"status": "filled", "indexPrice": "9799.99", "reason": null,
              "fill": {"price": "9799.9904998995", "quantity": "0.102", "notional": "999.599031",
                       "priceImpact": "0.000000051"},
              "fee": {"amount": "0.9996", "platformPaid": "0.9996", "referrerPaid": "0.00"},
              "marginRequired": "99.959904", "pnl": null, "netSettlement": null,
              "liquidationPrice": "8864.32", "bankruptcyPrice": "8819.99"},
 "warnings": [], "offset": 10, "execution": "immediate", "triggerPrice": null}""",
        '{"ticker": "BTC-PERP", "type": "limit", "side": "long", "size": "1000", "leverage": 10, "price": "9800"}',
    ),
    "placeOrders": Example(
        """
 {"results": [{"error": {"code": "market_not_found", "message": "There is no such market.",
                        "details": {"ticker": "ETH-PERP"}}}],
 "offset": 10}""",
        '[{"ticker": "ETH-PERP", "type": "stop", "side": "short", "size": "500", "leverage": 5, "price": "2900"}]',
    ),
    "listOrders": Example("""
 {"orders": [{"id": "BTC-PERP-o1", "userId": "ann", "ticker": "BTC-PERP", "type": "limit", "side": "long",
 "size": "1000.00", "leverage": 10, "price": "9800.00", "reserve": "101.00", "acceptablePrice": null,
 "takeProfit": "11000.00", "stopLoss": null, "status": "open", "reason": null, "positionId": null,
 "averagePrice": null, "placedAt": "2026-11-22T17:34:58.422Z", "expiresAt": null, "closedAt": null, "reduceOnly": false,
           "percentage": null, "quantity": null, "callback": null, "extremePrice": null}],
 "offset": 10, "nextCursor": null}"""),
    "getOrder": Example("""
 {"order": {"id": "BTC-PERP-o1", "userId": "ann", "ticker": "BTC-PERP", "type": "limit", "side": "long",
 "size": "1000.00", "leverage": 10, "price": "9800.00", "reserve": "101.00", "acceptablePrice": null,
 "takeProfit": "11000.00", "stopLoss": null, "status": "open", "reason": null, "positionId": null,
 "averagePrice": null, "placedAt": "2026-11-22T17:34:58.422Z", "expiresAt": null, "closedAt": null, "reduceOnly": false,
           "percentage": null, "quantity": null, "callback": null, "extremePrice": null},
 "offset": 10, "fills": []}"""),
    "replaceOrder": Example(
        """
 {"order": {"id": "BTC-PERP-o1", "userId": "ann", "ticker": "BTC-PERP", "type": "limit", "side": "long",
 "size": "1000.00", "leverage": 10, "price": "9700.00", "reserve": "101.00", "acceptablePrice": null,
 "takeProfit": "11000.00", "stopLoss": null, "status": "open", "reason": null, "positionId": null,
 "averagePrice": null, "placedAt": "2026-11-22T17:34:58.462Z", "expiresAt": null, "closedAt": null, "reduceOnly": false,
           "percentage": null, "quantity": null, "callback": null, "extremePrice": null},
 "newBalance": "947.401549", "clientOrderId": "o-2", "offset": 11}""",
        '{"price": "9700", "clientOrderId": "o-2"}',
    ),
    "cancelOrder": Example("""
 {"order": {"id": "BTC-PERP-o1", "userId": "ann", "ticker": "BTC-PERP", "type": "limit", "side": "long",
 "size": "1000.00", "leverage": 10, "price": "9800.00", "reserve": "101.00", "acceptablePrice": null,
 "takeProfit": "11000.00", "stopLoss": null, "status": "cancelled", "reason": "owner", "positionId": null,
 "averagePrice": null, "placedAt": "2026-11-22T17:34:58.422Z", "expiresAt": null,
 "closedAt": "2026-11-22T17:34:58.502Z", "reduceOnly": false,
           "percentage": null, "quantity": null, "callback": null, "extremePrice": null},
 "offset": 12}"""),
    "cancelOrders": Example('{"orders": [], "offset": 12}'),
    "cancelAllAfter": Example(
        '{"ticker": "BTC-PERP", "userId": "ann", "cancelsAt": "2026-11-22T17:35:58.512Z", "offset": 13}',
        '{"ticker": "BTC-PERP", "seconds": "60"}',
    ),
    "listPositions": Example("""
 {"perpetuals": {"positions": [], "stats": {"totalPositions": 0, "totalPnL": "0.00", "totalFunding": "0.00"}},
 "timestamp": "2026-11-22T17:34:58.492Z", "offset": 9, "nextCursor": null}"""),
    "listMarkets": Example('{"markets": [$MARKET], "count": 1, "offset": 9}'),
    "getMarket": Example('{"market": $MARKET, "offset": 9}'),
    "listMarket": Example(
        '{"market": $MARKET, "offset": 9, "largest": {"maxSkew": "1000.00", "maxOpenInterest": "2000.00"},'
        ' "warnings": [{"code": "gap_risk", "message": "A price that moves …"}]}',
        '{"ticker": "BTC-PERP", "organizationId": "btc", "name": "Bitcoin", "price": "10000"}',
    ),
    "setMode": Example('{"market": $MARKET, "offset": 9}', '{"mode": "enabled"}'),
    "updateMarket": Example('{"market": $MARKET, "offset": 9}', '{"maxLeverage": 50, "maintenanceRate": "0.01"}'),
    "settleMarket": Example('{"market": $MARKET, "price": "10400.00", "positions": 2, "offset": 12}'),
    "fundMarket": Example(
        """
 {"ticker": "BTC-PERP", "account": "house", "amount": "5000.00", "newBalance": "5000.000001",
 "clientOrderId": "f-1", "offset": 11}""",
        '{"account": "house", "amount": "5000", "clientOrderId": "f-1"}',
    ),
    "listCandles": Example("""
 {"candles": [[1795368840000, "10000.00", "10500.00", "10000.00", "10400.00", "4095.900204", 5]],
 "interval": "1m", "closed": false, "nextCursor": null, "offset": 9}"""),
    "listTrades": Example("""
 {"trades": [{"id": "8-0", "ticker": "BTC-PERP", "kind": "close", "side": "long", "price": "10500.00026",
             "quantity": "0.05", "size": "525.000013", "markPrice": "10500.00", "quotePrice": "10500.00",
             "at": "2026-11-22T17:34:58.472Z", "offset": 8, "realizedPnL": "24.999988"}],
 "nextCursor": "8-0"}"""),
    "listLiquidations": Example("""
 {"liquidations": [{"id": "6-1", "ticker": "BTC-PERP", "kind": "liquidation", "side": "short",
 "price": "10500.00053053", "quantity": "0.0999", "size": "1048.950053", "markPrice": "10500.00",
 "quotePrice": "10500.00", "at": "2026-11-22T17:34:58.449Z", "offset": 6, "realizedPnL": "-49.950004"}],
 "nextCursor": null}"""),
    "listPrices": Example("""
 {"prices": [{"indexPrice": "10500.00", "markPrice": "10500.00", "quotePrice": "10500.00", "source": "oracle",
             "reason": "feed", "sequence": 7, "at": "2026-11-22T17:34:58.449Z", "offset": 6}],
 "nextCursor": "6-0"}"""),
    "advanceClock": Example('{"time": "2026-11-22T18:34:58.000Z", "steps": 2, "offset": 10}', '{"seconds": "3600"}'),
    "listFunding": Example(
        '{"funding": [{"at": "2026-11-22T17:00:00.000Z", "rate": "0.00008", "payment": "0.84", "fundingIndex": "3.12",'
        ' "indexPrice": "10500.00"}], "nextCursor": "6-0"}'
    ),
    "getFlows": Example("""
 {"ticker": "BTC-PERP", "window": "1h", "start": "2026-11-22T16:35:00.000Z", "longVolume": "2522.890078",
 "shortVolume": "1573.010117", "netSentiment": "0.231909944", "opens": 2, "closes": 2, "liquidations": 1,
 "liquidatedVolume": "1048.950053", "traders": 2, "offset": 9}"""),
    "listUserTrades": Example("""
 {"trades": [{"id": "8-0", "ticker": "BTC-PERP", "kind": "close", "side": "long", "price": "10500.00026",
 "quantity": "0.05", "size": "525.000013", "markPrice": "10500.00", "quotePrice": "10500.00",
 "at": "2026-11-22T17:34:58.472Z", "offset": 8, "realizedPnL": "24.999988", "positionId": "BTC-PERP-1",
 "userId": "ann", "indexPrice": "10500.00", "funding": "0.00", "badDebt": "0.00",
 "fee": {"amount": "0.525001", "platformPaid": "0.525001", "referrerPaid": "0.00"}}], "nextCursor": "8-0"}"""),
    "setPrice": Example(
        '{"market": $MARKET, "liquidations": 1, "offset": 6}',
        '{"price": "10500", "source": "oracle", "sequence": 7, "reason": "feed"}',
    ),
    "setPrices": Example(
        """
 {"results": [{"error": {"code": "market_not_found", "message": "There is no such market.",
                        "details": {"ticker": "ETH-PERP"}}}],
 "offset": 9}""",
        '[{"ticker": "ETH-PERP", "price": "3000"}]',
    ),
    "getBalance": Example("""
 {"balance": "1048.401549", "held": "0.00", "available": "1048.401549", "total": "1048.401549", "margin": "0.00",
 "totalDeposited": "1000.00", "totalWithdrawn": "0.00", "lifetimePnL": "49.950002", "totalFees": "2.047953",
 "offset": 9}"""),
    "listTransactions": Example("""
 {"transactions": [{"id": "8-2", "type": "fee", "amount": "-0.525001", "balanceBefore": "1048.92655",
                   "balanceAfter": "1048.401549", "relatedId": "BTC-PERP-1", "at": "2026-11-22T17:34:58.472Z"}],
 "nextCursor": "8-2"}"""),
    "listEquity": Example("""
 {"points": [{"at": "2026-11-22T17:34:58.492Z", "equity": "1048.401549", "paidIn": "1000.00"},
             {"at": "2026-11-22T17:00:00.000Z", "equity": "1000.00", "paidIn": "1000.00"}],
 "offset": 9, "nextCursor": null}"""),
    "getLeaderboard": Example("""
 {"leaders": [{"rank": 1, "userId": "ann", "equity": "1048.401549", "gain": "48.401549",
              "realizedPnL": "49.950002", "volume": "4095.900204"}],
 "by": "lifetimePnL", "window": "24h", "since": "2026-11-22T17:00:00.000Z", "at": "2026-11-22T17:34:58.492Z",
 "offset": 9, "nextCursor": null}"""),
    "createUser": Example(
        """
 {"userId": "ann", "referrer": null, "balance": "1000.00", "held": "0.00", "available": "1000.00", "total": "1000.00",
 "margin": "0.00", "totalDeposited": "1000.00", "totalWithdrawn": "0.00", "lifetimePnL": "0.00",
 "totalFees": "0.00", "offset": 3}""",
        '{"userId": "ann", "deposit": "1000"}',
    ),
    "listUsers": Example("""
 {"users": [{"userId": "ann", "referrer": null, "balance": "1048.401549", "held": "0.00",
 "available": "1048.401549", "total": "1048.401549", "margin": "0.00", "totalDeposited": "1000.00",
 "totalWithdrawn": "0.00", "lifetimePnL": "49.950002", "totalFees": "2.047953", "openPositions": 0}], "offset": 9,
 "nextCursor": null}"""),
    "deposit": Example(
        '{"userId": "ann", "amount": "5.00", "newBalance": "1053.401549", "clientOrderId": "d-1", "offset": 10}',
        '{"amount": "5", "clientOrderId": "d-1"}',
    ),
    "withdraw": Example(
        '{"userId": "ann", "amount": "5.00", "newBalance": "1048.401549", "clientOrderId": "w-1", "offset": 11}',
        '{"amount": "5", "clientOrderId": "w-1"}',
    ),
    "createKey": Example(
        '{"keyId": "key_8f3590b32e7133e6", "key": "shown-this-once", "userId": "ann", "scopes": ["read", "trade"]}',
        '{"userId": "ann", "scopes": ["read", "trade"], "label": "phone"}',
    ),
    "listKeys": Example("""
 {"keys": [{"keyId": "key_8f3590b32e7133e6", "userId": "ann", "scopes": ["read", "trade"], "label": "phone",
           "createdAt": "2026-11-22T17:34:58.386Z", "expiresAt": null, "revokedAt": null}],
 "nextCursor": null}"""),
    "revokeKey": Example('{"keyId": "key_8f3590b32e7133e6", "revoked": true}'),
    "getStats": Example("""
 {"offset": 10, "epoch": 1, "time": "2026-11-22T17:34:58.596Z", "users": 2,
 "markets": [{"ticker": "BTC-PERP", "status": "enabled", "reason": "", "positions": 0, "margin": "0.00",
              "skew": "0.00", "house": "0.000001", "insurance": "0.00", "offset": 9,
              "houseAvailable": "1125899906.842625", "houseLiability": "0.00"}],
 "inFlight": 0, "streams": 1,
 "accounts": {"wallets": "1502.452545", "margin": "0.00", "house": "0.000001", "insurance": "0.00",
              "fees": "2.547454", "world": "-1505.00", "total": "0.00"},
 "health": {}}"""),
    "takeSnapshot": Example("""
 {"offset": 10, "stateHash": "3b64db95cb55c763391c707108489ae18b4112d783300de38e033b4c98c3deaf",
 "size": 2048, "rows": 10}"""),
    "getState": Example("""
 {"ledger": {"offset": 10, "seq": 3,
 "hash": "3b64db95cb55c763391c707108489ae18b4112d783300de38e033b4c98c3deaf"},
 "markets": [{"ticker": "BTC-PERP", "seq": 7, "positions": 0,
 "hash": "3b64db95cb55c763391c707108489ae18b4112d783300de38e033b4c98c3deaf"}]}"""),
    "getHealth": Example('{"status": "ok"}'),
    "getReady": Example('{"status": "ready", "problems": {}, "since": {}, "offset": 10}'),
    "getIndex": Example("""
 {"name": "perps", "version": "0.1.0", "docs": "docs/api.md", "openapi": "/openapi.json",
 "reference": "/docs", "health": "/healthz", "ready": "/readyz", "metrics": "/metrics", "routes": ["GET /",
 "POST /api/markets/perps/open"]}"""),
    "getDemo": Example('{"people": [{"userId": "alice", "key": "perps_shown-on-this-machine"}]}'),
    "getMe": Example(
        """
 {"userId": "ann", "scopes": ["read", "trade"], "keyId": "key_8f3590b32e7133e6", "label": "phone",
 "expiresAt": null}"""
    ),
    "makeStreamTicket": Example(
        """
 {"ticket": "ticket_3f8b1f0c9a7d4e62b5", "expiresAt": "2026-11-22T17:35:58.422Z"}"""
    ),
}
"""By the operation's name. Streams, and answers that are not JSON, have none."""
