"""Looking at what a venue has stored, from outside and without changing any of it: verify, journal, reconcile.

These commands read the database itself, of a venue that runs or of one that does not. Reading order: ``database`` (how
they get there), ``verify``, ``journal``, ``reconcile``.
"""
