"""A PostgreSQL server of the venue's own: ``server`` makes, starts and stops it.

``cluster_settings`` are its options; ``postmaster`` tells whether one that outlived its venue still runs.
"""
