"""The domain: pure integers, no I/O, no clock, no chance, no framework.

Reading order: ``units`` (what every integer means), ``commands``, ``events`` and ``refusals`` (the vocabulary),
``params`` (a market's rules), ``market`` (its state and formulas), ``rules`` (the checks of each command), ``engine``
(one command with all its consequences), ``money`` (accounts and holds), ``journal`` (the row that makes a fact true),
``venue`` (all state, rebuilt from rows) and ``snapshot`` (all state, saved).
"""
