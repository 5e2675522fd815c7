"""Old rows leave the database, and a database is made anew: archive, restore.

Reading order: ``persistence.operator.archive`` (the files), ``persistence.operator.archiving`` (from a partition to a
file), ``archive``; ``persistence.operator.restoring`` (from rows to a database), ``restore``.
"""
