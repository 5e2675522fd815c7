"""The journal in PostgreSQL.

Reading order: ``tables`` (the hot path's tables), ``writer`` (one fenced writer), ``query_rows`` (what else a row
writes), ``partitions``, ``history`` (reading it back), ``look_ups`` (answers by client id), ``snapshots``.
"""
