"""Committed state for GET and streams: ``model`` (the state), ``history`` (candles, 24 h), ``loading`` (a start),
``standings`` and ``leaderboard`` (how users do).
"""
