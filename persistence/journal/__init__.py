"""The journal: rows in one order, written by one owner.

Read ``writer`` first, then ``tables``, ``candles`` and ``order`` (what it writes and checks), ``partitions``,
``shards``; ``history``, ``rows``, ``look_ups`` and ``snapshots`` read it back, with the queries in ``selections``.
"""
