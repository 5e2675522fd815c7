"""An administrator pays into a market's house or insurance, or takes out of it."""

from perps.commands import FundMarket, HouseAccount
from perps.effects import Effects, Funded
from perps.events import HouseFunded, Transfer, TransferKind
from perps.market.state import Market
from perps.money.accounts import WORLD, house_account, insurance_account
from perps.refusals import RejectCode, Rejected
from perps.rules.checks import not_to_be_used
from perps.rules.liquidation import due
from perps.rules.rule import CommandRule, EventRule, Given
from perps.units import Micros


def decide_fund(market: Market, command: FundMarket, given: Given) -> tuple[HouseFunded] | Rejected:
    """Move ``amount`` between the outside and an account of the market.

    Money in: the ledger has seen that all deposits together stay within their bound. Money out: the insurance keeps
    at least 0, the house at least 0 and at least what all traders would gain if they left now. While somebody is due
    for liquidation (only in a halted market), the house keeps everything: what that position owes beyond its margin is
    not there to pay the others. Nor does the house pay out at a price that nobody may trade at, while somebody holds a
    position: what he would gain is not known. Allowed in every mode: it is the way back for a house that is empty.
    """
    amount = command.amount
    if not amount:
        return Rejected(code=RejectCode.VALIDATION_ERROR, facts={"rule": "amount is not 0"})
    is_house = command.account is HouseAccount.HOUSE
    in_doubt = not_to_be_used(market, given) if is_house and amount < 0 and market.positions else None
    if in_doubt:
        return in_doubt
    stands = market.house if is_house else market.insurance
    kept = _kept(market) if is_house else 0
    if amount < 0 and stands + amount < kept:
        available = max(0, stands - kept)
        facts = {"required_micros": -int(amount), "available_micros": int(available)}
        return Rejected(code=RejectCode.INSUFFICIENT_FUNDS, facts=facts)
    account = house_account(market.ticker) if is_house else insurance_account(market.ticker)
    source, target = (WORLD, account) if amount > 0 else (account, WORLD)
    move = Transfer(source, target, Micros(abs(amount)), TransferKind.HOUSE_FUNDING)
    return (HouseFunded(command.account, amount, Micros(stands + amount), (move,)),)


def _kept(market: Market) -> int:
    """Micros that the house must not pay out."""
    return max(0, market.liability) if due(market) is None else max(0, market.house)


def apply_funded(market: Market, event: HouseFunded) -> None:
    """The account holds more, or less."""
    market.take_money(event.transfers)


def project_funded(event: HouseFunded) -> Effects:
    """Money in or out of the market."""
    return (Funded(event.account, event.amount),)


COMMANDS = (CommandRule(FundMarket, decide_fund),)
EVENTS = (EventRule(HouseFunded, apply_funded, project_funded),)
