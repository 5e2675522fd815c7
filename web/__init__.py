"""The outside: REST and SSE over aiohttp, the read model behind every GET, and the composition root.

Reading order: ``compose`` (what is wired to what), ``host`` (the core's life), ``app`` (routes and middleware),
``requests`` (bodies → commands), ``routes_*``, ``read_model`` (committed state), ``views`` (state → JSON),
``streams`` (SSE).

Nothing here changes a market: commands go through the bridge, answers come back after their commit.
"""
