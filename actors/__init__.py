"""Who owns which state, and in what order things happen.

Reading order: ``messages`` (what travels), ``base`` (an actor that dies on the first unexpected exception),
``supervisor`` → ``ledger_actor`` → ``market_actor`` → ``ledger_actor`` → ``journal_actor`` (a command's way through),
``answers`` (one answer per client id), ``core`` (start by recovery, orderly stop), ``bridge`` (asyncio ↔ actors).

Every hop is a ``tell`` that carries a batch. pykka lives in this package only.
"""
