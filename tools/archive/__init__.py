"""``perps archive`` moves old rows out of the database into files; ``perps restore`` makes a new database from rows.

The work is done in ``persistence.operator``: ``archive`` (the files), ``archiving`` (from a partition to a file) and
``restoring`` (from rows to a database).
"""
