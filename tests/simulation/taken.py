"""What a row takes from each wallet."""

from perps.journal import Entry


def taken(entry: Entry) -> dict[str, int]:
    """What a row takes from each wallet, all its events together; negative: gives."""
    found: dict[str, int] = {}
    for event in entry.events:
        for transfer in event.transfers:
            found[transfer.source] = found.get(transfer.source, 0) + transfer.amount
            found[transfer.target] = found.get(transfer.target, 0) - transfer.amount
    return {account: amount for account, amount in found.items() if account.startswith("user:")}
