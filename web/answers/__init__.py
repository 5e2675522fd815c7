"""Values as the outside sees them: decimal text, camelCase names, codes. Pure functions; no protocol.

Reading order: ``decimals`` and ``times`` (numbers as text), ``field_names``, ``views`` (state → JSON),
``stream_events`` (a row → its public events), ``errors`` (every way a request can fail).
"""
