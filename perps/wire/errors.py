"""Every way a request can fail: a code, its status, and the one body that all refusals have."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

from msgspec import Meta

from perps.wire.base import Answer


class ErrorCode(StrEnum):
    """Why a request failed, in order of precedence: the first that applies is reported."""

    INVALID_JSON = "invalid_json"
    VALIDATION_ERROR = "validation_error"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    MARKET_NOT_FOUND = "market_not_found"
    POSITION_NOT_FOUND = "position_not_found"
    ORDER_NOT_FOUND = "order_not_found"
    USER_NOT_FOUND = "user_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CLIENT_ORDER_ID_REUSED = "client_order_id_reused"
    USER_EXISTS = "user_exists"
    MARKET_EXISTS = "market_exists"
    MARKET_HALTED = "market_halted"
    MARKET_NOT_HALTED = "market_not_halted"
    MARKET_REDUCE_ONLY = "market_reduce_only"
    PRICE_STALE = "price_stale"
    PRICE_UNCONFIRMED = "price_unconfirmed"
    POSITION_CLOSED = "position_closed"
    ORDER_CLOSED = "order_closed"
    ORDER_PENDING = "order_pending"
    CLOCK_NOT_MANUAL = "clock_not_manual"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    PARAMETERS_INCONSISTENT = "parameters_inconsistent"
    HOUSE_CANNOT_PAY = "house_cannot_pay"
    POSITION_SIZE_TOO_SMALL = "position_size_too_small"
    POSITION_SIZE_TOO_LARGE = "position_size_too_large"
    LEVERAGE_TOO_HIGH = "leverage_too_high"
    MAX_SKEW_EXCEEDED = "max_skew_exceeded"
    OPEN_INTEREST_EXCEEDED = "open_interest_exceeded"
    USER_LIMIT_EXCEEDED = "user_limit_exceeded"
    TOO_MANY_OPEN_ORDERS = "too_many_open_orders"
    ORDER_WOULD_TRIGGER = "order_would_trigger"
    WOULD_BE_LIQUIDATED = "would_be_liquidated"
    PRICE_BEYOND_LIMIT = "price_beyond_limit"
    ORDER_CHANGED = "order_changed"
    INSUFFICIENT_MARGIN = "insufficient_margin"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    RATE_LIMITED = "rate_limited"
    INTERNAL_ERROR = "internal_error"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"
    OUTCOME_UNKNOWN = "outcome_unknown"


_C = ErrorCode
_BY_STATUS: Final[dict[int, tuple[ErrorCode, ...]]] = {
    400: (_C.INVALID_JSON, _C.VALIDATION_ERROR),
    401: (_C.UNAUTHORIZED,),
    403: (_C.FORBIDDEN,),
    404: (_C.NOT_FOUND, _C.MARKET_NOT_FOUND, _C.POSITION_NOT_FOUND, _C.ORDER_NOT_FOUND, _C.USER_NOT_FOUND),
    405: (_C.METHOD_NOT_ALLOWED,),
    409: (
        _C.CLIENT_ORDER_ID_REUSED,
        _C.USER_EXISTS,
        _C.MARKET_EXISTS,
        _C.MARKET_HALTED,
        _C.MARKET_NOT_HALTED,
        _C.MARKET_REDUCE_ONLY,
        _C.PRICE_STALE,
        _C.PRICE_UNCONFIRMED,
        _C.POSITION_CLOSED,
        _C.ORDER_CLOSED,
        _C.ORDER_PENDING,
        _C.ORDER_CHANGED,
        _C.CLOCK_NOT_MANUAL,
    ),
    413: (_C.PAYLOAD_TOO_LARGE,),
    422: (
        _C.PARAMETERS_INCONSISTENT,
        _C.HOUSE_CANNOT_PAY,
        _C.POSITION_SIZE_TOO_SMALL,
        _C.POSITION_SIZE_TOO_LARGE,
        _C.LEVERAGE_TOO_HIGH,
        _C.MAX_SKEW_EXCEEDED,
        _C.OPEN_INTEREST_EXCEEDED,
        _C.USER_LIMIT_EXCEEDED,
        _C.TOO_MANY_OPEN_ORDERS,
        _C.ORDER_WOULD_TRIGGER,
        _C.WOULD_BE_LIQUIDATED,
        _C.PRICE_BEYOND_LIMIT,
        _C.INSUFFICIENT_MARGIN,
        _C.INSUFFICIENT_FUNDS,
    ),
    429: (_C.RATE_LIMITED,),
    500: (_C.INTERNAL_ERROR,),
    503: (_C.OVERLOADED, _C.UNAVAILABLE, _C.OUTCOME_UNKNOWN),
}

STATUS: Final = {code: status for status, codes in _BY_STATUS.items() for code in codes}
"""The HTTP status of each code."""

MEANING: Final = {
    _C.INVALID_JSON: "The body is not valid JSON, or did not arrive in time.",
    _C.VALIDATION_ERROR: "The request breaks a rule of the market or the venue.",
    _C.UNAUTHORIZED: "There is no key, or it is not valid.",
    _C.FORBIDDEN: "It belongs to another user, or the key does not allow it.",
    _C.NOT_FOUND: "There is no such path, or no such key.",
    _C.MARKET_NOT_FOUND: "There is no such market.",
    _C.POSITION_NOT_FOUND: "There is no such position.",
    _C.ORDER_NOT_FOUND: "There is no such order.",
    _C.USER_NOT_FOUND: "There is no such user.",
    _C.METHOD_NOT_ALLOWED: "This path does not support that method.",
    _C.CLIENT_ORDER_ID_REUSED: "This clientOrderId was already used for another request. Use a new one.",
    _C.USER_EXISTS: "A user with this userId already exists.",
    _C.MARKET_EXISTS: "A market with this ticker already exists.",
    _C.MARKET_HALTED: "The market is halted: it takes no opens and no closes.",
    _C.MARKET_NOT_HALTED: "Only a halted market can be settled. Halt it first.",
    _C.MARKET_REDUCE_ONLY: "The market is in reduce_only mode: it takes closes and no opens.",
    _C.PRICE_STALE: "The market's price is too old to trade at, or a later one of its source has come already.",
    _C.PRICE_UNCONFIRMED: "A price far from the last one waits to be confirmed. Nothing trades until then.",
    _C.POSITION_CLOSED: "The position is already closed.",
    _C.ORDER_PENDING: "The order waits for the next price, and cannot be taken back before it has come.",
    _C.ORDER_CLOSED: "The order is closed already: it was filled or cancelled, or it has expired.",
    _C.CLOCK_NOT_MANUAL: "The venue's clock is real. Start it with `--clock manual` to advance it.",
    _C.PAYLOAD_TOO_LARGE: "The body is too large.",
    _C.PARAMETERS_INCONSISTENT: "The parameters break a listing rule.",
    _C.HOUSE_CANNOT_PAY: "The market's house cannot pay this. Nothing was done: try again when it has been funded.",
    _C.POSITION_SIZE_TOO_SMALL: "The size is below the market's minOrderSize or does not pay for one lot.",
    _C.POSITION_SIZE_TOO_LARGE: "The size is larger than the market's maxOpenInterest.",
    _C.LEVERAGE_TOO_HIGH: "The leverage is higher than the market's maxLeverage.",
    _C.MAX_SKEW_EXCEEDED: "The order would push the market's skew beyond maxSkew.",
    _C.OPEN_INTEREST_EXCEEDED: "The order would push this side's open interest beyond maxOpenInterest.",
    _C.USER_LIMIT_EXCEEDED: "You would hold more in this market than one user may.",
    _C.TOO_MANY_OPEN_ORDERS: "There are as many open orders as there may be. Cancel one, or wait until one is filled.",
    _C.ORDER_WOULD_TRIGGER: "The mark price has reached that price already: it would trigger at once.",
    _C.WOULD_BE_LIQUIDATED: "The position would be liquidated at once.",
    _C.PRICE_BEYOND_LIMIT: "The fill price would be worse than the limit you set.",
    _C.ORDER_CHANGED: "The order's size or leverage changed again and again meanwhile. Send it again.",
    _C.INSUFFICIENT_MARGIN: "The position needs that much of its margin. Take out less.",
    _C.INSUFFICIENT_FUNDS: "The wallet does not hold enough.",
    _C.RATE_LIMITED: "You have used up your share. Nothing was done: send it again.",
    _C.INTERNAL_ERROR: "The venue failed on this request. Nothing was done.",
    _C.OVERLOADED: "The venue has too much to do. Nothing was done: send it again.",
    _C.UNAVAILABLE: "The market or the venue is restarting. Nothing was done: send it again.",
    _C.OUTCOME_UNKNOWN: "The command may or may not be done. Send it again with the same clientOrderId.",
}
"""Each code in a sentence. Refusals of commands carry it as their message."""

SEND_AGAIN: Final = frozenset((_C.RATE_LIMITED, _C.OVERLOADED, _C.UNAVAILABLE, _C.OUTCOME_UNKNOWN))
"""Codes that are no verdict on a command: send it again, with the same client order id, after ``Retry-After``."""


class ErrorDetail(Answer):
    """What went wrong, for a program (``code``, ``details``) and for people (``message``)."""

    code: ErrorCode
    message: Annotated[str, Meta(description="For people; it may change.")]
    details: Annotated[dict[str, Any], Meta(description="What the venue compared, or which `field` is wrong.")]
    request_id: Annotated[str, Meta(description="The logs show it as `trace`.")]


class ItemRefused(Answer):
    """Why one of many that were asked for together was refused, while others may have been done."""

    code: ErrorCode
    message: str
    details: dict[str, Any]


class ErrorAnswer(Answer):
    """The body of every answer that is no success."""

    error: ErrorDetail
