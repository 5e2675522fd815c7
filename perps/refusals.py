"""Refusals: a command that cannot be done is answered with a value, and nothing has changed."""

from collections.abc import Mapping
from enum import StrEnum
from typing import assert_never

from msgspec import Struct

Fact = int | str
"""A number that a check compared, its unit in the key's last word (``required_micros``), or a name."""


class RejectCode(StrEnum):
    """Why a command was refused, in order of precedence: the first that applies is reported."""

    VALIDATION_ERROR = "validation_error"
    FORBIDDEN = "forbidden"
    MARKET_NOT_FOUND = "market_not_found"
    POSITION_NOT_FOUND = "position_not_found"
    ORDER_NOT_FOUND = "order_not_found"
    USER_NOT_FOUND = "user_not_found"
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


class Rejected(Struct, frozen=True, kw_only=True):
    """A refusal: nothing changed and nothing was journaled. ``facts`` are the numbers the check compared."""

    code: RejectCode
    facts: Mapping[str, Fact] = {}

    @property
    def may_succeed_later(self) -> bool:
        """Whether the same command can be accepted once the market or the wallet has changed."""
        match self.code:
            case (
                RejectCode.VALIDATION_ERROR
                | RejectCode.FORBIDDEN
                | RejectCode.CLIENT_ORDER_ID_REUSED
                | RejectCode.USER_EXISTS
                | RejectCode.MARKET_EXISTS
                | RejectCode.POSITION_CLOSED
                | RejectCode.ORDER_CLOSED
                | RejectCode.PARAMETERS_INCONSISTENT
                | RejectCode.POSITION_SIZE_TOO_SMALL
                | RejectCode.POSITION_SIZE_TOO_LARGE
                | RejectCode.LEVERAGE_TOO_HIGH
            ):
                return False
            case (
                RejectCode.MARKET_NOT_FOUND
                | RejectCode.POSITION_NOT_FOUND
                | RejectCode.ORDER_NOT_FOUND
                | RejectCode.USER_NOT_FOUND
                | RejectCode.ORDER_PENDING
                | RejectCode.MARKET_HALTED
                | RejectCode.MARKET_NOT_HALTED
                | RejectCode.MARKET_REDUCE_ONLY
                | RejectCode.PRICE_STALE
                | RejectCode.PRICE_UNCONFIRMED
                | RejectCode.HOUSE_CANNOT_PAY
                | RejectCode.MAX_SKEW_EXCEEDED
                | RejectCode.OPEN_INTEREST_EXCEEDED
                | RejectCode.USER_LIMIT_EXCEEDED
                | RejectCode.TOO_MANY_OPEN_ORDERS
                | RejectCode.ORDER_WOULD_TRIGGER
                | RejectCode.WOULD_BE_LIQUIDATED
                | RejectCode.PRICE_BEYOND_LIMIT
                | RejectCode.ORDER_CHANGED
                | RejectCode.INSUFFICIENT_MARGIN
                | RejectCode.INSUFFICIENT_FUNDS
            ):
                return True
            case _:
                assert_never(self.code)


class InvariantViolated(Exception):
    """A bug or corrupt data. Never caught below the supervisor: the actor that sees it dies."""
