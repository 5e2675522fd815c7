"""Every way a request can fail: a code, a message, the compared numbers. The codes are in ``perps/wire/errors.py``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, TypeVar

from actors.messages import Failure, FailureKind
from perps.params import MarketParams
from perps.refusals import Fact, RejectCode, Rejected
from perps.wire.base import outside
from perps.wire.errors import MEANING, ErrorCode, ItemRefused
from web.answers import decimals

Details = Mapping[str, object]
Refused = TypeVar("Refused", bound=ItemRefused)

TOO_OLD_TO_TRADE: Final = "The market's price is too old to trade at. Try again when the next one has come."
COME_TOO_LATE: Final = "A later price of this source has come already. Send the next one."
"""What ``price_stale`` says to whoever trades, and to whoever sends a price."""


class RequestError(Exception):
    """A request that ends here. ``details`` carry the compared numbers, ready for the body."""

    def __init__(self, code: str, message: str, details: Details | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.details = code, message, details or {}

    headers: Mapping[str, str] = {}
    """Of the answer, beside those that every refusal has."""
    allow: Sequence[str] = ()
    """The methods that a path takes, where it does not take the request's."""


def method_not_allowed(allowed: Collection[str]) -> RequestError:
    """The path is there, and does not take the request's method: 405, with those it takes."""
    error = RequestError("method_not_allowed", "This path does not support that method.", {"allowed": sorted(allowed)})
    error.allow = sorted(allowed)
    return error


def invalid(message: str, **details: object) -> RequestError:
    """A body, path or query that breaks a rule: 400."""
    return RequestError("validation_error", message, details)


def of_item(index: int, error: RequestError) -> RequestError:
    """What is wrong with one item of a list."""
    return RequestError(error.code, f"Item {index}: {error.message}", {"index": index, **error.details})


def not_found(what: str, **details: object) -> RequestError:
    """Something named in the path is not there: ``market``, ``position``, ``user``."""
    return RequestError(f"{what}_not_found", f"There is no such {what}.", details)


def of_rejected(rejected: Rejected, params: MarketParams | None) -> RequestError:
    """A refusal as the outside sees it; amounts in decimal text, lots and ticks in the market's units."""
    details = dict(_detail(key, fact, params) for key, fact in rejected.facts.items())
    message = MEANING[ErrorCode(rejected.code)]
    if "rule" in details:
        message = f"Rule broken: {details['rule']}."
    elif rejected.code is RejectCode.PRICE_STALE:
        message = TOO_OLD_TO_TRADE if "max_age_ms" in rejected.facts else COME_TOO_LATE
    return RequestError(rejected.code, message, details)


def of_failure(failure: Failure) -> RequestError:
    """No verdict: overloaded, being rebuilt, in doubt, or a bug."""
    message = {
        FailureKind.OVERLOADED: "The venue has too many commands in progress. Nothing was done; retry in 1 s.",
        FailureKind.RATE_LIMITED: "You have too many commands in progress. Nothing was done; retry in 1 s.",
        FailureKind.UNAVAILABLE: "The market or the venue is restarting. Nothing was done; retry in 1 s.",
        FailureKind.OUTCOME_UNKNOWN: "The command may or may not be done. Send it again with the same clientOrderId.",
        FailureKind.INTERNAL_ERROR: "The venue failed on this request. Nothing was done.",
    }[failure.kind]
    # Behind the colon stands an exception, which may quote another user's command: that is for the logs.
    details = {} if failure.kind is FailureKind.INTERNAL_ERROR else {"reason": failure.reason.partition(":")[0]}
    return RequestError(failure.kind, message, details)


def unsuccessful(outcome: Rejected | Failure, params: MarketParams | None) -> RequestError:
    """The error of a command that has no row of its own."""
    return of_rejected(outcome, params) if isinstance(outcome, Rejected) else of_failure(outcome)


def refused_item(kind: type[Refused], outcome: BaseException) -> Refused:
    """What became of one of many. Raises it if it is no refusal."""
    if not isinstance(outcome, RequestError):
        raise outcome
    return kind(code=ErrorCode(outcome.code), message=outcome.message, details=dict(outcome.details))


def _detail(key: str, fact: Fact, params: MarketParams | None) -> tuple[str, object]:
    name, _, unit = key.rpartition("_")
    if isinstance(fact, int) and unit == "micros":
        return outside(name), decimals.money(fact)
    if isinstance(fact, int) and unit == "lots" and params is not None:
        return outside(name or "quantity"), decimals.quantity(fact, params.lot_size)
    if isinstance(fact, int) and unit == "ticks" and params is not None:
        return outside(name), decimals.price(fact, params.tick_size)
    if isinstance(fact, int) and unit == "ppb":
        return outside(name), decimals.text(fact, 9, 0)
    if isinstance(fact, int) and unit == "pico":
        return outside(name), decimals.price(fact, 1) if name.endswith("price") else decimals.pico(fact)
    return outside(key), fact
