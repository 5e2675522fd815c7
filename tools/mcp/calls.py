"""A call of a tool as a request of the client: arguments in, the venue's answer or its refusal out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import aclosing, suppress
from decimal import Decimal
from typing import Any, Final

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from perps.client import Refused, Venue, VenueError
from perps.wire.users import ME
from tools.mcp.tools import OWN, Json, Tool, fields_of, input_schema

RETRY_S: Final = 20.0
"""How long a request is sent again: somebody waits for the model."""
EVENTS_DEFAULT: Final = 50
WAIT_S: Final = 2.0
MORE_S: Final = 0.2
"""After the first event: how long to wait for those that come with it."""


class Answer(msgspec.Struct, frozen=True):
    """What a tool says."""

    value: Json
    is_error: bool = False

    @property
    def text(self) -> str:
        """For models that read text."""
        if not self.is_error:
            return json.dumps(self.value, ensure_ascii=False)
        error = self.value["error"]
        details = f" {json.dumps(error['details'], ensure_ascii=False)}" if error["details"] else ""
        return f"{error['code']}: {error['message']}{details}"


async def answer(url: str, key: str | None, tool: Tool, arguments: Mapping[str, Any]) -> Answer:
    """Carry a call out, with this key. Whatever the venue says is an answer; nothing is raised.

    A command gets a client order id if it has none, and is sent again with it until there is a verdict.
    """
    problem = best_match(Draft202012Validator(input_schema(tool.name)).iter_errors(dict(arguments)))
    if problem is not None:
        field = ".".join(map(str, problem.absolute_path))
        return _error("validation_error", f"{field}: {problem.message}" if field else problem.message)
    try:
        async with Venue(url, key, retry_s=RETRY_S) as venue:
            if tool.operation is None:
                return Answer(await _events(venue, has_user=key is not None, arguments=arguments))
            found = await venue.call(tool.operation, msgspec.Raw, **_values(tool, arguments))
            return Answer(msgspec.json.decode(found))
    except Refused as error:
        return _error(error.code, error.message, error.details)
    except VenueError as error:
        more = {"clientOrderId": error.client_order_id} if error.client_order_id else {}
        return _error(error.code, str(error), more)
    except (TypeError, ValueError) as error:
        return _error("validation_error", str(error))


def _values(tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    fields = fields_of(tool.name)
    values = {fields[name]: _exact(value) for name, value in arguments.items()}
    if OWN in fields and tool.operation is not None and tool.operation.own:
        values[fields[OWN]] = ME
    return values


def _exact(value: Any) -> Any:
    """A number as it was written: JSON has made a float of it, whose shortest text is that number again."""
    return Decimal(repr(value)) if isinstance(value, float) else value


def _error(code: str, message: str, details: Mapping[str, object] | None = None) -> Answer:
    return Answer({"error": {"code": str(code), "message": message, "details": dict(details or {})}}, is_error=True)


async def _events(venue: Venue, *, has_user: bool, arguments: Mapping[str, Any]) -> Json:
    """Rows of the stream after a place, as long as they come at once."""
    after, limit = arguments.get("after"), arguments.get("limit", EVENTS_DEFAULT)
    events: list[Json] = []
    place, missed = after, False
    user = ME if has_user else None
    rows = venue.stream(arguments.get("tickers") or await _tickers(venue), user=user, since=after)
    async with aclosing(rows):
        with suppress(TimeoutError):
            async with asyncio.timeout(arguments.get("waitSeconds", WAIT_S) if after else None) as waiting:
                async for row in rows:
                    place, missed = row.id, missed or row.is_reset
                    if after is None or missed:
                        break
                    events += [{"event": event.name, "data": event.data} for event in row.events]
                    if len(events) >= limit:
                        break
                    waiting.reschedule(asyncio.get_running_loop().time() + MORE_S)
    return {"events": events, "next": place, "missed": missed}


async def _tickers(venue: Venue) -> list[str]:
    return [market.ticker for market in (await venue.list_markets()).markets]
