"""``perps verify|journal|reconcile``: look at what a venue has stored, and change nothing.

These commands read the database itself, whether the venue runs or not. Reading order: ``database`` (how they get
there), ``verify``, ``journal``, ``reconcile``; then what these compare with: ``tables``, ``snapshots``, ``live``,
``memory``, ``external``.
"""
