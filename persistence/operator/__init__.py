"""What an operator does to a database beside or without a venue.

``archive`` is the file format, ``archiving`` moves old rows into it, ``restoring`` makes a database of it again;
``audit``, ``comparison`` and ``foreign`` read for ``perps verify`` and ``perps reconcile``.
"""
