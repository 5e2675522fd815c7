"""Every way a request can fail, as one JSON body and one status. The only place where a status is chosen."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec
from aiohttp import web

from actors.messages import Failure, FailureKind, Outcome
from perps.params import MarketParams
from perps.refusals import Fact, RejectCode, Rejected
from web.answers import decimals
from web.answers.field_names import camel

Details = Mapping[str, object]

STATUS: Final[dict[str, int]] = {
    "invalid_json": 400,
    "validation_error": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "market_not_found": 404,
    "position_not_found": 404,
    "user_not_found": 404,
    "method_not_allowed": 405,
    "client_order_id_reused": 409,
    "user_exists": 409,
    "market_exists": 409,
    "market_halted": 409,
    "market_reduce_only": 409,
    "price_stale": 409,
    "position_closed": 409,
    "payload_too_large": 413,
    "parameters_inconsistent": 422,
    "position_size_too_small": 422,
    "position_size_too_large": 422,
    "leverage_too_high": 422,
    "max_skew_exceeded": 422,
    "open_interest_exceeded": 422,
    "would_be_liquidated": 422,
    "price_beyond_limit": 422,
    "insufficient_funds": 422,
    "rate_limited": 429,
    "internal_error": 500,
    "overloaded": 503,
    "unavailable": 503,
    "outcome_unknown": 503,
}
"""Code → status, in order of precedence within a request: the first that applies is reported."""

MESSAGES: Final[dict[RejectCode, str]] = {
    RejectCode.VALIDATION_ERROR: "The request breaks a rule.",
    RejectCode.FORBIDDEN: "This position belongs to somebody else.",
    RejectCode.MARKET_NOT_FOUND: "There is no such market.",
    RejectCode.POSITION_NOT_FOUND: "There is no such position.",
    RejectCode.USER_NOT_FOUND: "There is no such user.",
    RejectCode.CLIENT_ORDER_ID_REUSED: "This clientOrderId was used for another request.",
    RejectCode.USER_EXISTS: "This user exists already.",
    RejectCode.MARKET_EXISTS: "This market exists already.",
    RejectCode.MARKET_HALTED: "The market is halted.",
    RejectCode.MARKET_REDUCE_ONLY: "The market takes no new positions for now.",
    RejectCode.PRICE_STALE: "The price is too old.",
    RejectCode.POSITION_CLOSED: "The position is closed.",
    RejectCode.PARAMETERS_INCONSISTENT: "The parameters break a listing rule.",
    RejectCode.POSITION_SIZE_TOO_SMALL: "The size is below the market's minimum, or below one lot.",
    RejectCode.POSITION_SIZE_TOO_LARGE: "The size is larger than the market's whole side may be.",
    RejectCode.LEVERAGE_TOO_HIGH: "The market does not allow this much leverage.",
    RejectCode.MAX_SKEW_EXCEEDED: "The order would tilt the market further than it may.",
    RejectCode.OPEN_INTEREST_EXCEEDED: "The market's side is full.",
    RejectCode.WOULD_BE_LIQUIDATED: "What is left would be liquidated at once.",
    RejectCode.PRICE_BEYOND_LIMIT: "The fill would be worse than you accept.",
    RejectCode.INSUFFICIENT_FUNDS: "The wallet does not hold enough.",
}

RETRY_AFTER_S: Final = "1"


class RequestError(Exception):
    """A request that ends here. ``details`` carry the compared numbers, ready for the body."""

    def __init__(self, code: str, message: str, details: Details | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.details = code, message, details or {}

    allow: Sequence[str] = ()
    """The methods that a path takes, where it does not take the request's."""


def method_not_allowed(allowed: Collection[str]) -> RequestError:
    """The path is there, and does not take the request's method: 405, with those it takes."""
    error = RequestError("method_not_allowed", "This path does not take that method.", {"allowed": sorted(allowed)})
    error.allow = sorted(allowed)
    return error


