"""Listing a market: what it needs, and how it begins."""

from perps.commands import ListMarket, PriceSource
from perps.effects import Effects, Priced, Status
from perps.events import MarketListed, Transfer, TransferKind
from perps.market.listing import check_params
from perps.market.state import Market
from perps.money.accounts import WORLD, house_account
from perps.params import Mode
from perps.refusals import InvariantViolated, RejectCode, Rejected
from perps.rules.rule import CommandRule, EventRule, Given


def decide_list(market: Market | None, command: ListMarket, given: Given) -> tuple[MarketListed] | Rejected:
    """List a market if there is none, and its parameters keep the rules (``check_params``)."""
    if market is not None:
        return Rejected(code=RejectCode.MARKET_EXISTS, facts={"ticker": command.ticker})
    broken = check_params(command.params, command.price)
    if broken:
        return broken
    deposit = command.params.house_deposit
    house = house_account(command.ticker)
    transfers = (Transfer(WORLD, house, deposit, TransferKind.HOUSE_DEPOSIT),) if deposit else ()
    return (MarketListed(command.params, command.price, given.at, transfers),)


def apply_listed(market: Market, _: MarketListed) -> None:
    """A market's state begins with this event (``Market(event)``); nothing takes it in a second time."""
    raise InvariantViolated(f"{market.ticker} was listed twice")


def project_listed(event: MarketListed) -> Effects:
    """A market, open, with its first price."""
    price = event.price
    first = Priced(price, price, price, PriceSource.SYSTEM, "listed", is_first=True)
    return (Status(Mode.ENABLED, "listed", event.params.name), first)


COMMANDS = (CommandRule(ListMarket, decide_list),)
EVENTS = (EventRule(MarketListed, apply_listed, project_listed),)
