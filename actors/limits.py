"""Every named limit of what is in flight. Past one of them a command is refused at once, with no effect."""

from typing import Final

IN_FLIGHT_MAX: Final = 8_192
"""Commands between the bridge and their answer: nothing else puts work into the mailboxes.

A caller past the deadline makes room while the command may still be under way; the journal's own time limit ends that.
"""

IN_FLIGHT_PARTS: Final = 4
"""One payer (a user, or a key bound to none) may have one part in this many of them."""

IN_CORE_MAX: Final = 1_024
"""Commands of all payers in the mailboxes at a time; the others wait in the bridge, one of each payer in turn."""

IN_CORE_EACH: Final = 64
"""Commands of one payer for one market, or for the ledger, in the mailboxes at a time: so many another payer's next one
for it waits behind."""

IN_CORE_PARTS: Final = 4
"""One market, or the ledger, may have one part in this many of ``IN_CORE_MAX``; a payer, this many times
``IN_CORE_EACH`` in all. So while commands wait for a market amid a crash, those for others find a place."""

DEADLINE_MS: Final = 10_000
"""A command not begun by then is refused; a caller not answered by then gets ``outcome_unknown``."""

OBSERVATION_MS: Final = 1_000
"""How often every market looks for what is due, and how late one may be with it."""

ROWS_PER_COMMIT_MAX: Final = 1_024
"""Journal rows in one transaction: bounds its time and the work lost in doubt."""

EVENTS_PER_COMMIT_MAX: Final = 4_096
"""Events after which a transaction takes no further row: one row of a crash holds hundreds of liquidations."""

ROWS_AHEAD_MAX: Final = 8
"""Rows that a market makes of one command's consequences before the first of them is durable: so many rows of a crash
another market's row waits behind."""

REBUILD_QUEUE_MAX: Final = 4_096
"""Commands that wait for one market while it is rebuilt."""

MARKET_DEATHS_MAX: Final = 5
"""Deaths of one market within ``MARKET_DEATHS_WINDOW_MS`` after which it is still rebuilt. At one more it stays down
until the venue is restarted."""

MARKET_DEATHS_WINDOW_MS: Final = 60_000

RECENT_ANSWERS_MAX: Final = 500_000
"""Client ids answered from memory; an older one costs a look-up in the journal."""
