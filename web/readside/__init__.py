"""Committed state for GET and streams.

Reading order: ``model`` (the state), ``history`` (candles, 24 h) with ``candle_pages``, ``flows`` (what trades did
lately), ``money`` (a user's money as of a row), ``standings`` and ``leaderboard`` (how users do), ``queries`` (what
the database answers). What a snapshot keeps of it: ``image`` with ``sums``, ``checks``, ``loading`` (a start).
"""
