"""The PostgreSQL server that comes with perps: ``server`` (its life), ``cluster_settings``, ``postmaster``."""
