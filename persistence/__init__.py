"""PostgreSQL: the journal, the query tables, snapshots and API keys. asyncpg lives in this package only.

``connection`` opens connections and checks the server, ``journal`` is what the running venue writes and recovers from,
``reads`` serves the web side, ``operator`` serves archive, restore and verification, ``embedded`` runs the server that
comes with perps. ``migrate`` brings a database to the schema in ``migrations``.
"""
