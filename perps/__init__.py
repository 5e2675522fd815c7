"""The domain: pure integers, no I/O, no clock, no chance, no framework.

Reading order: ``units`` (what every integer means), ``commands``, ``events`` and ``refusals`` (the vocabulary),
``params`` (a market's rules), ``market`` (state and formulas), ``money`` (accounts and holds), ``rules`` (how each
command is decided, what each event does), ``engine`` (one command to its last consequence), ``sequencer`` (to its
row), ``journal`` (the row that makes a fact true), ``venue`` (all state, rebuilt from rows), ``effects`` and
``projection`` (what readers see), ``query_rows``, ``candles`` and ``folding`` (the records that queries find),
``order_quotes`` (what an order would do), ``snapshot`` (all state as bytes). ``wire`` is the contract with the outside.

``client`` and ``agents`` are no part of the domain: they are the other side, programs that stand on ``wire`` alone.
They have asyncio, a clock, chance and floats, and nothing else in ``perps`` imports them (see ``setup.cfg``).
"""
