"""What operator commands need of a database.

``archive`` and ``archiving`` (rows into files), ``restoring`` (rows into a new database), ``audit`` and ``comparison``
(all of a database as of one moment), ``foreign`` (another system's prices).
"""
