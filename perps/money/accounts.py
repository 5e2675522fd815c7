"""The names of all accounts. Σ of what they hold is 0, always.

``user:X`` a wallet, never below 0 · ``margin:T`` collateral of open positions · ``house:T`` a market's counterparty ·
``orders:T`` what resting orders may
take · ``insurance:T`` fed by liquidation fees, emptied by bad debt · ``fees`` the venue's income · ``world`` everything
outside: deposits come from it, so it stands at minus what was paid in.
"""

from typing import Final

FEES: Final = "fees"
"""The venue's own income: fees less what referrers get."""

WORLD: Final = "world"
"""Outside. Deposits and house deposits leave it, withdrawals enter it: its balance is minus the money in the venue."""


def user_account(user: str) -> str:
    """The account of a user's wallet."""
    return f"user:{user}"


def margin_account(ticker: str) -> str:
    """The account that holds the margin of a market's open positions."""
    return f"margin:{ticker}"


def orders_account(ticker: str) -> str:
    """The account that holds the reserves of a market's resting orders."""
    return f"orders:{ticker}"


def house_account(ticker: str) -> str:
    """The account of a market's counterparty."""
    return f"house:{ticker}"


def insurance_account(ticker: str) -> str:
    """The account that liquidation fees feed and bad debt empties first."""
    return f"insurance:{ticker}"
