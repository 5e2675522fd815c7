"""``perps bench``: measures the venue on this machine, beside yardsticks that have nothing to do with the venue.

``command`` runs the parts: ``postgres`` (pgbench), ``engine`` (opens inside the process, replay), ``http`` (opens over
HTTP, beside an empty handler, and over the agents' channel), ``beside`` (an open while others keep the venue busy),
``prices`` and ``trailing`` (price updates), ``recovery`` (start-up); ``report`` prints the figures. ``serving`` runs
the venue that is measured; ``load``, ``channel``, ``crowd`` and ``wrk`` ask it. ``sockets`` and ``streams`` are
programs of their own, for a venue that runs.
"""
