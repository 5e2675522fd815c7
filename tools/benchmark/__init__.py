"""``perps bench``: figures of this machine beside yardsticks that have nothing to do with the venue.

``command`` (the command, and which parts there are) → ``postgres`` (pgbench), ``engine`` (opens inside the process,
replay), ``http`` (opens over HTTP beside an empty handler), ``prices`` (price updates); ``report`` prints what they
found.
"""
