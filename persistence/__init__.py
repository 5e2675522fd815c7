"""PostgreSQL: the only place that knows asyncpg.

Read ``connection`` first (how a session is opened and what its errors mean), then ``journal`` (rows, snapshots, who may
write), ``reads`` (what the API asks), ``operator`` (archive, restore, audit) and ``embedded`` (a server of our own).
``migrate`` brings a database to the schema in ``migrations``; ``errors`` says why a database may not be served.
"""
