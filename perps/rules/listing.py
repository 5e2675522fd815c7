"""Listing a market."""

from perps.commands import ListMarket
from perps.events import MarketListed, Transfer, TransferKind
from perps.market.listing import check_params
from perps.money.accounts import WORLD, house_account
from perps.refusals import Rejected
from perps.units import Millis


def decide_list(command: ListMarket, at: Millis) -> MarketListed | Rejected:
    """List a market if its parameters keep the rules (``check_params``)."""
    broken = check_params(command.params, command.price)
    if broken:
        return broken
    deposit = command.params.house_deposit
    house = house_account(command.ticker)
    transfers = (Transfer(WORLD, house, deposit, TransferKind.HOUSE_DEPOSIT),) if deposit else ()
    return MarketListed(command.params, command.price, at, transfers)
