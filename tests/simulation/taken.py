"""What a row takes from wallets."""

from perps.journal import Entry


def taken(entry: Entry) -> dict[str, int]:
    """What a row takes from each wallet, each event for itself; negative: gives."""
    taken: dict[str, int] = {}
    for event in entry.events:
        net: dict[str, int] = {}
        for transfer in event.transfers:
            net[transfer.source] = net.get(transfer.source, 0) + transfer.amount
            net[transfer.target] = net.get(transfer.target, 0) - transfer.amount
        for account, amount in net.items():
            if account.startswith("user:"):
                debit, before = max(amount, 0), taken.get(account, 0)
                taken[account] = max(before, 0) + debit if debit or before > 0 else min(before, amount)
    return taken