def of_http(error: web.HTTPException) -> RequestError:
    """What ``aiohttp`` refuses by itself."""
    if error.status == 404:
        return RequestError("not_found", "There is no such path. GET / lists those that are.")
    if isinstance(error, web.HTTPMethodNotAllowed):
        return method_not_allowed(error.allowed_methods)
    if error.status == 413:
        return RequestError("payload_too_large", "The body is too large.")
    return RequestError("validation_error", error.reason)


def not_one_of(field: str, allowed: Iterable[str]) -> RequestError:
    """A value that is none of the ``allowed`` ones: 400."""
    choices = list(allowed)
    return invalid(f"{field} must be one of {', '.join(choices)}.", field=field, allowed=choices)


def invalid(message: str, **details: object) -> RequestError:
    """A body, path or query that breaks a rule: 400."""
    return RequestError("validation_error", message, details)


def not_found(what: str, **details: object) -> RequestError:
    """Something named in the path is not there: ``market``, ``position``, ``user``."""
    return RequestError(f"{what}_not_found", f"There is no such {what}.", details)


def of_rejected(rejected: Rejected, params: MarketParams | None) -> RequestError:
    """A refusal as the outside sees it; amounts in decimal text, lots and ticks in the market's units."""
    details = dict(_detail(key, fact, params) for key, fact in rejected.facts.items())
    message = MESSAGES[rejected.code]
    if rejected.code in (RejectCode.PARAMETERS_INCONSISTENT, RejectCode.VALIDATION_ERROR) and "rule" in details:
        message = f"Rule broken: {details['rule']}."
    return RequestError(rejected.code, message, details)


def of_failure(failure: Failure) -> RequestError:
    """No verdict: overloaded, being rebuilt, in doubt, or a bug."""
    message = {
        FailureKind.OVERLOADED: "Too much is in flight. Nothing was done; send it again.",
        FailureKind.RATE_LIMITED: "You have as much in flight as one may. Nothing was done; send it again.",
        FailureKind.UNAVAILABLE: "The market or the venue is being rebuilt. Nothing was done; send it again.",
        FailureKind.OUTCOME_UNKNOWN: "It may or may not have been done. Send it again with the same clientOrderId.",
        FailureKind.INTERNAL_ERROR: "A fault of ours stopped this request. Nothing was done.",
    }[failure.kind]
    # Behind the colon stands an exception, which may quote another user's command: that is for the logs.
    details = {} if failure.kind is FailureKind.INTERNAL_ERROR else {"reason": failure.reason.partition(":")[0]}
    return RequestError(failure.kind, message, details)


def unsuccessful(outcome: Outcome, params: MarketParams | None) -> RequestError:
    """The error of a command that has no row of its own."""
    if isinstance(outcome, Rejected):
        return of_rejected(outcome, params)
    if isinstance(outcome, Failure):
        return of_failure(outcome)
    raise TypeError(f"{type(outcome).__name__} is a success")


def response(error: RequestError, request_id: str) -> web.Response:
    """The error as a response: ``{"error": {code, message, details, requestId}}``."""
    status = STATUS[error.code]
    body = {"error": {"code": error.code, "message": error.message, "details": error.details, "requestId": request_id}}
    headers = {"X-Request-Id": request_id}
    if status in (429, 503):
        headers["Retry-After"] = RETRY_AFTER_S
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.allow:
        headers["Allow"] = ", ".join(error.allow)
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json", headers=headers)


def _detail(key: str, fact: Fact, params: MarketParams | None) -> tuple[str, object]:
    name, _, unit = key.rpartition("_")
    if isinstance(fact, int) and unit == "micros":
        return camel(name), decimals.money(fact)
    if isinstance(fact, int) and unit == "lots" and params is not None:
        return camel(name or "quantity"), decimals.quantity(fact, params.lot_size)
    if isinstance(fact, int) and unit == "ticks" and params is not None:
        return camel(name), decimals.price(fact, params.tick_size)
    if isinstance(fact, int) and unit == "ppb":
        return camel(name), decimals.text(fact, 9, 0)
    if isinstance(fact, int) and unit == "pico":
        return camel(name), decimals.price(fact, 1) if name.endswith("price") else decimals.pico(fact)
    return camel(key), fact
