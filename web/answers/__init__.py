"""Values as the outside sees them: committed state as the JSON of the contract, one file a subject. Pure functions.

Reading order: ``decimals`` and ``times`` (numbers as text; every number with a unit leaves as decimal text),
``rows``, then ``markets`` with ``funding``, ``flows`` and ``warnings``, ``positions`` and ``net``, ``orders`` and
``order_quotes``, ``trades``, ``users``, ``results``, ``keys``, ``stream_events`` (a row → its public events), and
``errors`` (every way a request can fail).
"""
