"""Why a venue may not be served from a database. One clear line each, for whoever starts it."""

from perps.journal import OwnershipLost


class CannotServe(Exception):
    """This database cannot be served by this program now."""


class ShardTaken(CannotServe, OwnershipLost):
    """Another venue holds the shard's lock."""


class UnsafeServer(CannotServe):
    """The server would lose committed rows, or cannot write at all."""


class OtherPartitions(CannotServe):
    """The database's journal has partitions of another size than the one asked for."""


class SchemaMismatch(CannotServe):
    """The database's migrations are not this program's."""
