"""Old rows leave the database, and a database is made anew: archive, restore.

Reading order: ``persistence.archive`` (the files), ``persistence.archiving`` (from a partition to a file), ``archive``;
``persistence.restoring`` (from rows to a database), ``restore``.
"""
