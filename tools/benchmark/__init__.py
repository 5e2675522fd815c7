"""``perps bench``: measures the venue on this machine, beside yardsticks that have nothing to do with the venue.

``command`` runs the parts: ``postgres`` (pgbench), ``engine`` (opens inside the process, replay), ``http`` (opens over
HTTP, beside an empty handler), ``prices`` and ``trailing`` (price updates), ``recovery`` (start-up); ``report`` prints
the figures.
"""
