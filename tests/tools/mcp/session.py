"""The session in docs/mcp.md: what a user asks, what the model calls, and what a venue answers.

``python -m tests.tools.mcp.session`` writes the answers of today into the page. A test plays it again and compares.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
from mcp import Client

from tests.web.venue import ManualClock, OnMemory, Running, start
from tools.mcp.server import server

DOCS: Final = Path(__file__).parents[3] / "docs" / "mcp.md"
BEGIN: Final = "<!-- session -->\n"
END: Final = "<!-- end of the session -->\n"
SHOWN: Final = 12
"""Of a long answer the fields that matter here are shown."""


@dataclass(frozen=True)
class Said:
    """Somebody says something."""

    who: str
    text: str


@dataclass(frozen=True)
class Called:
    """The model calls a tool. ``shown``: which fields of the answer the page shows, with dots between inner names."""

    tool: str
    arguments: dict[str, Any]
    shown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Moved:
    """Meanwhile the price moves."""

    price: str


SESSION: Final[tuple[Said | Called | Moved, ...]] = (
    Said("User", "Buy about 1,000 dollars of bitcoin with 10x leverage. I do not want to lose more than 5 %."),
    Called(
        "get_market",
        {"ticker": "BTC-PERP"},
        ("market.ticker", "market.status", "market.currentPrice", "market.maxLeverage", "market.takerFee"),
    ),
    Called(
        "quote_open",
        {"ticker": "BTC-PERP", "side": "long", "size": "1000", "leverage": 10, "stopLoss": "9500"},
        ("entryPrice", "marginRequired", "fee.amount", "totalRequired", "liquidationPrice"),
    ),
    Said(
        "Model",
        "A long of 1,000 US dollars costs 99.90 of margin and a fee of 1.00. It is liquidated at 9,045.22; the stop at"
        " 9,500 comes before that. 5 % of the price is about 50 dollars here.",
    ),
    Called(
        "open_position",
        {
            "ticker": "BTC-PERP",
            "side": "long",
            "size": "1000",
            "leverage": 10,
            "stopLoss": "9500",
            "clientOrderId": "chat-17-1",
        },
        ("position.id", "position.entryPrice", "position.stopLoss", "fill.quantity", "newBalance", "clientOrderId"),
    ),
    Called("get_events", {}),
    Said("User", "And once more, the same with 200x."),
    Called(
        "open_position",
        {"ticker": "BTC-PERP", "side": "long", "size": "1000", "leverage": 200, "clientOrderId": "chat-17-2"},
    ),
    Said("Model", "The market allows at most 100x. I have not opened it."),
    Moved("10400"),
    Said("User", "What has happened since?"),
    Called("get_events", {"after": "1-3"}),
    Called(
        "list_positions",
        {"ticker": "BTC-PERP"},
        ("perpetuals.positions.0.id", "perpetuals.positions.0.markPrice", "perpetuals.positions.0.unrealizedPnL"),
    ),
    Said("User", "Take half of it off and lock in the rest."),
    Called(
        "close_position",
        {"positionId": "BTC-PERP-1", "percentage": 0.5, "clientOrderId": "chat-17-3"},
        ("fill.quantity", "pnl", "netSettlement", "newBalance"),
    ),
    Called(
        "set_triggers",
        {"positionId": "BTC-PERP-1", "stopLoss": "10100", "clientOrderId": "chat-17-4"},
        ("position.id", "position.quantity", "position.stopLoss", "position.takeProfit"),
    ),
    Called("get_balance", {}, ("balance", "margin", "lifetimePnL", "totalFees")),
    Said(
        "Model", "Half is sold with a profit of 19.96 before the fee. If the price falls to 10,100, the rest goes too."
    ),
)


@asynccontextmanager
async def a_venue() -> AsyncIterator[Running]:
    """A venue at a time that stands still, with BTC-PERP at 10,000 and ann, who has 1,000 US dollars."""
    async with aiohttp.ClientSession() as session:
        running = await start(OnMemory(), session, clock=ManualClock())
        await running.market(price="10000", maxLeverage=100)
        await running.user("ann", "1000")
        yield running
        await running.venue.close()


async def played() -> str:
    """The session as Markdown, with the answers that a venue gives."""
    lines: list[str] = []
    async with a_venue() as running:
        key = running.keys["ann"]
        async with Client(server(running.url, lambda _: key, read_only=False)) as client:
            for step in SESSION:
                match step:
                    case Said(who, text):
                        lines += [f"> **{who}:** {text}", ""]
                    case Moved(price):
                        await running.price(price)
                        lines += [f"*(Meanwhile the index price goes to {price}.)*", ""]
                    case Called(tool, arguments, shown):
                        result = await client.call_tool(tool, arguments)
                        lines += ["```json", f'{{"call": "{tool}", "arguments": {json.dumps(arguments)}}}', "```"]
                        lines += [
                            "```json",
                            _answer(result.structured_content, shown, is_error=result.is_error),
                            "```",
                            "",
                        ]
    return "\n".join(lines)


def in_the_page() -> str:
    """The session as the page has it."""
    return DOCS.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def _answer(value: Any, shown: tuple[str, ...], *, is_error: bool) -> str:
    if shown:
        value = {name: _at(value, name) for name in shown}
    return json.dumps({"isError": True, **value} if is_error else value)


def _at(value: Any, name: str) -> Any:
    for part in name.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def main() -> None:
    """Write it."""
    text = DOCS.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCS.write_text(f"{before}{BEGIN}\n{asyncio.run(played())}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
