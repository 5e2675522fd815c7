"""The domain: pure integers, no I/O, no clock, no chance, no framework.

Reading order: ``units`` (what every integer means), ``commands``, ``events`` and ``refusals`` (the vocabulary),
``params`` (a market's rules), ``pricing`` and ``position`` (the formulas), ``market`` (state and ``apply``),
``trading`` and ``liquidation`` (every check), ``ledger`` (accounts and holds), ``journal`` (the row that makes a
fact true) and ``venue`` (all state, rebuilt from rows).
"""
