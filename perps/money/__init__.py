"""Money: ``accounts`` (their names), ``ledger`` (their balances and transfers), ``funds`` (what a wallet may spend)."""
