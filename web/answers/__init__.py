"""What leaves the venue: ``views`` (state → JSON), ``errors`` (codes, statuses, messages), ``decimals``, ``times``."""
