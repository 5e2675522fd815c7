"""The outside: REST and SSE over aiohttp, the read model behind every GET, and the composition root.

Reading order: ``compose`` (what is wired to what), ``process/host`` (the core's life), ``api/app`` (routes and
middleware), ``api/bodies`` and ``api/requests`` (bodies → commands), the other modules of ``api`` (one per subject),
``readside/model`` (committed state), ``answers/views`` (state → JSON), ``streams/sse``, ``limits``.

Nothing here changes a market: commands go through the bridge, answers come back after their commit.
"""
