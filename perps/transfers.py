"""Money that moves: what every event and every row carries of it."""

from enum import StrEnum

from msgspec import Struct

from perps.units import Micros


class TransferKind(StrEnum):
    """Why money moved between two accounts."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    HOUSE_DEPOSIT = "house_deposit"
    HOUSE_FUNDING = "house_funding"
    ORDER_RESERVE = "order_reserve"
    ORDER_RETURN = "order_return"
    MARGIN = "margin"
    MARGIN_RETURN = "margin_return"
    PROFIT = "profit"
    LOSS = "loss"
    FEE = "fee"
    REFERRAL = "referral"
    LIQUIDATION_FEE = "liquidation_fee"
    BAD_DEBT = "bad_debt"


class Transfer(Struct, frozen=True, array_like=True, gc=False):
    """``amount`` ≥ 0 micros leave the account ``source`` and enter ``target``: two legs that sum to 0."""

    source: str
    target: str
    amount: Micros
    kind: TransferKind


Transfers = tuple[Transfer, ...]
