"""Golden rows and results as text: JSON, bytes in base64, hashes in hex."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from perps.journal import Row
from perps.market.state import Market
from perps.venue import VenueState

HERE = Path(__file__).parent


def versions() -> list[Path]:
    """The folders of all schema versions that have a session."""
    return sorted(HERE.glob("v*"))


def dump_rows(rows: Sequence[Row]) -> str:
    """One line for each row."""
    return "".join(json.dumps(_plain(row)) + "\n" for row in rows)


def load_rows(folder: Path) -> list[Row]:
    """The rows of a session."""
    return parse_rows((folder / "session.jsonl").read_text())


def parse_rows(text: str) -> list[Row]:
    """The rows that ``dump_rows`` wrote."""
    return [_row(json.loads(line)) for line in text.splitlines()]


def result_of(state: VenueState) -> dict[str, Any]:
    """What a session led to, in names and numbers that no later version may change."""
    return {
        "offset": state.offset,
        "epoch": state.epoch,
        "last_hash": state.last_hash.hex(),
        "balances": {account: amount for account, amount in sorted(state.ledger.balances.items()) if amount},
        "referrers": dict(sorted(state.ledger.referrers.items())),
        "markets": {
            ticker: {
                "seq": market.seq,
                "at": market.at,
                "mode": market.mode.value,
                "mode_reason": market.mode_reason,
                "index_price": market.index_price,
                "mark": market.mark,
                "quote": market.quote,
                "long_lots": market.long_lots,
                "short_lots": market.short_lots,
                "margin": market.margin,
                "house": market.house,
                "insurance": market.insurance,
                "next_number": market.next_number,
                **_funding(market),
                "positions": {
                    str(number): {
                        "user": position.user,
                        "lots": position.lots,
                        "cash": position.cash,
                        "margin": position.margin,
                        "leverage": position.leverage,
                        "entry_cost": position.entry_cost,
                        "funding_paid": position.funding_paid,
                        "opened_at": position.opened_at,
                        "referrer": position.referrer,
                    }
                    for number, position in sorted(market.positions.items())
                },
            }
            for ticker, market in sorted(state.markets.items())
        },
    }


def _funding(market: Market) -> dict[str, Any]:
    """What a market without funding does not have, nor the results recorded before there was any."""
    if not market.funding_at:
        return {}
    return {
        "funding": {
            "index": market.funding_index,
            "rate": market.funding_rate,
            "carry": market.funding_carry,
            "at": market.funding_at,
            "hour_index": market.hour_index,
        }
    }


def dump_result(state: VenueState) -> str:
    """The result as text."""
    return json.dumps(result_of(state), indent=2) + "\n"


def load_result(folder: Path) -> dict[str, Any]:
    """The recorded result of a session."""
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


def _plain(row: Row) -> dict[str, object]:
    fields = asdict(row)
    fields["payload"] = b64encode(row.payload).decode()
    fields["fingerprint"] = None if row.fingerprint is None else row.fingerprint.hex()
    fields["hash"] = row.hash.hex()
    return fields


def _row(fields: dict[str, Any]) -> Row:
    digest = fields["fingerprint"]
    return Row(
        **{
            **fields,
            "payload": b64decode(fields["payload"]),
            "fingerprint": None if digest is None else bytes.fromhex(digest),
            "hash": bytes.fromhex(fields["hash"]),
        }
    )
